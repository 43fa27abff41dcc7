// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;
use std::process::Command;

pub const EXAMPLE: Example = Example {
    demo: &[
        "ls -l /dev/chardev",
        "grep chardev /proc/devices",
        "cat /dev/chardev",
        "cat /dev/chardev",
        "echo hi >/dev/chardev || true",
    ],
    tests: tests![
        makes_its_node,
        counts_openings,
        reads_in_pieces_and_from_anywhere,
        ends_where_the_message_ends,
        says_when_the_buffer_is_bad,
        cannot_be_written,
        lets_one_process_in_at_a_time,
        belongs_to_the_children_too,
        keeps_the_module_while_open,
        lets_one_of_a_hundred_threads_in,
    ],
    ..Example::EMPTY
};

const PATH: &str = "/dev/chardev";

fn told(times: u32) -> String {
    format!("I already told you {times} times Hello world!\n")
}

fn makes_its_node(vm: &mut Vm) -> Result {
    let module = vm.load("chardev")?;
    let devices = fs::read_to_string("/proc/devices")?;
    let line = devices.lines().find(|line| line.ends_with(" chardev"));
    let major: u32 = line
        .context("not in /proc/devices")?
        .split_whitespace()
        .next()
        .unwrap()
        .parse()?;
    let assigned = format!("I was assigned major number {major}.");
    let expected = [
        (6, assigned.as_str()),
        (6, "Device created on /dev/chardev"),
    ];
    assert_eq!(vm.log().said("chardev")?, expected);

    let node = fs::metadata(PATH)?;
    assert!(node.file_type().is_char_device());
    assert_eq!(node.mode() & 0o7777, 0o600);
    assert_eq!(rustix::fs::major(node.rdev()), major);
    assert_eq!(rustix::fs::minor(node.rdev()), 0);
    assert!(Path::new("/sys/class/chardev/chardev").exists());

    module.unload()?;
    assert!(!Path::new(PATH).exists());
    assert!(!Path::new("/sys/class/chardev").exists());
    assert!(!fs::read_to_string("/proc/devices")?.contains("chardev"));
    Ok(())
}

fn counts_openings(vm: &mut Vm) -> Result {
    let _module = vm.load("chardev")?;
    for times in 0..12 {
        assert_eq!(fs::read_to_string(PATH)?, told(times));
    }
    Ok(())
}

fn reads_in_pieces_and_from_anywhere(vm: &mut Vm) -> Result {
    let _module = vm.load("chardev")?;
    let mut file = File::open(PATH)?;
    let mut buffer = [0xaa; 8];
    assert_eq!(file.read(&mut buffer[..0])?, 0);
    assert_eq!(file.read(&mut buffer[..5])?, 5);
    assert_eq!(&buffer, b"I alr\xaa\xaa\xaa");
    let mut rest = String::new();
    file.read_to_string(&mut rest)?;
    assert_eq!(rest, told(0)[5..]);

    let mut buffer = [0; 100];
    let read = file.read_at(&mut buffer, 30)?;
    assert_eq!(buffer[..read], told(0).as_bytes()[30..]);
    file.seek(SeekFrom::Start(2))?;
    rest.clear();
    file.read_to_string(&mut rest)?;
    assert_eq!(rest, told(0)[2..]);
    Ok(())
}

/// The book's module reads kernel memory beyond its buffer, and begins again
/// when it was read to the end.
fn ends_where_the_message_ends(vm: &mut Vm) -> Result {
    let _module = vm.load("chardev")?;
    let mut file = File::open(PATH)?;
    let mut buffer = [0; 64];
    for beyond in [told(0).len() as u64, 81, 200, i64::MAX as u64 - 64] {
        assert_eq!(file.read_at(&mut buffer, beyond)?, 0, "{beyond}");
    }
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    assert_eq!(file.read(&mut buffer)?, 0);
    assert_eq!(file.read(&mut buffer)?, 0);
    Ok(())
}

