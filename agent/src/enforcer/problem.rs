//! What is wrong or weaker than it should be.

/// Lists each kind of problem with its code, which programs go by.
macro_rules! kinds {
    ($($(#[$meta:meta])* $kind:ident = $code:literal;)*) => {
        /// What kind of problem.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum Kind {
            $($(#[$meta])* $kind,)*
        }

        impl Kind {
            /// Its code, which does not change between versions.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$kind => $code,)*
                }
            }
        }
    };
}

kinds! {
    /// There is no policy, or one that cannot be used.
    Policy = "policy";
    /// An interface of the policy is not there.
    InterfaceMissing = "interface-missing";
    /// An interface of the policy has another name now.
    InterfaceRenamed = "interface-renamed";
    /// A program cannot be attached.
    CannotAttach = "cannot-attach";
    /// What the host has become cannot be enforced.
    CannotFollow = "cannot-follow";
    /// Somebody has removed a program.
    Detached = "detached";
    /// The kernel does not tell what is attached.
    Unverified = "unverified";
    /// Connections were not taken over.
    Connections = "connections-not-adopted";
    /// The table of flows will soon be full.
    FlowTable = "flow-table-pressure";
    /// A break-glass door is open, was used, or cannot be.
    BreakGlass = "break-glass";
    /// There is no inner door.
    Door = "door";
    /// A candidate cannot be tried.
    Shadow = "shadow";
    /// Endpoints cannot prove who they are, or not all.
    Enrolment = "enrolment";
    /// XDP runs behind the driver.
    GenericMode = "generic-mode";
    /// VLAN tags are removed before XDP sees them.
    VlanHidden = "vlan-hidden";
}

/// Something that is wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// What kind.
    pub kind: Kind,
    /// What it is, in a sentence, with a remedy.
    pub message: String,
}

impl Kind {
    /// A problem of this kind.
    pub(super) fn problem(self, message: impl Into<String>) -> Problem {
        Problem {
            kind: self,
            message: message.into(),
        }
    }

    /// Problems of this kind.
    pub(super) fn problems(self, messages: &[String]) -> impl Iterator<Item = Problem> {
        messages.iter().map(move |message| self.problem(message))
    }
}
