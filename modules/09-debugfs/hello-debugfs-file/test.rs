// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    demo: &[
        "cat /sys/kernel/debug/lkmpg_debugfs_file/message",
        "echo hello debugfs >/sys/kernel/debug/lkmpg_debugfs_file/message",
        "cat /sys/kernel/debug/lkmpg_debugfs_file/message",
        "cat /sys/kernel/debug/lkmpg_debugfs_file/blob",
    ],
    tests: tests![
        has_two_files,
        keeps_a_message,
        a_message_that_is_too_long_changes_nothing,
        a_message_is_written_at_the_beginning,
        can_be_read_from_any_position,
        bad_addresses_change_nothing,
        many_write_and_read,
        not_even_root_writes_to_the_blob,
        knows_no_ioctl,
        an_open_file_keeps_the_module,
    ],
    ..Example::EMPTY
};

const DIR: &str = "/sys/kernel/debug/lkmpg_debugfs_file";
const MESSAGE: &str = "/sys/kernel/debug/lkmpg_debugfs_file/message";
const BLOB: &str = "/sys/kernel/debug/lkmpg_debugfs_file/blob";

const HELLO: &str = "debugfs says hello\n";
const BLOB_TEXT: &str = "This blob is read-only and exported with debugfs_create_blob().\n";

/// Opens the message to write to it.
fn writer() -> io::Result<File> {
    OpenOptions::new().write(true).open(MESSAGE)
}

fn has_two_files(vm: &mut Vm) -> Result {
    let module = vm.load("hello-debugfs-file")?;
    let text = "debugfs file example registered under /sys/kernel/debug/lkmpg_debugfs_file";
    let registered = info(text);
    assert_eq!(vm.log().said("hello-debugfs-file")?, [registered]);
    assert_eq!(fs::read_dir(DIR)?.count(), 2);
    assert_eq!(fs::metadata(MESSAGE)?.mode() & 0o7777, 0o600);
    assert_eq!(fs::metadata(BLOB)?.mode() & 0o7777, 0o400);
    assert_eq!(fs::read_to_string(MESSAGE)?, HELLO);
    assert_eq!(fs::read_to_string(BLOB)?, BLOB_TEXT);
    module.unload()?;
    let removed = info("debugfs file example removed");
    assert_eq!(vm.log().said("hello-debugfs-file")?, [registered, removed]);
    assert!(!Path::new(DIR).exists());
    Ok(())
}

fn keeps_a_message(vm: &mut Vm) -> Result {
    let _module = vm.load("hello-debugfs-file")?;
    let longest = "x".repeat(127);
    for text in ["hello debugfs\n", "a", "\0\0", longest.as_str()] {
        fs::write(MESSAGE, text)?;
        assert_eq!(fs::read_to_string(MESSAGE)?, text);
        assert_eq!(writer()?.write(b"")?, 0);
        assert_eq!(fs::read_to_string(MESSAGE)?, text);
    }
    Ok(())
}

/// The kernel's own blobs can be written by root, whatever their mode: the
/// book's is in read-only memory, and a write is an oops.
fn not_even_root_writes_to_the_blob(vm: &mut Vm) -> Result {
    let _module = vm.load("hello-debugfs-file")?;
    assert_eq!(error_of(fs::write(BLOB, "x")), Some(Errno::INVAL));
    assert_eq!(fs::read_to_string(BLOB)?, BLOB_TEXT);
    Ok(())
}

/// The book keeps the first 127 bytes, and then says that it failed.
fn a_message_that_is_too_long_changes_nothing(vm: &mut Vm) -> Result {
    let _module = vm.load("hello-debugfs-file")?;
    for len in [128, 129, 4096, 1 << 20] {
        let result = fs::write(MESSAGE, "y".repeat(len));
        assert_eq!(error_of(result), Some(Errno::FBIG), "{len}");
        assert_eq!(fs::read_to_string(MESSAGE)?, HELLO);
    }
    Ok(())
}

fn a_message_is_written_at_the_beginning(vm: &mut Vm) -> Result {
    let _module = vm.load("hello-debugfs-file")?;
    let mut file = writer()?;
    file.write_all(b"one\n")?;
    assert_eq!(error_of(file.write(b"two\n")), Some(Errno::INVAL));
    assert_eq!(error_of(file.write_at(b"two\n", 1)), Some(Errno::INVAL));
    assert_eq!(fs::read_to_string(MESSAGE)?, "one\n");

    file.seek(SeekFrom::Start(0))?;
    file.write_all(b"two\n")?;
    assert_eq!(file.write_at(b"three\n", 0)?, 6);
    assert_eq!(fs::read_to_string(MESSAGE)?, "three\n");
    Ok(())
}

fn can_be_read_from_any_position(vm: &mut Vm) -> Result {
    let _module = vm.load("hello-debugfs-file")?;
    for (path, text) in [(MESSAGE, HELLO), (BLOB, BLOB_TEXT)] {
        let mut file = File::open(path)?;
        let mut buffer = [0xaa; 128];
        assert_eq!(file.read(&mut buffer[..4])?, 4);
        assert_eq!(buffer[3..5], [text.as_bytes()[3], 0xaa]);
        let len = file.read_at(&mut buffer, 5)?;
        assert_eq!(&buffer[..len], &text.as_bytes()[5..]);
        for beyond in [text.len() as u64, 1 << 40] {
            assert_eq!(file.read_at(&mut buffer, beyond)?, 0, "{path}");
        }
    }
    Ok(())
}

fn bad_addresses_change_nothing(vm: &mut Vm) -> Result {
    let _module = vm.load("hello-debugfs-file")?;
    let file = read_write(MESSAGE)?;
    assert_eq!(read_to_bad_address(&file, 4), Err(Errno::FAULT));
    assert_eq!(write_from_bad_address(&file, 4), Err(Errno::FAULT));
    let blob = File::open(BLOB)?;
    assert_eq!(read_to_bad_address(&blob, 4), Err(Errno::FAULT));
    assert_eq!(fs::read_to_string(MESSAGE)?, HELLO);
    Ok(())
}

fn many_write_and_read(vm: &mut Vm) -> Result {
    let _module = vm.load("hello-debugfs-file")?;
    let messages = ["a".repeat(127), "b".repeat(100), HELLO.to_owned()];
    // Three write, each its message; three read.
    on_threads(6, |n| {
        for _ in 0..200 {
            if let Some(message) = messages.get(n as usize) {
                fs::write(MESSAGE, message)?;
                continue;
            }
            // In one call: the next would ask again.
            let mut text = [0; 128];
            let len = File::open(MESSAGE)?.read(&mut text)?;
            let text = std::str::from_utf8(&text[..len])?;
            ensure!(messages.iter().any(|it| it == text), "read {text:?}");
        }
        Ok(())
    })
    .map(drop)
}

fn knows_no_ioctl(vm: &mut Vm) -> Result {
    let _module = vm.load("hello-debugfs-file")?;
    for path in [MESSAGE, BLOB] {
        let file = File::open(path)?;
        for request in [0, 0x6400, u32::MAX] {
            let answer = ioctl(&file, request, Argument::BadAddress);
            assert_eq!(answer, Err(Errno::NOTTY), "{path}: {request:x}");
        }
    }
    Ok(())
}

fn an_open_file_keeps_the_module(vm: &mut Vm) -> Result {
    let mut module = vm.load("hello-debugfs-file")?;
    for (path, expected) in [(MESSAGE, HELLO), (BLOB, BLOB_TEXT)] {
        let mut file = File::open(path)?;
        assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK));
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        assert_eq!(text, expected);
    }
    module.unload()
}
