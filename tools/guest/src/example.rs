// SPDX-License-Identifier: GPL-2.0-only

use std::{ffi::OsStr, path::Path, process::ExitCode};

use crate::Vm;

/// What an example's `test.rs` says of it: `pub const EXAMPLE: Example`. What it
/// does not mention is as in [`Example::EMPTY`].
#[derive(Clone, Copy)]
pub struct Example {
    /// Shell commands that show the loaded module at work.
    pub demo: &'static [&'static str],
    /// The example's own tests.
    pub tests: &'static [Test],
    /// Parameters for the checks of every module, the demonstration and the
    /// shell. A test gives its own.
    pub params: &'static str,
    /// Prepares what the module needs before it is first loaded.
    pub setup: Option<fn(&mut Vm) -> anyhow::Result<()>>,
}

/// A test of an example.
#[derive(Clone, Copy)]
pub struct Test {
    /// The name of the function.
    pub name: &'static str,
    /// The function.
    pub run: fn(&mut Vm) -> anyhow::Result<()>,
}

/// Lists test functions: `tests![greets, says_goodbye]`.
///
/// Tests that several examples share are methods of what they test. Macros such
/// as `text_file_tests!` list them, as `tests![FILE: [is_open_to_all] greets]`: in
/// brackets methods of `FILE`, then the example's own functions.
#[macro_export]
macro_rules! tests {
    ($($test:ident),* $(,)?) => {
        &[$($crate::Test { name: stringify!($test), run: $test }),*]
    };
    ($it:ident: [$($method:ident),* $(,)?] $($test:ident),* $(,)?) => {
        &[
            $($crate::Test { name: stringify!($method), run: |vm| $it.$method(vm) },)*
            $($crate::Test { name: stringify!($test), run: $test },)*
        ]
    };
}

impl Example {
    /// An example without anything, not even tests.
    pub const EMPTY: Self = Self {
        demo: &[],
        tests: &[],
        params: "",
        setup: None,
    };

    /// What is known of the example called `name`; nothing when it has no
    /// `test.rs`.
    #[must_use]
    pub fn find(name: &str) -> Self {
        let found = found::EXAMPLES.iter().find(|(known, _)| *known == name);
        found.map_or(Self::EMPTY, |(_, example)| *example)
    }

    /// The names of the examples with a `test.rs`, sorted.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        found::EXAMPLES.iter().map(|(name, _)| *name)
    }
}

/// The `main` of an example's program.
pub(crate) type Main = fn() -> ExitCode;

/// The program of an example that is run by the name `name`, which may be a
/// path.
pub(crate) fn program(name: &OsStr) -> Option<Main> {
    let name = Path::new(name).file_name()?;
    let program = found::PROGRAMS.iter().find(|(known, _)| name == *known);
    program.map(|(_, main)| *main)
}

/// The examples and the programs that the build script found.
mod found {
    include!(concat!(env!("OUT_DIR"), "/examples.rs"));
}
