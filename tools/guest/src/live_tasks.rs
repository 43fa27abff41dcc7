// SPDX-License-Identifier: GPL-2.0-only

use std::fs;

/// In `flags` of a task: `include/linux/sched.h`.
const PF_EXITING: u32 = 4;

/// A process, or a thread of the kernel's.
#[derive(Debug)]
pub struct Task {
    /// As `ps` shows it: of a worker of a workqueue also what it does.
    pub name: String,
    status: String,
}

impl Task {
    /// What proc_pid_status(5) says of it, for instance in the field `State`.
    pub fn field(&self, name: &str) -> &str {
        let fields = self.status.lines().filter_map(|line| line.split_once(':'));
        let mut values = fields.filter(|(field, _)| *field == name);
        values.next().unwrap_or_default().1.trim()
    }
}

/// The tasks whose name is `wanted`, without those that are about to end: a
/// kernel thread that was stopped has left its module, but may be there for a
/// moment yet.
pub fn live_tasks(wanted: impl Fn(&str) -> bool) -> Vec<Task> {
    let list = fs::read_dir("/proc").into_iter().flatten().flatten();
    list.filter_map(|entry| {
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        let (name, flags) = parse(&stat)?;
        if flags & PF_EXITING != 0 || !wanted(name) {
            return None;
        }
        Some(Task {
            name: name.to_owned(),
            status: fs::read_to_string(entry.path().join("status")).ok()?,
        })
    })
    .collect()
}

/// The name and the flags in proc_pid_stat(5).
fn parse(stat: &str) -> Option<(&str, u32)> {
    let (_, rest) = stat.split_once('(')?;
    let (name, rest) = rest.rsplit_once(") ")?;
    // The fields from the third on: this is the ninth.
    let flags = rest.split(' ').nth(6)?.parse().ok()?;
    Some((name, flags))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_and_flags() {
        let stat = "42 (kworker/u8:0-a) b) I 2 0 0 0 -1 69238880 0 0";
        assert_eq!(parse(stat), Some(("kworker/u8:0-a) b", 69238880)));
        assert_eq!(parse("42 (sh)"), None);
    }

    #[test]
    fn this_one_is_alive() {
        let pid = std::process::id().to_string();
        let tasks = live_tasks(|_| true);
        assert!(tasks.iter().any(|task| task.field("Pid") == pid));
    }
}
