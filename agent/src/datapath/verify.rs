//! Whether what is attached still is, asked of the kernel.
//!
//! Anybody with the privilege can take a program off an interface, and only of some ways does the
//! kernel tell.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
};

use super::{Attachment, Datapath, Program, clsact, interface::name_of, load, pins::LinkPin};

/// What the kernel tells about a link (`/proc/self/fdinfo`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Link {
    id: u32,
    program: u32,
    /// Index of the interface; 0 once it is detached.
    interface: u32,
    /// The control group; 0 once it is detached.
    group: u64,
}

impl Datapath {
    /// Those of `attachments` that the kernel no longer has as they were made. Of interfaces that are
    /// gone, nothing is missed.
    ///
    /// # Errors
    ///
    /// A kernel that cannot be asked.
    pub fn lost(&mut self, attachments: &[Attachment]) -> io::Result<Vec<Attachment>> {
        let pin = |at: &Attachment| LinkPin {
            mode: at.mode,
            ifindex: at.ifindex,
        };
        let pins: Vec<_> = attachments.iter().map(pin).collect();
        let live = self.live(&pins)?;
        let is_lost = |at: &&Attachment| !live.contains(&pin(at)) && name_of(at.ifindex).is_some();
        Ok(attachments.iter().filter(is_lost).cloned().collect())
    }

    /// Whether the inner door is attached, as it was made.
    ///
    /// # Errors
    ///
    /// A kernel that cannot be asked.
    pub fn has_door(&mut self) -> io::Result<bool> {
        let links = links()?;
        for program in [Program::DoorIn, Program::DoorOut] {
            let id = self.door.get(&program).and_then(|link| link.info().ok());
            let told = id.and_then(|info| links.get(&info.id()));
            let own = self.program_id(program);
            if !told.is_some_and(|link| Some(link.program) == own && link.group != 0) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Those of `pins` whose programs are the loaded ones, and attached.
    pub(super) fn live(&mut self, pins: &[LinkPin]) -> io::Result<BTreeSet<LinkPin>> {
        let links = links()?;
        let mut live = BTreeSet::new();
        for &pin in pins {
            if self.is_live(pin, &links)? {
                live.insert(pin);
            }
        }
        Ok(live)
    }

    fn is_live(&mut self, pin: LinkPin, links: &BTreeMap<u32, Link>) -> io::Result<bool> {
        let Some(program) = self.program_id(pin.mode.program()) else {
            return Ok(false);
        };
        if let Some(direction) = pin.mode.clsact_direction() {
            return clsact::runs(pin.ifindex, direction, program);
        }
        let id = self
            .links
            .get(&pin)
            .map(|link| link.info().map(|link| link.id()));
        let told = id.and_then(Result::ok).and_then(|id| links.get(&id));
        Ok(told.is_some_and(|link| link.program == program && link.interface == pin.ifindex))
    }

    /// Id of a program that is loaded.
    fn program_id(&mut self, program: Program) -> Option<u32> {
        let info = match program {
            Program::Xdp => load::xdp(&mut self.ebpf, self.role).ok()?.info(),
            program @ (Program::DoorIn | Program::DoorOut) => {
                load::door(&mut self.ebpf, program, self.role).ok()?.info()
            }
            program => load::classifier(&mut self.ebpf, program, self.role)
                .ok()?
                .info(),
        };
        Some(info.ok()?.id())
    }
}

/// The links that this process holds, by their ids.
fn links() -> io::Result<BTreeMap<u32, Link>> {
    let mut links = BTreeMap::new();
    for entry in fs::read_dir("/proc/self/fdinfo")? {
        // The descriptor of the folder itself is gone when it is read.
        if let Ok(text) = fs::read_to_string(entry?.path())
            && let Some(link) = link(&text)
        {
            links.insert(link.id, link);
        }
    }
    Ok(links)
}

/// The link that is described; `None` if it is something else.
fn link(text: &str) -> Option<Link> {
    let value = |name| text.lines().find_map(|line| line.strip_prefix(name));
    let number = |name| value(name)?.trim().parse().ok();
    let group = value("cgroup_id:").and_then(|id| id.trim().parse().ok());
    Some(Link {
        id: number("link_id:")?,
        program: number("prog_id:")?,
        interface: number("ifindex:").unwrap_or_default(),
        group: group.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_read_and_a_map_is_none() {
        let text = "pos:\t0\nflags:\t02000002\nlink_type:\txdp\nlink_id:\t7\nprog_tag:\tab\n\
                    prog_id:\t12\nifindex:\t3\n";
        let expected = Link {
            id: 7,
            program: 12,
            interface: 3,
            group: 0,
        };
        assert_eq!(link(text), Some(expected));
        assert_eq!(link("pos:\t0\nmap_type:\t2\nmap_id:\t9\n"), None);
    }
}
