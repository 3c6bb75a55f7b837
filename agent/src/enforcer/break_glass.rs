//! Break glass: who gets in whatever the policy says, for good or through a door that is opened for a time.
//!
//! agent.yaml (`rescue`) and the policy (`break_glass`) name who always gets in; a door is opened from the
//! console of the host. The kernel holds them beside the images, and closes a door by itself. What is here
//! follows the policies and the host, writes down who opened what, and tells.

use std::{
    ops::RangeInclusive,
    time::{Duration, Instant},
};

use ipnet::IpNet;
use thiserror::Error;
use tracing::{error, info, warn};
use verdict::state::exemption::{EXEMPTIONS, Exemption, FOR_GOOD};

use super::{
    Enforcer, Trial, now,
    problem::{Kind, Problem},
    rescue,
    trial::Place,
};
use crate::{
    config::Config,
    datapath::{Exempted, PublishError, exemptions},
    policy::{self, BreakGlass, catalogue},
    store::{
        Store, StoreError,
        break_glass::{Kept, OpenDoor},
        history::{Added, Entry, Event, Reason},
    },
};

/// Seconds for which a door can be opened.
pub const TERMS: RangeInclusive<u64> = 1..=24 * 60 * 60;

/// Most exemptions that doors take.
const OF_DOORS: usize = 8;

/// For so long it is told that somebody got in.
const TOLD: Duration = Duration::from_mins(10);

/// A door that is to be opened.
#[derive(Clone, Debug)]
pub struct DoorOrder {
    /// For how long.
    pub term: Duration,
    /// Name of the service that it opens.
    pub service: String,
    /// To whom.
    pub from: IpNet,
    /// Source MAC address of their packets.
    pub mac: Option<[u8; 6]>,
    /// Name of the interface on which these arrive.
    pub interface: Option<String>,
}

/// Why no door is opened or closed.
#[derive(Debug, Error)]
pub enum BreakGlassError {
    /// Whoever asks is not at the host.
    #[error(
        "a door is opened from the console of the host only: at its screen, its serial line, or what its management controller shows of these"
    )]
    NotAtConsole,
    /// It cannot be opened for this time.
    #[error("a door can be opened for 1 s to 24 h, and not for {0} s")]
    Term(u64),
    /// There is no such service.
    #[error("there is no service `{0}`. `manoward services` lists all")]
    NoSuchService(String),
    /// The service has no ports.
    #[error(
        "the service `{0}` has no ports, and a door opens ports alone. Choose one of TCP, UDP or SCTP, such as ssh"
    )]
    NoPorts(String),
    /// There is no such interface.
    #[error("this host has no interface `{0}`")]
    NoSuchInterface(String),
    /// There are too many.
    #[error(
        "too many doors are open: they can have {OF_DOORS} ranges of ports. Close them with `manoward break-glass close`"
    )]
    TooMany,
    /// It cannot be written down.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The kernel did not take it.
    #[error(transparent)]
    Publish(#[from] PublishError),
}

/// Somebody who always gets in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Standing {
    /// Who, and to what.
    pub access: BreakGlass,
    /// What says so.
    pub source: &'static str,
}

/// What break glass does, for everybody who only looks.
#[derive(Clone, Debug, Default)]
pub struct Glass {
    /// Who always gets in.
    pub standing: Vec<Standing>,
    /// The open doors, and when each closes.
    pub doors: Vec<(OpenDoor, Instant)>,
    /// Packets that got in because of either, and only because of that.
    pub packets: u64,
}

/// What the enforcer knows of break glass.
#[derive(Default)]
pub(super) struct Emergency {
    /// What agent.yaml says.
    rescue: Option<BreakGlass>,
    kept: Kept,
    /// When somebody got in last, as far as was noticed.
    used: Option<Instant>,
    pub(super) glass: Glass,
    pub(super) problems: Vec<Problem>,
}

