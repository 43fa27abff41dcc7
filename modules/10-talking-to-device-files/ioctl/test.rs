// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;
use rustix::ioctl::opcode;
use std::process::Command;

pub const EXAMPLE: Example = Example {
    demo: &[
        "ls -l /dev/ioctltest",
        "dd if=/dev/ioctltest bs=4 count=1 | hexdump -C",
    ],
    tests: tests![
        makes_its_node,
        has_a_value_for_each_opening,
        refuses_values_that_are_too_big,
        reads_the_value,
        reads_as_much_as_fits,
        has_a_number_for_all,
        writes_to_no_bad_address,
        refuses_what_it_does_not_know,
        belongs_to_the_children_too,
        keeps_the_module_while_open,
        a_hundred_threads_keep_to_their_own,
    ],
    ..Example::EMPTY
};

const PATH: &str = "/dev/ioctltest";

const VALSET: u32 = opcode::write::<u32>(0x66, 0);
const VALGET: u32 = opcode::read::<u32>(0x66, 1);
const VALGET_NUM: u32 = opcode::read::<i32>(0x66, 2);
const VALSET_NUM: u32 = opcode::none(0x66, 3);

fn set(file: &File, value: u32) -> Result<usize, Errno> {
    ioctl(file, VALSET, Argument::Buffer(&mut value.to_ne_bytes()))
}

fn get(file: &File, request: u32) -> Result<u32, Errno> {
    let mut buffer = [0xaa; 4];
    ioctl(file, request, Argument::Buffer(&mut buffer))?;
    Ok(u32::from_ne_bytes(buffer))
}

/// The book's module makes no node: one has to find its major number.
fn makes_its_node(vm: &mut Vm) -> Result {
    let module = vm.load("ioctl")?;
    let node = fs::metadata(PATH)?;
    assert!(node.file_type().is_char_device());
    assert_eq!(node.mode() & 0o7777, 0o600);
    let major = rustix::fs::major(node.rdev());
    drop(File::open(PATH)?);
    module.unload()?;
    assert!(!Path::new(PATH).exists());
    let said = vm.log().said("ioctl")?;
    let installed = format!("ioctltest driver(major: {major}) installed.");
    let expected = [
        (1, installed.as_str()),
        (1, "test_ioctl_open call."),
        (1, "test_ioctl_close call."),
        (1, "ioctltest driver removed."),
    ];
    assert_eq!(said, expected);
    Ok(())
}

fn has_a_value_for_each_opening(vm: &mut Vm) -> Result {
    let _module = vm.load("ioctl")?;
    let (one, two) = (File::open(PATH)?, File::open(PATH)?);
    assert_eq!(get(&one, VALGET)?, 0xff);
    assert_eq!(set(&one, 0x2a)?, 0);
    vm.log().expect("IOCTL set val:2a .")?;
    assert_eq!(get(&one, VALGET)?, 0x2a);
    assert_eq!(get(&two, VALGET)?, 0xff);
    assert_eq!(get(&File::open(PATH)?, VALGET)?, 0xff);
    Ok(())
}

/// The book's module keeps the low byte, without a word.
fn refuses_values_that_are_too_big(vm: &mut Vm) -> Result {
    let _module = vm.load("ioctl")?;
    let file = File::open(PATH)?;
    set(&file, 0x11)?;
    for value in [0x100, 0x1ff, u32::MAX] {
        assert_eq!(set(&file, value), Err(Errno::INVAL), "{value:x}");
    }
    assert_eq!(get(&file, VALGET)?, 0x11);
    Ok(())
}

fn reads_the_value(vm: &mut Vm) -> Result {
    let _module = vm.load("ioctl")?;
    let mut file = File::open(PATH)?;
    set(&file, 0x5a)?;
    for len in [0, 1, 255, 256, 257, 100_000] {
        let mut buffer = vec![0; len + 1];
        assert_eq!(file.read(&mut buffer[..len])?, len);
        assert_eq!(buffer[..len], vec![0x5a; len]);
        assert_eq!(buffer[len], 0);
    }
    let mut buffer = [0; 4];
    assert_eq!(file.read_at(&mut buffer, 1 << 40)?, 4);
    assert_eq!(read_to_bad_address(&file, 4), Err(Errno::FAULT));
    let written = OpenOptions::new().write(true).open(PATH)?.write(b"x");
    assert_eq!(error_of(written), Some(Errno::INVAL));
    Ok(())
}

