// SPDX-License-Identifier: GPL-2.0-only

use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    os::unix::fs::OpenOptionsExt,
};

use anyhow::{Context, Result, ensure};
use lkmpg_proto::Event;
use rustix::{
    fs::OFlags,
    termios::{OptionalActions, tcgetattr, tcsetattr},
};

/// The serial port that results go to.
const PORT: &str = "/dev/ttyS1";

/// The way to the host.
pub struct Report {
    port: File,
}

impl Report {
    /// Opens the port and makes it carry bytes as they are.
    pub fn open() -> Result<Self> {
        let port = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(OFlags::NOCTTY.bits() as i32)
            .open(PORT)
            .context(PORT)?;
        let mut settings = tcgetattr(&port).context(PORT)?;
        settings.make_raw();
        tcsetattr(&port, OptionalActions::Now, &settings).context(PORT)?;
        Ok(Self { port })
    }

    /// Sends one event and waits until it has left the port.
    pub fn send(&mut self, event: &Event) -> Result<()> {
        self.port
            .write_all(event.to_line().as_bytes())
            .context(PORT)?;
        rustix::termios::tcdrain(&self.port).context(PORT)
    }

    /// Waits for the host's answer, a line without content.
    pub fn wait_for_host(&mut self) -> Result<()> {
        let read = self.port.read(&mut [0]).context(PORT)?;
        ensure!(read > 0, "{PORT}: the host has hung up");
        Ok(())
    }
}
