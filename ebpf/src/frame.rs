//! Reading frames: the only place that dereferences packet pointers.

use core::ptr::{null_mut, read_volatile};

use aya_ebpf::{
    bindings::{__sk_buff, BPF_SK_STORAGE_GET_F_CREATE, bpf_sock, xdp_md},
    helpers::{
        bpf_probe_read_kernel,
        generated::{
            bpf_sk_fullsock, bpf_sk_storage_get, bpf_skb_load_bytes_relative, bpf_xdp_get_buff_len,
        },
    },
    programs::{TcContext, XdpContext},
};
use verdict::{
    counters::Direction,
    decision::door,
    frame::{
        dhcp,
        ethernet::EtherType,
        ipv4, ipv6,
        packet::{self, Packet},
        quic,
    },
    state::{flow::Key, translated::Translated},
};

use crate::{maps::TRANSLATED, settings};

/// Furthest byte that a header is read at; it tells the verifier that offsets stay small.
const MAX_OFFSET: usize = 0x7fff;

/// Longest frame at the usual MTU of 1500 bytes, with two VLAN tags: no driver splits it.
const ONE_BUFFER_LEN: u64 = 1522;

/// A frame at the XDP hook. The first buffer is read; a driver puts all headers there.
pub struct XdpFrame<'a> {
    context: &'a XdpContext,
}

impl<'a> XdpFrame<'a> {
    /// The frame of `context`.
    #[inline(always)]
    pub const fn new(context: &'a XdpContext) -> Self {
        Self { context }
    }
}

/// The bytes in the packet memory between `data` and `data_end`.
#[inline(always)]
fn view<'a, const N: usize>(data: usize, data_end: usize, offset: usize) -> Option<&'a [u8; N]> {
    if offset > MAX_OFFSET {
        return None;
    }
    let start = data + offset;
    if start + N > data_end {
        return None;
    }
    // SAFETY: start to start + N lies within the packet, as checked above; the verifier checks it
    // again. Bytes need no alignment, and the packet is not written while the program runs.
    Some(unsafe { &*(start as *const [u8; N]) })
}

impl Packet for XdpFrame<'_> {
    #[inline(always)]
    fn view<const N: usize>(&self, offset: usize) -> Option<&[u8; N]> {
        view(self.context.data(), self.context.data_end(), offset)
    }

    #[inline(always)]
    fn offloaded_vlan(&self) -> Option<u16> {
        None
    }

    /// Asking the kernel takes 6 ns, so it is asked only about frames that can have several buffers.
    #[inline(always)]
    fn frame_len(&self) -> u64 {
        let first_buffer = (self.context.data_end() - self.context.data()) as u64;
        if first_buffer <= ONE_BUFFER_LEN || !settings::multi_buffer() {
            return first_buffer;
        }
        // SAFETY: the context is the one this program was called with.
        unsafe { bpf_xdp_get_buff_len(self.context.ctx) }
    }

    #[inline(always)]
    fn ipv4_options(&self, at: u32, end: u32) -> u32 {
        options_xdp(self.context.ctx, at, end)
    }

    #[inline(always)]
    fn ipv6_extensions(&self, at: u32, next: u32) -> u64 {
        extensions_xdp(self.context.ctx, at, next)
    }

    #[inline(always)]
    fn word(&self, offset: u32) -> u32 {
        word_xdp(self.context.ctx, offset)
    }

    #[inline(always)]
    fn dhcp_client(&self, at: u32) -> u64 {
        client_xdp(self.context.ctx, at)
    }

    #[inline(always)]
    fn token(&self, at: u32) -> u64 {
        token_xdp(self.context.ctx, at)
    }

    #[inline(always)]
    fn ifindex(&self) -> u32 {
        self.context.ingress_ifindex() as u32
    }
}

/// [`ipv4::options`] of the frame of an XDP program.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn options_xdp(context: *mut xdp_md, at: u32, end: u32) -> u32 {
    ipv4::options(&XdpFrame::new(&XdpContext::new(context)), at, end)
}

/// [`ipv6::extensions`] of the frame of an XDP program.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn extensions_xdp(context: *mut xdp_md, at: u32, next: u32) -> u64 {
    ipv6::extensions(&XdpFrame::new(&XdpContext::new(context)), at, next)
}

/// [`packet::word`] of the frame of an XDP program.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn word_xdp(context: *mut xdp_md, offset: u32) -> u32 {
    packet::word(&XdpFrame::new(&XdpContext::new(context)), offset)
}

/// [`dhcp::client`] of the frame of an XDP program.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn client_xdp(context: *mut xdp_md, at: u32) -> u64 {
    dhcp::client(&XdpFrame::new(&XdpContext::new(context)), at)
}

/// [`quic::token`] of the frame of an XDP program.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn token_xdp(context: *mut xdp_md, at: u32) -> u64 {
    quic::token(&XdpFrame::new(&XdpContext::new(context)), at)
}

