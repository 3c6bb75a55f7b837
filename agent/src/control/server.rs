//! The server of the control API.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    response::{IntoResponse as _, Response},
};
use manoward_api::{
    Applied, Cancelled, Candidate, Claim, Confirmed, Detached, Difference, DoorOrder, DoorsClosed,
    EndpointList, Explanation, FlowList, FlowQuery, FlowsCut, History, HistoryQuery, LeaseList,
    OpenDoor, Patch, PolicyQuery, PolicyText, Promotion, Question, Report, Revocation, Revoked,
    RollBack, ShadowReport, Stats, StoppedTrying, Tried,
};
use serde::Serialize;
use tokio::{net::UnixListener, sync::Notify};
use tracing::info;

use super::{
    answers::{Answer, Failed},
    connections,
    requests::{Agent, Peer, Request},
    wire,
};
use crate::{
    datapath::interface::Interfaces,
    enforcer::{AnswerError, Enforcer, Handle, Observer, Order, Session, TryError, View},
    pulse::Pulse,
};

/// The agent, as its API sees it.
#[derive(Clone)]
struct Shared {
    enforcer: Handle,
    /// Told when the agent is to end.
    end: Arc<Notify>,
}

/// Serves the API until `end` is notified.
pub async fn serve(listener: UnixListener, enforcer: Handle, end: Arc<Notify>, pulse: Pulse) {
    let shared = Shared {
        enforcer,
        end: Arc::clone(&end),
    };
    connections::serve(listener, shared, end, pulse).await;
}

impl Agent for Shared {
    async fn answer(&self, peer: Peer, request: Request) -> Response {
        if let Some(what) = forbidden(peer, &request) {
            return Failed::not_allowed(what).into_response();
        }
        match request {
            Request::Status => sent(Ok(wire::status(&self.enforcer.view()))),
            Request::Stats => sent(self.stats().await),
            Request::Endpoints => sent(self.endpoints().await),
            Request::Flows(query) => sent(self.flows(query).await),
            Request::Cut(query) => sent(self.cut(query).await),
            Request::Leases => sent(self.leases()),
            Request::Revoke(revocation) => sent(self.revoke(revocation).await),
            Request::Policy(query) => sent(self.policy(query).await),
            Request::History(query) => sent(self.history(query).await),
            Request::Check(candidate) => sent(self.check(candidate).await),
            Request::Diff(candidate) => sent(self.difference(candidate).await),
            Request::Apply(candidate) => sent(self.apply(peer, candidate).await),
            Request::Confirm(claim) => sent(self.confirm(peer, claim).await),
            Request::Cancel(claim) => sent(self.cancel(peer, claim).await),
            Request::RollBack(wanted) => sent(self.roll_back(peer, wanted).await),
            Request::Patch(patch) => sent(self.patch(peer, patch).await),
            Request::Trying => sent(self.trying().await),
            Request::Try(candidate) => sent(self.try_beside(candidate).await),
            Request::StopTrying => sent(self.stop_trying().await),
            Request::Promote(wanted) => sent(self.promote(peer, wanted).await),
            Request::BreakGlass => sent(Ok(wire::break_glass(&self.enforcer.view().glass))),
            Request::OpenDoor(order) => sent(self.open_door(peer, order).await),
            Request::CloseDoors(claim) => sent(self.close_doors(peer, claim).await),
            Request::Explain(question) => sent(self.explain(question).await),
            Request::Detach => sent(self.detach().await),
        }
    }
}

fn sent<T: Serialize>(answer: Answer<T>) -> Response {
    match answer {
        Ok(answer) => Json(answer).into_response(),
        Err(failed) => failed.into_response(),
    }
}

/// What `peer` may not do, if `request` asks for that.
fn forbidden(peer: Peer, request: &Request) -> Option<&'static str> {
    if peer.is_root() {
        return None;
    }
    match request {
        Request::Cut(_) => Some("cut connections"),
        Request::Revoke(_) => Some("revoke leases"),
        Request::Apply(_) | Request::RollBack(_) | Request::Patch(_) | Request::Promote(_) => {
            Some("apply a policy")
        }
        Request::Confirm(_) => Some("confirm a policy"),
        Request::Cancel(_) => Some("take a policy back"),
        Request::Try(_) | Request::StopTrying => Some("try a policy"),
        Request::OpenDoor(_) => Some("open a door"),
        Request::CloseDoors(_) => Some("close a door"),
        Request::Detach => Some("detach"),
        _ => None,
    }
}

impl Shared {
    async fn stats(&self) -> Answer<Stats> {
        Ok(self.enforcer.observe(wire::stats).await??)
    }

    async fn endpoints(&self) -> Answer<EndpointList> {
        Ok(self.enforcer.observe(wire::endpoints).await??)
    }

