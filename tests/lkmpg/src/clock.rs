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
        let (since, first) = (Instant::now(), counter()?);
        thread::sleep(SPAN);
        let (span, last) = (since.elapsed(), counter()?);
        let nanos = u64::try_from(span.as_nanos()).ok()?;
        last.checked_sub(first)?
            .checked_mul(1_000_000)?
            .checked_div(nanos)
    })
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
