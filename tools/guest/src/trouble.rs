// SPDX-License-Identifier: GPL-2.0-only

//! Finds the kernel's complaints in its log.

use crate::Line;

/// How many lines of the log an error quotes.
const QUOTED: usize = 80;

/// Signs of trouble in the kernel log.
const TROUBLE: [&str; 33] = [
    "BUG:",
    "DEBUG_LOCKS_WARN_ON",
    "INFO: possible",
    "INFO: rcu",
    "INFO: task",
    "INFO: trying to register non-static key",
    "KASAN:",
    "KCSAN:",
    "KFENCE:",
    "Kernel panic",
    "ODEBUG:",
    "Oops:",
    "UBSAN:",
    "WARNING:",
    "cannot create duplicate filename",
    "double free",
    "general protection",
    "inconsistent lock state",
    "kernel stack overflow",
    "kobject_add_internal failed",
    "leaking at least",
    "list_add corruption",
    "list_del corruption",
    "panicked at",
    "refcount_t:",
    "rcu_sched self-detected stall",
    "scheduling while atomic",
    "sleeping function called",
    "soft lockup",
    "suspicious RCU usage",
    "tried to add an uninitialized object",
    "tried to init an initialized object",
    "unable to handle",
];

/// The first complaint among `lines`, with what the kernel logged after it.
pub fn find(lines: &[Line]) -> Option<String> {
    let first = lines.iter().position(is_trouble)?;
    let rest = &lines[first..];
    let quoted = rest.iter().take(QUOTED).map(|line| line.text.as_str());
    let mut text: Vec<_> = quoted.collect();
    let left = rest.len().saturating_sub(QUOTED);
    let more = format!("... and {left} more lines");
    if left > 0 {
        text.push(&more);
    }
    Some(text.join("\n"))
}

/// What a complaint of SLUB's begins with, unlike all others without a colon:
/// `BUG kmalloc-64 (Tainted: G O): Poison overwritten`.
const SLUB: &str = "BUG ";

fn is_trouble(line: &Line) -> bool {
    line.text.starts_with(SLUB) || TROUBLE.iter().any(|sign| line.text.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(texts: &[&str]) -> Vec<Line> {
        let line = |text: &&str| Line {
            sequence: 0,
            micros: 0,
            level: 4,
            text: (*text).to_owned(),
        };
        texts.iter().map(line).collect()
    }

    #[test]
    fn trouble_is_told_from_chatter() {
        for trouble in [
            "WARNING: CPU: 0 PID: 1 at init.c:3",
            "BUG: KASAN: slab-use-after-free in f",
            "INFO: task sh:1 blocked for more than",
            "BUG kmalloc-64 (Tainted: G           O      ): Poison overwritten",
            "kobject (000000004f1c83d1): tried to init an initialized object, something is wrong.",
        ] {
            assert_eq!(find(&lines(&[trouble])), Some(trouble.to_owned()));
        }
        for chatter in [
            "hello_1: loading out-of-tree module taints kernel.",
            "rcu: Hierarchical RCU implementation.",
            "hello_1: no BUG here",
            "kmemleak: Kernel memory leak detector initialized",
        ] {
            assert_eq!(find(&lines(&[chatter])), None);
        }
    }

    #[test]
    fn a_report_is_quoted_from_its_beginning() {
        let log = lines(&["hello", "BUG: x", "Call Trace:", " f+0x1/0x2"]);
        let report = find(&log).unwrap();
        assert_eq!(report, "BUG: x\nCall Trace:\n f+0x1/0x2");
        let many = find(&lines(&["BUG: x"; QUOTED + 2])).unwrap();
        assert!(many.ends_with("BUG: x\n... and 2 more lines"), "{many}");
    }
}
