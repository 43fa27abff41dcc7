// SPDX-License-Identifier: GPL-2.0-only

//! What every module must stand, whatever it does.

use std::{
    cell::OnceCell,
    fs::{File, OpenOptions},
    io::{self, Read},
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::fs::OpenOptionsExt,
    },
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{Mode, OFlags},
    io::Errno,
};

use crate::{
    Example, Module, Vm,
    eventually::within,
    kmemleak::{self, Begun},
    modinfo, slabs,
    snapshot::{self, Entry, Snapshot},
};

/// How often `reload` loads the module; where there is kmemleak, which tells of
/// each object, and an unload takes a second or two, not so often.
fn reloads() -> u32 {
    if kmemleak::available() { 3 } else { 10 }
}

/// Nodes with numbers that can differ from load to load: the kernel frees most only when
/// it frees the device, which can be late. And what the kernel has for all disks as long as
/// there is one. The checks leave them to the example's own tests.
const NUMBERED: [&str; 6] = [
    "/dev/gpiochip",
    "/proc/irq/",
    "/sys/devices/virtual/bdi/",
    "/sys/kernel/debug/bdi/",
    "/sys/kernel/irq/",
    "/sys/kernel/slab/bio-",
];

/// The note on a module that makes no files.
const NO_NODES: &str = "no nodes";

/// A check that is applied to every module.
pub struct Check {
    /// Its name in the results.
    pub name: &'static str,
    /// Returns a note on what was found, which may be empty.
    pub run: fn(&mut Vm, &Subject<'_>) -> Result<String>,
}

/// What a check is applied to.
pub struct Subject<'a> {
    /// The module's name.
    pub name: &'a str,
    /// What its example says.
    pub example: Example,
    /// What there was before the module was loaded for the first time.
    pub before: Snapshot,
    /// The tests that were run so far, and when each began.
    pub begun: Vec<Begun>,
    /// The files that it makes while it is loaded, once they have been looked for.
    pub nodes: OnceCell<Vec<PathBuf>>,
}

impl Subject<'_> {
    /// Loads the module with the parameters that its example wants.
    fn load(&self) -> Result<Module> {
        Module::load(self.name, self.example.params)
    }

    /// The files that the module makes while it is loaded.
    fn nodes(&self) -> Result<&[PathBuf]> {
        if let Some(nodes) = self.nodes.get() {
            return Ok(nodes);
        }
        let module = self.load()?;
        let added = Snapshot::settled().since(&self.before);
        let added = added.into_iter().flat_map(Entry::with_contents);
        let nodes = added.filter(|entry| entry.node).map(|entry| entry.path);
        let nodes = nodes.filter(|path| !path.starts_with("/sys/module"));
        let is_numbered = |path: &PathBuf| {
            let path = path.to_string_lossy();
            NUMBERED.iter().any(|name| path.starts_with(*name))
        };
        let nodes = nodes.filter(|path| !is_numbered(path));
        let nodes = nodes.collect();
        module.unload_soon()?;
        Ok(self.nodes.get_or_init(|| nodes))
    }
}

/// The checks that this kernel allows, in the order in which they are run.
pub fn checks() -> impl Iterator<Item = &'static Check> {
    // Where there is kmemleak an unload takes a while, and one tells; where
    // there is udev it answers each load with work of its own.
    let leaks = match kmemleak::available() {
        true => Some(&MEMORY_LEAKS),
        false if slabs::available() && !snapshot::has_udev() => Some(&LEAKS_NOTHING),
        false => None,
    };
    CHECKS.iter().chain(leaks)
}

/// The checks that there are, in the order in which they are run, each with the
/// kernel of ours that has what it needs; nothing when any will do.
pub fn on_any_kernel() -> impl Iterator<Item = (&'static Check, Option<&'static str>)> {
    let some = [
        (&LEAKS_NOTHING, Some("base")),
        (&MEMORY_LEAKS, Some("debug")),
    ];
    CHECKS.iter().map(|check| (check, None)).chain(some)
}

const CHECKS: &[Check] = &[
    Check {
        name: "modinfo",
        run: |_, subject| modinfo::check(subject.name).map(|()| String::new()),
    },
    Check {
        name: "leaves_nothing",
        run: leaves_nothing,
    },
    Check {
        name: "reload",
        run: reload,
    },
    Check {
        name: "unload_while_open",
        run: unload_while_open,
    },
];

static MEMORY_LEAKS: Check = Check {
    name: "memory_leaks",
    run: memory_leaks,
};

static LEAKS_NOTHING: Check = Check {
    name: "leaks_nothing",
    run: leaks_nothing,
};

/// Compares with what there was before the first load, so that what the example's
/// own tests made the module leave is found too. It is loaded once more, whether
/// or not there are such tests.
fn leaves_nothing(_: &mut Vm, subject: &Subject<'_>) -> Result<String> {
    subject.nodes()?;
    nothing_left(&subject.before)?;
    Ok(String::new())
}

