// SPDX-License-Identifier: GPL-2.0-only

use std::sync::Arc;

use libc::{SYS_read, c_long};
use rustix::{
    fs::OFlags,
    process::{Signal, getpid, kill_process},
};

use crate::prelude::*;
use signals::{Reaction, react};

pub const EXAMPLE: Example = Example {
    demo: &[
        "printf x >/dev/rust_semaphore",
        "cat /dev/rust_semaphore",
        "(cat /dev/rust_semaphore; echo there it is) & sleep 1; printf x >/dev/rust_semaphore; wait",
    ],
    tests: tests![
        each_byte_is_a_permit,
        a_reader_waits_for_a_permit,
        who_does_not_want_to_wait_is_told,
        a_signal_ends_the_wait,
        a_write_is_limited,
        many_readers_and_writers,
        is_kept_while_open,
    ],
    ..Example::EMPTY
};

const PATH: &str = "/dev/rust_semaphore";

const READ: &[c_long] = &[SYS_read];

fn open(flags: OFlags) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    Ok(options.custom_flags(flags.bits() as i32).open(PATH)?)
}

/// Takes all permits that there are, and returns how many.
fn take_all() -> Result<usize> {
    let mut file = open(OFlags::NONBLOCK)?;
    let taken = std::iter::repeat_with(|| file.read(&mut [0])).take_while(io::Result::is_ok);
    Ok(taken.count())
}

fn reader(file: &Arc<File>) -> Result<Waiter<io::Result<usize>>> {
    let file = file.clone();
    Waiter::begin_in(READ, move || {
        let _mask = signals::unblock(Signal::USR1);
        (&*file).read(&mut [0; 10])
    })
}

fn each_byte_is_a_permit(vm: &mut Vm) -> Result {
    let _module = vm.load("rust_semaphore")?;
    let mut file = open(OFlags::empty())?;
    for permits in [0, 1, 7] {
        assert_eq!(file.write(&vec![b'x'; permits])?, permits);
        assert_eq!(take_all()?, permits);
    }
    file.write_all(b"x")?;
    assert_eq!(file.read(&mut [0; 10])?, 0, "the end of the file");
    Ok(())
}

fn a_reader_waits_for_a_permit(vm: &mut Vm) -> Result {
    let _module = vm.load("rust_semaphore")?;
    let file = Arc::new(open(OFlags::empty())?);
    let first = reader(&file)?;
    first.sleeps()?;
    let second = reader(&file)?;
    second.sleeps()?;
    (&*file).write_all(b"x")?;
    assert_eq!(first.end()??, 0);
    second.sleeps()?;
    (&*file).write_all(b"x")?;
    assert_eq!(second.end()??, 0);
    assert_eq!(take_all()?, 0);
    Ok(())
}

fn who_does_not_want_to_wait_is_told(vm: &mut Vm) -> Result {
    let _module = vm.load("rust_semaphore")?;
    let mut file = open(OFlags::NONBLOCK)?;
    let refused = file.read(&mut [0]).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);
    Ok(())
}

fn a_signal_ends_the_wait(vm: &mut Vm) -> Result {
    let _module = vm.load("rust_semaphore")?;
    let _reacting = react(Signal::USR1, Reaction::Count)?;
    let _mask = signals::block(Signal::USR1)?;
    let file = Arc::new(open(OFlags::empty())?);
    let waiter = reader(&file)?;
    waiter.sleeps()?;
    kill_process(getpid(), Signal::USR1)?;
    let error = waiter.end()?.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Interrupted);
    // It did not take the permit of another.
    (&*file).write_all(b"x")?;
    assert_eq!(take_all()?, 1);
    Ok(())
}

fn a_write_is_limited(vm: &mut Vm) -> Result {
    let _module = vm.load("rust_semaphore")?;
    let mut file = open(OFlags::empty())?;
    assert_eq!(file.write(&vec![0; 1 << 20])?, 4096);
    assert_eq!(take_all()?, 4096);
    Ok(())
}

fn many_readers_and_writers(vm: &mut Vm) -> Result {
    let _module = vm.load("rust_semaphore")?;
    on_threads(20, |thread| {
        let mut file = open(OFlags::empty())?;
        for _ in 0..100 {
            match thread % 2 {
                0 => file.write_all(b"x")?,
                _ => assert_eq!(file.read(&mut [0])?, 0),
            }
        }
        Ok(())
    })?;
    assert_eq!(take_all()?, 0, "as many were read as were written");
    Ok(())
}

fn is_kept_while_open(vm: &mut Vm) -> Result {
    let mut module = vm.load("rust_semaphore")?;
    let file = Arc::new(open(OFlags::empty())?);
    let waiter = reader(&file)?;
    assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK));
    (&*file).write_all(b"x")?;
    waiter.end()??;
    drop(file);
    module.unload_soon()
}
