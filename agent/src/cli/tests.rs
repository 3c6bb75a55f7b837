use clap::{CommandFactory as _, error::ErrorKind};

use super::*;

fn parse(line: &str) -> Result<Cli, ErrorKind> {
    Cli::try_parse_from(line.split_whitespace()).map_err(|error| error.kind())
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_says_what_it_does_with_an_example() {
    fn check(command: &clap::Command, path: &str) {
        let about = command.get_about().unwrap().to_string();
        assert!(!about.ends_with('.') && about.len() < 90, "{path}: {about}");
        for sub in command
            .get_subcommands()
            .filter(|sub| sub.get_name() != "help" && !sub.is_hide_set())
        {
            let path = format!("{path} {}", sub.get_name());
            let long = sub.get_long_about().map(ToString::to_string);
            assert!(
                long.is_some_and(|long| long.len() > 80),
                "{path}: no description"
            );
            let help = sub.get_after_help().unwrap().to_string();
            assert!(help.contains("Example") && help.contains(&path), "{path}");
            check(sub, &path);
        }
    }
    check(&Cli::command(), "manoward");
}

#[test]
fn global_options_stand_anywhere() {
    for line in [
        "manoward --socket /tmp/x.sock --output json --color never status",
        "manoward status --color=never --output=json --socket=/tmp/x.sock",
        "manoward policy show --output json --socket /tmp/x.sock",
    ] {
        let cli = parse(line).ok().unwrap();
        assert_eq!(cli.socket, PathBuf::from("/tmp/x.sock"));
        assert_eq!(cli.output, Format::Json);
    }
}

#[test]
fn explain_wants_one_kind_of_packet() {
    for right in [
        "manoward explain --from 192.0.2.10 --to 192.0.2.1 --port 22",
        "manoward explain --from 2001:db8::10 --to 2001:db8::1 --protocol icmpv6 --vlan untagged",
        "manoward explain --frame 00:11 --interface eth0",
        "manoward explain --pcap x.pcap",
        "manoward explain --outbound --frame 00:11",
        "manoward explain --outbound --pcap x.pcap",
        "manoward explain --outbound --from 192.0.2.1 --to 192.0.2.10 --port 22",
    ] {
        assert!(parse(right).is_ok(), "{right}");
    }
    for (wrong, kind) in [
        ("manoward explain", ErrorKind::MissingRequiredArgument),
        (
            "manoward explain --from 192.0.2.10",
            ErrorKind::MissingRequiredArgument,
        ),
        (
            "manoward explain --to 192.0.2.1",
            ErrorKind::MissingRequiredArgument,
        ),
        (
            "manoward explain --from x --to 192.0.2.1",
            ErrorKind::ValueValidation,
        ),
        (
            "manoward explain --frame 00 --pcap x",
            ErrorKind::ArgumentConflict,
        ),
        (
            "manoward explain --frame 00 --port 22",
            ErrorKind::MissingRequiredArgument,
        ),
        (
            "manoward explain --frame 00 --protocol udp",
            ErrorKind::MissingRequiredArgument,
        ),
    ] {
        assert_eq!(parse(wrong).err(), Some(kind), "{wrong}");
    }
}

#[test]
fn certificates_are_named_in_one_way() {
    for right in [
        "manoward pki revoke lab vim-1 --reason superseded",
        "manoward pki revoke lab --serial 0A:ff",
        "manoward pki revoke lab --certificate vim-1.pem",
        "manoward pki issue lab vim-1 --uri spiffe://a.example/b --dns vim.example --hours 1",
        "manoward pki issue lab host --host --ip 2001:db8::1 --key host.key",
    ] {
        assert!(parse(right).is_ok(), "{right}");
    }
    for (wrong, kind) in [
        (
            "manoward pki revoke lab",
            ErrorKind::MissingRequiredArgument,
        ),
        (
            "manoward pki revoke lab vim-1 --serial 0a",
            ErrorKind::ArgumentConflict,
        ),
        (
            "manoward pki revoke lab --serial x",
            ErrorKind::ValueValidation,
        ),
        (
            "manoward pki issue lab vim-1 --uri spiffe://a.example",
            ErrorKind::ValueValidation,
        ),
        (
            "manoward pki issue lab vim-1 --dns 192.0.2.1",
            ErrorKind::ValueValidation,
        ),
        (
            "manoward pki issue lab vim-1 --days 1 --hours 1",
            ErrorKind::ArgumentConflict,
        ),
        (
            "manoward pki init lab --algorithm rsa-3072",
            ErrorKind::InvalidValue,
        ),
    ] {
        assert_eq!(parse(wrong).err(), Some(kind), "{wrong}");
    }
}

#[test]
fn watching_has_an_interval() {
    for right in [
        "manoward stats --watch",
        "manoward stats --watch 0.5",
        "manoward stats --watch --by endpoint",
        "manoward stats --watch --direction out --by direction",
    ] {
        assert!(parse(right).is_ok(), "{right}");
    }
    let wrong = "manoward stats --watch never";
    assert_eq!(parse(wrong).err(), Some(ErrorKind::ValueValidation));
}

#[test]
fn pages_are_written_for_all_commands() {
    let directory = tempfile::tempdir().unwrap();
    let line = format!("manoward man --dir {}", directory.path().display());
    let Ok(Cli {
        command: Command::Man(args),
        ..
    }) = parse(&line)
    else {
        panic!("{line}");
    };
    assert_eq!(man::run(args).unwrap(), Exit::Success);
    let page = |name: &str| std::fs::read_to_string(directory.path().join(name)).unwrap();
    assert!(page("manoward.1").contains("the policy has mistakes"));
    assert!(page("manoward-policy-apply.1").contains("sudo manoward policy apply"));
    assert!(!directory.path().join("manoward-help.1").exists());
}

#[test]
fn causes_are_told_once() {
    let denied = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
    let cause = denied.to_string();
    let pins = manoward::datapath::PinError::Io {
        operation: "remove",
        path: "/pins".into(),
        source: denied,
    };
    let error = anyhow::Error::from(pins).context("cannot detach");
    assert_eq!(
        message(&error),
        format!("cannot detach: cannot remove /pins: {cause}")
    );
}
