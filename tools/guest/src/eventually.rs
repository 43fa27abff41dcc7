// SPDX-License-Identifier: GPL-2.0-only

//! Waiting for what comes sooner or later.

use std::{thread, time::Duration};

use anyhow::{Result, ensure};

/// How long [`eventually`] waits: long, for a VM that shares its CPU with many.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// What a test sets where the kernel counts the time, as for a read from a socket:
/// much more than the host ever lets a VM stand still.
pub const TIMEOUT: Duration = Duration::from_secs(300);

/// The pause after the first look. Each further one is twice as long ...
const FIRST_PAUSE: Duration = Duration::from_millis(1);

/// ... but none is longer than this.
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// Waits up to two minutes until `condition` holds; `what` names it in the error.
///
/// # Errors
///
/// When it did not come to hold.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) -> Result<()> {
    let holds = within(PATIENCE, || anyhow::Ok(condition()))?;
    ensure!(holds, "waited {} s in vain for {what}", PATIENCE.as_secs());
    Ok(())
}

/// Waits until `condition` holds, but no longer than `patience`. Returns whether
/// it came to hold. An error of `condition` ends the wait.
///
/// Only the pauses count, each for as long as it was meant to be: a VM that its
/// host lets stand still for a minute finds a minute gone on its clock, in which
/// nothing in it had the time to do its part.
pub(crate) fn within<E>(
    patience: Duration,
    mut condition: impl FnMut() -> Result<bool, E>,
) -> Result<bool, E> {
    let mut waited = Duration::ZERO;
    let mut pause = FIRST_PAUSE;
    while !condition()? {
        if waited >= patience {
            return Ok(false);
        }
        thread::sleep(pause);
        waited += pause;
        pause = LONGEST_PAUSE.min(2 * pause);
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_looks_until_the_condition_holds() {
        let mut looks = 0;
        let third = || {
            looks += 1;
            looks == 3
        };
        eventually("the third look", third).unwrap();
        assert_eq!(looks, 3);
    }

    #[test]
    fn patience_ends() {
        assert!(!within(Duration::ZERO, || anyhow::Ok(false)).unwrap());
    }

    #[test]
    fn standing_still_is_no_wait() {
        let mut looks = 0;
        let holds = within(Duration::from_millis(7), || {
            looks += 1;
            // As if there were no CPU.
            thread::sleep(Duration::from_millis(10));
            anyhow::Ok(false)
        });
        assert!(!holds.unwrap());
        // Pauses of 1, 2 and 4 ms.
        assert_eq!(looks, 4);
    }

    #[test]
    fn an_error_ends_the_wait() {
        assert_eq!(within(PATIENCE, || Err("no")), Err("no"));
    }
}
