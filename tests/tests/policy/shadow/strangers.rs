//! Strangers without number: what is told of them takes no room from those who are known.

use std::net::Ipv4Addr;

use super::*;

/// Sources, more than have an entry.
const SOURCES: u32 = 6000;
/// Entries for strangers.
const ENTRIES: usize = 4096;

#[test]
fn a_flood_of_strangers_hides_nobody_who_is_known() -> Result<()> {
    let scene = Topology::new()?;
    let agent = Agent::start(&scene.host, &Policy::default().to_string())?;
    try_beside(
        &agent,
        &Policy {
            serial: 2,
            reference_points: "{ Nf-Vi: { from: [vim], services: [control] },
                                 public: { from: [anyone], services: [ssh] } }",
            ..Policy::default()
        },
    )?;
    let mut wire = Wire::open(&scene.intruder, NIC)?;
    for number in 0..SOURCES {
        let source = Ipv4Addr::from_bits(0x0a01_0000 + number);
        let frame = Packet::new()
            .with(Ethernet {
                source: INTRUDER.mac,
                ..Ethernet::default()
            })
            .with(Ipv4::between(source, HOST.v4))
            .with(Tcp::syn(openssh::PORT));
        wire.send(&frame.build())?;
        if number % 64 == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    resets(&scene.intruder, INTRUDER, openssh::PORT, 1)?;
    wait::until(&(u64::from(SOURCES) + 2), PATIENCE, || {
        Ok(report(&agent)?.trying.newly_admitted)
    })?;
    let told = report(&agent)?;
    let admitted = || told.rows.iter().filter(|row| row.newly == Newly::Admitted);
    let listed = admitted().filter(|row| row.address.is_some());
    assert_eq!(listed.count(), ENTRIES);
    let further: u64 = admitted()
        .filter(|row| row.address.is_none())
        .map(|row| row.packets)
        .sum();
    assert_eq!(further, u64::from(SOURCES) + 2 - ENTRIES as u64);
    assert_eq!(told.trying.unrecorded, 0);

    // Who is known has an entry of its own.
    resets(&scene.vim, VIM, LIBVIRT_TLS, 1)?;
    let expected = row(Newly::Dropped, "vim-1", "libvirt-tls", "no-service", 2);
    wait::until(&expected, PATIENCE, || {
        let mut told = arrivals(&report(&agent)?);
        told.retain(|(newly, ..), _| *newly == Newly::Dropped);
        Ok(told)
    })
}
