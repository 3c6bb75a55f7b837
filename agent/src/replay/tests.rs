//! Captured traffic under a policy.

use std::net::SocketAddr;

use super::*;
use crate::{
    frame::{ether_type, ip_header},
    policy::read,
};

const POLICY: &str = "\
apiVersion: manoward/v1
name: n
serial: 1
interfaces: [eth0]
protect: [interface-addresses]
endpoints:
  vim: { role: vim, addresses: [192.0.2.10], authenticate: certificate, identity: vim.example }
reference_points:
  Nf-Vi: { from: [vim], services: [ssh] }
  out: { to: [vim], services: [amqps] }
";

fn replay() -> Replay {
    let policy = read(POLICY, "f").unwrap().policy;
    Replay::new(policy, Facts::default(), &["192.0.2.17".parse().unwrap()]).unwrap()
}

/// A TCP segment; the first flag is SYN, the second ACK.
fn segment(from: &str, to: &str, (syn, ack): (bool, bool)) -> Vec<u8> {
    let [from, to]: [SocketAddr; 2] = [from, to].map(|end| end.parse().unwrap());
    let segment = ip_header(from.ip(), to.ip())
        .unwrap()
        .tcp(from.port(), to.port(), 1, 1000);
    let segment = if syn { segment.syn() } else { segment };
    let segment = if ack { segment.ack(2) } else { segment };
    let mut frame = vec![2; 12];
    frame.extend(ether_type(to.ip()));
    segment.write(&mut frame, &[]).unwrap();
    frame
}

#[test]
fn connections_are_followed_and_strangers_named() {
    let mut replay = replay();
    let at = Duration::from_secs(1_700_000_000);
    let mut judged = |from, to, flags| {
        let outcome = replay.judge(&segment(from, to, flags), at);
        outcome.reason().name()
    };
    let (host, vim, peer) = ("192.0.2.17:22", "192.0.2.10:40000", "192.0.2.10:5671");
    let local = "192.0.2.17:41000";
    assert_eq!(judged(vim, host, (true, false)), "permitted");
    assert_eq!(judged(host, vim, (true, true)), "reply");
    assert_eq!(
        judged("203.0.113.5:1", host, (true, false)),
        "unknown-source"
    );
    // What was not opened is refused, and what was is known.
    assert_eq!(judged(peer, "192.0.2.17:41001", (true, true)), "no-flow");
    assert_eq!(judged(local, peer, (true, false)), "outbound");
    assert_eq!(judged(peer, local, (true, true)), "established");
    // A connection from before the capture goes on.
    assert_eq!(
        judged(peer, "192.0.2.17:42000", (false, true)),
        "established"
    );
    let rows = replay.rows();
    assert_eq!(rows[0].fate, "dropped");
    assert!(
        rows.iter()
            .any(|row| row.peer.as_deref() == Some("203.0.113.5"))
    );
    assert_eq!(rows.iter().map(|row| row.packets).sum::<u64>(), 7);
}
