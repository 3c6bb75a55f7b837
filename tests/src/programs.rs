//! Real daemons and tools of the field, one file for each.

pub mod amqp;
pub mod certificate;
pub mod dhcp;
pub mod dns;
pub mod dnsmasq;
pub mod etcd;
pub mod iperf;
pub mod nmap;
pub mod ntp;
pub mod openssh;
pub mod readers;
pub mod sctp;
pub mod tls;
