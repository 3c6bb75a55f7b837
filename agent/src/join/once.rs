//! Enrols at each host once.

use std::sync::Arc;

use futures_util::{StreamExt as _, stream};

use super::{
    Credentials, HostStatus, JoinError, Options, Status, TURNS,
    board::Board,
    connect::{self, Sockets},
};

/// Enrols at each host once, reports each answer as it arrives, and closes the sessions.
///
/// # Errors
///
/// Only if no host can be asked at all; the answers of hosts are in the status.
pub async fn once(
    options: &Options,
    report: impl Fn(&HostStatus) + Send + Sync + 'static,
) -> Result<Status, JoinError> {
    let credentials = Credentials::read(&options.files)?;
    let hosts = options.hosts.read()?;
    let bind = options.bind;
    let sockets = Sockets::open(bind).map_err(|source| JoinError::Socket { bind, source })?;
    let board = Board::new(Box::new(report));
    let hosts: Vec<_> = hosts.into_iter().map(Arc::new).collect();
    for host in &hosts {
        board.add(host);
    }
    let (sockets_of_all, credentials_of_all, board_of_all) = (&sockets, &credentials, &board);
    stream::iter(&hosts)
        .for_each_concurrent(TURNS, |host| async move {
            match connect::enrol(sockets_of_all, credentials_of_all, host).await {
                Ok(session) => {
                    board_of_all.granted(host, &session.granted);
                    session.close();
                }
                Err(failure) => board_of_all.failed(host, &failure),
            }
        })
        .await;
    let _ = tokio::time::timeout(super::GOODBYE, sockets.wait_idle()).await;
    Ok(board.status(credentials.certificate()))
}