    async fn flows(&self, query: FlowQuery) -> Answer<FlowList> {
        let list = move |observer: &Observer, view: &View| -> Answer<FlowList> {
            let current = view.current.as_deref().ok_or_else(Failed::no_policy)?;
            let query = wire::query(query)?;
            Ok(wire::flows(&observer.flows(current, &query)?))
        };
        self.enforcer.observe(list).await?
    }

    async fn cut(&self, query: FlowQuery) -> Answer<FlowsCut> {
        let cut = move |observer: &Observer, view: &View| -> Answer<FlowsCut> {
            let current = view.current.as_deref().ok_or_else(Failed::no_policy)?;
            let query = wire::query(query)?;
            let cut = wire::cut(&observer.cut(current, &query)?);
            info!(connections = cut.cut.len(), "connections cut by request");
            Ok(cut)
        };
        self.enforcer.observe(cut).await?
    }

    fn leases(&self) -> Answer<LeaseList> {
        let view = self.enforcer.view();
        let registry = view.registry.as_deref().ok_or_else(Failed::no_enrolment)?;
        Ok(wire::leases(registry, &view.interfaces))
    }

    async fn revoke(&self, revocation: Revocation) -> Answer<Revoked> {
        let revoke = move |_: &Observer, view: &View| -> Answer<Revoked> {
            let registry = view.registry.as_deref().ok_or_else(Failed::no_enrolment)?;
            let name = &revocation.endpoint;
            if !registry.knows(name) {
                return Err(Failed::no_such_endpoint(name));
            }
            let barred = Duration::from_secs(revocation.barred_seconds);
            let leases = registry.revoke(name, barred)?;
            info!(endpoint = name, leases, "leases revoked by request");
            Ok(Revoked { leases })
        };
        self.enforcer.observe(revoke).await?
    }

    async fn policy(&self, query: PolicyQuery) -> Answer<PolicyText> {
        if let Some(serial) = query.serial {
            let kept = move |observer: &Observer, _: &View| observer.kept(serial);
            let stored = self.enforcer.observe(kept).await??;
            let stored = stored.ok_or_else(|| Failed::no_such_serial(serial))?;
            return Ok(wire::text(&stored));
        }
        let view = self.enforcer.view();
        let current = view.current.as_ref().ok_or_else(Failed::no_policy)?;
        Ok(wire::text(&current.stored))
    }

    async fn history(&self, query: HistoryQuery) -> Answer<History> {
        let look = move |observer: &Observer, view: &View| -> Answer<History> {
            let entries = observer.history()?.into_iter().map(Into::into).collect();
            let verification = query.verify.then(|| observer.verify_history(view));
            let verification = verification.transpose()?.map(Into::into);
            Ok(History {
                entries,
                verification,
            })
        };
        self.enforcer.observe(look).await?
    }

    async fn check(&self, candidate: Candidate) -> Answer<Report> {
        let interfaces = Interfaces::read().await?;
        let session = arriving(candidate.session, &interfaces).await;
        let check = move |_: &Observer, view: &View| {
            let Candidate { text, file, .. } = &candidate;
            view.check(text, file, &interfaces, session.as_ref())
        };
        Ok(self.enforcer.observe(check).await?.into())
    }

    async fn difference(&self, candidate: Candidate) -> Answer<Difference> {
        let interfaces = Interfaces::read().await?;
        let session = arriving(candidate.session, &interfaces).await;
        let compare = move |_: &Observer, view: &View| {
            let Candidate { text, file, .. } = &candidate;
            view.difference(text, file, &interfaces, session.as_ref())
        };
        Ok(self.enforcer.observe(compare).await??.into())
    }

    async fn apply(&self, peer: Peer, candidate: Candidate) -> Answer<Applied> {
        let interfaces = Interfaces::read().await?;
        let (_, reason) = wire::origin(peer, candidate.by);
        let order = Order {
            text: candidate.text,
            file: candidate.file,
            sessions: Vec::from_iter(
                arriving(candidate.session.filter(|_| !candidate.force), &interfaces).await,
            ),
            signature: candidate.signature,
            confirm_within: candidate.confirm_within_seconds.map(Duration::from_secs),
            next_serial: candidate.next_serial,
            reason,
            patched: None,
        };
        let apply = move |enforcer: &mut Enforcer| enforcer.apply(order, interfaces);
        Ok(self.enforcer.change(apply).await??.into())
    }

    async fn roll_back(&self, peer: Peer, wanted: RollBack) -> Answer<Applied> {
        let interfaces = Interfaces::read().await?;
        let (_, reason) = wire::origin(peer, wanted.by);
        let order = Order {
            sessions: Vec::from_iter(
                arriving(wanted.session.filter(|_| !wanted.force), &interfaces).await,
            ),
            confirm_within: wanted.confirm_within_seconds.map(Duration::from_secs),
            reason,
            ..Order::default()
        };
        let roll_back =
            move |enforcer: &mut Enforcer| enforcer.roll_back(wanted.serial, order, interfaces);
        Ok(self.enforcer.change(roll_back).await??.into())
    }

