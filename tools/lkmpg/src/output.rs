// SPDX-License-Identifier: GPL-2.0-only

//! All that this program prints. The macros have the names of std's, which panic when
//! nobody reads any more and when the disk is full. These end the command as a signal
//! does, so that nothing is left behind; [`end`] then says why.

use std::{
    fmt,
    io::{self, Write},
    process::ExitCode,
    sync::OnceLock,
};

use signal_hook::{consts::SIGPIPE, low_level::emulate_default_handler};

use crate::{ENVIRONMENT, children};

macro_rules! print {
    ($($text:tt)*) => {
        $crate::output::out(format_args!($($text)*))
    };
}

macro_rules! println {
    () => {
        print!("\n")
    };
    ($($text:tt)*) => {
        print!("{}\n", format_args!($($text)*))
    };
}

macro_rules! eprintln {
    ($($text:tt)*) => {
        $crate::output::err(format_args!("{}\n", format_args!($($text)*)))
    };
}

/// Why no more is printed.
static FAILURE: OnceLock<io::Error> = OnceLock::new();

/// Prints `text` to standard output.
pub fn out(text: fmt::Arguments<'_>) {
    if FAILURE.get().is_none() {
        note(io::stdout().lock().write_fmt(text));
    }
}

/// Prints `text` to standard output at once.
pub fn bytes(text: &[u8]) {
    if FAILURE.get().is_none() {
        let mut stdout = io::stdout().lock();
        note(stdout.write_all(text).and_then(|()| stdout.flush()));
    }
}

/// Prints `text` to standard error.
pub fn err(text: fmt::Arguments<'_>) {
    note_of_stderr(io::stderr().lock().write_fmt(text));
}

/// Prints what clap says: help, or what is wrong with the command line. Returns the
/// exit status.
pub fn clap(said: &clap::Error) -> u8 {
    let printed = said.print();
    if said.use_stderr() {
        note_of_stderr(printed);
        2
    } else {
        note(printed);
        0
    }
}

/// Ends the command when writing failed.
fn note(written: io::Result<()>) {
    if let Err(error) = written {
        if FAILURE.set(error).is_ok() {
            children::interrupt();
        }
    }
}

/// As [`note`], but when the disk is full the command goes on: nobody can be told, and
/// the results are on standard output.
fn note_of_stderr(written: io::Result<()>) {
    note(match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    });
}

/// How the program ends: with `status` if everything could be printed. When nobody reads
/// any more it ends by SIGPIPE, as others do.
pub fn end(status: u8) -> ExitCode {
    note(io::stdout().flush());
    let Some(error) = FAILURE.get() else {
        return ExitCode::from(status);
    };
    if error.kind() == io::ErrorKind::BrokenPipe {
        let _ = emulate_default_handler(SIGPIPE);
    }
    eprintln!("lkmpg: standard output cannot be written: {error}; the command was ended");
    ExitCode::from(ENVIRONMENT)
}
