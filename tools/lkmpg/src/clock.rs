// SPDX-License-Identifier: GPL-2.0-only

use std::{
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

/// How long to count.
const SPAN: Duration = Duration::from_millis(20);

/// How fast this machine's time stamp counter runs, in kHz; `None` when there
/// is no such counter.
pub fn tsc_khz() -> Option<u64> {
    static KHZ: OnceLock<Option<u64>> = OnceLock::new();
    *KHZ.get_or_init(|| {
        let (begin, first) = moment()?;
        thread::sleep(SPAN);
        let (end, last) = moment()?;
        let nanos = u64::try_from((end - begin).as_nanos()).ok()?;
        last.checked_sub(first)?
            .checked_mul(1_000_000)?
            .checked_div(nanos)
    })
}

/// The time, and the counter at that time: of several tries that with the least
/// in between, as a process can be interrupted anywhere.
fn moment() -> Option<(Instant, u64)> {
    let tries = (0..8).filter_map(|_| {
        let (before, now, after) = (counter()?, Instant::now(), counter()?);
        Some((after.wrapping_sub(before), now, before))
    });
    let (_, now, count) = tries.min_by_key(|(between, ..)| *between)?;
    Some((now, count))
}

#[cfg(target_arch = "x86_64")]
fn counter() -> Option<u64> {
    // SAFETY: the instruction reads a register. Every x86-64 has it, and Linux
    // allows it.
    Some(unsafe { std::arch::x86_64::_rdtsc() })
}

#[cfg(not(target_arch = "x86_64"))]
fn counter() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn the_counter_runs_at_a_plausible_speed() {
        let khz = tsc_khz().unwrap();
        assert!((100_000..20_000_000).contains(&khz), "{khz} kHz");
    }
}
