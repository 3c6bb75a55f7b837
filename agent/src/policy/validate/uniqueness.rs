//! Finds addresses and prefixes that are written twice, in one endpoint or in two.

use ipnet::IpNet;

use crate::policy::{mistake::Mistakes, positions::At};

/// All addresses and prefixes, with their positions.
///
/// They are sorted rather than hashed: real lists are mostly in ascending order, and no hash table
/// of a million entries is needed.
#[derive(Default)]
pub(super) struct Uniqueness(Vec<Written>);

/// An address or prefix, and where it is written.
#[derive(Clone, Copy)]
struct Written {
    net: IpNet,
    at: At,
    /// Index of its endpoint in the order of the file.
    endpoint: u32,
}

impl Uniqueness {
    pub(super) fn note(&mut self, net: IpNet, at: At, endpoint: u32) {
        self.0.push(Written { net, at, endpoint });
    }

    /// Reports every repetition at its second position and beyond; `names` are the endpoints'.
    pub(super) fn report(mut self, names: &[Box<str>], mistakes: &mut Mistakes) {
        self.0
            .sort_unstable_by_key(|written| (written.net, written.at));
        for same in self.0.chunk_by(|a, b| a.net == b.net) {
            let [first, repeated @ ..] = same else {
                continue;
            };
            for again in repeated {
                mistakes.add(again.at, || describe(*first, *again, names));
            }
        }
    }
}

fn describe(first: Written, again: Written, names: &[Box<str>]) -> (String, String) {
    let (name, line) = (&names[again.endpoint as usize], again.at.line);
    let (first_name, first_line) = (&names[first.endpoint as usize], first.at.line);
    let net = short(again.net);
    if first.endpoint == again.endpoint {
        let message = format!(
            "`{net}` is written twice in endpoint `{name}`, in lines {first_line} and {line}"
        );
        return (message, "Remove one of them.".to_owned());
    }
    let message = format!(
        "`{net}` is in endpoint `{first_name}` (line {first_line}) and in endpoint `{name}` \
         (line {line})"
    );
    (
        message,
        "Keep it in one of them: a packet has one source, and so one role.".to_owned(),
    )
}

/// A single address without its prefix length.
fn short(net: IpNet) -> String {
    if net.prefix_len() == net.max_prefix_len() {
        net.addr().to_string()
    } else {
        net.to_string()
    }
}
