// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    demo: &[
        "ls -l /proc/buffer2k",
        "echo Hello from a shell >/proc/buffer2k",
        "cat /proc/buffer2k",
    ],
    tests: text_file_tests![
        FILE:
        makes_its_file,
        says_what_is_done_to_it,
    ],
    ..Example::EMPTY
};

const PATH: &str = "/proc/buffer2k";

/// In the book's module a short read cuts the text off, for everybody; it has
/// forgotten how long its text is when a write fails, and has no lock.
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
