// SPDX-License-Identifier: GPL-2.0-only

use std::{mem, path::Path, process::Command};

use anyhow::{Context, Result, bail, ensure};
use rustix::io::Errno;

use crate::{Log, Module, kmemleak, module, slabs, syscalls::errno};

/// The machine that a test runs on.
pub struct Vm {
    log: Log,
    notes: Vec<String>,
    may_leak: bool,
}

impl Vm {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            log: Log::open()?,
            notes: Vec::new(),
            may_leak: false,
        })
    }

    /// Loads the module of the example called `name`.
    ///
    /// # Errors
    ///
    /// See [`Module::load`].
    pub fn load(&mut self, name: &str) -> Result<Module> {
        Module::load(name, "")
    }

    /// Loads a module with parameters: `vm.load_with("hello-5", "myint=3")`.
    ///
    /// # Errors
    ///
    /// See [`Module::load`].
    pub fn load_with(&mut self, name: &str, params: &str) -> Result<Module> {
        Module::load(name, params)
    }

    /// The error number with which the kernel refuses to load a module.
    ///
    /// # Errors
    ///
    /// When the module is loaded, or something of it is left.
    pub fn load_fails(&mut self, name: &str, params: &str) -> Result<Errno> {
        let error = match Module::load(name, params) {
            Ok(_) => bail!("{name} is loaded with {params:?}"),
            Err(error) => error,
        };
        let loaded = module::loaded()?;
        let name = module::kernel_name(name);
        ensure!(!loaded.contains(&name), "{name} is still in /proc/modules");
        let path = Path::new("/sys/module").join(name);
        ensure!(!path.exists(), "{} is still there", path.display());
        errno(&error).ok_or(error)
    }

    /// Notes what a test that passes has not looked at, and why: the results say
    /// it.
    pub fn note(&mut self, text: &str) {
        self.notes.push(text.to_owned());
    }

    /// What was noted since the last call of this function.
    pub(crate) fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// Whether a module's `pr_debug!` prints: where the kernel was built with
    /// debug assertions.
    ///
    /// # Errors
    ///
    /// When the kernel does not say how it was built.
    pub fn prints_debug(&mut self) -> Result<bool> {
        let config = self.sh("zcat /proc/config.gz")?;
        Ok(config.contains("\nCONFIG_RUST_DEBUG_ASSERTIONS=y\n"))
    }

    /// Whether the kernel prints pointers as they are; at boot it says so.
    ///
    /// # Errors
    ///
    /// When the log cannot be read.
    pub fn shows_pointers(&mut self) -> Result<bool> {
        Ok(self.sh("dmesg")?.contains("shows unhashed kernel memory"))
    }

    /// The kernel log since the test began.
    pub fn log(&mut self) -> &mut Log {
        &mut self.log
    }

    /// What a shell command prints on its standard output.
    ///
    /// # Errors
    ///
    /// When the command fails; the error quotes what it printed.
    pub fn sh(&mut self, command: &str) -> Result<String> {
        let result = Command::new("/bin/sh").args(["-c", command]).output();
        let result = result.context("/bin/sh")?;
        let output = String::from_utf8_lossy(&result.stdout).into_owned();
        ensure!(
            result.status.success(),
            "{command}: {}\n{output}{}",
            result.status,
            String::from_utf8_lossy(&result.stderr)
        );
        Ok(output)
    }

    /// How many to take where the base kernel's tests take `many`: a fifth of them
    /// on the debug kernel, which checks each access to memory.
    #[must_use]
    pub fn fewer(&self, many: u32) -> u32 {
        match kmemleak::available() {
            true => many / 5,
            false => many,
        }
    }

    /// Says that this test leaks memory, and means to: the debug kernel looks for that. If
    /// `setup` says so, it holds for all tests and checks.
    pub fn forgive_leaks(&mut self) {
        self.may_leak = true;
    }

    /// Whether that was said since the last call of this function.
    pub(crate) fn take_may_leak(&mut self) -> bool {
        mem::take(&mut self.may_leak)
    }

    /// Does `round` 100 times, or three times on the debug kernel, where each
    /// unload takes a second or two, and makes sure that it leaves nothing allocated.
    ///
    /// # Errors
    ///
    /// That of `round`, or what was left.
    pub fn rounds(&mut self, round: impl FnMut(&mut Self) -> Result<()>) -> Result<()> {
        self.many_rounds(slabs::ROUNDS, round)
    }

    /// The same for another number than 100.
    ///
    /// # Errors
    ///
    /// As above.
    pub fn many_rounds(
        &mut self,
        rounds: u32,
        mut round: impl FnMut(&mut Self) -> Result<()>,
    ) -> Result<()> {
        slabs::rounds(rounds, || round(self))
    }
}
