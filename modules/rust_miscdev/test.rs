// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;
use std::process::Command;

pub const DEMO: &[&str] = &["ls -l /dev/Misc", "cat /dev/Misc", "echo hello >/dev/Misc"];

pub const TESTS: &[Test] = tests![
    makes_its_node,
    says_what_is_done_to_it,
    says_when_the_buffer_is_bad,
    takes_a_page_at_a_time,
    belongs_to_the_children_too,
    keeps_the_module_while_open,
    a_hundred_threads_find_it_open,
];

const PATH: &str = "/dev/Misc";

fn makes_its_node(vm: &mut Vm) -> Result {
    let module = vm.load("rust_miscdev")?;
    let node = fs::metadata(PATH)?;
    assert!(node.file_type().is_char_device());
    assert_eq!(node.mode() & 0o7777, 0o600);
    assert_eq!(rustix::fs::major(node.rdev()), 10);
    let minor = rustix::fs::minor(node.rdev());
    let misc = fs::read_to_string("/proc/misc")?;
    let line = misc.lines().find(|line| line.ends_with(" Misc"));
    assert_eq!(line.map(str::trim), Some(&*format!("{minor} Misc")));
    assert!(Path::new("/sys/class/misc/Misc").exists());
    module.unload()?;
    assert!(!Path::new(PATH).exists());
    assert!(!fs::read_to_string("/proc/misc")?.contains("Misc"));
    Ok(())
}

fn says_what_is_done_to_it(vm: &mut Vm) -> Result {
    let module = vm.load("rust_miscdev")?;
    let mut file = OpenOptions::new().read(true).write(true).open(PATH)?;
    assert_eq!(file.read(&mut [0; 8])?, 0);
    assert_eq!(file.read_at(&mut [], 100)?, 0);
    assert_eq!(file.write(b"hello")?, 5);
    assert_eq!(file.write(b"")?, 0);
    drop(file);
    module.unload()?;
    let expected = [
        "Hello world!",
        "File opened",
        "File read",
        "File read",
        "File written",
        "File written",
    ];
    assert_eq!(vm.log().said("rust_miscdev")?, expected.map(info));
    Ok(())
}

/// Nothing is ever written there by a read.
fn says_when_the_buffer_is_bad(vm: &mut Vm) -> Result {
    let _module = vm.load("rust_miscdev")?;
    let file = OpenOptions::new().read(true).write(true).open(PATH)?;
    assert_eq!(read_to_bad_address(&file, 4), Ok(0));
    assert_eq!(write_from_bad_address(&file, 4), Err(Errno::FAULT));
    assert_eq!(Edge::of(b"text").write(&file, 5), Err(Errno::FAULT));
    assert_eq!(Edge::of(b"text").write(&file, 4), Ok(4));
    assert_eq!(ioctl(&file, 0, Argument::None), Err(Errno::NOTTY));
    Ok(())
}

/// Not a buffer as large as the caller likes.
fn takes_a_page_at_a_time(vm: &mut Vm) -> Result {
    let _module = vm.load("rust_miscdev")?;
    let mut file = OpenOptions::new().write(true).open(PATH)?;
    assert_eq!(file.write(&[b'x'; 5000])?, 4096);
    file.write_all(&[b'x'; 10_000])?;
    Ok(())
}

fn belongs_to_the_children_too(vm: &mut Vm) -> Result {
    let mut module = vm.load("rust_miscdev")?;
    let file = OpenOptions::new().write(true).open(PATH)?;
    let mut child = Command::new("sh")
        .args(["-c", "echo hello; exec sleep 1000"])
        .stdout(file)
        .spawn()?;
    vm.log().expect("File written")?;
    assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK));
    child.kill()?;
    child.wait()?;
    module.unload()
}

/// With the kernel crate's `MiscDeviceRegistration` the module is unloaded, and
/// closing the file then is a jump into memory that was freed.
fn keeps_the_module_while_open(vm: &mut Vm) -> Result {
    let mut module = vm.load("rust_miscdev")?;
    let file = File::open(PATH)?;
    let same = file.try_clone()?;
    drop(file);
    assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK));
    drop(same);
    module.unload()
}

fn a_hundred_threads_find_it_open(vm: &mut Vm) -> Result {
    let module = vm.load("rust_miscdev")?;
    on_threads(100, |_| {
        for _ in 0..10 {
            File::open(PATH)?;
        }
        Ok(())
    })?;
    module.unload()
}
