//! `agent.yaml`: the agent's files, sockets, hook and limits.

use std::{
    io,
    net::IpAddr,
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use ipnet::IpNet;
use serde::Deserialize;
use thiserror::Error;

use crate::{
    datapath::{FLOWS, Hook},
    enforcer::rescue,
    enrolment::wire,
    files::{self, Owner},
    policy,
};

/// Path of the configuration, unless `--config` names another.
pub const DEFAULT_PATH: &str = "/etc/manoward/agent.yaml";
/// Unix socket of the control API.
pub const DEFAULT_SOCKET: &str = "/run/manoward/control.sock";
/// Directory in which maps and links are pinned.
pub const DEFAULT_PINS: &str = "/sys/fs/bpf/manoward";

/// Largest `adoption_grace`, in seconds.
const DAY: u32 = 24 * 60 * 60;
/// Allowed lifetimes of a lease, in seconds. The shortest is longer than a session's idle timeout.
const LEASE: RangeInclusive<u32> = 20..=3600;

/// Why the configuration cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not YAML, or has an unknown key or a value out of its range.
    #[error(
        "{path}: {reason}. The keys are policy, state, socket, pins, hook, classifiers, flows, adoption_grace, enrolment, trusted_keys, group, door, inside, without_policy and rescue"
    )]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        reason: String,
    },
}

/// How the TC classifiers are attached.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Classifiers {
    /// With TCX if the kernel has it (Linux 6.6), otherwise as filters of the clsact qdisc.
    #[default]
    Auto,
    /// As filters of the clsact qdisc.
    Clsact,
}

/// What the inner door does.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum DoorMode {
    /// It drops what the policy does not permit.
    Enforce,
    /// It counts that, and lets it pass.
    Audit,
    /// There is none.
    Off,
}

/// What holds while there is no valid policy to enforce.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum WithoutPolicy {
    /// Nothing is enforced.
    #[default]
    Open,
    /// Only what `rescue` names gets in, over any interface.
    Closed,
}

/// Who gets in whatever the policy says, also while there is none.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Rescue {
    /// Address or prefix of the source.
    #[serde(deserialize_with = "source")]
    pub from: IpNet,
    /// Source MAC address, if it is in the host's own network.
    pub mac: Option<String>,
    /// Interface on which its packets arrive.
    pub interface: Option<String>,
    /// A service of the catalogue, of TCP, UDP or SCTP.
    pub service: String,
}

/// Reads an address or a prefix.
fn source<'de, D: serde::Deserializer<'de>>(value: D) -> Result<IpNet, D::Error> {
    let text = String::deserialize(value)?;
    let address = || text.parse::<IpAddr>().map(IpNet::from);
    let read = text.parse().or_else(|_| address());
    read.map_err(|_| serde::de::Error::custom(format!("`{text}` is no address and no prefix")))
}

/// How endpoints prove their identity.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Enrolment {
    /// The host's certificate, followed by its intermediates (PEM).
    pub certificate: PathBuf,
    /// Its key (PEM).
    pub key: PathBuf,
    /// Authorities that endpoints' certificates are verified against (PEM).
    pub ca: PathBuf,
    /// Revocation lists of these authorities (PEM).
    #[serde(default)]
    pub crls: Vec<PathBuf>,
    /// UDP port of the enrolment server. The built-in service `enrolment` admits the default, 7443.
    #[serde(default = "enrolment_port")]
    pub port: u16,
    /// Seconds after which a lease expires unless it is renewed, 20 to 3,600. For so long
    /// connections survive without the agent, and an endpoint that is gone can be impersonated.
    #[serde(default = "lease_seconds")]
    pub lease: u32,
}

const fn enrolment_port() -> u16 {
    wire::PORT
}

const fn lease_seconds() -> u32 {
    60
}

/// The configuration of an agent.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The policy that is applied when the agent starts, if it is newer than the one in force.
    pub policy: PathBuf,
    /// Directory of the policies that were applied.
    pub state: PathBuf,
    /// Socket of the control API.
    pub socket: PathBuf,
    /// Directory on a BPF file system, in which maps and links are pinned.
    pub pins: PathBuf,
    /// Where arriving packets are judged: XDP or TCX.
    pub hook: Hook,
    /// How the TC classifiers are attached.
    pub classifiers: Classifiers,
    /// Number of flows that the table is sized for, 1,024 to 1,048,576. Each takes 416 to 832 bytes of memory.
    /// If absent, a table that exists stays as it is, and a new one is sized for the host.
    pub flows: Option<u32>,
    /// Seconds after the first start, or after a protected address was added, during which TCP
    /// connections of guests are adopted mid-stream; at most a day.
    pub adoption_grace: u32,
    /// How endpoints prove their identity with certificates; they cannot if this is absent.
    pub enrolment: Option<Enrolment>,
    /// Public keys (PEM), one of which has to have signed a policy; any policy is taken if there are
    /// none.
    pub trusted_keys: Vec<PathBuf>,
    /// What the inner door does; if absent, it enforces on a new host, and audits on one that is upgraded.
    pub door: Option<DoorMode>,
    /// Names of interfaces that lead to the host's own guests and containers: the inner door lets everything
    /// pass there.
    pub inside: Vec<String>,
    /// What holds while there is no valid policy to enforce.
    pub without_policy: WithoutPolicy,
    /// Who gets in whatever the policy says, also while there is none.
    pub rescue: Option<Rescue>,
    /// Group whose members may read over the socket; only root may if this is absent.
    pub group: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            policy: "/etc/manoward/policy.yaml".into(),
            state: "/var/lib/manoward".into(),
            socket: DEFAULT_SOCKET.into(),
            pins: DEFAULT_PINS.into(),
            hook: Hook::default(),
            classifiers: Classifiers::default(),
            flows: None,
            adoption_grace: 60,
            enrolment: None,
            trusted_keys: Vec::new(),
            door: None,
            inside: Vec::new(),
            without_policy: WithoutPolicy::default(),
            rescue: None,
            group: None,
        }
    }
}

