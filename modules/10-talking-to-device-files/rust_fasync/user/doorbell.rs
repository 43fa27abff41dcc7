// SPDX-License-Identifier: GPL-2.0-only

//! Waits for rings of /dev/rust_fasync, and is told of them by SIGIO: of so many as its
//! argument says, or one. It goes when there is none for two minutes.

use std::{env, process::ExitCode};

use crate::{
    prelude::*,
    sigio::{Inbox, SIGIO, ask},
};

pub fn main() -> ExitCode {
    let count = env::args()
        .nth(1)
        .map_or(Ok(1), |count| count.parse::<u32>());
    let Ok(count) = count else {
        println!("Usage: doorbell [number of rings]");
        return ExitCode::FAILURE;
    };
    match listen(count) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn listen(mut count: u32) -> Result {
    const DEVICE: &str = "/dev/rust_fasync";
    let mut nonblocking = OpenOptions::new();
    nonblocking.read(true).custom_flags(libc::O_NONBLOCK);
    let mut bell = nonblocking.open(DEVICE).context(DEVICE)?;
    // Without a place for them, the first signal would end the program.
    let inbox = Inbox::new(&[SIGIO])?;
    // Who is told, and that somebody is.
    ask(&bell, 0)?;
    println!("Listening.");
    // Of what came before that, nobody was told: first look, then wait. One signal can stand
    // for several rings, and for those that others have taken.
    while count > 0 {
        let mut text = [0; 16];
        match bell.read(&mut text) {
            Ok(len) => {
                let rings = String::from_utf8_lossy(&text[..len]);
                let rings: u32 = rings.trim_end().parse()?;
                println!("The bell has rung: {rings}");
                count = count.saturating_sub(rings);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                inbox.wait()?;
            }
            Err(error) => return Err(error).context(DEVICE),
        }
    }
    Ok(())
}
