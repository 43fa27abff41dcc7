// SPDX-License-Identifier: GPL-2.0-only

//! Finds the kernel's complaints in its log.

use crate::Line;

/// How many lines of the log an error quotes from a complaint on, and how many of
/// those that are logged last.
const QUOTED: (usize, usize) = (100, 200);

/// Signs of trouble in the kernel log.
const TROUBLE: [&str; 32] = [
    "BUG:",
    "DEBUG_LOCKS_WARN_ON",
    "Dead loop on virtual device",
    "INFO: possible",
    "INFO: trying to register non-static key",
    "KASAN:",
    "KCSAN:",
    "KFENCE:",
    "Kernel panic",
    "ODEBUG:",
    "Oops:",
    "UBSAN:",
    "WARNING:",
    "asks to queue packet",
    "cannot create duplicate filename",
    "double free",
    "exceeding its budget",
    "general protection",
    "inconsistent lock state",
    "kernel stack overflow",
    "kobject_add_internal failed",
    "leaking at least",
    "list_add corruption",
    "list_del corruption",
    "panicked at",
    "refcount_t:",
    "scheduling while atomic",
    "sleeping function called",
    "suspicious RCU usage",
    "tried to add an uninitialized object",
    "tried to init an initialized object",
    "unable to handle",
];

/// What the kernel logs when something took long by its clock, which goes on while
/// the host lets a VM stand still. It is the cause when a test hangs; a test that
/// passes was only slow.
const SLOWNESS: [&str; 6] = [
    "BUG: soft lockup",
    "BUG: workqueue lockup",
    "INFO: rcu",
    "INFO: task",
    "self-detected stall",
    "unregister_netdevice: waiting for",
];

/// What a complaint of SLUB's begins with, unlike all others without a colon:
/// `BUG kmalloc-64 (Tainted: G O): Poison overwritten`.
const SLUB: &str = "BUG ";

/// The kernel's complaint, with what it logged after it.
#[derive(Debug, Eq, PartialEq)]
pub enum Trouble {
    /// Something is wrong.
    Fault(String),
    /// Something took long.
    Slowness(String),
}

/// The first complaint of a fault among `lines`, or else of slowness.
pub fn find(lines: &[Line]) -> Option<Trouble> {
    let from = |is: fn(&Line) -> bool| lines.iter().position(is).map(|at| quote(&lines[at..]));
    let fault = from(is_fault).map(Trouble::Fault);
    fault.or_else(|| from(is_slowness).map(Trouble::Slowness))
}

/// What is logged while a lock of the scheduler's or the console's is held makes
/// lockdep complain of the lock first, at length. The cause comes after that.
fn quote(lines: &[Line]) -> String {
    let texts: Vec<_> = lines.iter().map(|line| line.text.as_str()).collect();
    let (first, last) = QUOTED;
    let left = texts.len().saturating_sub(first + last);
    if left == 0 {
        return texts.join("\n");
    }
    let more = format!("... {left} more lines ...");
    let (begin, rest) = texts.split_at(first);
    [begin, &[&more], &rest[left..]].concat().join("\n")
}

fn is_slowness(line: &Line) -> bool {
    SLOWNESS.iter().any(|sign| line.text.contains(sign))
}

fn is_fault(line: &Line) -> bool {
    let text = &line.text;
    let said = text.starts_with(SLUB) || TROUBLE.iter().any(|sign| text.contains(sign));
    said && !is_slowness(line)
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
            "BUG kmalloc-64 (Tainted: G           O      ): Poison overwritten",
            "Virtual device net0 asks to queue packet!",
            "kobject (000000004f1c83d1): tried to init an initialized object, something is wrong.",
        ] {
            let found = find(&lines(&["rcu: INFO: rcu_sched detected stalls", trouble]));
            assert_eq!(found, Some(Trouble::Fault(trouble.to_owned())));
        }
        for slowness in [
            "INFO: task sh:1 blocked for more than 120 seconds.",
            "BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 40s!",
            "watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [sh:1]",
            "rcu: INFO: rcu_sched self-detected stall on CPU",
            "rcu: INFO: rcu_sched detected stalls on CPUs/tasks:",
            "unregister_netdevice: waiting for net0 to become free. Usage count = 2",
        ] {
            let found = find(&lines(&[slowness]));
            assert_eq!(found, Some(Trouble::Slowness(slowness.to_owned())));
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
        let report = "BUG: x\nCall Trace:\n f+0x1/0x2".to_owned();
        assert_eq!(find(&log), Some(Trouble::Fault(report)));
        let count = QUOTED.0 + QUOTED.1;
        let many = [&["BUG: x"], vec!["y"; count].as_slice(), &["the cause"]].concat();
        let many = quote(&lines(&many));
        assert!(many.contains("\ny\n... 2 more lines ...\ny\n"), "{many}");
        assert!(many.ends_with("\ny\nthe cause"), "{many}");
        assert_eq!(many.lines().count(), count + 1);
    }
}