fn nothing_left(before: &Snapshot) -> Result<()> {
    let mut left = Vec::new();
    let nothing = within(snapshot::PATIENCE, || {
        left = Snapshot::take().since(before);
        anyhow::Ok(left.is_empty())
    })?;
    let paths = left.iter().map(|entry| entry.path.display().to_string());
    let paths: Vec<_> = paths.collect();
    ensure!(
        nothing,
        "still there after the unload: {}",
        paths.join(", ")
    );
    Ok(())
}

/// In each round somebody has paths to the nodes, which do not keep the module, and opens
/// what they lead to when it is gone.
fn reload(_: &mut Vm, subject: &Subject<'_>) -> Result<String> {
    let rounds = reloads();
    let nodes = subject.nodes()?;
    for round in 1..=rounds {
        let again = || format!("round {round} of {rounds}");
        let module = subject.load().with_context(again)?;
        let paths: Vec<_> = nodes.iter().map(|node| path(node)).collect();
        module.unload_soon().with_context(again)?;
        for path in paths {
            let path = path?;
            let node = format!("/proc/self/fd/{}", path.as_raw_fd());
            if let Ok(Some(file)) = open(Path::new(&node)) {
                touch(&file);
            }
        }
    }
    Ok(String::new())
}

/// A path to `node`, which is not opened.
fn path(node: &Path) -> Result<OwnedFd> {
    let path = rustix::fs::open(node, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    path.with_context(|| node.display().to_string())
}

/// Unloading while a node is open is either refused or safe.
fn unload_while_open(_: &mut Vm, subject: &Subject<'_>) -> Result<String> {
    let nodes = subject.nodes()?.to_vec();
    if nodes.is_empty() {
        return Ok(NO_NODES.to_owned());
    }
    let mut notes = Vec::new();
    let rest = unload_with_all(nodes, subject, &mut notes)?;
    for node in rest {
        let name = node.display().to_string();
        let note = unload_with(&node, subject).with_context(|| name.clone())?;
        notes.push(format!("{name} {note}"));
    }
    Ok(notes.join(", "))
}

/// Loads the module, opens all of `nodes`, and unloads the module. When that is
/// allowed with all of them open, it is with each. Returns those that are to be
/// tried alone: all when it is not allowed, else those that do not open.
fn unload_with_all(
    nodes: Vec<PathBuf>,
    subject: &Subject<'_>,
    notes: &mut Vec<String>,
) -> Result<Vec<PathBuf>> {
    let mut module = subject.load()?;
    let mut files = Vec::new();
    for node in &nodes {
        files.push(open(node).with_context(|| node.display().to_string())?);
    }
    if module.try_unload().is_err() {
        drop(files);
        module.unload_soon().context("after closing all files")?;
        return Ok(nodes);
    }
    let mut rest = Vec::new();
    for (node, file) in nodes.into_iter().zip(files) {
        match file {
            Some(file) => {
                touch(&file);
                notes.push(format!("{} unloads while open", node.display()));
            }
            None => rest.push(node),
        }
    }
    Ok(rest)
}

/// Loads the module, opens `node`, and unloads the module.
fn unload_with(node: &Path, subject: &Subject<'_>) -> Result<&'static str> {
    let mut module = subject.load()?;
    let Some(file) = open(node)? else {
        module.unload_soon()?;
        return Ok("does not open");
    };
    match module.try_unload() {
        Ok(()) => {
            touch(&file);
            Ok("unloads while open")
        }
        Err(Errno::WOULDBLOCK | Errno::BUSY) => {
            drop(file);
            module.unload_soon().context("after closing it")?;
            Ok("keeps the module")
        }
        Err(error) => bail!("rmmod: {error}"),
    }
}

/// Opens `node` for as much as it allows; `None` when it allows nothing.
fn open(node: &Path) -> Result<Option<File>> {
    for (read, write) in [(true, true), (true, false), (false, true)] {
        let file = OpenOptions::new()
            .read(read)
            .write(write)
            .custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits() as i32)
            .open(node);
        match file {
            Ok(file) => return Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                bail!("was there when the module was loaded before, and is not now")
            }
            Err(_) => {}
        }
    }
    Ok(None)
}

/// Uses a file whose module is gone. Only that the kernel survives matters.
fn touch(mut file: &File) {
    let mut fds = [PollFd::new(file, PollFlags::IN)];
    let _ = poll(&mut fds, Some(&Timespec::default()));
    let _ = file.read(&mut [0; 64]);
}

/// Loads the module, opens and closes its files and unloads it, many times:
/// then no cache of the kernel's has an object more for each time.
fn leaks_nothing(_: &mut Vm, subject: &Subject<'_>) -> Result<String> {
    let nodes = subject.nodes()?;
    if nodes.is_empty() {
        return Ok(NO_NODES.to_owned());
    }
    let round = || -> Result<()> {
        let module = subject.load()?;
        for node in nodes {
            open(node).with_context(|| node.display().to_string())?;
        }
        module.unload_soon()
    };
    slabs::rounds(slabs::ROUNDS, round)?;
    Ok(String::new())
}

fn memory_leaks(_: &mut Vm, subject: &Subject<'_>) -> Result<String> {
    kmemleak::check(&subject.begun)?;
    Ok(String::new())
}