impl Emergency {
    /// What `config` says, and what is kept in `store`.
    pub(super) fn new(config: &Config, store: &Store) -> Self {
        let rescue = config.rescue.as_ref().map(rescue::policy_text);
        let rescue = rescue.and_then(|text| policy::read(&text, "agent.yaml").ok());
        Self {
            rescue: rescue.and_then(|it| it.policy.break_glass),
            kept: store.break_glass().unwrap_or_else(|error| {
                warn!("{error}");
                Kept::default()
            }),
            ..Self::default()
        }
    }
}

impl Enforcer {
    /// Opens a door for a time. When it closes.
    ///
    /// # Errors
    ///
    /// [`BreakGlassError`]: nothing is opened.
    pub fn open_door(
        &mut self,
        order: &DoorOrder,
        place: &Place,
        reason: &Reason,
    ) -> Result<OpenDoor, BreakGlassError> {
        self.changing(|enforcer| enforcer.open(order, place, reason))
    }

    fn open(
        &mut self,
        order: &DoorOrder,
        place: &Place,
        reason: &Reason,
    ) -> Result<OpenDoor, BreakGlassError> {
        if !place.is_console() {
            return Err(BreakGlassError::NotAtConsole);
        }
        if !TERMS.contains(&order.term.as_secs()) {
            return Err(BreakGlassError::Term(order.term.as_secs()));
        }
        let access = self.access(order)?;
        let door = OpenDoor {
            opened: now(),
            until: self.datapath.exempt_until(order.term)?,
            who: reason.who.clone(),
            access,
        };
        let mut kept = self.emergency.kept.clone();
        kept.doors.retain(|other| other.access != door.access);
        kept.doors.push(door.clone());
        let places = kept.doors.iter();
        let places: usize = places
            .map(|door| exemptions(&door.access, door.until, &self.interfaces).len())
            .sum();
        if places > OF_DOORS {
            return Err(BreakGlassError::TooMany);
        }
        let added = self.note_door(Event::Opened, &door, Some(order.term), reason)?;
        let before = std::mem::replace(&mut self.emergency.kept, kept);
        let opened = self
            .store
            .keep_break_glass(&self.emergency.kept)
            .map_err(BreakGlassError::from)
            .and_then(|()| Ok(self.exempt()?));
        if let Err(error) = opened {
            self.emergency.kept = before;
            self.store.history().take_back(&added)?;
            return Err(error);
        }
        warn!(
            door = %door.access,
            seconds = order.term.as_secs(),
            who = ?door.who,
            "break glass: a door is open"
        );
        Ok(door)
    }

    /// Whom the door of `order` lets in, to what.
    fn access(&self, order: &DoorOrder) -> Result<BreakGlass, BreakGlassError> {
        let name = &order.service;
        let of_policy = self.current.as_deref().map(|it| &it.policy().services);
        let service = of_policy
            .and_then(|services| services.get(name).cloned())
            .or_else(|| catalogue::find(name).map(policy::CatalogueEntry::service))
            .ok_or_else(|| BreakGlassError::NoSuchService(name.clone()))?;
        let ports = policy::ports_of(&service);
        if ports.is_empty() {
            return Err(BreakGlassError::NoPorts(name.clone()));
        }
        if let Some(interface) = &order.interface
            && self.interfaces.arrivals(interface).is_none()
        {
            return Err(BreakGlassError::NoSuchInterface(interface.clone()));
        }
        Ok(BreakGlass {
            addresses: vec![order.from.trunc()],
            services: vec![name.clone()],
            ports,
            mac: order.mac,
            interface: order.interface.clone(),
        })
    }

    /// Closes every door. How many were open.
    ///
    /// # Errors
    ///
    /// [`BreakGlassError`]: they close when their time is over.
    pub fn close_doors(&mut self, reason: &Reason) -> Result<usize, BreakGlassError> {
        self.changing(|enforcer| {
            let doors = std::mem::take(&mut enforcer.emergency.kept.doors);
            enforcer.exempt()?;
            for door in &doors {
                enforcer.door_closed(door, reason);
            }
            Ok(doors.len())
        })
    }