/// Bytes that hold every header which is read, in all but absurd packets.
const PULLED_LEN: u32 = 256;

/// A frame at a TCX or clsact hook: a socket buffer.
pub struct SkbFrame<'a> {
    context: &'a TcContext,
}

impl<'a> SkbFrame<'a> {
    /// The frame of `context`, with its headers pulled into the linear part of the buffer.
    #[inline(always)]
    pub fn new(context: &'a TcContext) -> Self {
        let len = context.len();
        let wanted = if len < PULLED_LEN { len } else { PULLED_LEN };
        if context.data() + wanted as usize > context.data_end() {
            // A failure leaves less to read, and what cannot be read is not passed.
            let _ = context.pull_data(wanted);
        }
        Self { context }
    }
}

impl Packet for SkbFrame<'_> {
    #[inline(always)]
    fn view<const N: usize>(&self, offset: usize) -> Option<&[u8; N]> {
        view(self.context.data(), self.context.data_end(), offset)
    }

    #[inline(always)]
    fn offloaded_vlan(&self) -> Option<u16> {
        // SAFETY: the context is the one this program was called with.
        let skb = unsafe { &*self.context.skb.skb };
        (skb.vlan_present != 0).then_some(skb.vlan_tci as u16)
    }

    #[inline(always)]
    fn frame_len(&self) -> u64 {
        u64::from(self.context.len())
    }

    #[inline(always)]
    fn ipv4_options(&self, at: u32, end: u32) -> u32 {
        options_tcx(self.context.skb.skb, at, end)
    }

    #[inline(always)]
    fn ipv6_extensions(&self, at: u32, next: u32) -> u64 {
        extensions_tcx(self.context.skb.skb, at, next)
    }

    #[inline(always)]
    fn word(&self, offset: u32) -> u32 {
        word_tcx(self.context.skb.skb, offset)
    }

    #[inline(always)]
    fn dhcp_client(&self, at: u32) -> u64 {
        client_tcx(self.context.skb.skb, at)
    }

    #[inline(always)]
    fn token(&self, at: u32) -> u64 {
        token_tcx(self.context.skb.skb, at)
    }

    #[inline(always)]
    fn ifindex(&self) -> u32 {
        // SAFETY: as above.
        unsafe { (*self.context.skb.skb).ifindex }
    }
}

/// [`ipv4::options`] of the frame of a classifier, whose headers are pulled already.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn options_tcx(context: *mut __sk_buff, at: u32, end: u32) -> u32 {
    let context = TcContext::new(context);
    ipv4::options(&SkbFrame { context: &context }, at, end)
}

/// [`ipv6::extensions`] of the frame of a classifier, whose headers are pulled already.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn extensions_tcx(context: *mut __sk_buff, at: u32, next: u32) -> u64 {
    let context = TcContext::new(context);
    ipv6::extensions(&SkbFrame { context: &context }, at, next)
}

/// [`packet::word`] of the frame of a classifier, whose headers are pulled already.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn word_tcx(context: *mut __sk_buff, offset: u32) -> u32 {
    let context = TcContext::new(context);
    packet::word(&SkbFrame { context: &context }, offset)
}

/// [`dhcp::client`] of the frame of a classifier, whose headers are pulled already.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn client_tcx(context: *mut __sk_buff, at: u32) -> u64 {
    let context = TcContext::new(context);
    dhcp::client(&SkbFrame { context: &context }, at)
}

/// [`quic::token`] of the frame of a classifier, whose headers are pulled already.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn token_tcx(context: *mut __sk_buff, at: u32) -> u64 {
    let context = TcContext::new(context);
    quic::token(&SkbFrame { context: &context }, at)
}

/// `BPF_HDR_START_MAC`: offsets are those in the frame (`linux/bpf.h`).
const FROM_MAC: u32 = 0;

/// A packet at a socket, from its network header on. What lies in further pages is not read: the stack
/// has put all headers into the first part.
#[derive(Clone, Copy)]
pub struct SocketPacket {
    skb: *mut __sk_buff,
}

impl SocketPacket {
    /// The packet of `skb`, the context of a program at a control group.
    #[inline(always)]
    pub const fn new(skb: *mut __sk_buff) -> Self {
        Self { skb }
    }

    /// Type of its network header.
    #[inline(always)]
    pub fn ether_type(&self) -> EtherType {
        // SAFETY: the context is the one this program was called with.
        EtherType(u16::from_be(unsafe { (*self.skb).protocol } as u16))
    }

    /// What its socket keeps of what it has opened; null if that is nothing. With `create`, room for it.
    #[inline(always)]
    pub fn translated(&self, create: bool) -> *mut Translated {
        let socket = self.socket();
        if socket.is_null() {
            return null_mut();
        }
        let map = (&raw const TRANSLATED).cast_mut().cast();
        let flags = if create {
            BPF_SK_STORAGE_GET_F_CREATE
        } else {
            0
        };
        // SAFETY: the kernel lends the socket for as long as the program runs.
        unsafe { bpf_sk_storage_get(map, socket.cast(), null_mut(), flags.into()).cast() }
    }

