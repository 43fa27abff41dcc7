// SPDX-License-Identifier: GPL-2.0-only

//! Talks to the family `rust_genl`: says a text and prints what comes back, or prints
//! what others say.

use std::{env, process::ExitCode};

use crate::{
    netlink::{Message, Netlink, Request},
    prelude::*,
};

const USAGE: &str = "\
Usage: genl_client say TEXT
       genl_client listen [how many texts to wait for]";

const ECHO: u8 = 1;
const TEXT: u16 = 1;
const COUNT: u16 = 2;

pub fn main() -> ExitCode {
    let words: Vec<_> = env::args().skip(1).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let result = match words[..] {
        ["say", text] => say(text),
        ["listen"] => listen(1),
        ["listen", count] => match count.parse() {
            Ok(count) => listen(count),
            Err(_) => Err(anyhow!(USAGE)),
        },
        _ => Err(anyhow!(USAGE)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn say(text: &str) -> Result {
    let socket = Netlink::open()?;
    // The kernel gives out the number when the family is registered.
    let family = socket.family("rust_genl")?;
    let request = Request::new(family.id, ECHO).string(TEXT, text);
    for message in socket.call(&request)? {
        print(&message)?;
    }
    Ok(())
}

fn listen(count: u32) -> Result {
    let socket = Netlink::open()?;
    let family = socket.family("rust_genl")?;
    let mut groups = family.groups.into_iter();
    let (_, group) = groups
        .find(|(name, _)| name == "events")
        .context("no group")?;
    socket.join(group)?;
    // Nobody may say anything for a long time.
    socket.wait_for_ever()?;
    println!("Listening.");
    for _ in 0..count {
        print(&socket.next()?)?;
    }
    Ok(())
}

fn print(message: &Message) -> Result {
    let text = message.text(TEXT).context("no text")?;
    let count = message.u32(COUNT).context("no number")?;
    println!("{count}: {text}");
    Ok(())
}
