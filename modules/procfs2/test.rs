// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;
use std::process::Command;

pub const DEMO: &[&str] = &[
    "ls -l /proc/buffer1k",
    "echo Hello from a shell >/proc/buffer1k",
    "cat /proc/buffer1k",
];

pub const TESTS: &[Test] = tests![
    makes_its_file,
    reads_back_what_was_written,
    reads_in_pieces_and_from_anywhere,
    takes_as_much_as_there_is_room_for,
    says_when_the_buffer_is_bad,
    empty_reads_and_writes,
    is_open_to_all,
    belongs_to_the_children_too,
    open_file_outlives_the_module,
    a_hundred_threads_see_whole_texts,
    says_what_is_done_to_it,
    cannot_be_told_to_lie,
];

const PATH: &str = "/proc/buffer1k";

/// What the file can hold, in bytes.
const LIMIT: usize = 1023;

fn open() -> Result<File> {
    Ok(OpenOptions::new().read(true).write(true).open(PATH)?)
}

fn makes_its_file(vm: &mut Vm) -> Result {
    let module = vm.load("procfs2")?;
    vm.log().expect("/proc/buffer1k created")?;
    let file = fs::metadata(PATH)?;
    assert!(file.is_file());
    assert_eq!(
        (file.mode() & 0o7777, file.uid(), file.gid()),
        (0o644, 0, 0)
    );
    module.unload()?;
    vm.log().expect("/proc/buffer1k removed")?;
    assert!(!Path::new(PATH).exists());
    Ok(())
}

/// The book's module says HelloWorld! whatever was written.
fn reads_back_what_was_written(vm: &mut Vm) -> Result {
    let _module = vm.load("procfs2")?;
    assert_eq!(fs::read(PATH)?, b"");
    for text in ["one", "something longer", "two", "", "\0\n"] {
        let mut file = open()?;
        assert_eq!(file.write(text.as_bytes())?, text.len());
        assert_eq!(file.stream_position()?, text.len() as u64);
        assert_eq!(fs::read(PATH)?, text.as_bytes());
    }
    Ok(())
}

fn reads_in_pieces_and_from_anywhere(vm: &mut Vm) -> Result {
    let _module = vm.load("procfs2")?;
    fs::write(PATH, "0123456789")?;
    let mut file = open()?;
    let mut buffer = [0xaa; 16];
    assert_eq!(file.read(&mut buffer[..3])?, 3);
    assert_eq!(&buffer[..5], b"012\xaa\xaa");
    assert_eq!(fs::read(PATH)?, b"0123456789");
    assert_eq!(file.read(&mut buffer)?, 7);
    assert_eq!(file.read(&mut buffer)?, 0);
    assert_eq!(file.read(&mut buffer)?, 0);
    assert_eq!(file.read_at(&mut buffer, 8)?, 2);
    assert_eq!(&buffer[..2], b"89");
    for beyond in [10, LIMIT as u64, i64::MAX as u64 - 16] {
        assert_eq!(file.read_at(&mut buffer, beyond)?, 0, "{beyond}");
    }
    file.seek(SeekFrom::Start(4))?;
    assert_eq!(file.read(&mut buffer)?, 6);
    Ok(())
}

fn takes_as_much_as_there_is_room_for(vm: &mut Vm) -> Result {
    let _module = vm.load("procfs2")?;
    let long: Vec<u8> = (0..LIMIT + 100).map(|n| b'a' + (n % 26) as u8).collect();
    assert_eq!(open()?.write(&long)?, LIMIT);
    assert_eq!(fs::read(PATH)?, long[..LIMIT]);
    Ok(())
}

/// The book's module has forgotten how long its text is when a write fails.
fn says_when_the_buffer_is_bad(vm: &mut Vm) -> Result {
    let _module = vm.load("procfs2")?;
    fs::write(PATH, "kept")?;
    let file = open()?;
    assert_eq!(read_to_bad_address(&file, 4), Err(Errno::FAULT));
    assert_eq!(write_from_bad_address(&file, 100), Err(Errno::FAULT));
    assert_eq!(fs::read(PATH)?, b"kept");
    Ok(())
}

fn empty_reads_and_writes(vm: &mut Vm) -> Result {
    let _module = vm.load("procfs2")?;
    fs::write(PATH, "text")?;
    let mut file = open()?;
    assert_eq!(file.read(&mut [])?, 0);
    assert_eq!(fs::read(PATH)?, b"text");
    assert_eq!(file.write(b"")?, 0);
    assert_eq!(fs::read(PATH)?, b"");
    Ok(())
}

fn is_open_to_all(vm: &mut Vm) -> Result {
    let _module = vm.load("procfs2")?;
    let (mut one, mut two) = (open()?, open()?);
    one.write_all(b"from one")?;
    let mut text = String::new();
    two.read_to_string(&mut text)?;
    assert_eq!(text, "from one");
    Ok(())
}

fn belongs_to_the_children_too(vm: &mut Vm) -> Result {
    let _module = vm.load("procfs2")?;
    let file = open()?;
    let mut echo = Command::new("echo");
    echo.arg("from a child").stdout(file.try_clone()?);
    assert!(echo.status()?.success());
    drop(echo);
    assert_eq!(fs::read(PATH)?, b"from a child\n");
    // The position is shared: it is where the child's text ends.
    assert_eq!((&file).stream_position()?, 13);
    Ok(())
}

fn open_file_outlives_the_module(vm: &mut Vm) -> Result {
    let module = vm.load("procfs2")?;
    let mut file = open()?;
    module.unload()?;
    let read = file.read(&mut [0; 16]).unwrap_err();
    let write = file.write(b"text").unwrap_err();
    for error in [read, write] {
        assert_eq!(Errno::from_io_error(&error), Some(Errno::IO));
    }
    Ok(())
}

/// The book's module has no lock.
fn a_hundred_threads_see_whole_texts(vm: &mut Vm) -> Result {
    let _module = vm.load("procfs2")?;
    fs::write(PATH, [b'a'; LIMIT])?;
    let hammer = |n: u8| -> Result {
        let text = [b'a' + n % 26; LIMIT];
        let mut buffer = [0; LIMIT];
        for _ in 0..10 {
            open()?.write_all(&text)?;
            let read = open()?.read(&mut buffer)?;
            assert_eq!((read, buffer), (LIMIT, [buffer[0]; LIMIT]));
        }
        Ok(())
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..100).map(|n| scope.spawn(move || hammer(n))).collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().unwrap())
    })
}

fn says_what_is_done_to_it(vm: &mut Vm) -> Result {
    let _module = vm.load("procfs2")?;
    fs::write(PATH, "a text")?;
    vm.log().expect("procfile write a text")?;
    assert_eq!(vm.log().count("procfile read")?, 0);
    fs::read(PATH)?;
    vm.log().expect("procfile read buffer1k")?;
    assert_eq!(vm.log().count("procfile read")?, 1);
    Ok(())
}

/// What the book's module is given it logs as it is, line for line.
fn cannot_be_told_to_lie(vm: &mut Vm) -> Result {
    let _module = vm.load("procfs2")?;
    fs::write(PATH, "text\nprocfs2: a lie\x1b[2J")?;
    let said = vm.log().said("procfs2")?;
    let last = said.last().context("nothing said")?;
    assert_eq!(last.text, r"procfile write text\nprocfs2: a lie\x1b[2J");
    Ok(())
}
