//! Lets endpoints prove who they are.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use tokio::{
    sync::{Notify, mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};

use crate::{
    config::Enrolment,
    datapath::leases::LeaseTable,
    enforcer::Handle,
    enrolment::{self, MarkKey},
    leases::{Closing, Registry},
    prover,
    store::leases::LeaseStore,
};

/// Time between two looks at whether the port is flooded.
const LOOK: Duration = Duration::from_secs(5);
/// How long the start of the agent waits for the process that looks at proofs.
const BEGIN: Duration = Duration::from_secs(5);

/// Lets endpoints prove who they are, if the agent is to; until `end` is notified.
pub(super) async fn enrol(
    config: Option<Enrolment>,
    state: &Path,
    enforcer: &Handle,
    end: Arc<Notify>,
) -> anyhow::Result<Option<JoinHandle<()>>> {
    let Some(config) = config else {
        return Ok(None);
    };
    let mut table = LeaseTable::open(enforcer.pins()).context("cannot open the table of leases")?;
    let mark = table
        .renew_mark()
        .context("cannot give the programs a key")?;
    let (closings, closed) = mpsc::unbounded_channel();
    let term = Duration::from_secs(config.lease.into());
    let registry = Arc::new(Registry::new(
        table,
        LeaseStore::new(state),
        term,
        config.port,
        closings,
    ));
    let followed = Arc::clone(&registry);
    enforcer
        .change(|enforcer| enforcer.set_registry(followed))
        .await?;
    let (tell, told) = oneshot::channel();
    let serving = serve_enrolments(config, mark, registry, closed, tell, end);
    let serving = tokio::spawn(serving);
    // Whoever sees that the agent answers may enrol, unless its files are at fault.
    let _ = timeout(BEGIN, told).await;
    Ok(Some(serving))
}

/// Has a process of its own look at proofs, and looks whether its port is flooded.
async fn serve_enrolments(
    config: Enrolment,
    mark: MarkKey,
    registry: Arc<Registry>,
    closed: mpsc::UnboundedReceiver<Closing>,
    begun: oneshot::Sender<()>,
    end: Arc<Notify>,
) {
    let settings = settings(&config, mark);
    let serving = prover::agent::keep(settings, registry.clone(), closed, begun, end.notified());
    tokio::pin!(serving);
    let mut looking = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            () = &mut serving => return,
            _ = looking.tick() => registry.watch(),
        }
    }
}

fn settings(config: &Enrolment, mark: MarkKey) -> prover::agent::Settings {
    let files = enrolment::Files {
        certificate: config.certificate.clone(),
        key: config.key.clone(),
        ca: config.ca.clone(),
        crls: config.crls.clone(),
        stale_crl: enrolment::StaleCrl::default(),
    };
    let any: [IpAddr; 2] = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
    let listen = any.map(|any| SocketAddr::new(any, config.port)).to_vec();
    prover::agent::Settings::new(listen, files, mark)
}