    async fn patch(&self, peer: Peer, patch: Patch) -> Answer<Applied> {
        let interfaces = Interfaces::read().await?;
        let (_, reason) = wire::origin(peer, patch.by);
        let order = Order {
            sessions: Vec::from_iter(
                arriving(patch.session.filter(|_| !patch.force), &interfaces).await,
            ),
            confirm_within: patch.confirm_within_seconds.map(Duration::from_secs),
            reason,
            ..Order::default()
        };
        let wanted = wire::patch(patch.add, patch.remove);
        let patch = move |enforcer: &mut Enforcer| enforcer.patch(&wanted, order, interfaces);
        Ok(self.enforcer.change(patch).await??.into())
    }

    async fn confirm(&self, peer: Peer, claim: Claim) -> Answer<Confirmed> {
        let (place, reason) = wire::origin(peer, claim);
        let confirm = move |enforcer: &mut Enforcer| enforcer.confirm(&place, &reason);
        let serial = self.enforcer.change(confirm).await??;
        Ok(Confirmed { serial })
    }

    async fn cancel(&self, peer: Peer, claim: Claim) -> Answer<Cancelled> {
        let (_, reason) = wire::origin(peer, claim);
        let cancel = move |enforcer: &mut Enforcer| enforcer.cancel(&reason);
        let serial = self.enforcer.change(cancel).await??;
        Ok(Cancelled { serial })
    }

    async fn trying(&self) -> Answer<ShadowReport> {
        let report = |_: &Observer, view: &View| -> Answer<ShadowReport> {
            let trying = view.trying.as_deref().ok_or(TryError::NothingTried)?;
            Ok(wire::report(trying, view)?)
        };
        self.enforcer.observe(report).await?
    }

    async fn try_beside(&self, candidate: Candidate) -> Answer<Tried> {
        let interfaces = Interfaces::read().await?;
        let session = arriving(candidate.session, &interfaces).await;
        let (text, file) = (candidate.text.clone(), candidate.file.clone());
        let (view, host) = (self.enforcer.view(), interfaces.clone());
        let order = Order {
            text: candidate.text,
            file: candidate.file,
            signature: candidate.signature,
            ..Order::default()
        };
        let begin = move |enforcer: &mut Enforcer| enforcer.try_beside(order, interfaces);
        let trying = self.enforcer.change(begin).await??;
        let review = view.check(&text, &file, &host, session.as_ref());
        Ok(Tried {
            trying: wire::trying(&trying),
            apply_refuses: review.apply_refuses,
        })
    }

    async fn stop_trying(&self) -> Answer<StoppedTrying> {
        let serial = self.enforcer.change(Enforcer::stop_trying).await??;
        Ok(StoppedTrying { serial })
    }

    async fn promote(&self, peer: Peer, wanted: Promotion) -> Answer<Applied> {
        let interfaces = Interfaces::read().await?;
        let (_, reason) = wire::origin(peer, wanted.by);
        let order = Order {
            sessions: Vec::from_iter(
                arriving(wanted.session.filter(|_| !wanted.force), &interfaces).await,
            ),
            confirm_within: wanted.confirm_within_seconds.map(Duration::from_secs),
            next_serial: wanted.next_serial,
            reason,
            ..Order::default()
        };
        let promote = move |enforcer: &mut Enforcer| enforcer.promote(order, interfaces);
        Ok(self.enforcer.change(promote).await??.into())
    }

    async fn open_door(&self, peer: Peer, order: DoorOrder) -> Answer<OpenDoor> {
        let wanted = wire::door_order(&order)?;
        let term = wanted.term;
        let (place, reason) = wire::origin(peer, order.by);
        let open = move |enforcer: &mut Enforcer| enforcer.open_door(&wanted, &place, &reason);
        let door = self.enforcer.change(open).await??;
        Ok(wire::opened(&door, term))
    }

    async fn close_doors(&self, peer: Peer, claim: Claim) -> Answer<DoorsClosed> {
        let (_, reason) = wire::origin(peer, claim);
        let close = move |enforcer: &mut Enforcer| enforcer.close_doors(&reason);
        let closed = self.enforcer.change(close).await??;
        Ok(DoorsClosed { closed })
    }

    async fn explain(&self, question: Question) -> Answer<Explanation> {
        self.enforcer
            .view()
            .judging()
            .ok_or(AnswerError::NoPolicy)?;
        let question = wire::question(question)?;
        Ok(wire::explanation(self.enforcer.explain(question).await??))
    }

    async fn detach(&self) -> Answer<Detached> {
        let interfaces = self.enforcer.change(Enforcer::detach).await??;
        info!(?interfaces, "detached by request, ending");
        // One waits for signals, one serves: both are told.
        self.end.notify_waiters();
        Ok(Detached { interfaces })
    }
}

/// The session that a request came from, with how its packets arrive.
async fn arriving(
    session: Option<manoward_api::Session>,
    interfaces: &Interfaces,
) -> Option<Session> {
    Session::over(session?.into(), interfaces).await
}
