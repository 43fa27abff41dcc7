// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    demo: &[
        "cat /dev/key_state",
        "echo enable >/dev/key_state; cat /dev/key_state",
        "echo disable >/dev/key_state; cat /dev/key_state",
    ],
    tests: tests![
        makes_a_device,
        switches_the_branch,
        only_commands_are_taken,
        a_full_buffer_is_not_read_beyond,
        reads_end_where_the_text_does,
        bad_addresses_are_said_so,
        one_process_at_a_time,
        switches_while_others_look,
        an_open_device_keeps_the_module,
    ],
    ..Example::EMPTY
};

const DEVICE: &str = "/dev/key_state";

/// What the branch says when it is taken.
const TAKEN: &str = "do unlikely thing";

fn state() -> Result<String> {
    Ok(fs::read_to_string(DEVICE)?)
}

/// Writes in one call, as the device wants it.
fn command(text: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(DEVICE).unwrap();
    let written = file.write(text)?;
    assert_eq!(written, text.len());
    Ok(())
}

/// The error number that a command fails with.
fn refused(text: &[u8]) -> Option<Errno> {
    error_of(command(text))
}

fn makes_a_device(vm: &mut Vm) -> Result {
    let module = vm.load("static_key")?;
    vm.log().expect("Device created on /dev/key_state")?;
    let line = vm.log().expect("I was assigned major number ")?;
    let major = line.rsplit(' ').next().unwrap();
    let assigned = format!("I was assigned major number {major}");
    let expected = [
        (6, assigned.as_str()),
        (6, "Device created on /dev/key_state"),
    ];
    assert_eq!(vm.log().said("static_key")?, expected);

    let metadata = fs::metadata(DEVICE)?;
    assert!(metadata.file_type().is_char_device());
    assert_eq!(metadata.mode() & 0o7777, 0o600);
    let devices = fs::read_to_string("/proc/devices")?;
    assert!(devices.contains(&format!("{major:>3} key_state\n")));
    let class = fs::read_to_string("/sys/class/key_state/key_state/dev")?;
    assert_eq!(class, format!("{major}:0\n"));

    module.unload()?;
    assert!(!Path::new(DEVICE).exists());
    assert!(!Path::new("/sys/class/key_state").exists());
    let devices = fs::read_to_string("/proc/devices")?;
    assert!(!devices.contains("key_state"));
    Ok(())
}

fn switches_the_branch(vm: &mut Vm) -> Result {
    let _module = vm.load("static_key")?;
    assert_eq!(state()?, "disabled\n");
    let paths = [(6, "fastpath 1"), (6, "fastpath 2")];
    assert_eq!(vm.log().said("static_key")?[2..], paths);

    for (text, expected, taken) in [
        (&b"enable\n"[..], "enabled\n", 1),
        (b"enable", "enabled\n", 1),
        (b"disable\n", "disabled\n", 0),
        (b"disable", "disabled\n", 0),
        (b"enable", "enabled\n", 1),
    ] {
        command(text).unwrap();
        vm.log().mark()?;
        assert_eq!(state()?, expected);
        assert_eq!(vm.log().count(TAKEN)?, taken);
        assert_eq!(vm.log().count("fastpath")?, 2);
    }
    let paths = [(6, "fastpath 1"), (1, TAKEN), (6, "fastpath 2")];
    assert_eq!(vm.log().said("static_key")?, paths);
    Ok(())
}

fn only_commands_are_taken(vm: &mut Vm) -> Result {
    let _module = vm.load("static_key")?;
    assert_eq!(refused(b"enabler"), Some(Errno::INVAL));
    vm.log().expect("Invalid command: enabler")?;
    for wrong in [&b""[..], b"on", b"ENABLE", b"en", b"disable x", b" enable"] {
        assert_eq!(refused(wrong), Some(Errno::INVAL), "{wrong:?}");
    }
    // The kernel passes on a write of nothing; the book's module compares with
    // what is on its stack.
    let said = vm.log().said("static_key")?;
    assert!(said.iter().any(|line| *line == (3, "Invalid command: ")));
    assert_eq!(refused(b"\x1b[2J\xff"), Some(Errno::INVAL));
    vm.log().expect(r"Invalid command: \x1b[2J\xff")?;
    assert_eq!(refused(b"enable     \n"), Some(Errno::INVAL));
    vm.log().expect("command exceeded 10 char")?;
    assert_eq!(state()?, "disabled\n");
    Ok(())
}