/// The book's says that it has read what it could not deliver.
fn says_when_the_buffer_is_bad(vm: &mut Vm) -> Result {
    let _module = vm.load("chardev")?;
    let mut file = File::open(PATH)?;
    assert_eq!(read_to_bad_address(&file, 10), Err(Errno::FAULT));
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    assert_eq!(text, told(0));
    Ok(())
}

fn cannot_be_written(vm: &mut Vm) -> Result {
    let _module = vm.load("chardev")?;
    assert_eq!(error_of(fs::write(PATH, "hi")), Some(Errno::INVAL));
    let sorry = (1, "Sorry, this operation is not supported.");
    assert_eq!(vm.log().said("chardev")?[2..], [sorry]);
    // Nothing cannot be written, either.
    let mut file = OpenOptions::new().write(true).open(PATH)?;
    assert_eq!(error_of(file.write(b"")), Some(Errno::INVAL));
    assert_eq!(vm.log().said("chardev")?[2..], [sorry, sorry]);
    drop(file);
    let file = File::open(PATH)?;
    assert_eq!(ioctl(&file, 0x6400, Argument::None), Err(Errno::NOTTY));
    Ok(())
}

fn lets_one_process_in_at_a_time(vm: &mut Vm) -> Result {
    let _module = vm.load("chardev")?;
    let first = File::open(PATH)?;
    assert_eq!(error_of(File::open(PATH)), Some(Errno::BUSY));
    vm.sh("! cat /dev/chardev 2>/dev/null")?;
    drop(first);
    // Who was refused has not been told.
    assert_eq!(fs::read_to_string(PATH)?, told(1));
    Ok(())
}

/// A descriptor that a child inherited is the same opening.
fn belongs_to_the_children_too(vm: &mut Vm) -> Result {
    let _module = vm.load("chardev")?;
    let mut file = File::open(PATH)?;
    let mut dd = Command::new("dd");
    dd.args(["bs=9", "count=1"]).stdin(file.try_clone()?);
    assert_eq!(dd.output()?.stdout, b"I already");
    drop(dd);
    // The position is shared, too.
    let mut rest = String::new();
    file.read_to_string(&mut rest)?;
    assert_eq!(rest, told(0)[9..]);

    let mut child = Command::new("sleep").arg("1000").stdin(file).spawn()?;
    assert_eq!(error_of(File::open(PATH)), Some(Errno::BUSY));
    child.kill()?;
    child.wait()?;
    assert_eq!(fs::read_to_string(PATH)?, told(1));
    Ok(())
}

/// The book's module has no owner: it is unloaded, and closing the file then
/// is a jump into memory that was freed.
fn keeps_the_module_while_open(vm: &mut Vm) -> Result {
    let mut module = vm.load("chardev")?;
    let file = File::open(PATH)?;
    assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK));
    drop(file);
    module.unload()
}

fn lets_one_of_a_hundred_threads_in(vm: &mut Vm) -> Result {
    const OPENINGS: u32 = 10;
    let threads = vm.fewer(100);

    let _module = vm.load("chardev")?;
    let open_often = |_| {
        (0..OPENINGS)
            .map(|_| patiently())
            .collect::<Result<Vec<_>>>()
    };
    let mut told_of = on_threads(threads, open_often)?.concat();
    // Nobody was told what somebody else was.
    told_of.sort_unstable();
    assert_eq!(told_of, (0..threads * OPENINGS).collect::<Vec<_>>());
    Ok(())
}

/// Opens the device as soon as it is free, and returns the number it says.
fn patiently() -> Result<u32> {
    let text = loop {
        match fs::read_to_string(PATH) {
            Ok(text) => break text,
            Err(error) if Errno::from_io_error(&error) == Some(Errno::BUSY) => thread::yield_now(),
            Err(error) => return Err(error.into()),
        }
    };
    let times = text.split(' ').nth(4).context(text.clone())?.parse()?;
    assert_eq!(text, told(times));
    Ok(times)
}
