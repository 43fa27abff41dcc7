// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

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

const FILE: TextFile = TextFile {
    module: "procfs2",
    path: PATH,
    limit: 1023,
};

fn makes_its_file(vm: &mut Vm) -> Result {
    let module = vm.load("procfs2")?;
    let created = info("/proc/buffer1k created");
    assert_eq!(vm.log().said("procfs2")?, [created]);
    let file = fs::metadata(PATH)?;
    assert!(file.is_file());
    assert_eq!(
        (file.mode() & 0o7777, file.uid(), file.gid()),
        (0o644, 0, 0)
    );
    module.unload()?;
    let removed = info("/proc/buffer1k removed");
    assert_eq!(vm.log().said("procfs2")?, [created, removed]);
    assert!(!Path::new(PATH).exists());
    Ok(())
}

/// The book's module says HelloWorld! whatever was written.
fn reads_back_what_was_written(vm: &mut Vm) -> Result {
    FILE.reads_back_what_was_written(vm)
}

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
