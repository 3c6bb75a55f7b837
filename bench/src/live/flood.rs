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

/// Frames that the kernel makes in one batch.
const BATCH: u32 = 64;
/// Offset in an untagged frame of the IPv4 source address.
const SOURCE_OFFSET: u32 = 14 + 12;
/// Time for a kernel thread to start or end, and for counters to catch up.
const SETTLING_TIME: Duration = Duration::from_millis(20);
/// Packets that may be missing at the end of a flood: those still queued in the veth.
const MAX_QUEUED: u64 = 1024;

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

    /// Sends `packets` packets. Returns how many the receiver processes in a second of its CPU
    /// time, in millions; time in which it waits for the sender does not count.
    ///
    /// # Errors
    ///
    /// If not all of them ([`Fate::Passed`]), or any of them ([`Fate::Dropped`]), reach a socket.
    pub fn run(&mut self, scene: &Scene, fate: Fate, packets: u32) -> Result<f64> {
        let passed = fate == Fate::Passed;
        self.aim(scene, passed)?;
        let _socket = scene
            .receiver
            .enter(|| UdpSocket::bind((RECEIVER_V4, FLOOD_PORT)))??;
        scene.receive_in_thread(true)?;
        thread::sleep(SETTLING_TIME);
        let receiving = receiving_thread(scene.interface)?;
        pin(receiving, last_core()?)?;
        self.send(scene, packets / 20)?;
        thread::sleep(SETTLING_TIME);

        let (taken, delivered) = (scene.taken()?, scene.delivered()?);
        let before = run_time(receiving)?;
        self.send(scene, packets)?;
        thread::sleep(SETTLING_TIME);
        let busy = run_time(receiving)?.saturating_sub(before);
        let (taken, delivered) = (scene.taken()? - taken, scene.delivered()? - delivered);
        let rate = f64::from(u32::try_from(taken).context("a count")?) / busy.as_secs_f64() / 1e6;
        scene.receive_in_thread(false)?;
        ensure!(
            taken > u64::from(packets / 100),
            "the receiver took {taken} of {packets} packets"
        );
        let wanted = if passed { taken } else { 0 };
        ensure!(
            delivered.abs_diff(wanted) <= MAX_QUEUED,
            "{delivered} of {taken} packets reached the socket, and {wanted} should have"
        );
        Ok(rate)
    }

    /// Sets the source addresses, and the interface that packets leave by.
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
        // No checksum, as the source address changes.
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

/// `Exit` of the driver in the kernel: the interface to send on, by index, and [`header_sum`].
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct Exit {
    interface: u32,
    header_sum: u32,
}

// SAFETY: two 32-bit integers: no padding, every bit pattern is a value.
unsafe impl Pod for Exit {}

/// Sum of the IPv4 header's 16-bit words without checksum and source address (RFC 1071).
fn header_sum(frame: &[u8]) -> u32 {
    let words = frame[14..34].chunks(2).enumerate();
    words
        .filter(|(at, _)| ![5, 6, 7].contains(at))
        .map(|(_, word)| u32::from(word[0]) << 8 | u32::from(word[1]))
        .sum()
}

/// CPU time of a thread (`schedstat` of `proc_pid(5)`).
fn run_time(thread: Pid) -> Result<Duration> {
    let path = format!("/proc/{thread}/schedstat");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    let nanoseconds = text.split(' ').next().context("no time")?;
    Ok(Duration::from_nanos(nanoseconds.parse().context("a time")?))
}

/// The kernel's NAPI thread of an interface.
fn receiving_thread(interface: &str) -> Result<Pid> {
    let name = format!("napi/{interface}-");
    let pids = fs::read_dir("/proc").context("listing /proc")?;
    let mut pids = pids.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let found = pids.find(|pid: &i32| {
        let comm = fs::read_to_string(format!("/proc/{pid}/comm"));
        comm.is_ok_and(|comm| comm.starts_with(&name))
    });
    let found = found.with_context(|| {
        format!("no NAPI thread receives on {interface} (this takes Linux 5.12)")
    })?;
    Ok(Pid::from_raw(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_completes_the_checksum() {
        let frame = frame();
        let word = |at: usize| u32::from(u16::from_be_bytes([frame[14 + at], frame[15 + at]]));
        let sum = header_sum(&frame) + word(10) + word(12) + word(14);
        assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff);
    }
}
