// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;
use std::process::Command;

pub const EXAMPLE: Example = Example {
    demo: &["ls -l /proc/helloworld", "cat /proc/helloworld"],
    tests: tests![
        says_hello_world,
        reads_no_more_than_asked_for,
        can_be_read_from_any_position,
        says_when_the_buffer_is_bad,
        cannot_be_written,
        belongs_to_the_children_too,
        a_hundred_threads_read_it,
        open_file_outlives_the_module,
    ],
    ..Example::EMPTY
};

const PATH: &str = "/proc/helloworld";
const HELLO: &[u8] = b"HelloWorld!\n";

fn says_hello_world(vm: &mut Vm) -> Result {
    let module = vm.load("procfs1")?;
    let created = info("/proc/helloworld created");
    assert_eq!(vm.log().said("procfs1")?, [created]);
    assert_eq!(fs::metadata(PATH)?.mode() & 0o7777, 0o644);

    // Twelve bytes, no NUL after them; the end of the file is not an error.
    assert_eq!(fs::read(PATH)?, HELLO);
    module.unload()?;
    let read = info("procfile read helloworld");
    let removed = info("/proc/helloworld removed");
    assert_eq!(vm.log().said("procfs1")?, [created, read, removed]);
    assert!(!Path::new(PATH).exists());
    Ok(())
}

/// The book's read ignores the length and overruns the buffer.
fn reads_no_more_than_asked_for(vm: &mut Vm) -> Result {
    let _module = vm.load("procfs1")?;
    let mut file = File::open(PATH)?;
    let mut buffer = [0xaa; 16];
    assert_eq!(file.read(&mut buffer[..4])?, 4);
    assert_eq!(
        &buffer,
        b"Hell\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa\xaa"
    );

    let mut rest = Vec::new();
    file.read_to_end(&mut rest)?;
    assert_eq!(rest, b"oWorld!\n");
    Ok(())
}

fn can_be_read_from_any_position(vm: &mut Vm) -> Result {
    let _module = vm.load("procfs1")?;
    let mut file = File::open(PATH)?;
    let mut buffer = [0; 64];
    assert_eq!(file.read_at(&mut buffer, 5)?, HELLO.len() - 5);
    assert_eq!(file.read_at(&mut buffer, HELLO.len() as u64)?, 0);
    assert_eq!(file.read_at(&mut buffer, i64::MAX as u64 - 64)?, 0);

    file.seek(SeekFrom::Start(5))?;
    let mut rest = String::new();
    file.read_to_string(&mut rest)?;
    assert_eq!(rest, "World!\n");
    Ok(())
}

/// The book's read answers "end of file" to a buffer it cannot write to.
fn says_when_the_buffer_is_bad(vm: &mut Vm) -> Result {
    let _module = vm.load("procfs1")?;
    let file = File::open(PATH)?;
    assert_eq!(read_to_bad_address(&file, 4), Err(Errno::FAULT));
    assert_eq!(vm.log().count("procfile read")?, 0);
    Ok(())
}

fn cannot_be_written(vm: &mut Vm) -> Result {
    let _module = vm.load("procfs1")?;
    assert_eq!(error_of(fs::write(PATH, "Hello?")), Some(Errno::IO));
    assert_eq!(fs::read(PATH)?, HELLO);
    let answer = ioctl(File::open(PATH)?, 0, Argument::None);
    assert_eq!(answer, Err(Errno::NOTTY));
    Ok(())
}

fn belongs_to_the_children_too(vm: &mut Vm) -> Result {
    let _module = vm.load("procfs1")?;
    let mut file = File::open(PATH)?;
    let mut dd = Command::new("dd");
    dd.args(["bs=5", "count=1"]).stdin(file.try_clone()?);
    assert_eq!(dd.output()?.stdout, b"Hello");
    // The position is shared.
    let mut rest = Vec::new();
    file.read_to_end(&mut rest)?;
    assert_eq!(rest, b"World!\n");
    Ok(())
}

fn a_hundred_threads_read_it(vm: &mut Vm) -> Result {
    let _module = vm.load("procfs1")?;
    on_threads(100, |_| {
        for _ in 0..10 {
            assert_eq!(fs::read(PATH)?, HELLO);
        }
        Ok(())
    })
    .map(drop)
}

fn open_file_outlives_the_module(vm: &mut Vm) -> Result {
    let module = vm.load("procfs1")?;
    let mut file = File::open(PATH)?;
    module.unload()?;
    assert_eq!(error_of(file.read(&mut [0; 16])), Some(Errno::IO));
    Ok(())
}
