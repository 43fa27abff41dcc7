// SPDX-License-Identifier: GPL-2.0-only

//! Shows the contents of a file, but waits neither for the file nor for them.

use std::{env, path::PathBuf, process::ExitCode};

use crate::prelude::*;

pub fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().map(PathBuf::from).collect();
    let [_, path] = &arguments[..] else {
        let name = arguments.first().cloned().unwrap_or_default();
        println!("Usage: {} <filename>", name.display());
        println!("Reads the content of a file, but doesn't wait for input");
        return ExitCode::FAILURE;
    };
    match cat(path) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            println!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn cat(path: &Path) -> std::result::Result<(), &'static str> {
    let mut nonblocking = OpenOptions::new();
    nonblocking.read(true).custom_flags(libc::O_NONBLOCK);
    let mut file = nonblocking.open(path).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => "Open would block",
        _ => "Open failed",
    })?;

    let mut buffer = [0; 4096];
    loop {
        let count = file.read(&mut buffer).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => "Normally I'd block, but you told me not to",
            _ => "Another read error",
        })?;
        if count == 0 {
            return Ok(());
        }
        let written = io::stdout().write_all(&buffer[..count]);
        written.map_err(|_| "The output cannot be written")?;
    }
}
