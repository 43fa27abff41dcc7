// SPDX-License-Identifier: GPL-2.0-only

//! What an example's `test.rs` starts with: `use crate::prelude::*;`.
//!
//! A test is a function `fn(&mut Vm) -> Result`. It fails when it returns an
//! error or panics, so `assert!` and `?` both do what one expects.

pub use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::{
        fd::{AsFd, AsRawFd},
        unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    },
    path::Path,
    thread,
    time::{Duration, Instant},
};

pub use anyhow::{Context, anyhow, bail, ensure};
pub use rustix::io::Errno;

pub use crate::{
    Example, Line, Log, Module, Test, Vm, Waiter,
    configfs::{CONFIGFS, configfs},
    control::{Answer, Control, IOCTL},
    echo_server::{EchoServer, forget_connections_at_once},
    echo_server_tests,
    eventually::{TIMEOUT, eventually},
    files::{error_of, names, read_write},
    gpio::{GpioChip, LineEvent, LineRequest, line},
    gpio_button_tests,
    gpio_buttons::GpioButtons,
    gpio_sim::{
        GPIO_CHIP, GPIO_LINES, GpioLine, gpio_chip_comes, gpio_chip_comes_as_before,
        gpio_chip_goes, gpio_sim, interrupt_number, interrupts,
    },
    live_tasks::{Task, live_tasks},
    log::info,
    modinfo::{Modinfo, modinfo},
    module::file as module_file,
    polling::{poll_for, polled},
    process_is_in, signals,
    sink_device::SinkDevice,
    sink_device_tests,
    syscalls::{
        Argument, Edge, Select, errno, ioctl, open_bad_address, read_to_bad_address, select,
        write_from_bad_address,
    },
    tests,
    text_file::TextFile,
    text_file_tests,
    threads::{on_threads, while_others},
};

/// What a test returns; `Result<T>` for helpers that return something.
pub type Result<T = (), E = anyhow::Error> = std::result::Result<T, E>;
