//! A pool of loaded judges, which tests use one after another.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::judges::Judges;

/// Judges that go back to the pool when they are dropped.
pub struct Pooled(Option<Judges>);

impl From<Judges> for Pooled {
    fn from(judges: Judges) -> Self {
        Self(Some(judges))
    }
}

impl Deref for Pooled {
    type Target = Judges;

    fn deref(&self) -> &Judges {
        self.0.as_ref().expect("judges are there until dropped")
    }
}

impl DerefMut for Pooled {
    fn deref_mut(&mut self) -> &mut Judges {
        self.0.as_mut().expect("judges are there until dropped")
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        pool().extend(self.0.take());
    }
}

/// The judges that are not in use.
pub(super) fn pool() -> MutexGuard<'static, Vec<Judges>> {
    static POOL: Mutex<Vec<Judges>> = Mutex::new(Vec::new());
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}
