//! Waiting for a condition instead of for a time.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Time between two checks of a condition.
const POLL: Duration = Duration::from_millis(10);

/// Asks until the answer is the wanted one, and names the last answer if it never is.
pub fn until<T: PartialEq + std::fmt::Debug>(
    wanted: &T,
    timeout: Duration,
    mut ask: impl FnMut() -> Result<T>,
) -> Result<()> {
    let deadline = Instant::now() + timeout;
    loop {
        let answer = ask()?;
        if answer == *wanted {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("after {timeout:?} it is {answer:?}, and not {wanted:?}");
        }
        thread::sleep(POLL);
    }
}
