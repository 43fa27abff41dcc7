// SPDX-License-Identifier: GPL-2.0-only

//! How many VMs run at a time.

use std::{
    fs,
    num::NonZero,
    panic::resume_unwind,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use anyhow::Result;

use crate::{cli::RunOptions, source::Kernel};

/// How many to run at a time with `kernel`.
pub fn count(options: &RunOptions, kernel: Kernel) -> usize {
    if let Some(jobs) = options.jobs {
        return jobs.get() as usize;
    }
    let cpus = thread::available_parallelism().map_or(1, NonZero::get);
    kernel.jobs(cpus, free_memory().unwrap_or(0))
}

/// How much memory is to be had without swapping, in bytes.
fn free_memory() -> Option<u64> {
    let meminfo = fs::read_to_string("/proc/meminfo").ok()?;
    let mut lines = meminfo.lines();
    let line = lines.find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib << 10)
}

/// Calls `work` with each number below `count`, in order, `jobs` at a time.
///
/// After an error no more is begun: it is not a module's fault, and the others
/// would fare no better.
pub fn run(count: usize, jobs: usize, work: impl Fn(usize) -> Result<()> + Sync) -> Result<()> {
    let next = AtomicUsize::new(0);
    let worker = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return Ok(());
            }
            if let Err(error) = work(index) {
                next.store(count, Ordering::Relaxed);
                return Err(error);
            }
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs.min(count)).map(|_| scope.spawn(worker)).collect();
        let mut results = workers.into_iter().map(|worker| worker.join());
        results.try_for_each(|result| result.unwrap_or_else(|panic| resume_unwind(panic)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn everything_is_done_once() {
        let done = Mutex::new(Vec::new());
        let work = |index| {
            done.lock().unwrap().push(index);
            Ok(())
        };
        run(9, 3, work).unwrap();
        let mut done = done.into_inner().unwrap();
        done.sort_unstable();
        assert_eq!(done, (0..9).collect::<Vec<_>>());
    }

    #[test]
    fn an_error_ends_it() {
        let begun = AtomicUsize::new(0);
        let work = |_| {
            begun.fetch_add(1, Ordering::Relaxed);
            anyhow::bail!("no disk")
        };
        let error = run(9, 1, work).unwrap_err();
        assert_eq!(error.to_string(), "no disk");
        assert_eq!(begun.into_inner(), 1);
    }
}