impl Config {
    /// Reads the file at `path`. If there is no file at [`DEFAULT_PATH`], the defaults apply; at
    /// another path this is an error.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        match files::read_text(path, files::SETTINGS, Owner::Trusted) {
            Ok(text) => Self::parse(&text, path),
            Err(error)
                if error.kind() == io::ErrorKind::NotFound && path == Path::new(DEFAULT_PATH) =>
            {
                Ok(Self::default())
            }
            Err(source) => Err(ConfigError::Read {
                path: path.to_owned(),
                source,
            }),
        }
    }

    fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let written: Option<Self> = serde_saphyr::from_str(text).map_err(|error| {
            let reason = error.to_string();
            let reason = reason
                .lines()
                .next()
                .unwrap_or_default()
                .trim_start_matches("error: ");
            ConfigError::Invalid {
                path: path.to_owned(),
                reason: reason.to_owned(),
            }
        })?;
        let config = written.unwrap_or_default();
        config.check().map_err(|reason| ConfigError::Invalid {
            path: path.to_owned(),
            reason,
        })?;
        Ok(config)
    }

    /// Checks that numbers are in their ranges.
    fn check(&self) -> Result<(), String> {
        if let Some(flows) = self.flows
            && !FLOWS.contains(&flows)
        {
            let (least, most) = (FLOWS.start(), FLOWS.end());
            return Err(format!("`flows` is {flows}, not {least} to {most}"));
        }
        if self.adoption_grace > DAY {
            return Err(format!(
                "`adoption_grace` is {}, not 0 to {DAY} seconds",
                self.adoption_grace
            ));
        }
        if let Some(enrolment) = &self.enrolment
            && !LEASE.contains(&enrolment.lease)
        {
            let (least, most) = (LEASE.start(), LEASE.end());
            return Err(format!(
                "`lease` is {}, not {least} to {most} seconds",
                enrolment.lease
            ));
        }
        self.check_rescue()
    }

    /// Checks that a host without a policy lets somebody in.
    fn check_rescue(&self) -> Result<(), String> {
        match (&self.rescue, self.without_policy) {
            (None, WithoutPolicy::Closed) => Err(
                "`without_policy: closed` would let nobody in: name a source and a service under \
                 `rescue`, such as `rescue: { from: 198.51.100.2, service: ssh }`"
                    .to_owned(),
            ),
            (Some(rescue), _) => {
                let read = policy::read(&rescue::policy_text(rescue), "rescue");
                let error = read
                    .err()
                    .map(|error| error.lines().next().unwrap_or_default());
                error.map_or(Ok(()), |error| Err(format!("`rescue`: {error}")))
            }
            (None, WithoutPolicy::Open) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("agent.yaml")).map_err(|error| error.to_string())
    }

    #[test]
    fn absent_keys_have_defaults() {
        assert_eq!(parse(""), Ok(Config::default()));
        assert_eq!(parse("# nothing\n"), Ok(Config::default()));
        let config = parse("hook: tcx\nstate: /tmp/state\n").expect("valid");
        assert_eq!(
            (config.hook, config.state),
            (Hook::Tcx, "/tmp/state".into())
        );
        assert_eq!(config.pins, Path::new(DEFAULT_PINS));
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let error = parse("state: /tmp/state\nsokcet: /tmp/socket\n").expect_err("unknown key");
        assert!(
            error.contains("sokcet") && error.contains("line 2"),
            "{error}"
        );
    }

    #[test]
    fn a_host_without_a_policy_is_closed_only_if_somebody_is_let_in() {
        let error = parse("without_policy: closed\n").expect_err("nobody gets in");
        assert!(error.contains("rescue: { from:"), "{error}");
        let rescue = "without_policy: closed\nrescue: { from: 198.51.100.2, service: ssh }\n";
        let config = parse(rescue).expect("valid");
        assert_eq!(config.without_policy, WithoutPolicy::Closed);
        for (wrong, said) in [
            ("rescue: { from: 198.51.100.2, service: shh }\n", "shh"),
            ("rescue: { from: nowhere, service: ssh }\n", "nowhere"),
            (
                "rescue: { from: 198.51.100.2, mac: xy, service: ssh }\n",
                "xy",
            ),
        ] {
            let error = parse(wrong).expect_err(wrong);
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn a_wrong_hook_is_refused() {
        let error = parse("hook: ebpf\n").expect_err("no such hook");
        assert!(
            error.contains("ebpf") && error.contains("line 1"),
            "{error}"
        );
    }
}
