//! A thread that owns something and does one piece of work on it after the other.
//!
//! What it owns needs no lock, and only those wait for a long piece of work that ask for the same
//! thing. Memory that the allocator keeps for a thread is kept once.

use std::{
    any::Any,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc,
    thread::{self, JoinHandle},
};

use thiserror::Error;
use tokio::{sync::oneshot, task::JoinError};

/// Why a piece of work has no result.
#[derive(Debug, Error)]
#[error("the work ended in a panic: {0}")]
pub struct Panicked(String);

impl From<JoinError> for Panicked {
    fn from(error: JoinError) -> Self {
        match error.try_into_panic() {
            Ok(panic) => Self(said(&*panic)),
            Err(error) => Self(error.to_string()),
        }
    }
}

type Work<T> = Box<dyn FnOnce(&mut T) + Send>;

/// A thread that owns a `T`. Dropping it waits for the work under way.
pub struct Worker<T> {
    work: Option<mpsc::Sender<Work<T>>>,
    thread: Option<JoinHandle<()>>,
}

impl<T: 'static> Worker<T> {
    /// Starts a thread that owns what `make` makes there, or ends with its error.
    ///
    /// # Errors
    ///
    /// A thread that cannot be started, or in which `make` panics.
    pub async fn start<E: Send + 'static>(
        name: &str,
        make: impl FnOnce() -> Result<T, E> + Send + 'static,
    ) -> io::Result<Result<Self, E>> {
        let (work, queue) = mpsc::channel::<Work<T>>();
        let (start, started) = oneshot::channel();
        let thread = thread::Builder::new().name(name.to_owned());
        let thread = thread.spawn(move || match make() {
            Ok(mut owned) => {
                let _ = start.send(Ok(()));
                while let Ok(work) = queue.recv() {
                    work(&mut owned);
                }
            }
            Err(error) => {
                let _ = start.send(Err(error));
            }
        })?;
        let panicked = |_| io::Error::other(format!("the thread `{name}` ended in a panic"));
        Ok(started.await.map_err(panicked)?.map(|()| Self {
            work: Some(work),
            thread: Some(thread),
        }))
    }

    /// Does `work` once all that was asked for before is done. Work that is no longer waited for
    /// when its turn comes is left out.
    ///
    /// # Errors
    ///
    /// Work that panics; what it was done on is used all the same.
    pub async fn run<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut T) -> R + Send + 'static,
    ) -> Result<R, Panicked> {
        let (done, result) = oneshot::channel();
        let work: Work<T> = Box::new(move |owned| {
            if !done.is_closed() {
                let work = AssertUnwindSafe(|| work(owned));
                let _ = done.send(catch_unwind(work).map_err(|panic| Panicked(said(&*panic))));
            }
        });
        let gone = || Panicked("its thread is gone".to_owned());
        let queue = self.work.as_ref().ok_or_else(gone)?;
        queue.send(work).map_err(|_| gone())?;
        result.await.map_err(|_| gone())?
    }
}

impl<T> Drop for Worker<T> {
    fn drop(&mut self) {
        self.work = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The message of a panic.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, sync::Arc};

    use super::*;

    async fn counter() -> Worker<u32> {
        let made = Worker::start("counter", || Ok::<_, Infallible>(0)).await;
        let Ok(worker) = made.expect("a thread");
        worker
    }

    #[tokio::test]
    async fn work_is_done_in_turn() {
        let worker = counter().await;
        for before in 0..3 {
            let add = |count: &mut u32| std::mem::replace(count, *count + 1);
            assert_eq!(worker.run(add).await.expect("done"), before);
        }
    }

    #[tokio::test]
    async fn a_panic_ends_the_work_but_not_the_worker() {
        let worker = counter().await;
        let panics = worker.run(|count| {
            *count = 7;
            assert_eq!(*count, 8, "wrong");
        });
        let error = panics.await.expect_err("a panic").to_string();
        assert!(error.contains("wrong"), "{error}");
        assert_eq!(worker.run(|count| *count).await.expect("done"), 7);
    }

    #[tokio::test]
    async fn what_cannot_be_made_is_told() {
        let made = Worker::<u32>::start("none", || Err("no")).await;
        assert_eq!(made.expect("a thread").err(), Some("no"));
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_is_left_out() {
        let worker = Arc::new(counter().await);
        let (go, wait) = mpsc::channel::<()>();
        let asked = Arc::clone(&worker);
        let first = tokio::spawn(async move { asked.run(move |_| wait.recv()).await });
        let asked = Arc::clone(&worker);
        let second = tokio::spawn(async move { asked.run(|count| *count = 9).await });
        // Both are asked for, in this order.
        tokio::task::yield_now().await;
        second.abort();
        assert!(second.await.expect_err("aborted").is_cancelled());
        go.send(()).expect("it waits");
        let received = first.await.expect("no panic").expect("done");
        assert_eq!(received, Ok(()));
        assert_eq!(worker.run(|count| *count).await.expect("done"), 0);
    }
}
