// SPDX-License-Identifier: GPL-2.0-only

use std::{ffi::OsStr, path::Path, process::ExitCode};

use crate::Vm;

/// What is known of one example beside its module.
#[derive(Clone, Copy)]
pub struct Room<'a> {
    /// The name of the room and, with `.ko`, of the module's file.
    pub name: &'a str,
    /// Shell commands that show the loaded module at work.
    pub demo: &'static [&'static str],
    /// The room's own tests.
    pub tests: &'static [Test],
    /// Parameters that the module is loaded with where a test does not say.
    pub params: &'static str,
    /// Prepares what the module needs before it is first loaded.
    pub setup: Option<fn(&mut Vm) -> anyhow::Result<()>>,
}

/// A test of a room.
#[derive(Clone, Copy)]
pub struct Test {
    /// The name of the function.
    pub name: &'static str,
    /// The function.
    pub run: fn(&mut Vm) -> anyhow::Result<()>,
}

/// Lists test functions: `tests![greets, says_goodbye]`.
#[macro_export]
macro_rules! tests {
    ($($test:ident),* $(,)?) => {
        &[$($crate::Test { name: stringify!($test), run: $test }),*]
    };
}

impl<'a> Room<'a> {
    /// Every room with a `test.rs`, by name.
    #[must_use]
    pub fn all() -> &'static [Room<'static>] {
        found::ROOMS
    }

    /// The room called `name`; one without tests of its own when it has no
    /// `test.rs`.
    #[must_use]
    pub fn find(name: &'a str) -> Self {
        let room = Room::all().iter().find(|room| room.name == name);
        room.copied().unwrap_or(Self {
            name,
            demo: &[],
            tests: &[],
            params: "",
            setup: None,
        })
    }
}

/// The `main` of a room's program.
pub(crate) type Main = fn() -> ExitCode;

/// The program of a room that is run by the name `name`, which may be a path.
pub(crate) fn program(name: &OsStr) -> Option<Main> {
    let name = Path::new(name).file_name()?;
    let program = found::PROGRAMS.iter().find(|(known, _)| name == *known);
    program.map(|(_, main)| *main)
}

/// The rooms and the programs that the build script found.
mod found {
    include!(concat!(env!("OUT_DIR"), "/rooms.rs"));
}
