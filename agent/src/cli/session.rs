//! The SSH session that a policy is applied from. A policy that would cut it is refused.

use std::{
    env, fs,
    net::{IpAddr, SocketAddr},
};

use manoward::caller::connections_of;
use manoward_api::Session;

const VARIABLE: &str = "SSH_CONNECTION";

/// Most ancestor processes that are searched.
const ANCESTORS: usize = 32;

/// The session that this process runs in, if it runs in one.
///
/// `sudo` removes the variable, so the environments of the ancestor processes are searched, too.
pub fn current() -> Option<Session> {
    match env::var(VARIABLE) {
        Ok(value) => parse(&value),
        Err(_) => of_ancestors(),
    }
}

/// The connections that this process came over, as the kernel tells.
pub fn came_over() -> Vec<Session> {
    let connections = connections_of(std::process::id()).unwrap_or_default();
    let sessions = connections.into_iter().map(|connection| Session {
        peer: connection.peer,
        local: connection.local,
    });
    sessions.collect()
}

/// Reads `CLIENT-ADDRESS CLIENT-PORT SERVER-ADDRESS SERVER-PORT`, see ssh(1).
fn parse(value: &str) -> Option<Session> {
    let mut words = value.split_whitespace();
    let mut end = || {
        let address = words.next()?;
        // A link-local address carries its interface: fe80::1%eth0.
        let address = address.split_once('%').map_or(address, |(bare, _)| bare);
        let address: IpAddr = address.parse().ok()?;
        let port = words.next()?.parse().ok()?;
        Some(SocketAddr::new(address.to_canonical(), port))
    };
    let session = Session {
        peer: end()?,
        local: end()?,
    };
    words.next().is_none().then_some(session)
}

fn of_ancestors() -> Option<Session> {
    let mut process = parent("self")?;
    for _ in 0..ANCESTORS {
        if let Some(session) = of_process(&process) {
            return Some(session);
        }
        process = parent(&process)?;
    }
    None
}

/// The session in the environment of a process; `None` if there is none, or if it may not be read.
fn of_process(process: &str) -> Option<Session> {
    let environment = fs::read(format!("/proc/{process}/environ")).ok()?;
    environment.split(|&byte| byte == 0).find_map(|variable| {
        let (name, value) = str::from_utf8(variable).ok()?.split_once('=')?;
        (name == VARIABLE).then(|| parse(value))?
    })
}

/// The parent's id: the second field behind the name in parentheses, see `proc_pid_stat(5)`.
fn parent(process: &str) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let parent = fields.split_whitespace().nth(1)?;
    (parent != "0").then(|| parent.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_ends() {
        let session = parse("198.51.100.2 50123 192.0.2.1 22").unwrap();
        assert_eq!(session.peer, "198.51.100.2:50123".parse().unwrap());
        assert_eq!(session.local, "192.0.2.1:22".parse().unwrap());
    }

    #[test]
    fn reads_ipv6_with_and_without_an_interface() {
        let session = parse("fe80::1%eth0 50123 2001:db8::1 22").unwrap();
        assert_eq!(session.peer, "[fe80::1]:50123".parse().unwrap());
        assert_eq!(session.local, "[2001:db8::1]:22".parse().unwrap());
    }

    #[test]
    fn an_ipv4_address_in_ipv6_is_ipv4() {
        let session = parse("::ffff:198.51.100.2 50123 ::ffff:192.0.2.1 22").unwrap();
        assert_eq!(session.peer, "198.51.100.2:50123".parse().unwrap());
    }

    #[test]
    fn anything_else_is_no_session() {
        for value in [
            "",
            "198.51.100.2",
            "198.51.100.2 50123 192.0.2.1",
            "a b c d",
            "198.51.100.2 50123 192.0.2.1 99999",
            "198.51.100.2 50123 192.0.2.1 22 more",
        ] {
            assert!(parse(value).is_none(), "{value:?}");
        }
    }

    #[test]
    fn this_process_has_a_parent() {
        assert!(parent("self").is_some());
    }
}
