// SPDX-License-Identifier: GPL-2.0-only

use std::{
    ffi::CString,
    fs::{self, File},
    path::{Path, PathBuf},
    sync::OnceLock,
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, Result};
use rustix::{
    fs::OFlags,
    io::Errno,
    system::{delete_module, finit_module, init_module, uname},
};

use crate::eventually::within;

/// How long an unload is tried again while the kernel says that the module is
/// in use.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the modules' files are.
static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();

/// Says where the modules' files are, before anything asks for one.
pub(crate) fn set_directory(path: PathBuf) {
    DIRECTORY.set(path).expect("it is said once");
}

/// The directory of the modules' files.
pub(crate) fn directory() -> &'static Path {
    DIRECTORY.get_or_init(|| "/lib/modules".into())
}

/// The file of the module called `name`.
#[must_use]
pub fn file(name: &str) -> PathBuf {
    directory().join(format!("{name}.ko"))
}

/// The names of the modules whose files are in `dir`, sorted.
pub(crate) fn available(dir: &Path) -> Result<Vec<String>> {
    let list = fs::read_dir(dir).with_context(|| dir.display().to_string())?;
    let names = list.flatten().filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        Some(name.strip_suffix(".ko")?.to_owned())
    });
    let mut names: Vec<_> = names.collect();
    names.sort();
    Ok(names)
}

/// The names of the loaded modules, as the kernel writes them. Those whose
/// files are elsewhere are the machine's own and left out.
pub(crate) fn loaded() -> Result<Vec<String>> {
    let list = fs::read_to_string("/proc/modules").context("/proc/modules")?;
    let names = list.lines().filter_map(|line| line.split(' ').next());
    let mut names: Vec<_> = names.map(str::to_owned).collect();
    let ours = available(directory())?;
    let ours: Vec<_> = ours.iter().map(|name| kernel_name(name)).collect();
    names.retain(|name| ours.contains(name));
    Ok(names)
}

/// The name that the kernel gives the module whose file is `name`.ko.
pub(crate) fn kernel_name(name: &str) -> String {
    name.replace('-', "_")
}

/// Unloads `name`; tries again for 10 s while it is in use.
pub(crate) fn unload_soon(name: &str) -> Result<(), Errno> {
    let mut refusal = Errno::WOULDBLOCK;
    let unloaded = within(PATIENCE, || match unload(name, OFlags::NONBLOCK) {
        Err(error @ (Errno::WOULDBLOCK | Errno::BUSY)) => {
            refusal = error;
            Ok(false)
        }
        result => result.map(|()| true),
    })?;
    unloaded.then_some(()).ok_or(refusal)
}

fn unload(name: &str, flags: OFlags) -> Result<(), Errno> {
    let name = CString::new(name).map_err(|_| Errno::INVAL)?;
    delete_module(&name, flags.bits() as i32)
}

/// Replaces each C string in `bytes` that ends with `from`.
fn replace(bytes: &mut [u8], from: &str, to: &str) {
    assert_eq!(from.len(), to.len());
    let ending = [from.as_bytes(), b"\0"].concat();
    let places: Vec<_> = (0..bytes.len().saturating_sub(from.len()))
        .filter(|&at| bytes[at..].starts_with(&ending))
        .collect();
    assert!(!places.is_empty(), "no {from}");
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
}

/// A loaded module, unloaded when this is dropped.
#[derive(Debug)]
pub struct Module {
    name: String,
    loaded: bool,
}

impl Module {
    /// Loads `NAME.ko` with `params` as one would type them after `insmod
    /// NAME.ko`. The file is in `/lib/modules`, or where `--modules` says.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or the kernel refuses it. The module's own
    /// error number is the `Errno` at the root of the error.
    pub fn load(name: &str, params: &str) -> Result<Self> {
        let path = file(name);
        let file = File::open(&path).with_context(|| path.display().to_string())?;
        let arguments = CString::new(params).context("the parameters")?;
        finit_module(&file, &arguments, 0).with_context(|| {
            let command = format!("insmod {name}.ko {params}");
            command.trim_end().to_owned()
        })?;
        Ok(Self {
            name: kernel_name(name),
            loaded: true,
        })
    }

    /// What [`Module::load`] fails with when the module's init fails with `EEXIST`, which
    /// for insmod means that the module is loaded already. Linux 6.18 leaves it so.
    #[must_use]
    pub fn init_exists() -> Errno {
        match uname().release().to_bytes().starts_with(b"6.18.") {
            true => Errno::EXIST,
            false => Errno::BUSY,
        }
    }

    /// Loads the module `NAME.ko` a second time, by the name `other`, which must
    /// be as long. `edits` are further texts, each with one as long to put in its
    /// place: names of what the kernel has only once.
    ///
    /// # Errors
    ///
    /// See [`Module::load`].
    ///
    /// # Panics
    ///
    /// When the module has no such text.
    pub fn load_renamed(name: &str, other: &str, edits: &[(&str, &str)]) -> Result<Self> {
        let path = file(name);
        let mut bytes = fs::read(&path).with_context(|| path.display().to_string())?;
        let own = kernel_name(name);
        for (from, to) in [(own.as_str(), other)].iter().chain(edits) {
            replace(&mut bytes, from, to);
        }
        init_module(&bytes, c"").with_context(|| format!("insmod {name}.ko as {other}"))?;
        Ok(Self {
            name: other.to_owned(),
            loaded: true,
        })
    }

    /// The name that the kernel knows the module by.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value of a parameter, from `/sys/module`.
    ///
    /// # Errors
    ///
    /// When there is no such parameter or it may not be read.
    pub fn param(&self, param: &str) -> Result<String> {
        let path = format!("/sys/module/{}/parameters/{param}", self.name);
        let value = fs::read_to_string(&path).context(path)?;
        Ok(value.trim_end_matches('\n').to_owned())
    }

    /// Unloads the module; an error when the kernel refuses, as it does while
    /// somebody uses the module.
    ///
    /// # Errors
    ///
    /// The kernel's error number.
    pub fn unload(mut self) -> Result<()> {
        self.try_unload()
            .with_context(|| format!("rmmod {}", self.name))
    }

    /// Tries to unload the module and keeps it when the kernel refuses.
    ///
    /// # Errors
    ///
    /// The kernel's error number: [`Errno::WOULDBLOCK`] for a module in use.
    pub fn try_unload(&mut self) -> Result<(), Errno> {
        unload(&self.name, OFlags::NONBLOCK)?;
        self.loaded = false;
        Ok(())
    }

    /// Unloads the module in a thread, for a module whose exit function waits
    /// for what the test does next.
    #[must_use]
    pub fn unload_in_thread(mut self) -> JoinHandle<Result<()>> {
        thread::spawn(move || {
            let module = &mut self;
            unload(&module.name, OFlags::empty())
                .with_context(|| format!("rmmod {}", module.name))?;
            module.loaded = false;
            Ok(())
        })
    }

    /// Unloads the module, waiting up to 10 s until nobody uses it.
    pub(crate) fn unload_soon(mut self) -> Result<()> {
        self.loaded = false;
        unload_soon(&self.name).with_context(|| format!("rmmod {}", self.name))
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        if self.loaded {
            // The harness finds and names a module that stays.
            let _ = unload_soon(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_replaced() {
        let mut bytes = *b"name=one\0one two\0one\0";
        replace(&mut bytes, "one", "uno");
        assert_eq!(&bytes, b"name=uno\0one two\0uno\0");
    }
}
