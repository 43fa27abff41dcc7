// SPDX-License-Identifier: GPL-2.0-only

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
};

use anyhow::Result;

/// Calls `what` on `count` threads at once, with their numbers from 0 on, and
/// returns what they return, in that order.
///
/// # Errors
///
/// That of the first which fails.
///
/// # Panics
///
/// When one does.
pub fn on_threads<T: Send>(count: u32, what: impl Fn(u32) -> Result<T> + Sync) -> Result<Vec<T>> {
    thread::scope(|scope| {
        let what = &what;
        let threads: Vec<_> = (0..count).map(|n| scope.spawn(move || what(n))).collect();
        let results = threads.into_iter().map(|thread| thread.join());
        results
            .map(|result| result.unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    })
}

/// Calls `what` while `count` threads call `others` again and again, each at least once.
///
/// # Errors
///
/// That of `what`, or of the first thread which fails. One that fails calls no more.
///
/// # Panics
///
/// When one of them does. The threads end even so.
pub fn while_others<T>(
    count: u32,
    others: impl Fn() -> Result<()> + Sync,
    what: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let over = AtomicBool::new(false);
    let go_on = || -> Result<()> {
        loop {
            others()?;
            if over.load(Relaxed) {
                return Ok(());
            }
        }
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|_| scope.spawn(go_on)).collect();
        let result = catch_unwind(AssertUnwindSafe(what));
        over.store(true, Relaxed);
        let others: Result<()> = threads
            .into_iter()
            .try_for_each(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
        let result = result.unwrap_or_else(|panic| resume_unwind(panic))?;
        others.map(|()| result)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thread_has_its_say() {
        assert_eq!(on_threads(3, |n| Ok(n * n)).unwrap(), [0, 1, 4]);
        let result = on_threads(3, |n| {
            if n == 1 {
                Err(anyhow::anyhow!("no"))
            } else {
                Ok(n)
            }
        });
        assert_eq!(result.unwrap_err().to_string(), "no");
    }

    #[test]
    fn the_others_end_in_any_case() {
        let idle = || Ok(());
        assert_eq!(while_others(2, idle, || Ok(3)).unwrap(), 3);
        let panics = || -> Result<()> { panic!("on purpose") };
        let result = catch_unwind(|| while_others(2, idle, panics));
        assert_eq!(result.unwrap_err().downcast_ref(), Some(&"on purpose"));
        let error = while_others(1, || Err(anyhow::anyhow!("no")), || Ok(()));
        assert_eq!(error.unwrap_err().to_string(), "no");
    }
}