/// The book's module says EFAULT, with bytes written that it does not tell of.
fn reads_as_much_as_fits(vm: &mut Vm) -> Result {
    let _module = vm.load("ioctl")?;
    let file = File::open(PATH)?;
    set(&file, 0x5a)?;
    for len in [1, 2, 100, 255, 256, 257, 1000, 4096] {
        let mut edge = Edge::of(&vec![0; len]);
        for beyond in [1, 256, 100_000] {
            assert_eq!(edge.read(&file, len + beyond)?, len, "{len}+{beyond}");
        }
        assert_eq!(edge.bytes(), vec![0x5a; len]);
    }
    // From the hole itself.
    for len in [1, 256, 1000] {
        assert_eq!(Edge::of(&[]).read(&file, len), Err(Errno::FAULT), "{len}");
    }
    assert_eq!(Edge::of(&[]).read(&file, 0), Ok(0));
    Ok(())
}

fn has_a_number_for_all(vm: &mut Vm) -> Result {
    let module = vm.load("ioctl")?;
    let (one, two) = (File::open(PATH)?, File::open(PATH)?);
    assert_eq!(get(&one, VALGET_NUM)?, 0);
    for number in [42, 0, i32::MAX as usize] {
        assert_eq!(ioctl(&one, VALSET_NUM, Argument::Number(number))?, 0);
        assert_eq!(get(&two, VALGET_NUM)?, number as u32);
    }
    drop((one, two));
    module.unload()
}

/// The book's module writes a number of the caller's choice to any address of
/// the kernel's that the caller names, and says that all is well.
fn writes_to_no_bad_address(vm: &mut Vm) -> Result {
    let _module = vm.load("ioctl")?;
    let file = File::open(PATH)?;
    ioctl(&file, VALSET_NUM, Argument::Number(0x6666))?;
    for request in [VALGET_NUM, VALGET, VALSET] {
        for bad in [
            Argument::KernelAddress,
            Argument::BadAddress,
            Argument::None,
        ] {
            assert_eq!(ioctl(&file, request, bad), Err(Errno::FAULT), "{request:x}");
        }
    }
    assert_eq!(get(&file, VALGET)?, 0xff);
    Ok(())
}

fn refuses_what_it_does_not_know(vm: &mut Vm) -> Result {
    let _module = vm.load("ioctl")?;
    let file = File::open(PATH)?;
    let others = [
        opcode::none(0x66, 4),
        opcode::write::<u64>(0x66, 0),
        0,
        u32::MAX,
    ];
    for request in others {
        let answer = ioctl(&file, request, Argument::None);
        assert_eq!(answer, Err(Errno::NOTTY), "{request:x}");
    }
    Ok(())
}

fn belongs_to_the_children_too(vm: &mut Vm) -> Result {
    let _module = vm.load("ioctl")?;
    let file = File::open(PATH)?;
    set(&file, b'm'.into())?;
    let mut dd = Command::new("dd");
    dd.args(["bs=3", "count=1"]).stdin(file.try_clone()?);
    assert_eq!(dd.output()?.stdout, b"mmm");
    drop(dd);
    assert_eq!(vm.log().count("test_ioctl_close")?, 0);
    drop(file);
    assert_eq!(vm.log().count("test_ioctl_close")?, 1);
    Ok(())
}

fn keeps_the_module_while_open(vm: &mut Vm) -> Result {
    let mut module = vm.load("ioctl")?;
    let file = File::open(PATH)?;
    assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK));
    drop(file);
    module.unload()
}

fn a_hundred_threads_keep_to_their_own(vm: &mut Vm) -> Result {
    let _module = vm.load("ioctl")?;
    let hammer = |n: u32| -> Result {
        let mut file = File::open(PATH)?;
        for round in 0..10 {
            let value = (n + round) % 256;
            set(&file, value)?;
            ioctl(&file, VALSET_NUM, Argument::Number(n as usize))?;
            let mut buffer = [0; 32];
            file.read_exact(&mut buffer)?;
            assert_eq!(buffer, [value as u8; 32]);
            assert_eq!(get(&file, VALGET)?, value);
            assert!(get(&file, VALGET_NUM)? < 100);
        }
        Ok(())
    };
    on_threads(100, hammer).map(drop)
}
