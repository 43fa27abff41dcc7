// SPDX-License-Identifier: GPL-2.0-only

//! Opens files as another user, by openat(2): `open_as UID FILE...`. C libraries differ in
//! whether open(3) is that system call.

use std::{env, process::ExitCode};

use rustix::{
    fs::{CWD, Mode, OFlags, openat},
    process::Uid,
    thread::set_thread_res_uid,
};

pub fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let user = arguments.first().and_then(|user| user.parse::<u32>().ok());
    let Some(user) = user.filter(|user| *user != u32::MAX) else {
        eprintln!("usage: open_as UID FILE...");
        return ExitCode::FAILURE;
    };
    let user = Uid::from_raw(user);
    if let Err(error) = set_thread_res_uid(user, user, user) {
        eprintln!("open_as: {user}: {error}", user = user.as_raw());
        return ExitCode::FAILURE;
    }
    let mut result = ExitCode::SUCCESS;
    for file in &arguments[1..] {
        if let Err(error) = openat(CWD, file, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
            eprintln!("open_as: {file}: {error}");
            result = ExitCode::FAILURE;
        }
    }
    result
}
