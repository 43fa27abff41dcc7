// SPDX-License-Identifier: GPL-2.0-only

//! The kernel's leak detector: `Documentation/dev-tools/kmemleak.rst`.

use std::{fs, path::Path, thread, time::Duration};

use anyhow::{Context, Result, bail};

const FILE: &str = "/sys/kernel/debug/kmemleak";

/// It tells the time as the detector does.
const TIME: &str = "/proc/timer_list";

/// How old memory must be to be called leaked, and a little more.
const AGE: Duration = Duration::from_millis(5500);

/// What leaks in these functions of the kernel is its own fault:
///
/// - Linux 7.2 keeps the reason why a device was not probed yet, also when the device goes
///   without ever having been on the list of those that wait.
/// - Where the kernel frees devices late, to find who counts on it, it takes the nodes of an
///   overlay of the device tree too early, and keeps them.
const KNOWN: [&str; 3] = [
    "device_set_deferred_probe_reason+",
    "__of_node_dup+",
    "__of_prop_dup+",
];

/// Whether this kernel has one.
pub fn available() -> bool {
    Path::new(FILE).exists()
}

/// A test that has begun.
pub struct Begun {
    pub test: &'static str,
    /// The kernel's time, in jiffies.
    at: u64,
    /// Whether what it has leaked is no fault.
    pub may_leak: bool,
}

impl Begun {
    /// `test` begins now.
    ///
    /// # Errors
    ///
    /// When the kernel does not tell the time.
    pub fn now(test: &'static str) -> Result<Self> {
        let at = match available() {
            true => {
                let text = fs::read_to_string(TIME).context(TIME)?;
                jiffies(&text, "jiffies: ").context(TIME)?
            }
            false => 0,
        };
        Ok(Self {
            test,
            at,
            may_leak: false,
        })
    }
}

/// Fails when memory has leaked; the error is the detector's report, which says
/// which of the tests that have `begun` allocated it.
///
/// It looks twice, because it takes what has changed since the last time for
/// used, and believes nothing that is younger than five seconds.
pub fn check(begun: &[Begun]) -> Result<()> {
    let scan = || fs::write(FILE, "scan").context(FILE);
    scan()?;
    thread::sleep(AGE);
    scan()?;
    let report = fs::read_to_string(FILE).context(FILE)?;
    // The next time it tells only what is new.
    fs::write(FILE, "clear").context(FILE)?;
    let report = blame(&report, begun);
    if report.is_empty() {
        return Ok(());
    }
    bail!("{report}")
}

/// Adds to each object of `report` the test that ran when it was allocated, and leaves
/// out those of tests that may leak, and those that are [`KNOWN`].
fn blame(report: &str, begun: &[Begun]) -> String {
    let mut objects: Vec<Vec<&str>> = Vec::new();
    for line in report.lines() {
        match objects.last_mut() {
            Some(object) if !line.starts_with("unreferenced object") => object.push(line),
            _ => objects.push(vec![line]),
        }
    }
    let is_new = |object: &Vec<&str>| {
        let mut lines = object.iter();
        !lines.any(|line| KNOWN.iter().any(|known| line.contains(known)))
    };
    let objects = objects.into_iter().filter(is_new).filter_map(|object| {
        let at = object.iter().find_map(|line| allocated(line));
        let test = at.and_then(|at| begun.iter().rev().find(|begun| begun.at <= at));
        let lines = object.into_iter().map(|line| match test {
            Some(Begun { test, .. }) if allocated(line).is_some() => {
                format!("{line} (during {test})")
            }
            _ => line.to_owned(),
        });
        let forgiven = test.is_some_and(|begun| begun.may_leak);
        (!forgiven).then(|| lines.collect::<Vec<_>>().join("\n"))
    });
    objects.collect::<Vec<_>>().join("\n")
}

/// When the memory was allocated that `line` is about: `comm "insmod", pid 7,
/// jiffies 4294892400`.
fn allocated(line: &str) -> Option<u64> {
    jiffies(line, ", jiffies ")
}

/// The number after `name`.
fn jiffies(text: &str, name: &str) -> Option<u64> {
    let (_, rest) = text.split_once(name)?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "\
unreferenced object 0xffff888004f0a800 (size 1024):
  comm \"lkmpg-guest\", pid 52, jiffies 4294893152
  hex dump";

    fn begun(test: &'static str, at: u64, may_leak: bool) -> Begun {
        Begun { test, at, may_leak }
    }

    fn blamed(report: &str, may_leak: bool) -> String {
        let begun = [
            begun("greets", 4294893152, may_leak),
            begun("reload", 4294893200, false),
        ];
        blame(report, &begun)
    }

    #[test]
    fn a_leak_is_blamed_on_the_test_that_ran() {
        let text = blamed(REPORT, false);
        assert_eq!(text.lines().count(), 3);
        let line = text.lines().nth(1).unwrap();
        assert!(line.ends_with("jiffies 4294893152 (during greets)"));
        // What was allocated before is nobody's.
        let early = REPORT.replace("4294893152", "4294893151");
        assert_eq!(blamed(&early, false), early);
    }

    #[test]
    fn some_leaks_are_known() {
        let known = format!("{REPORT}\n    device_set_deferred_probe_reason+0x4a/0xe0");
        assert_eq!(blamed(&known, false), "");
        let new = format!("{known}\n{REPORT}");
        assert_eq!(blamed(&new, false), blamed(REPORT, false));
    }

    #[test]
    fn a_test_may_leak() {
        assert_eq!(blamed(REPORT, true), "");
        // Later another one ran.
        let late = REPORT.replace("4294893152", "4294893200");
        let text = blamed(&format!("{REPORT}\n{late}"), true);
        assert_eq!(text.lines().count(), 3);
        assert!(text.contains("(during reload)"));
    }
}
