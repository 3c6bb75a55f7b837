//! The filters of an interface, as the kernel lists them (`RTM_GETTFILTER`).

use std::io;

use aya::programs::TcAttachType;
use rtnetlink::{
    packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NlaBuffer, NlasIterator},
    sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE},
};

/// Message types (`linux/rtnetlink.h`).
const RTM_NEWTFILTER: u16 = 44;
const RTM_GETTFILTER: u16 = 46;
/// Parents of filters (`linux/pkt_sched.h`).
const TC_H_INGRESS: u32 = 0xffff_fff2;
const TC_H_EGRESS: u32 = 0xffff_fff3;
/// Lengths of `struct nlmsghdr` and `struct tcmsg`.
const NLMSG_HDRLEN: usize = 16;
const TCMSG: usize = 20;
/// Attributes (`linux/rtnetlink.h`, `linux/pkt_cls.h`).
const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;
const TCA_BPF_ID: u16 = 11;
/// All protocols (`linux/if_ether.h`).
const ETH_P_ALL: u16 = 3;

/// A filter.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Filter {
    /// The lower, the earlier it runs.
    pub priority: u16,
    /// Its number among those of one priority.
    pub handle: u32,
    /// Kind of classifier: `bpf`, `flower` ...
    pub kind: String,
    /// Whether it is for frames of every protocol.
    pub every_protocol: bool,
    /// Id of the program, if it is of the kind `bpf`.
    pub program: Option<u32>,
}

impl Filter {
    /// Whether ours can share its priority.
    pub(super) fn is_of_our_kind(&self) -> bool {
        self.kind == "bpf" && self.every_protocol
    }

    /// From the kernel's message, behind the netlink header.
    fn of(message: &[u8]) -> Option<Self> {
        let handle = word(message, 8)?;
        let info = word(message, 16)?;
        let mut filter = Self {
            priority: (info >> 16) as u16,
            handle,
            kind: String::new(),
            every_protocol: u16::from_be(info as u16) == ETH_P_ALL,
            program: None,
        };
        for attribute in attributes(message.get(TCMSG..)?) {
            match attribute.kind() {
                TCA_KIND => {
                    let text = attribute.value().strip_suffix(&[0]);
                    filter.kind = String::from_utf8_lossy(text?).into_owned();
                }
                TCA_OPTIONS => {
                    let mut options = attributes(attribute.value());
                    let id = options.find(|option| option.kind() == TCA_BPF_ID);
                    filter.program = id.and_then(|id| word(id.value(), 0));
                }
                _ => {}
            }
        }
        if filter.kind != "bpf" {
            filter.program = None;
        }
        Some(filter)
    }
}

fn attributes(bytes: &[u8]) -> impl Iterator<Item = NlaBuffer<&[u8]>> {
    NlasIterator::new(bytes).map_while(Result::ok)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at + 2)?;
    Some(u16::from_ne_bytes(bytes.try_into().ok()?))
}

/// The filters of the interface with this index in one direction; none if it has no clsact qdisc.
///
/// # Errors
///
/// What the kernel says.
pub(super) fn filters(interface: u32, direction: TcAttachType) -> io::Result<Vec<Filter>> {
    let parent = match direction {
        TcAttachType::Ingress => TC_H_INGRESS,
        _ => TC_H_EGRESS,
    };
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.send(&request(interface, parent), 0)?;
    let mut found = Vec::new();
    loop {
        let (received, _) = socket.recv_from_full()?;
        let mut rest = received.as_slice();
        while let (Some(length), Some(kind)) = (word(rest, 0), half(rest, 4)) {
            let length = length as usize;
            let truncated = || io::Error::from(io::ErrorKind::UnexpectedEof);
            let body = rest.get(NLMSG_HDRLEN..length).ok_or_else(truncated)?;
            match kind {
                NLMSG_DONE => return Ok(found),
                NLMSG_ERROR => {
                    let code = word(body, 0).ok_or_else(truncated)?.cast_signed();
                    let error = io::Error::from_raw_os_error(-code);
                    return Err(error);
                }
                RTM_NEWTFILTER => found.extend(Filter::of(body)),
                _ => {}
            }
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
    }
}

/// The request, in the layout of `struct nlmsghdr` and `struct tcmsg`.
fn request(interface: u32, parent: u32) -> Vec<u8> {
    let length = (NLMSG_HDRLEN + TCMSG) as u32;
    let flags = NLM_F_REQUEST | NLM_F_DUMP;
    let mut bytes = Vec::with_capacity(NLMSG_HDRLEN + TCMSG);
    bytes.extend(length.to_ne_bytes());
    bytes.extend(RTM_GETTFILTER.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    // Sequence number and port, then family and padding.
    bytes.extend([0; 12]);
    bytes.extend(interface.to_ne_bytes());
    bytes.extend(0_u32.to_ne_bytes());
    bytes.extend(parent.to_ne_bytes());
    bytes.extend(0_u32.to_ne_bytes());
    bytes
}