    /// Notes that every door is closed, as there are no programs any more.
    pub(super) fn forget_doors(&mut self) {
        self.emergency.glass = Glass::default();
        for door in std::mem::take(&mut self.emergency.kept.doors) {
            self.door_closed(&door, &Reason::default());
        }
    }

    /// Has the kernel let in whoever is to get in now, and looks who has.
    pub(super) fn follow_break_glass(&mut self) {
        self.emergency.problems.clear();
        let followed = self.remember().and_then(|()| self.look());
        if let Err(error) = followed {
            let message = format!("break glass does not follow: {error}");
            self.emergency
                .problems
                .push(Kind::BreakGlass.problem(message));
        }
    }

    /// Keeps whom the policy in force lets in, for when there is none.
    fn remember(&mut self) -> Result<(), BreakGlassError> {
        let Some(current) = self.current.as_deref().filter(|_| self.trial.is_none()) else {
            return Ok(());
        };
        let said = current.policy().break_glass.clone();
        // What holds while there is no policy is none.
        let is_policy = current.stored.identity.serial != 0;
        if is_policy && self.emergency.kept.policy != said {
            self.emergency.kept.policy = said;
            self.store.keep_break_glass(&self.emergency.kept)?;
        }
        Ok(())
    }

    fn look(&mut self) -> Result<(), BreakGlassError> {
        let pins = self.datapath.pins().clone();
        let exempted = match Exempted::read(&pins) {
            Ok(exempted) => exempted,
            // Somebody has removed all pins, as the end of enforcement does.
            Err(_) if !pins.exist() => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let left = |door: &OpenDoor| exempted.left(door.until, &pins);
        let doors = std::mem::take(&mut self.emergency.kept.doors);
        let (open, closed): (Vec<_>, Vec<_>) =
            doors.into_iter().partition(|door| left(door).is_some());
        let ends = |door: &OpenDoor| Instant::now() + left(door).unwrap_or_default();
        self.emergency.glass.doors = open.iter().map(|it| (it.clone(), ends(it))).collect();
        self.emergency.kept.doors = open;
        for door in &closed {
            self.door_closed(door, &Reason::default());
        }
        self.exempt()?;
        self.count();
        self.tell();
        Ok(())
    }

    /// Has exactly those exemptions hold that are to.
    fn exempt(&mut self) -> Result<(), PublishError> {
        self.emergency.glass.standing = self.standing();
        let standing = self.emergency.glass.standing.iter();
        let standing = standing.map(|it| (&it.access, FOR_GOOD));
        let doors = self.emergency.kept.doors.iter();
        let doors = doors.map(|door| (&door.access, door.until));
        let mut wanted: Vec<Exemption> = Vec::new();
        for (access, until) in doors.chain(standing) {
            let of_access = exemptions(access, until, &self.interfaces);
            if of_access.is_empty()
                && let Some(interface) = &access.interface
            {
                let message = format!(
                    "break glass lets nobody in for `{access}`: this host has no interface \
                     `{interface}`"
                );
                self.emergency
                    .problems
                    .push(Kind::BreakGlass.problem(message));
            }
            wanted.extend(of_access);
        }
        wanted.dedup();
        if wanted.len() > EXEMPTIONS {
            let message = format!(
                "break glass has {} ranges of ports of addresses and interfaces, and the kernel \
                 takes {EXEMPTIONS}: name fewer",
                wanted.len()
            );
            self.emergency
                .problems
                .push(Kind::BreakGlass.problem(message));
            wanted.truncate(EXEMPTIONS);
        }
        self.datapath.exempt(&wanted)
    }

    /// Who always gets in: as agent.yaml says, and the policies that the kernel may judge by; without a
    /// policy, the last valid one.
    fn standing(&self) -> Vec<Standing> {
        let emergency = &self.emergency;
        let mut all: Vec<Standing> = Vec::new();
        let mut add = |access: Option<&BreakGlass>, source| {
            if let Some(access) = access
                && !all.iter().any(|other| other.access == *access)
            {
                all.push(Standing {
                    access: access.clone(),
                    source,
                });
            }
        };
        add(emergency.rescue.as_ref(), "agent.yaml");
        let current = self.current.as_deref();
        let current = current.filter(|it| it.stored.identity.serial != 0);
        match current {
            Some(current) => add(current.policy().break_glass.as_ref(), "policy"),
            None => add(emergency.kept.policy.as_ref(), "last policy"),
        }
        let confirmed = self.trial.as_deref().and_then(Trial::confirmed);
        if let Some(confirmed) = confirmed {
            add(confirmed.policy().break_glass.as_ref(), "confirmed policy");
        }
        all
    }

    /// Counts who got in.
    fn count(&mut self) {
        match self.counters.exempted() {
            Ok(packets) => {
                let before = std::mem::replace(&mut self.emergency.glass.packets, packets);
                if packets > before {
                    if self
                        .emergency
                        .used
                        .is_none_or(|used| used.elapsed() > TOLD / 10)
                    {
                        warn!(
                            packets,
                            "break glass: somebody got in whom the policy refuses"
                        );
                    }
                    self.emergency.used = Some(Instant::now());
                }
            }
            Err(error) => warn!(%error, "who got in by break glass is not counted"),
        }
    }

    /// Tells of open doors, and of who got in.
    fn tell(&mut self) {
        let emergency = &mut self.emergency;
        for (door, ends) in &emergency.glass.doors {
            let left = ends.saturating_duration_since(Instant::now()).as_secs();
            let by = door.who.as_ref().map_or_else(String::new, |who| {
                let uid = who
                    .uid
                    .map_or_else(|| "?".to_owned(), |uid| uid.to_string());
                let terminal = who.terminal.as_deref().unwrap_or("?");
                format!(", opened by uid {uid} on {terminal}")
            });
            let message = format!(
                "a break-glass door is open for another {left} s{by}: {}. `manoward break-glass \
                 close` closes it",
                door.access
            );
            emergency.problems.push(Kind::BreakGlass.problem(message));
        }
        if emergency.used.is_some_and(|used| used.elapsed() < TOLD) {
            let message = format!(
                "break glass has let in {} packets that the policy refuses, the last within ten \
                 minutes: see `manoward break-glass status`",
                emergency.glass.packets
            );
            emergency.problems.push(Kind::BreakGlass.problem(message));
        }
    }

    /// Writes down that a door is closed.
    fn door_closed(&self, door: &OpenDoor, reason: &Reason) {
        info!(door = %door.access, "break glass: the door is closed");
        let noted = self.note_door(Event::Closed, door, None, reason).map(drop);
        let kept = noted.and_then(|()| self.store.keep_break_glass(&self.emergency.kept));
        if let Err(error) = kept {
            error!(%error, "that a break-glass door is closed is not written down");
        }
    }

    fn note_door(
        &self,
        event: Event,
        door: &OpenDoor,
        term: Option<Duration>,
        reason: &Reason,
    ) -> Result<Added, StoreError> {
        let current = self.current.as_deref();
        let time = term.map_or_else(String::new, |term| format!(" for {} s", term.as_secs()));
        self.store.history().add(Entry {
            number: 0,
            time: now(),
            event,
            serial: current.map_or(0, |current| current.stored.identity.serial),
            // It is about no text.
            digest: String::new(),
            file: String::new(),
            confirm_within: None,
            restores: None,
            door: Some(format!("{}{time}", door.access)),
            message: reason.message.clone(),
            who: reason.who.clone(),
            before: String::new(),
        })
    }
}
