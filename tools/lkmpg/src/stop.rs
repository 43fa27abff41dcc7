// SPDX-License-Identifier: GPL-2.0-only

use std::{error, fmt};

/// Why the program ends early, with the exit status that says so.
#[derive(Debug)]
pub struct Stop {
    /// The exit status.
    pub status: u8,
    message: String,
}

impl Stop {
    /// A test, a demonstration or a build failed.
    pub fn failed(message: impl Into<String>) -> anyhow::Error {
        Self::error(1, message)
    }

    /// The command line asks for something that there is not.
    pub fn usage(message: impl Into<String>) -> anyhow::Error {
        Self::error(2, message)
    }

    /// The environment lacks something. The message says what, and the
    /// command that helps.
    pub fn missing(message: impl Into<String>) -> anyhow::Error {
        Self::error(3, message)
    }

    fn error(status: u8, message: impl Into<String>) -> anyhow::Error {
        let message = message.into();
        Self { status, message }.into()
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl error::Error for Stop {}
