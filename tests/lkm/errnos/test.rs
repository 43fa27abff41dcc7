// SPDX-License-Identifier: GPL-2.0-only

use rustix::fs::{Mode, OFlags, open};

use crate::prelude::*;
use commands::PLACES;

mod commands;

pub const EXAMPLE: Example = Example {
    tests: tests![
        operations_fail_with_what_user_space_may_see,
        sequences_fail_instead_of_going_on_for_ever,
        attributes_fail_and_do_no_harm,
        a_parameter_may_fail_with_anything,
        results_of_ioctl_are_no_errors,
    ],
    ..Example::EMPTY
};

const PARAMETERS: &str = "/sys/module/errnos/parameters";

/// `EAGAIN`, `ECHILD` and `ESTALE`, which C knows, the kernel's own, and others.
fn errnos() -> impl Iterator<Item = u16> {
    [1, 10, 11, 19, 116, 511, 4095].into_iter().chain(512..=531)
}

/// What user space gets to see of an error number.
fn seen(errno: u16) -> u16 {
    match errno {
        // ERESTARTSYS and its like without a signal: EINTR.
        512..=514 | 516 => 4,
        // ENOIOCTLCMD: ENOTTY.
        515 => 25,
        // ENOTSUPP: EOPNOTSUPP.
        524 => 95,
        // EIO.
        512.. => 5,
        _ => errno,
    }
}

/// The same of `open`.
fn seen_by_opener(errno: u16) -> u16 {
    match errno {
        10 | 116 => 5,
        _ => seen(errno),
    }
}

/// The same of a sequence.
fn seen_of_sequence(errno: u16) -> u16 {
    match errno {
        11 => 16,
        _ => seen(errno),
    }
}

fn set(parameter: &str, value: impl ToString) -> Result {
    let path = format!("{PARAMETERS}/{parameter}");
    Ok(fs::write(path, value.to_string())?)
}

fn failures() -> Result<u32> {
    let text = fs::read_to_string("/sys/kernel/errnos/failures")?;
    Ok(text.trim().parse()?)
}

/// Has the function in `place` fail with all errors. `attempt` fails with what is
/// `seen` of each, and the function was called once for that.
fn each_fails<T>(
    place: &str,
    seen: fn(u16) -> u16,
    mut attempt: impl FnMut() -> io::Result<T>,
) -> Result {
    let number = PLACES.iter().position(|it| *it == place);
    for errno in errnos() {
        set("errno", errno)?;
        let before = failures()?;
        set("place", number.context("a place")?)?;
        let result = attempt();
        set("place", 0)?;
        let error = result.map(drop).unwrap_err().raw_os_error();
        assert_eq!(error, Some(seen(errno).into()), "{place}: {errno}");
        assert_eq!(failures()?, before + 1, "{place}: {errno}");
    }
    Ok(())
}

const OPS: [&str; 3] = [
    "/proc/errnos-ops",
    "/dev/errnos",
    "/sys/kernel/debug/errnos/ops",
];

fn operations_fail_with_what_user_space_may_see(vm: &mut Vm) -> Result {
    let _module = vm.load("errnos")?;
    for path in OPS {
        // The standard library opens once more when that gives EINTR.
        each_fails("open", seen_by_opener, || {
            Ok(open(path, OFlags::RDONLY, Mode::empty())?)
        })?;
        let mut file = read_write(path)?;
        each_fails("read", seen, || file.read(&mut [0; 8]))?;
        each_fails("write", seen, || file.write(b"text"))?;
        each_fails("ioctl", seen, || {
            Ok(ioctl(&file, 0x6500, Argument::Number(0))?)
        })?;
    }
    Ok(())
}

fn sequences_fail_instead_of_going_on_for_ever(vm: &mut Vm) -> Result {
    let _module = vm.load("errnos")?;
    let mut file = File::open("/proc/errnos-items")?;
    for place in ["start", "show"] {
        // The kernel goes there item by item.
        each_fails(place, seen_of_sequence, || file.read_at(&mut [0; 8], 3))?;
        each_fails(place, seen_of_sequence, || file.seek(SeekFrom::Start(3)))?;
        each_fails(place, seen_of_sequence, || {
            File::open("/proc/errnos-items")?.read(&mut [0; 8])
        })?;
    }
    assert_eq!(fs::read_to_string("/proc/errnos-items")?, "item\n");
    Ok(())
}

fn attributes_fail_and_do_no_harm(vm: &mut Vm) -> Result {
    let _module = vm.load("errnos")?;
    let file = read_write("/sys/kernel/errnos/attribute")?;
    for pos in [0, 3] {
        each_fails("sysfs show", seen_of_sequence, || {
            file.read_at(&mut [0; 8], pos)
        })?;
    }
    each_fails("sysfs store", seen, || file.write_at(b"text", 0))
}

fn a_parameter_may_fail_with_anything(vm: &mut Vm) -> Result {
    let _module = vm.load("errnos")?;
    let mut file = read_write(format!("{PARAMETERS}/refused"))?;
    each_fails("set", seen, || file.write(b"1"))
}

fn results_of_ioctl_are_no_errors(vm: &mut Vm) -> Result {
    let _module = vm.load("errnos")?;
    for path in OPS {
        let file = read_write(path)?;
        for (command, answer) in [
            (0x7fff_ffff, Ok(0x7fff_ffff)),
            (0x8000_0000, Err(Errno::OVERFLOW)),
            // As a number with a sign, ERESTARTSYS.
            (0xffff_fe00, Err(Errno::OVERFLOW)),
        ] {
            assert_eq!(ioctl(&file, command, Argument::Number(0)), answer, "{path}");
        }
    }
    Ok(())
}
