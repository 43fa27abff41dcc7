// SPDX-License-Identifier: GPL-2.0-only

//! The kernel's leak detector: `Documentation/dev-tools/kmemleak.rst`.

use std::{fs, path::Path, thread, time::Duration};

use anyhow::{Context, Result, bail};
use rustix::time::{ClockId, clock_getres, clock_gettime};

const FILE: &str = "/sys/kernel/debug/kmemleak";

/// How old memory must be to be called leaked, and a little more.
const AGE: Duration = Duration::from_millis(5500);

/// Whether this kernel has one.
pub fn available() -> bool {
    Path::new(FILE).exists()
}

/// How long ago the kernel was started.
pub fn uptime() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    Duration::try_from(now).unwrap_or_default()
}

/// Fails when memory has leaked; the error is the detector's report, which says
/// which of the tests that `begun` at a time allocated it.
///
pub fn check(begun: &[(&str, Duration)]) -> Result<()> {
    let report = leaked()?;
    if report.is_empty() {
        return Ok(());
    }
    let tick = Duration::try_from(clock_getres(ClockId::MonotonicCoarse)).unwrap_or_default();
    bail!("{}", blame(&report, begun, tick))
}

/// What has leaked, told once: the detector forgets it.
///
/// It looks twice, because it takes what has changed since the last time for
/// used, and believes nothing that is younger than five seconds.
pub fn leaked() -> Result<String> {
    let scan = || fs::write(FILE, "scan").context(FILE);
    scan()?;
    thread::sleep(AGE);
    scan()?;
    let report = fs::read_to_string(FILE).context(FILE)?;
    fs::write(FILE, "clear").context(FILE)?;
    Ok(report)
}

/// Adds to each line of `report` that has a time the test that ran then.
fn blame(report: &str, begun: &[(&str, Duration)], tick: Duration) -> String {
    let lines = report.lines().map(|line| {
        let test =
            allocated(line, tick).and_then(|at| begun.iter().rev().find(|(_, begin)| *begin <= at));
        match test {
            Some((test, _)) => format!("{line} (during {test})"),
            None => line.to_owned(),
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// When the memory was allocated that `line` is about: `comm "insmod", pid 7,
/// jiffies 4294892400`. The kernel counts from five minutes before it wraps
/// round at 32 bits.
fn allocated(line: &str, tick: Duration) -> Option<Duration> {
    let (_, jiffies) = line.split_once(", jiffies ")?;
    let jiffies: u64 = jiffies.split(' ').next()?.parse().ok()?;
    let jiffies = Duration::from_secs_f64(jiffies as f64 * tick.as_secs_f64());
    let wrap = Duration::from_secs_f64((1u64 << 32) as f64 * tick.as_secs_f64());
    (jiffies + Duration::from_secs(300)).checked_sub(wrap)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leak_is_blamed_on_the_test_that_ran() {
        let begun = [
            ("greets", Duration::from_secs(3)),
            ("reload", Duration::from_secs(5)),
        ];
        let report = "unreferenced object 0xffff888004f0a800 (size 1024):\n  \
                      comm \"lkmpg-guest\", pid 52, jiffies 4294893152\n  hex dump";
        let blame = |tick| blame(report, &begun, Duration::from_millis(tick));
        let line = |text: String| text.lines().nth(1).unwrap().to_owned();
        // 250 a second: 3.424 s after the boot.
        let text = blame(4);
        assert_eq!(text.lines().count(), 3);
        assert!(line(text).ends_with("jiffies 4294893152 (during greets)"));
        // What was allocated before is nobody's.
        let early = report.replace("4294893152", "4294892400");
        let text = super::blame(&early, &begun, Duration::from_millis(4));
        assert!(line(text).ends_with("jiffies 4294892400"));
    }
}
