//! The scene: a compute host with real services, those who manage it, and one who should not.

use anyhow::Result;
use harness::Topology;
use harness::net::station::{BASTION, GUEST, HOST, HOST_OPERATIONS, INTRUDER, TENANT, VIM};
use harness::programs::openssh::Sshd;
use harness::programs::tls::TlsServer;

use crate::authority::Authority;

/// The namespaces, and what runs on the host.
pub struct Scene {
    /// The namespaces.
    pub topology: Topology,
    /// The operator's certificates.
    pub authority: Authority,
    /// SSH, on port 22 of the host.
    pub sshd: Sshd,
    /// TLS, on libvirt's port of the host.
    pub libvirt: TlsServer,
}

impl Scene {
    /// Builds it.
    pub fn new() -> Result<Self> {
        let topology = Topology::new()?;
        let sshd = Sshd::start(&topology.host)?;
        let libvirt = TlsServer::libvirt(&topology.host)?;
        Ok(Self {
            topology,
            authority: Authority::new()?,
            sshd,
            libvirt,
        })
    }
}

/// Prints what is being set up.
pub fn introduce() {
    println!(
        "\
A compute host of an NFVI and its neighbours, each a network namespace of this machine:

    vim            bastion         intruder       tenant
    {:14} {:15} {:14} {}
       |              |               |              |
    ---+--------------+-------+-------+--------------+---  management network
                              |
                             eth0   {}, {}
                             host   sshd on 22, TLS on 16514 (as libvirt has it)
                            vnet0
                              |
                            guest   {}   (not protected)

All traffic is real: OpenSSH, TLS, ping, TCP streams. Nothing outside is touched, and nothing stays.",
        VIM.v4, BASTION.v4, INTRUDER.v4, TENANT.v4, HOST.v4, HOST_OPERATIONS.v4, GUEST.v4
    );
}