    /// The key that it had on the wire, if the host has translated it since and its socket has opened what it
    /// belongs to.
    #[inline(always)]
    pub fn on_wire(&self) -> Option<Key> {
        let index = translation(self.skb).checked_sub(1)?;
        // SAFETY: what a socket keeps stays as long as the program runs.
        let kept = unsafe { self.translated(false).as_ref() }?;
        Some(kept.at(index))
    }

    /// Its socket; null if it has none that is whole: one that closes has not.
    #[inline(always)]
    fn socket(&self) -> *mut bpf_sock {
        // SAFETY: the context is the one this program was called with.
        unsafe {
            let socket = (*self.skb).__bindgen_anon_2.sk;
            if socket.is_null() {
                return socket;
            }
            bpf_sk_fullsock(socket)
        }
    }

    /// The ends of its socket; `None` if it has none.
    #[inline(always)]
    pub fn ends(&self) -> Option<door::Ends> {
        // SAFETY: the kernel lends the socket for as long as the program runs.
        let socket = unsafe { self.socket().as_ref() }?;
        let (local, remote) = if self.ether_type() == EtherType::IPV4 {
            let [local, remote] = [word(&socket.src_ip4), word(&socket.dst_ip4)];
            ([0, local], [0, remote])
        } else {
            (halves(&socket.src_ip6), halves(&socket.dst_ip6))
        };
        Some(door::Ends {
            local,
            local_port: socket.src_port as u16,
            remote,
            remote_port: u16::from_be(socket.dst_port),
        })
    }

    /// Inode of the network namespace of its socket; `None` if it cannot be read.
    #[inline(always)]
    pub fn namespace(&self) -> Option<u32> {
        let [socket_at, namespace_at, inode_at] = settings::namespace_path();
        // SAFETY: the helper reads any address, and fails where there is nothing.
        unsafe {
            let socket =
                bpf_probe_read_kernel(self.skb.byte_add(socket_at).cast::<*const u8>()).ok()?;
            let namespace =
                bpf_probe_read_kernel(socket.byte_add(namespace_at).cast::<*const u8>()).ok()?;
            bpf_probe_read_kernel(namespace.byte_add(inode_at).cast::<u32>()).ok()
        }
    }
}

/// A word of an address of a socket, which is in network byte order. The kernel lends words only, so that no
/// two may be read at once.
#[inline(always)]
fn word(at: &u32) -> u64 {
    // SAFETY: a reference is readable.
    u32::from_be(unsafe { read_volatile(at) }).into()
}

/// An IPv6 address of a socket as two words.
#[inline(always)]
fn halves([a, b, c, d]: &[u32; 4]) -> [u64; 2] {
    [word(a) << 32 | word(b), word(c) << 32 | word(d)]
}

/// Where the socket of a packet keeps how the host has translated what it belongs to, from 1; 0 if it
/// does not. A function of its own for the kernel, which verifies it once.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn translation(context: *mut __sk_buff) -> u32 {
    let packet = SocketPacket::new(context);
    // SAFETY: what a socket keeps stays as long as the program runs.
    let Some(kept) = (unsafe { packet.translated(false).as_ref() }) else {
        return 0;
    };
    match door::key(&packet, packet.ether_type(), Direction::In) {
        Some(seen) => kept.find(&seen).map_or(0, |index| index + 1),
        None => 0,
    }
}

impl Packet for SocketPacket {
    const SEES_LINK: bool = false;

    #[inline(always)]
    fn view<const N: usize>(&self, offset: usize) -> Option<&[u8; N]> {
        // SAFETY: as above.
        let (data, data_end) = unsafe { ((*self.skb).data, (*self.skb).data_end) };
        view(data as usize, data_end as usize, offset)
    }

    #[inline(always)]
    fn source_mac(&self) -> Option<u64> {
        let mut mac = [0_u8; 8];
        // SAFETY: six bytes are written behind the first two of eight.
        let failed = unsafe {
            let to = mac.as_mut_ptr().add(2).cast();
            bpf_skb_load_bytes_relative(self.skb.cast(), 6, to, 6, FROM_MAC)
        };
        (failed == 0).then(|| u64::from_be_bytes(mac))
    }

    #[inline(always)]
    fn offloaded_vlan(&self) -> Option<u16> {
        None
    }

    #[inline(always)]
    fn frame_len(&self) -> u64 {
        // SAFETY: as above.
        u64::from(unsafe { (*self.skb).len })
    }

    #[inline(always)]
    fn ifindex(&self) -> u32 {
        // SAFETY: as above.
        unsafe { (*self.skb).ifindex }
    }
}
