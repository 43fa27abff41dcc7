// SPDX-License-Identifier: GPL-2.0-only

//! Logs which files a user opens, by a probe on the system call.
//!
//! The book puts a function of its own into the table of system calls. On x86-64 the kernel
//! does not call through that table any more. Nor does anybody else need to be left out: a
//! probe looks on, and the system call does what it always does.
//!
//! Book: 11 System Calls

use core::ffi::CStr;
use kernel::{
    prelude::*,
    str::BStr, //
};
use lkm::{
    context::current_uid,
    kprobe::{
        Handler,
        Kprobe,
        Registers, //
    },
};

module! {
    type: SyscallSteal,
    name: "syscall-steal",
    authors: ["lkmpg-rs"],
    description: "Logs which files a user opens",
    license: "GPL",
}

lkm::params! {
    // Nobody has the default.
    uid: u32 { default: u32::MAX, mode: 0o644, description: "The user to spy on" },
}

/// What the kernel calls for openat(2): `openat(dirfd, pathname, flags, mode)`.
const SYSCALL: &CStr = c"__x64_sys_openat";
const PATHNAME: usize = 1;

/// Of a path, so many bytes are logged. The probe has only the stack to put them on, and a
/// line of the log holds no more than a thousand, where one byte may take four.
const LONGEST: usize = 200;

struct Spy;

impl Handler for Spy {
    /// Runs as in an NMI: no allocation, no lock, and no access to user space that could
    /// have to wait for a page. The log can be written from anywhere.
    fn hit(&self, registers: &Registers<'_>) {
        let user = current_uid();
        if user != uid.get() {
            return;
        }
        let Some(arguments) = registers.syscall_arguments() else {
            return;
        };
        let mut buffer = [0u8; LONGEST];
        match arguments.memory(PATHNAME).read_string(&mut buffer) {
            Ok(path) if path.len() < LONGEST => {
                pr_info!("Opened file by {user}: {}\n", BStr::from_bytes(path));
            }
            Ok(path) => pr_info!(
                "Opened file by {user}: {}... (the first {LONGEST} bytes)\n",
                BStr::from_bytes(path)
            ),
            // A bad address, or a good one of a page that was not used yet.
            Err(_) => pr_info!("Opened file by {user}: (its path is not in memory)\n"),
        }
    }
}

struct SyscallSteal {
    // Dropping it takes the probe away, and waits for those that are in the handler.
    _spy: Kprobe<Spy>,
}

impl kernel::Module for SyscallSteal {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let spy = Kprobe::new(SYSCALL, Spy).inspect_err(|error| {
            pr_err!("no probe on __x64_sys_openat: {error:?}\n");
        })?;
        pr_info!("Spying on UID:{}\n", uid.get());
        Ok(Self { _spy: spy })
    }
}
