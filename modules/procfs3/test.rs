// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const DEMO: &[&str] = &[
    "ls -l /proc/buffer2k",
    "echo Hello from a shell >/proc/buffer2k",
    "cat /proc/buffer2k",
];

pub const TESTS: &[Test] = tests![
    makes_its_file,
    says_what_is_done_to_it,
    reads_back_what_was_written,
    reads_in_pieces_and_from_anywhere,
    takes_as_much_as_there_is_room_for,
    says_when_the_buffer_is_bad,
    empty_reads_and_writes,
    is_open_to_all,
    belongs_to_the_children_too,
    open_file_outlives_the_module,
    a_hundred_threads_see_whole_texts,
];

const PATH: &str = "/proc/buffer2k";

const FILE: TextFile = TextFile {
    module: "procfs3",
    path: PATH,
    limit: 2048,
};

fn makes_its_file(vm: &mut Vm) -> Result {
    let module = vm.load("procfs3")?;
    let file = fs::metadata(PATH)?;
    assert!(file.is_file());
    assert_eq!(
        (file.mode() & 0o7777, file.uid(), file.gid()),
        (0o644, 0, 0)
    );
    // Said, not true: as in the book.
    assert_eq!(file.size(), 80);
    module.unload()?;
    assert!(!Path::new(PATH).exists());
    Ok(())
}

/// The kernel's `pr_debug!` says nothing unless it was built to.
fn says_what_is_done_to_it(vm: &mut Vm) -> Result {
    let module = vm.load("procfs3")?;
    fs::write(PATH, "a text")?;
    let mut file = File::open(PATH)?;
    for expected in [6, 0] {
        assert_eq!(file.read(&mut [0; 16])?, expected);
    }
    drop(file);
    module.unload()?;
    let said = [
        (7, "/proc/buffer2k created"),
        (7, "procfs_write: write 6 bytes"),
        (7, "procfs_read: read 6 bytes"),
        (7, "procfs_read: END"),
        (7, "/proc/buffer2k removed"),
    ];
    let expected = if vm.prints_debug()? { &said[..] } else { &[] };
    assert_eq!(vm.log().said("procfs3")?, expected);
    Ok(())
}

fn reads_back_what_was_written(vm: &mut Vm) -> Result {
    FILE.reads_back_what_was_written(vm)
}

/// In the book's module a short read cuts the text off, for everybody.
fn reads_in_pieces_and_from_anywhere(vm: &mut Vm) -> Result {
    FILE.reads_in_pieces_and_from_anywhere(vm)
}

fn takes_as_much_as_there_is_room_for(vm: &mut Vm) -> Result {
    FILE.takes_as_much_as_there_is_room_for(vm)
}

/// The book's module has forgotten how long its text is when a write fails.
fn says_when_the_buffer_is_bad(vm: &mut Vm) -> Result {
    FILE.says_when_the_buffer_is_bad(vm)
}

fn empty_reads_and_writes(vm: &mut Vm) -> Result {
    FILE.empty_reads_and_writes(vm)
}

fn is_open_to_all(vm: &mut Vm) -> Result {
    FILE.is_open_to_all(vm)
}

fn belongs_to_the_children_too(vm: &mut Vm) -> Result {
    FILE.belongs_to_the_children_too(vm)
}

fn open_file_outlives_the_module(vm: &mut Vm) -> Result {
    FILE.open_file_outlives_the_module(vm)
}

/// The book's module has no lock.
fn a_hundred_threads_see_whole_texts(vm: &mut Vm) -> Result {
    FILE.a_hundred_threads_see_whole_texts(vm)
}
