// SPDX-License-Identifier: GPL-2.0-only

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
};

/// Where a module can show itself, and how deep to look. Each directory is
/// listed without following links, so nothing is seen twice.
const PLACES: [(&str, usize); 11] = [
    ("/dev", 4),
    ("/proc", 5),
    ("/sys/block", 1),
    ("/sys/bus", 3),
    ("/sys/class", 2),
    ("/sys/devices/platform", 3),
    ("/sys/devices/virtual", 3),
    ("/sys/firmware", 3),
    ("/sys/fs", 2),
    ("/sys/kernel", 4),
    ("/sys/module", 1),
];

/// The names of what there is in `/dev`, `/proc` and `/sys`.
pub struct Snapshot(BTreeSet<Entry>);

/// One name.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Entry {
    /// Where it is.
    pub path: PathBuf,
    /// Whether it is a node: something that one opens and reads or writes.
    pub node: bool,
}

impl Snapshot {
    /// Looks around.
    pub fn take() -> Self {
        let mut entries = BTreeSet::new();
        for (place, depth) in PLACES {
            walk(Path::new(place), depth, &mut entries);
        }
        Self(entries)
    }

    /// What is here and was not in `before`.
    pub fn since(&self, before: &Self) -> Vec<Entry> {
        self.0.difference(&before.0).cloned().collect()
    }
}

/// Adds what is in `dir`. What vanishes meanwhile is left out.
fn walk(dir: &Path, depth: usize, entries: &mut BTreeSet<Entry>) {
    let Ok(list) = fs::read_dir(dir) else {
        return;
    };
    for entry in list.flatten() {
        let path = entry.path();
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if comes_and_goes(&path) {
            continue;
        }
        if kind.is_dir() && depth > 1 {
            walk(&path, depth - 1, entries);
        }
        let node = kind.is_file() || kind.is_char_device() || kind.is_block_device();
        entries.insert(Entry { path, node });
    }
}

/// Whether processes, not modules, make `path` appear: a process in `/proc`,
/// the pseudo-terminal of one.
fn comes_and_goes(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let numeric = name.is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    let parent = path.parent().and_then(Path::to_str);
    numeric && matches!(parent, Some("/proc" | "/dev/pts"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_not_noticed() {
        assert!(comes_and_goes(Path::new("/proc/17")));
        assert!(comes_and_goes(Path::new("/dev/pts/0")));
        assert!(!comes_and_goes(Path::new("/proc/helloworld")));
        assert!(!comes_and_goes(Path::new("/proc/irq/17")));
    }

    #[test]
    fn a_new_file_is_found() {
        let entry = |path: &str| Entry {
            path: path.into(),
            node: true,
        };
        let before = Snapshot([entry("/dev/null")].into());
        let after = Snapshot([entry("/dev/null"), entry("/dev/chardev")].into());
        assert_eq!(after.since(&before), [entry("/dev/chardev")]);
        assert_eq!(before.since(&after), []);
    }
}
