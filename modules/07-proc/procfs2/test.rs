// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    demo: &[
        "ls -l /proc/buffer1k",
        "echo Hello from a shell >/proc/buffer1k",
        "cat /proc/buffer1k",
    ],
    tests: text_file_tests![
        FILE:
        makes_its_file,
        says_what_is_done_to_it,
        cannot_be_told_to_lie,
    ],
    ..Example::EMPTY
};

const PATH: &str = "/proc/buffer1k";

/// The book's module says HelloWorld! whatever was written, has forgotten how long
/// its text is when a write fails, and has no lock.
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
