//! The enforcer as the other tasks reach it: three ways that do not wait for each other.
//!
//! A change of what is enforced has a thread, and so have explanations, as each of both is done one
//! after the other. Who only looks takes the latest [`View`].

use std::{convert::Infallible, sync::Arc};

use super::{
    AnswerError, Board, Enforcer, Explainers, Explanation, Observer, StartError, View, session,
};
use crate::{
    config::Config,
    datapath::{Pins, interface::Interfaces},
    explain::Question,
    worker::{Panicked, Worker},
};

/// A hold on the enforcer.
#[derive(Clone)]
pub struct Handle {
    enforcer: Arc<Worker<Enforcer>>,
    explainers: Arc<Worker<Explainers>>,
    observer: Arc<Observer>,
    board: Board,
}

impl Handle {
    /// Starts enforcing; see [`Enforcer::start`].
    ///
    /// # Errors
    ///
    /// [`StartError`].
    pub async fn start(config: Config, interfaces: Interfaces) -> Result<Self, StartError> {
        let open = session::open(&interfaces).await;
        let start = move || Enforcer::start(config, interfaces, &open);
        let enforcer = Worker::start("enforcer", start)
            .await
            .map_err(StartError::Thread)??;
        let (board, observer, explainers) = enforcer
            .run(|enforcer| {
                let explainers = enforcer.explainers();
                (enforcer.board(), enforcer.observer(), explainers)
            })
            .await?;
        let explainers = move || Ok::<_, Infallible>(explainers);
        let Ok(explainers) = Worker::start("explainers", explainers)
            .await
            .map_err(StartError::Thread)?;
        Ok(Self {
            enforcer: Arc::new(enforcer),
            explainers: Arc::new(explainers),
            observer: Arc::new(observer?),
            board,
        })
    }

    /// What is enforced now.
    #[must_use]
    pub fn view(&self) -> Arc<View> {
        self.board.view()
    }

    /// Where everything is pinned.
    #[must_use]
    pub fn pins(&self) -> &Pins {
        &self.observer.pins
    }

    /// Where packets are explained, one after the other.
    #[must_use]
    pub fn explainers(&self) -> &Worker<Explainers> {
        &self.explainers
    }

    /// Does what changes what is enforced, after all that was asked for before.
    ///
    /// # Errors
    ///
    /// Work that panics.
    pub async fn change<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Enforcer) -> R + Send + 'static,
    ) -> Result<R, Panicked> {
        self.enforcer.run(work).await
    }

    /// Does what looks at the kernel's maps, beside everything else.
    ///
    /// # Errors
    ///
    /// Work that panics.
    pub async fn observe<R: Send + 'static>(
        &self,
        work: impl FnOnce(&Observer, &View) -> R + Send + 'static,
    ) -> Result<R, Panicked> {
        let (observer, view) = (Arc::clone(&self.observer), self.view());
        let working = tokio::task::spawn_blocking(move || work(&observer, &view));
        Ok(working.await?)
    }

    /// Explains what happens to the packet in `question`.
    ///
    /// A change may get in between the two verdicts. If they disagree then, the question is asked
    /// again when the change is complete.
    ///
    /// # Errors
    ///
    /// Work that panics.
    pub async fn explain(
        &self,
        question: Question,
    ) -> Result<Result<Explanation, AnswerError>, Panicked> {
        let question = Arc::new(question);
        let mut board = self.board.clone();
        loop {
            let view = board.view();
            let (asked, by) = (Arc::clone(&question), Arc::clone(&view));
            let ask = move |explainers: &mut Explainers| explainers.explain(&by, &asked);
            let answer = self.explainers.run(ask).await?;
            let disagrees = matches!(answer, Err(AnswerError::Disagreement { .. }));
            if !disagrees || board.still_shows(&view) {
                return Ok(answer);
            }
            board.settled().await;
        }
    }
}
