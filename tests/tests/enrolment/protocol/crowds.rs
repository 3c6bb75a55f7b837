//! Nobody keeps others out by many sessions.

use std::net::{IpAddr, Ipv4Addr};

use manoward::{
    enrolment::{End, Reason},
    join::{Join, State},
};
use rcgen::SanType;

use super::{
    authority::{Issued, Profile},
    testbed::{Testbed, VIM, once, until},
};

/// A session from `address` that lasts as long as what is returned.
async fn session(bed: &Testbed, issued: &Issued, address: IpAddr) -> Join {
    let mut options = bed.options(issued);
    options.bind = Some(address);
    let before = bed.recorder.claims().len();
    let join = Join::start(options, |_| {}).unwrap();
    until("it is granted", || bed.recorder.claims().len() > before).await;
    join
}

fn local(last: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, last).into()
}

fn other(bed: &Testbed) -> Issued {
    let name = SanType::DnsName("vim.example".try_into().unwrap());
    bed.authority
        .issue("other", &Profile::endpoint(VIM).sans(&[name]))
}

#[tokio::test]
async fn an_identity_displaces_its_own_oldest_sessions_at_an_address() {
    let bed = Testbed::new();
    let vim = bed.vim();
    let mut joins = Vec::new();
    for _ in 0..7 {
        joins.push(session(&bed, &vim, local(1)).await);
    }
    until("four are left", || bed.server().counts().sessions == 4).await;
    let replaced = End::Replaced(local(1));
    assert_eq!(
        bed.recorder.ends(),
        [replaced.clone(), replaced.clone(), replaced]
    );
    let ids: Vec<_> = bed.server().sessions().iter().map(|it| it.id.0).collect();
    assert_eq!(ids, [4, 5, 6, 7], "the latest");
    joins.push(session(&bed, &other(&bed), local(1)).await);
    assert_eq!(
        bed.server().counts().sessions,
        5,
        "another's are not touched"
    );
}

#[tokio::test]
async fn the_last_tenth_of_all_places_is_for_who_holds_none() {
    let bed = Testbed::with(|_, config| config.max_sessions = 10);
    let vim = bed.vim();
    let mut joins = Vec::new();
    for address in [2, 3, 4].map(local) {
        for _ in 0..3 {
            joins.push(session(&bed, &vim, address).await);
        }
    }
    assert_eq!(bed.server().counts().sessions, 9);
    let mut options = bed.options(&vim);
    options.bind = Some(local(5));
    let status = once(&options).await;
    assert_eq!(status.state, State::Refused, "{status:?}");
    assert_eq!(bed.recorder.refusals(), [Reason::TooManySessions]);

    joins.push(session(&bed, &other(&bed), local(6)).await);
    assert_eq!(bed.server().counts().sessions, 10, "one that held none");
    // A session that takes the place of others takes none from anybody. It needs a free one itself.
    drop(joins.pop());
    until("one has left", || bed.server().counts().sessions == 9).await;
    joins.push(session(&bed, &vim, local(2)).await);
    until("it is alone", || bed.server().counts().sessions == 7).await;
}