/// The book prints ten bytes that no zero ends, and what follows on its stack.
fn a_full_buffer_is_not_read_beyond(vm: &mut Vm) -> Result {
    let _module = vm.load("static_key")?;
    assert_eq!(refused(b"0123456789"), Some(Errno::INVAL));
    let line = vm.log().expect("Invalid command: ")?;
    assert!(line.ends_with("Invalid command: 0123456789"), "{line}");
    Ok(())
}

/// The book reads beyond its buffer.
fn reads_end_where_the_text_does(vm: &mut Vm) -> Result {
    let _module = vm.load("static_key")?;
    let mut file = File::open(DEVICE)?;
    let mut buffer = [0; 64];
    assert_eq!(file.read(&mut buffer[..4])?, 4);
    assert_eq!(&buffer[..4], b"disa");
    assert_eq!(file.read_at(&mut buffer, 5)?, 4);
    assert_eq!(&buffer[..4], b"led\n");
    for beyond in [9, 10, 11, 200, 1 << 40] {
        assert_eq!(file.read_at(&mut buffer, beyond)?, 0, "{beyond}");
    }
    assert_eq!(file.read(&mut buffer)?, 5);
    // The end of the file stays one.
    assert_eq!(file.read(&mut buffer)?, 0);
    assert_eq!(file.read(&mut buffer)?, 0);
    Ok(())
}

fn bad_addresses_are_said_so(vm: &mut Vm) -> Result {
    let _module = vm.load("static_key")?;
    let file = read_write(DEVICE)?;
    assert_eq!(read_to_bad_address(&file, 4), Err(Errno::FAULT));
    assert_eq!(write_from_bad_address(&file, 4), Err(Errno::FAULT));
    assert_eq!(Edge::of(b"enable").write(&file, 7), Err(Errno::FAULT));
    assert_eq!(Edge::of(b"enable").write(&file, 6), Ok(6));
    assert_eq!(ioctl(&file, 0x6400, Argument::None), Err(Errno::NOTTY));
    Ok(())
}

fn one_process_at_a_time(vm: &mut Vm) -> Result {
    let _module = vm.load("static_key")?;
    let file = File::open(DEVICE)?;
    assert_eq!(error_of(File::open(DEVICE)), Some(Errno::BUSY));
    // Who was refused has closed nothing.
    assert_eq!(error_of(File::open(DEVICE)), Some(Errno::BUSY));
    drop(file);
    File::open(DEVICE)?;
    Ok(())
}

/// Code is rewritten while it runs on another CPU.
fn switches_while_others_look(vm: &mut Vm) -> Result {
    let _module = vm.load("static_key")?;
    let retry = |what: &dyn Fn() -> Option<()>| while what().is_none() {};
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..50 {
                    retry(&|| {
                        let text = fs::read_to_string(DEVICE).ok()?;
                        assert!(["enabled\n", "disabled\n"].contains(&&*text), "{text}");
                        Some(())
                    });
                }
            });
        }
        scope.spawn(|| {
            for round in 0..50 {
                let text = ["enable", "disable"][round % 2];
                retry(&|| fs::write(DEVICE, text).ok());
            }
        });
    });
    assert_eq!(state()?, "disabled\n");
    Ok(())
}

fn an_open_device_keeps_the_module(vm: &mut Vm) -> Result {
    let mut module = vm.load("static_key")?;
    let mut file = File::open(DEVICE)?;
    assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK));
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    assert_eq!(text, "disabled\n");
    drop(file);
    module.unload()
}
