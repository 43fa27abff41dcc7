// SPDX-License-Identifier: GPL-2.0-only

use std::{
    cmp::Ordering,
    collections::BTreeSet,
    ffi::OsStr,
    fs, mem,
    os::unix::{ffi::OsStrExt, fs::FileTypeExt},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use crate::eventually::within;

/// How long what a module made may take to go away after the unload: udev takes
/// its links away later, and a VM may share its CPU with many.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// How long nothing changes where things have come to rest.
const REST: Duration = Duration::from_secs(1);

/// There where udev runs.
const UDEV: &str = "/run/udev";

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

/// Where each slab cache has a directory, with as many files as all other places
/// together.
const CACHES: &str = "/sys/kernel/slab";

/// Directories whose contents are the business of processes, or of what is plugged in: a USB
/// device gets another number each time. And what the debug kernel counts references in, which
/// it removes late.
const OF_PROCESSES: [&str; 8] = [
    "/dev/bus/usb",
    "/dev/hugepages",
    "/dev/mqueue",
    "/dev/shm",
    "/sys/fs/bpf",
    "/sys/fs/cgroup",
    "/sys/fs/fuse/connections",
    "/sys/kernel/debug/ref_tracker",
];

/// The names of what there is in `/dev`, `/proc` and `/sys`.
#[derive(Eq, PartialEq)]
pub struct Snapshot(BTreeSet<Entry>);

/// One name.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where it is.
    pub path: PathBuf,
    /// Whether it is a node: something that one opens and reads or writes.
    pub node: bool,
}

impl Entry {
    /// What entries are compared by. To compare a [`Path`] is to take it apart, and
    /// there are thousands.
    fn key(&self) -> (&OsStr, bool) {
        (self.path.as_os_str(), self.node)
    }

    /// What this is about: itself, and what is in it when that was not looked at.
    pub fn with_contents(self) -> BTreeSet<Self> {
        let mut entries = BTreeSet::new();
        if is_cache(&self.path) {
            walk(&self.path, 1, &mut entries);
        }
        entries.insert(self);
        entries
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Eq for Entry {}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
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

    /// Looks around when things have come to rest: where there is udev, other
    /// programs change them, too.
    pub fn settled() -> Self {
        let mut now = Self::take();
        if has_udev() {
            // What does not come to rest is taken as it is in the end.
            let _ = within(PATIENCE, || {
                thread::sleep(REST);
                let before = mem::replace(&mut now, Self::take());
                anyhow::Ok(now == before)
            });
        }
        now
    }

    /// What is here and was not in `before`.
    pub fn since(&self, before: &Self) -> Vec<Entry> {
        self.0.difference(&before.0).cloned().collect()
    }
}

/// Whether udev runs here.
pub fn has_udev() -> bool {
    Path::new(UDEV).exists()
}

/// Adds what is in `dir`. What vanishes meanwhile is left out.
fn walk(dir: &Path, depth: usize, entries: &mut BTreeSet<Entry>) {
    let Ok(list) = fs::read_dir(dir) else {
        return;
    };
    for entry in list.flatten() {
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if comes_and_goes(dir, &entry.file_name()) {
            continue;
        }
        let path = entry.path();
        if kind.is_dir() && depth > 1 && !is_of_processes(&path) && !is_cache(&path) {
            walk(&path, depth - 1, entries);
        }
        let node = kind.is_file() || kind.is_char_device() || kind.is_block_device();
        entries.insert(Entry { path, node });
    }
}

/// Whether processes, not modules, make `name` appear in `dir`: a process in
/// `/proc`, the pseudo-terminal of one.
fn comes_and_goes(dir: &Path, name: &OsStr) -> bool {
    let numeric = name.as_bytes().iter().all(u8::is_ascii_digit);
    numeric && matches!(dir.to_str(), Some("/proc" | "/dev/pts"))
}

fn is_cache(path: &Path) -> bool {
    path.parent() == Some(Path::new(CACHES))
}

fn is_of_processes(path: &Path) -> bool {
    OF_PROCESSES.iter().any(|dir| path == Path::new(dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_not_noticed() {
        let comes_and_goes = |dir: &str, name: &str| comes_and_goes(dir.as_ref(), name.as_ref());
        assert!(comes_and_goes("/proc", "17"));
        assert!(comes_and_goes("/dev/pts", "0"));
        assert!(!comes_and_goes("/proc", "helloworld"));
        assert!(!comes_and_goes("/proc/irq", "17"));
        assert!(is_of_processes(Path::new("/sys/fs/cgroup")));
        assert!(!is_of_processes(Path::new("/sys/fs")));
        assert!(is_cache(Path::new("/sys/kernel/slab/kmalloc-8")));
        assert!(!is_cache(Path::new("/sys/kernel/slab")));
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
