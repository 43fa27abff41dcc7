// SPDX-License-Identifier: GPL-2.0-only

//! Shows the text at the beginning of a page of /dev/rust_mmap. With a second argument it
//! writes that there first. It does neither by a system call: the page is in its memory.

use std::{env, process::ExitCode};

use crate::{mapping::Mapping, prelude::*};

const DEVICE: &str = "/dev/rust_mmap";
const PAGE: usize = 4096;

pub fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().collect();
    let result = match &arguments[..] {
        [_, page] => map_page(page, None),
        [_, page, text] => map_page(page, Some(text)),
        _ => Err(anyhow!("Usage: map_page <page> [text]")),
    };
    match result {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn map_page(page: &str, text: Option<&str>) -> Result<String> {
    let page: u64 = page.parse().context("the number of a page")?;
    let device = read_write(DEVICE).context(DEVICE)?;
    // Offsets are in bytes.
    let mapping = Mapping::of(device, page.saturating_mul(PAGE as u64), PAGE).context("mmap")?;
    if let Some(text) = text {
        ensure!(text.len() < PAGE, "the text is longer than a page");
        for (at, byte) in text.bytes().chain([b'\n']).enumerate() {
            mapping.write(at, byte);
        }
    }
    let bytes = (0..PAGE).map(|at| mapping.read(at));
    let line: Vec<_> = bytes.take_while(|byte| *byte != b'\n').collect();
    Ok(String::from_utf8_lossy(&line).into_owned())
}
