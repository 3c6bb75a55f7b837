//! Floods: the kernel makes packets on one core, and receives them on another.

use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use aya::maps::Array;
use aya::programs::{TestRun as _, TestRunAttrs, TestRunOptions, Xdp};
use aya::{Ebpf, Pod};
use harness::net::packet::{Ethernet, Ipv4, Packet, Udp};
use nix::unistd::Pid;

use super::scene::{FLOOD_PORT, RECEIVER_V4, Scene, first_source, source};
use super::{ADDRESSES, Fate};
use crate::machine::{first_core, last_core, pin};
use crate::packets::{Field, Walk, open};

/// Frames that the kernel makes at once.
const BATCH: u32 = 64;
/// Offset in an untagged frame of the IPv4 source address.
const SOURCE_OFFSET: u32 = 14 + 12;
/// How long a thread takes to come and go, and packets to be counted.
const MOMENT: Duration = Duration::from_millis(20);
/// How much of a flood may be missing at its end: what the cable holds.
const CABLE: u64 = 1024;

/// The program that sends.
pub struct Flood {
    ebpf: Ebpf,
}

impl Flood {
    /// Loads it.
    pub fn load(object: &Path) -> Result<Self> {
        let mut ebpf = open(object)?;
        let program: &mut Xdp = ebpf.program_mut("flood").context("no flood")?.try_into()?;
        program.load()?;
        Ok(Self { ebpf })
    }

    /// Sends so many packets, and tells how many millions the receiver takes in a second of its
    /// core's time, which is less than all there is where the sender is slower. All of those, or
    /// none, have to meet a socket.
    pub fn run(&mut self, scene: &Scene, fate: Fate, packets: u32) -> Result<f64> {
        let passed = fate == Fate::Passed;
        self.aim(scene, passed)?;
        let _socket = scene
            .receiver
            .enter(|| UdpSocket::bind((RECEIVER_V4, FLOOD_PORT)))??;
        scene.receive_in_thread(true)?;
        thread::sleep(MOMENT);
        let receiving = receiving_thread(scene.interface)?;
        pin(receiving, last_core()?)?;
        self.send(scene, packets / 20)?;
        thread::sleep(MOMENT);

        let (taken, delivered) = (scene.taken()?, scene.delivered()?);
        let before = run_time(receiving)?;
        self.send(scene, packets)?;
        thread::sleep(MOMENT);
        let busy = run_time(receiving)?.saturating_sub(before);
        let (taken, delivered) = (scene.taken()? - taken, scene.delivered()? - delivered);
        let rate = f64::from(u32::try_from(taken).context("a count")?) / busy.as_secs_f64() / 1e6;
        scene.receive_in_thread(false)?;
        ensure!(
            taken > u64::from(packets / 100),
            "of {packets} packets the receiver took {taken}"
        );
        let wanted = if passed { taken } else { 0 };
        ensure!(
            delivered.abs_diff(wanted) <= CABLE,
            "of {taken} packets {delivered} met the socket, and {wanted} should have"
        );
        Ok(rate)
    }

    /// Sets where packets come from, and which way they leave.
    fn aim(&mut self, scene: &Scene, allowed: bool) -> Result<()> {
        let field = Field {
            offset: SOURCE_OFFSET,
            bytes: 4,
            first: first_source(allowed).into(),
            shift: 0,
        };
        let walk = self.ebpf.map_mut("WALK").context("no WALK")?;
        Array::<_, Walk>::try_from(walk)?.set(0, Walk::new(field, ADDRESSES), 0)?;
        let exit = Exit {
            interface: scene.exit()?,
            header_sum: header_sum(&frame()),
        };
        let map = self.ebpf.map_mut("EXIT").context("no EXIT")?;
        Array::<_, Exit>::try_from(map)?.set(0, exit, 0)?;
        Ok(())
    }

    fn send(&mut self, scene: &Scene, packets: u32) -> Result<()> {
        let frame = frame();
        let program: &mut Xdp = self
            .ebpf
            .program_mut("flood")
            .context("no flood")?
            .try_into()?;
        let send = || -> Result<()> {
            pin(Pid::from_raw(0), first_core()?)?;
            let options = TestRunOptions {
                data_in: Some(&frame),
                repeat: packets,
                attrs: TestRunAttrs::new().xdp_live_frames(BATCH),
                ..TestRunOptions::default()
            };
            program.test_run(options).context("sending live frames")?;
            Ok(())
        };
        scene.sender.enter(send)?
    }
}

/// The first packet.
fn frame() -> Vec<u8> {
    let datagram = Udp {
        // None: the source changes.
        checksum: Some(0),
        ..Udp::to(FLOOD_PORT)
    };
    Packet::new()
        .with(Ethernet::default())
        .with(Ipv4::between(source(0), RECEIVER_V4))
        .with(datagram)
        .with(vec![0; 18])
        .build()
}

/// The driver's `Exit`.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct Exit {
    interface: u32,
    header_sum: u32,
}

// SAFETY: two 32-bit integers: no padding, every bit pattern is a value.
unsafe impl Pod for Exit {}

/// Sum of the IPv4 header's words but source address and checksum (RFC 1071).
fn header_sum(frame: &[u8]) -> u32 {
    let words = frame[14..34].chunks(2).enumerate();
    words
        .filter(|(at, _)| ![5, 6, 7].contains(at))
        .map(|(_, word)| u32::from(word[0]) << 8 | u32::from(word[1]))
        .sum()
}

/// How long a thread has run (`schedstat` of `proc_pid(5)`).
fn run_time(thread: Pid) -> Result<Duration> {
    let path = format!("/proc/{thread}/schedstat");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    let nanoseconds = text.split(' ').next().context("no time")?;
    Ok(Duration::from_nanos(nanoseconds.parse().context("a time")?))
}

/// The kernel's thread that receives on an interface.
fn receiving_thread(interface: &str) -> Result<Pid> {
    let name = format!("napi/{interface}-");
    let pids = fs::read_dir("/proc").context("listing /proc")?;
    let mut pids = pids.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let found = pids.find(|pid: &i32| {
        let comm = fs::read_to_string(format!("/proc/{pid}/comm"));
        comm.is_ok_and(|comm| comm.starts_with(&name))
    });
    let found = found.with_context(|| {
        format!("the kernel has no thread that receives on {interface} (Linux 5.12 has)")
    })?;
    Ok(Pid::from_raw(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_what_the_checksum_lacks() {
        let frame = frame();
        let word = |at: usize| u32::from(u16::from_be_bytes([frame[14 + at], frame[15 + at]]));
        let sum = header_sum(&frame) + word(10) + word(12) + word(14);
        assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff);
    }
}
