//! Several roles, `anyone`, and where reference points apply.

use super::*;

#[test]
fn an_endpoint_has_one_role_or_several() {
    let text = SMALL.replace("role: bastion", "roles: [bastion, vim]");
    let policy = read(&text, "f").unwrap().policy;
    assert_eq!(
        policy.endpoints["bastion"].roles.to_string(),
        "bastion, vim"
    );
    let bastion = (8, "bastion");
    assert_mistake(
        "role: bastion",
        "role: bastion, roles: [vim]",
        bastion,
        "both",
        "`roles:",
    );
    assert_mistake(
        "role: bastion",
        "roles: [bastion, bastion]",
        bastion,
        "twice",
        "Remove",
    );
    assert_mistake(
        "role: bastion, ",
        "",
        bastion,
        "has no `role`",
        "`role: vim`",
    );
    assert_mistake(
        "role: bastion",
        "role: anyone",
        (8, "anyone"),
        "everyone",
        "of its own",
    );
}

#[test]
fn anyone_may_stand_where_roles_do() {
    let text = SMALL.replace("from: [vim]", "from: [vim, anyone]");
    let policy = read(&text, "f").unwrap().policy;
    assert!(policy.reference_points[0].names(None));
    assert!(!policy.reference_points[1].names(None));
    assert_mistake(
        "from: [vim]",
        "from: [anyon]",
        (10, "anyon"),
        "no endpoint has",
        "`anyone`",
    );
}

#[test]
fn a_place_is_a_protected_address_or_an_interface() {
    let with = |at: &str| {
        SMALL.replace(
            "services: [libvirt-tls, ssh]",
            &format!("services: [libvirt-tls, ssh], at: [{at}]"),
        )
    };
    let policy = read(&with("192.0.2.17, bond0"), "f").unwrap().policy;
    let expected = [
        Place::Address([192, 0, 2, 17].into()),
        Place::Interface("bond0".to_owned()),
    ];
    assert_eq!(policy.reference_points[0].at, expected);
    for (at, message) in [
        ("192.0.2.0/24", "only single addresses"),
        ("192.0.2", "not an IP address"),
        ("fe80::1%eth0", "names an interface"),
        ("eth0/1", "not an IP address"),
        ("eth0, eth0", "twice"),
        ("\"eth 0\"", "name of an interface"),
    ] {
        let found = mistakes(&with(at));
        assert!(found[0].message.contains(message), "{at}: {found:?}");
        assert_eq!((found.len(), found[0].line), (1, 10), "{at}");
    }
    let text = with("192.0.2.17").replace("[interface-addresses, ", "[");
    assert!(
        mistakes(&text)[0]
            .message
            .contains("not a protected address")
    );
}

#[test]
fn one_role_has_few_choices_of_places() {
    let point = |n: u32| format!("  p{n}: {{ from: [vim], services: [ssh], at: [eth{n}] }}\n");
    let text = |count: u32| {
        let points: String = (0..count).map(point).collect();
        SMALL
            .replace("services:\n", &format!("{points}services:\n"))
            .replace("services: [libvirt-tls, ssh]", "services: [libvirt-tls]")
    };
    assert!(read(&text(4), "f").is_ok());
    let found = mistakes(&text(5));
    assert!(found[0].message.contains("`ssh`"), "{found:?}");
}
