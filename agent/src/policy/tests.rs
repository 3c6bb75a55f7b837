//! Reading whole policies: what is accepted, what is refused, and the positions of mistakes.

mod damage;
mod documentation;
mod fields;
mod meaning;
mod places;
mod remedies;
mod reporting;

use verdict::state::flow::State;

use super::*;

/// A small valid policy, one part of which tests replace.
const SMALL: &str = "\
apiVersion: manoward/v1
name: compute-17
serial: 42
interfaces: [bond0]
protect: [interface-addresses, 2001:db8:0:17::1]
endpoints:
  vim-1: { role: vim, addresses: [192.0.2.10, \"2001:db8::10\"], mac: 52:54:00:aa:bb:01, vlan: \"200.100\" }
  bastion: { role: bastion, addresses: [198.51.100.0/28], interface: eth0, vlan: untagged }
reference_points:
  Nf-Vi: { from: [vim], services: [libvirt-tls, ssh] }
  Nf-Vi-out: { to: [vim], services: [amqps, vendor-agent], mode: audit }
services:
  vendor-agent: { protocol: tcp, ports: [22, 7100-7103, \"7104\"] }
";

fn mistakes(text: &str) -> Vec<Mistake> {
    read(text, "policy.yaml").unwrap_err().mistakes().to_vec()
}

/// The only mistake of `SMALL` with one part replaced.
fn mistake(old: &str, new: &str) -> Mistake {
    assert!(SMALL.contains(old), "{old}");
    let text = SMALL.replace(old, new);
    let mut found = mistakes(&text);
    assert_eq!(found.len(), 1, "{found:#?}");
    found.remove(0)
}

/// Asserts the position of the only mistake, and the texts of it and of its remedy.
#[track_caller]
fn assert_mistake(old: &str, new: &str, (line, at): (u32, &str), message: &str, remedy: &str) {
    let found = mistake(old, new);
    assert!(found.message.contains(message), "{found:?}");
    assert!(found.remedy.contains(remedy), "{found:?}");
    let text = SMALL.replace(old, new);
    assert_eq!(
        (found.line, &text[found.span.clone()]),
        (line, at),
        "{found:?}"
    );
    let whole_line = text.lines().nth(line as usize - 1).unwrap();
    let from_column: String = whole_line.chars().skip(found.column as usize - 1).collect();
    assert!(from_column.starts_with(at), "{found:?}");
}

#[test]
fn a_valid_policy_means_what_it_says() {
    let Validated {
        policy, positions, ..
    } = read(SMALL, "policy.yaml").unwrap();
    assert_eq!(
        (&*policy.name, policy.serial, policy.mode),
        ("compute-17", 42, Mode::Enforce)
    );
    assert_eq!(policy.interfaces, ["bond0"]);
    let protected = "2001:db8:0:17::1".parse().unwrap();
    assert_eq!(
        policy.protect,
        [Protect::InterfaceAddresses, Protect::Address(protected)]
    );
    let vim = &policy.endpoints["vim-1"];
    assert_eq!(vim.binding.mac, Some([0x52, 0x54, 0, 0xaa, 0xbb, 1]));
    assert_eq!(
        vim.binding.vlan,
        Some(Vlan::Stacked {
            outer: 200,
            inner: 100
        })
    );
    assert_eq!(vim.addresses[0], "192.0.2.10/32".parse().unwrap());
    assert_eq!(policy.endpoints["bastion"].binding.interfaces, ["eth0"]);
    let modes: Vec<_> = policy
        .reference_points
        .iter()
        .map(|point| (point.direction, point.mode))
        .collect();
    assert_eq!(
        modes,
        [
            (Direction::Inbound, Mode::Enforce),
            (Direction::Outbound, Mode::Audit)
        ]
    );
    let ports = policy.services["vendor-agent"]
        .matches
        .iter()
        .map(ToString::to_string);
    assert_eq!(ports.collect::<Vec<_>>(), ["tcp 22", "tcp 7100-7104"]);
    assert_eq!(policy.services.len(), 4);
    assert_eq!(positions.of(Object::Endpoint, "bastion").unwrap().line, 8);
    assert_eq!(positions.of(Object::Service, "ssh"), None);
}

#[test]
fn the_policys_mode_is_the_default_of_its_reference_points() {
    let text = SMALL.replace("serial: 42", "serial: 42\nmode: audit");
    let policy = read(&text, "policy.yaml").unwrap().policy;
    assert!(
        policy
            .reference_points
            .iter()
            .all(|point| point.mode == Mode::Audit)
    );
    assert_eq!(policy.mode, Mode::Audit);
}

#[test]
fn outbound_follows_the_mode_and_flows_have_their_defaults() {
    let policy = read(SMALL, "f").unwrap().policy;
    assert_eq!(policy.outbound, Outbound::Enforce);
    assert_eq!(policy.flow_timeouts, FlowTimeouts::default());
    let audited = SMALL.replace("serial: 42", "serial: 42\nmode: audit");
    assert_eq!(
        read(&audited, "f").unwrap().policy.outbound,
        Outbound::Audit
    );
}

#[test]
fn outbound_and_flow_timeouts_mean_what_they_say() {
    let lines = "serial: 42\noutbound: any\nflow_timeouts: { echo: 2h, tcp-closed: \"5s\" }";
    let policy = read(&SMALL.replace("serial: 42", lines), "f")
        .unwrap()
        .policy;
    assert_eq!(policy.outbound, Outbound::Any);
    for &state in State::ALL {
        let expected = match state {
            State::Echo => 7_200,
            State::TcpClosed => 5,
            _ => state.default_seconds(),
        };
        assert_eq!(policy.flow_timeouts.seconds(state), expected, "{state:?}");
    }
}

#[test]
fn numbers_of_transports_mean_the_same_as_their_names() {
    let text = SMALL.replace("protocol: tcp", "protocol: 6");
    assert_eq!(
        read(&text, "f").unwrap().policy,
        read(SMALL, "f").unwrap().policy
    );
}

#[test]
fn a_byte_order_mark_and_carriage_returns_do_no_harm() {
    let text = format!("\u{feff}{}", SMALL.replace('\n', "\r\n"));
    assert_eq!(
        read(&text, "f").unwrap().policy,
        read(SMALL, "f").unwrap().policy
    );
}

#[test]
fn the_example_is_valid_and_raises_few_remarks() {
    let text = include_str!("../../../examples/compute.yaml");
    let validated = read(text, "compute.yaml").unwrap();
    let codes: Vec<&str> = validated
        .lint(None)
        .iter()
        .map(|lint| lint.code.as_str())
        .collect();
    let expected = [
        "plaintext-service",
        "plaintext-service",
        "plaintext-service",
        "not-enforced",
    ];
    assert_eq!(codes, expected);
}
