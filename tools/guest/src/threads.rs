// SPDX-License-Identifier: GPL-2.0-only

use std::thread;

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
            .map(|result| result.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
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
}
