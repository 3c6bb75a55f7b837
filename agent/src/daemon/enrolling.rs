//! Lets endpoints prove who they are.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use tokio::{
    sync::{Notify, mpsc},
    task::JoinHandle,
};
use tracing::{info, warn};

use crate::{
    config::Enrolment,
    datapath::leases::LeaseTable,
    enforcer::Handle,
    enrolment::{self, MarkKey},
    leases::{Closing, Registry},
    store::leases::LeaseStore,
};

/// Time between two attempts to use certificate files, and between two looks at how they are.
const ENROLMENT_RETRY: Duration = Duration::from_secs(5);

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
    Ok(Some(tokio::spawn(serve_enrolments(
        config, mark, registry, closed, end,
    ))))
}

/// Serves endpoints that prove who they are. Files that cannot be used are tried again, as nothing
/// else depends on them.
async fn serve_enrolments(
    config: Enrolment,
    mark: MarkKey,
    registry: Arc<Registry>,
    mut closed: mpsc::UnboundedReceiver<Closing>,
    end: Arc<Notify>,
) {
    let ended = end.notified();
    tokio::pin!(ended);
    let server = loop {
        match enrolment::Server::start(enrolment_config(&config, mark), registry.clone()) {
            Ok(server) => break server,
            Err(error) => {
                warn!(%error, "endpoints cannot prove who they are; trying again");
                registry.set_problems(vec![format!(
                    "endpoints cannot prove who they are: {error}"
                )]);
            }
        }
        tokio::select! {
            () = &mut ended => return,
            () = tokio::time::sleep(ENROLMENT_RETRY) => {}
        }
    };
    info!(port = config.port, "endpoints may prove who they are");
    let mut looking = tokio::time::interval(ENROLMENT_RETRY);
    loop {
        tokio::select! {
            () = &mut ended => break,
            _ = looking.tick() => {
                registry.watch();
                registry.set_problems(server.problems());
            }
            closing = closed.recv() => match closing {
                Some((session, why)) => {
                    server.close(session, why);
                }
                None => break,
            },
        }
    }
    server.shutdown().await;
}

fn enrolment_config(config: &Enrolment, mark: MarkKey) -> enrolment::Config {
    let files = enrolment::Files {
        certificate: config.certificate.clone(),
        key: config.key.clone(),
        ca: config.ca.clone(),
        crls: config.crls.clone(),
        stale_crl: enrolment::StaleCrl::default(),
    };
    let any: [IpAddr; 2] = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
    enrolment::Config {
        mark,
        listen: any.map(|any| SocketAddr::new(any, config.port)).to_vec(),
        ..enrolment::Config::new(files)
    }
}
