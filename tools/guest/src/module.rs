// SPDX-License-Identifier: GPL-2.0-only

use std::{
    ffi::CString,
    fs::{self, File},
    mem,
    path::{Path, PathBuf},
    sync::OnceLock,
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use rustix::{
    fs::OFlags,
    io::Errno,
    system::{delete_module, finit_module, init_module, uname},
};

use crate::{eventually::within, modinfo};

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

/// The modules whose symbols the one called `name` uses, and which are not loaded: in the
/// order in which they are to be, as modprobe does it.
pub(crate) fn needed(name: &str) -> Result<Vec<String>> {
    let loaded = loaded()?;
    let uses = |name: &str| -> Result<Vec<String>> {
        let mut used = uses(name)?;
        used.retain(|name| !loaded.contains(&kernel_name(name)));
        Ok(used)
    };
    let mut order = Vec::new();
    add_needed(name, &uses, &mut order)?;
    Ok(order)
}

/// Adds what `uses` says of `name` to `order`, each after what it says of that.
fn add_needed(
    name: &str,
    uses: &dyn Fn(&str) -> Result<Vec<String>>,
    order: &mut Vec<String>,
) -> Result<()> {
    for name in uses(name)? {
        add_needed(&name, uses, order)?;
        if !order.contains(&name) {
            order.push(name);
        }
    }
    Ok(())
}

/// The names of the files of the modules whose symbols the one called `name` uses.
fn uses(name: &str) -> Result<Vec<String>> {
    let modinfo = modinfo::modinfo(name)?;
    let used = modinfo.get("depends").unwrap_or_default();
    let used = used.split(',').filter(|used| !used.is_empty());
    let files = available(directory())?;
    used.map(|used| {
        let file = files.iter().find(|file| kernel_name(file) == used);
        file.cloned().with_context(|| {
            let dir = directory().display();
            format!("{name} uses {used}, of which there is no file in {dir}")
        })
    })
    .collect()
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

/// Has the kernel load the file `name`.ko with `params`.
fn insert(name: &str, params: &str) -> Result<()> {
    let path = file(name);
    let file = File::open(&path).with_context(|| path.display().to_string())?;
    let arguments = CString::new(params).context("the parameters")?;
    finit_module(&file, &arguments, 0).with_context(|| {
        let command = format!("insmod {name}.ko {params}");
        command.trim_end().to_owned()
    })
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

/// A loaded module, unloaded when this is dropped. So are then those that it uses, if they
/// were loaded for it.
#[derive(Debug)]
pub struct Module {
    name: String,
    loaded: bool,
    /// In the order in which they were loaded.
    needed: Vec<Self>,
}

impl Module {
    /// Loads `NAME.ko` with `params` as one would type them after `insmod
    /// NAME.ko`. The file is in `/lib/modules`, or where `--modules` says. Modules
    /// whose symbols it uses are loaded before, without parameters.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or the kernel refuses it. The module's own
    /// error number is the `Errno` at the root of the error.
    pub fn load(name: &str, params: &str) -> Result<Self> {
        let mut module = Self::with_needed(name, kernel_name(name))?;
        insert(name, params)?;
        module.loaded = true;
        Ok(module)
    }

    /// Loads `NAME.ko` and nothing else, where [`Module::load`] is like modprobe.
    ///
    /// # Errors
    ///
    /// See [`Module::load`]. [`Errno::NOENT`]: a module that it uses is not loaded.
    pub fn load_alone(name: &str, params: &str) -> Result<Self> {
        insert(name, params)?;
        Ok(Self {
            name: kernel_name(name),
            loaded: true,
            needed: Vec::new(),
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

    /// The module of the file `name`.ko, to be called `known_as`. Those that it uses are
    /// loaded, and it is not yet.
    fn with_needed(name: &str, known_as: String) -> Result<Self> {
        let mut module = Self {
            name: known_as,
            loaded: false,
            needed: Vec::new(),
        };
        for name in needed(name)? {
            module.needed.push(Self::load_alone(&name, "")?);
        }
        Ok(module)
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
        let mut module = Self::with_needed(name, other.to_owned())?;
        let own = kernel_name(name);
        for (from, to) in [(own.as_str(), other)].iter().chain(edits) {
            replace(&mut bytes, from, to);
        }
        init_module(&bytes, c"").with_context(|| format!("insmod {name}.ko as {other}"))?;
        module.loaded = true;
        Ok(module)
    }

    /// The module called `name`, which somebody else has loaded. It is unloaded when this
    /// is dropped, as if this had loaded it.
    ///
    /// # Errors
    ///
    /// When it is not loaded.
    pub fn of_others(name: &str) -> Result<Self> {
        let name = kernel_name(name);
        ensure!(loaded()?.contains(&name), "{name} is not loaded");
        Ok(Self {
            name,
            loaded: true,
            needed: Vec::new(),
        })
    }

    /// Somebody else has unloaded it.
    ///
    /// # Errors
    ///
    /// When it is still loaded.
    pub fn was_unloaded(mut self) -> Result<()> {
        ensure!(
            !loaded()?.contains(&self.name),
            "{} is still loaded",
            self.name
        );
        self.loaded = false;
        Ok(())
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

    /// Lets the module stay when this is dropped. A `setup` loads modules so; they are
    /// unloaded after the example's last test.
    pub fn keep(mut self) {
        self.loaded = false;
        mem::take(&mut self.needed).into_iter().for_each(Self::keep);
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

    /// Tries to unload the module, then those that were loaded for it, and keeps what the
    /// kernel refuses to unload.
    ///
    /// # Errors
    ///
    /// The kernel's error number: [`Errno::WOULDBLOCK`] for a module in use.
    pub fn try_unload(&mut self) -> Result<(), Errno> {
        if self.loaded {
            unload(&self.name, OFlags::NONBLOCK)?;
            self.loaded = false;
        }
        while let Some(last) = self.needed.last_mut() {
            last.try_unload()?;
            self.needed.pop();
        }
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
            module.try_unload().context("a module that it used")
        })
    }

    /// Unloads the module, then those that were loaded for it, waiting up to 10 s for each
    /// until nobody uses it.
    pub(crate) fn unload_soon(mut self) -> Result<()> {
        if mem::take(&mut self.loaded) {
            unload_soon(&self.name).with_context(|| format!("rmmod {}", self.name))?;
        }
        while let Some(last) = self.needed.pop() {
            last.unload_soon()?;
        }
        Ok(())
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        if self.loaded {
            // The harness finds and names a module that stays.
            let _ = unload_soon(&self.name);
        }
        while self.needed.pop().is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_comes_first() {
        let uses = |name: &str| -> Result<Vec<String>> {
            let used: &[&str] = match name {
                "a" => &["b", "c", "d"],
                "b" => &["d"],
                "d" => &["c"],
                _ => &[],
            };
            Ok(used.iter().map(|name| (*name).to_owned()).collect())
        };
        let mut order = Vec::new();
        add_needed("a", &uses, &mut order).unwrap();
        assert_eq!(order, ["c", "d", "b"]);
    }

    #[test]
    fn strings_are_replaced() {
        let mut bytes = *b"name=one\0one two\0one\0";
        replace(&mut bytes, "one", "uno");
        assert_eq!(&bytes, b"name=uno\0one two\0uno\0");
    }
}
