// SPDX-License-Identifier: GPL-2.0-only

use std::{collections::BTreeMap, num::NonZeroU32, time::Duration};

use serde::{Deserialize, Serialize};

/// What the guest is to do.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Run the tests of each module.
    Test,
    /// Show each module at work.
    Demo,
    /// Load the modules and give a shell.
    Shell,
}

/// What is to be done with which modules.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Request {
    /// What to do.
    pub mode: Mode,
    /// With which modules, in this order, by file name without `.ko`.
    pub modules: Vec<String>,
    /// The tests to run of a module, by name; all of one that is not here.
    pub only: BTreeMap<String, Vec<String>>,
    /// How many times to run the whole list of tests.
    pub repeat: NonZeroU32,
}

impl Request {
    /// A request to do `mode` once with `modules`.
    #[must_use]
    pub fn new(mode: Mode, modules: Vec<String>) -> Self {
        Self {
            mode,
            modules,
            only: BTreeMap::new(),
            repeat: NonZeroU32::MIN,
        }
    }

    /// Whether the test called `test` of `module` is to be run.
    #[must_use]
    pub fn wants(&self, module: &str, test: &str) -> bool {
        let only = self.only.get(module);
        only.is_none_or(|tests| tests.iter().any(|name| name == test))
    }
}

/// What the host tells a guest that waits: a line of JSON on the port that
/// carries the guest's events. The modules' files are in memory that the VM has
/// as a device of its own ([`FILES_VENDOR`], [`FILES_DEVICE`]).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Orders {
    /// What to do.
    pub request: Request,
    /// The files, in the order in which they are in the memory, each where the
    /// one before it ends.
    pub files: Vec<Module>,
    /// The time, since 1970: a VM's clock stands while the VM is saved.
    pub time: Duration,
    /// For the kernel's random numbers: VMs that were restored from the same
    /// state would all draw the same.
    pub seed: [u8; 32],
}

/// The file of a module.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Module {
    /// By file name without `.ko`.
    pub name: String,
    /// In bytes.
    pub length: usize,
}

/// The PCI vendor of the memory with the modules' files, as
/// `/sys/bus/pci/devices/*/vendor` has it: QEMU's `ivshmem-plain`. The memory is
/// that in `resource2`.
pub const FILES_VENDOR: &str = "0x1af4";

/// The PCI device of that memory.
pub const FILES_DEVICE: &str = "0x1110";

impl Orders {
    /// The orders as one line of JSON, newline included.
    #[must_use]
    pub fn to_line(&self) -> String {
        super::to_line(self)
    }

    /// Reads what [`Orders::to_line`] wrote.
    ///
    /// # Errors
    ///
    /// When `line` is something else.
    pub fn from_line(line: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(line)
    }
}

/// The terminal for events, as the kernel command line names it.
const EVENTS: &str = "lkmpg.events";

/// The word of the kernel command line for a guest that is to wait at the
/// terminal `tty` for its orders, and to write its events there.
#[must_use]
pub fn events_to(tty: &str) -> String {
    format!("{EVENTS}={tty}")
}

/// The terminal that the text of `/proc/cmdline` names; `None` when this is not
/// a VM of ours.
#[must_use]
pub fn events_tty(cmdline: &str) -> Option<&str> {
    let mut words = cmdline.split_ascii_whitespace();
    words.find_map(|word| word.strip_prefix(EVENTS)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let orders = Orders {
            request: Request {
                only: [("hello-1".into(), vec!["reload".into()])].into(),
                repeat: NonZeroU32::new(3).unwrap(),
                ..Request::new(Mode::Test, vec!["hello-1".into(), "procfs1".into()])
            },
            files: vec![Module {
                name: "hello-1".into(),
                length: 4824,
            }],
            time: Duration::new(1_800_000_000, 5),
            seed: [7; 32],
        };
        let line = orders.to_line();
        assert_eq!(line.matches('\n').count(), 1);
        assert_eq!(Orders::from_line(&line).unwrap(), orders);
        assert!(Orders::from_line("{}\n").is_err());
    }

    #[test]
    fn a_test_is_wanted_unless_others_are_named() {
        let request = Request {
            only: [("a".into(), vec!["reload".into()])].into(),
            ..Request::new(Mode::Test, vec!["a".into(), "b".into()])
        };
        assert!(request.wants("a", "reload"));
        assert!(!request.wants("a", "modinfo"));
        assert!(request.wants("b", "modinfo"));
    }

    #[test]
    fn another_machine_is_left_alone() {
        let cmdline = format!("panic=-1 {} quiet\n", events_to("tty9"));
        assert_eq!(events_tty(&cmdline), Some("tty9"));
        assert_eq!(events_tty("root=/dev/sda1 quiet\n"), None);
    }
}
