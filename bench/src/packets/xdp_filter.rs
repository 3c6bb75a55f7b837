//! xdp-filter of xdp-tools, as Debian ships it.
//!
//! Its programs are loaded directly and its maps are filled as its own command line fills them:
//! everything is denied but the sources that are listed (`xdp-filter load -p deny`, then
//! `xdp-filter ip -m src` for every address). Its tables are made large enough first.

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;

use anyhow::{Context, Result};
use aya::maps::{PerCpuArray, PerCpuHashMap, PerCpuValues};
use aya::programs::{ProgramFd, Xdp};
use aya::{Ebpf, EbpfLoader, Pod};

use crate::machine::BPF_FILE_SYSTEM;
use crate::packets::case::{Kind, Sources};
use crate::packets::driver;
use crate::packets::family::Family;
use crate::packets::subject::{Subject, Tally};

/// Return codes of XDP programs (linux/bpf.h), by which it counts.
const XDP_DROP: u32 = 1;
const XDP_PASS: u32 = 2;

/// `MAP_FLAG_SRC`: the address is allowed as a source.
const SOURCE: u64 = 1;

/// Entries that its tables have room for as they are shipped.
const SHIPPED_ENTRIES: u32 = 10_000;
/// Entries per address in larger tables: half-empty tables are the fastest.
const ROOM: u32 = 2;

/// Its programs, by what they look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// Addresses only: the one that it selects for this task.
    Ip,
    /// Addresses, ports and MAC addresses: the one that it selects by default.
    All,
}

impl Variant {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Ip, Self::All];

    /// Its name in the report.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ip => "xdp-filter ip",
            Self::All => "xdp-filter all",
        }
    }

    const fn program(self) -> &'static str {
        match self {
            Self::Ip => "xdpfilt_dny_ip",
            Self::All => "xdpfilt_dny_all",
        }
    }
}

/// xdp-filter with its tables filled.
pub struct XdpFilter {
    variant: Variant,
    count: u32,
    program: ProgramFd,
    ebpf: Ebpf,
}

impl XdpFilter {
    /// Loads it and allows `count` addresses of each IP version.
    pub fn load(variant: Variant, count: u32) -> Result<Self> {
        let object = object(variant)?;
        let label = format!("{}-{count}", variant.program());
        let pins = PathBuf::from(BPF_FILE_SYSTEM).join(&label);
        fs::create_dir(&pins).with_context(|| format!("creating {}", pins.display()))?;
        let entries = SHIPPED_ENTRIES.max(count * ROOM);
        let mut ebpf = EbpfLoader::new()
            .default_map_pin_directory(&pins)
            .map_max_entries("filter_ipv4", entries)
            .map_max_entries("filter_ipv6", entries)
            .load_file(&object)
            .with_context(|| format!("loading {}", object.display()))?;
        let program = program(&mut ebpf, variant)?;
        program.load().context("loading xdp-filter")?;
        let program = program.fd()?.try_clone()?;
        allow(&mut ebpf, count)?;
        Ok(Self {
            variant,
            count,
            program,
            ebpf,
        })
    }
}

impl Subject for XdpFilter {
    fn name(&self) -> &'static str {
        self.variant.name()
    }

    fn count(&self) -> u32 {
        self.count
    }

    fn driver(&self, _: Kind) -> driver::Kind {
        driver::Kind::Single
    }

    /// It protects every address, so no packets are unprotected.
    fn cases(&self) -> &'static [(Kind, Sources)] {
        &[
            (Kind::Unknown, Sources::Changing),
            (Kind::Unknown, Sources::Fixed),
            (Kind::Allowed, Sources::Changing),
            (Kind::Allowed, Sources::Fixed),
        ]
    }

    fn program(&self, _: Kind) -> &ProgramFd {
        &self.program
    }

    fn tally(&self, _: Kind) -> Result<Tally> {
        let map = self.ebpf.map("xdp_stats_map");
        let map = map.context("xdp-filter has no xdp_stats_map")?;
        let counters = PerCpuArray::<_, Record>::try_from(map)?;
        let packets = |code| -> Result<u64> {
            let records = counters.get(&code, 0)?;
            Ok(records.iter().map(|record| record.packets).sum())
        };
        Ok(Tally {
            passed: packets(XDP_PASS)?,
            dropped: packets(XDP_DROP)?,
        })
    }
}

/// `struct xdp_stats_record`
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct Record {
    packets: u64,
    bytes: u64,
}

// SAFETY: two 64-bit integers: no padding, every bit pattern is a value.
unsafe impl Pod for Record {}

fn program(ebpf: &mut Ebpf, variant: Variant) -> Result<&mut Xdp> {
    let name = variant.program();
    let program = ebpf.program_mut(name);
    let program = program.with_context(|| format!("xdp-filter's object has no {name}"))?;
    Ok(program.try_into()?)
}

fn allow(ebpf: &mut Ebpf, count: u32) -> Result<()> {
    for family in Family::ALL {
        let addresses = (0..count).map(|number| family.allowed(number));
        match family {
            Family::V4 => fill(ebpf, "filter_ipv4", addresses.map(octets::<4>)),
            Family::V6 => fill(ebpf, "filter_ipv6", addresses.map(octets::<16>)),
        }?;
    }
    Ok(())
}

fn fill<K: Pod>(ebpf: &mut Ebpf, name: &str, keys: impl Iterator<Item = K>) -> Result<()> {
    let cpus = aya::util::nr_cpus().map_err(|(_, error)| error)?;
    let map = ebpf.map_mut(name);
    let map = map.with_context(|| format!("xdp-filter has no {name}"))?;
    let mut map = PerCpuHashMap::<_, K, u64>::try_from(map)?;
    for key in keys {
        map.insert(key, PerCpuValues::try_from(vec![SOURCE; cpus])?, 0)
            .with_context(|| format!("filling {name}"))?;
    }
    Ok(())
}

/// The `N` octets of an address in network byte order; 4 for IPv4, 16 for IPv6.
fn octets<const N: usize>(address: IpAddr) -> [u8; N] {
    let mut octets = [0; N];
    match address {
        IpAddr::V4(address) => octets.copy_from_slice(&address.octets()),
        IpAddr::V6(address) => octets.copy_from_slice(&address.octets()),
    }
    octets
}

/// Where Debian puts it: in the folder of the machine's architecture.
fn object(variant: Variant) -> Result<PathBuf> {
    let file = format!("bpf/{}.o", variant.program());
    let folders = fs::read_dir("/usr/lib").context("listing /usr/lib")?;
    folders
        .filter_map(|entry| Some(entry.ok()?.path()))
        .chain([PathBuf::from("/usr/lib")])
        .map(|folder| folder.join(&file))
        .find(|path| path.is_file())
        .with_context(|| {
            format!("/usr/lib/*/{file} is missing; run: cargo xtask setup bench, or --no-peers")
        })
}
