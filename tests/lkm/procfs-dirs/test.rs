// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    tests: tests![
        files_are_in_their_directories,
        stat_says_what_was_asked_for,
        directories_outlive_their_owner,
        files_go_before_their_directories,
        an_open_file_does_not_keep_its_directory,
        what_cannot_be_is_refused,
    ],
    ..Example::EMPTY
};

const CONTROL: &str = "/proc/procfs-dirs-control";
const TOP: &str = "/proc/procfs-dirs";
const ONE: &str = "/proc/procfs-dirs/one";
const TWO: &str = "/proc/procfs-dirs/sub/two";

fn files_are_in_their_directories(vm: &mut Vm) -> Result {
    let module = vm.load("procfs-dirs")?;
    assert_eq!(names(TOP)?, ["42", "one", "sub"]);
    assert_eq!(names("/proc/procfs-dirs/sub")?, ["two"]);
    assert_eq!(fs::read_to_string(ONE)?, "one");
    assert_eq!(fs::read_to_string(TWO)?, "two");
    assert_eq!(fs::read_to_string("/proc/procfs-dirs/42")?, "42");
    module.unload()?;
    assert!(!Path::new(TOP).exists());
    assert_eq!(vm.log().count("is gone")?, 3);
    Ok(())
}

fn stat_says_what_was_asked_for(vm: &mut Vm) -> Result {
    let _module = vm.load("procfs-dirs")?;
    let stat = |path: &str| {
        let it = fs::metadata(path)?;
        anyhow::Ok((it.mode() & 0o7777, it.size(), it.uid(), it.gid()))
    };
    assert_eq!(stat(ONE)?, (0o640, 1 << 20, 1, 2));
    assert_eq!(stat(TWO)?, (0o444, 0, 0, 0));
    assert_eq!(stat(TOP)?, (0o555, 0, 0, 0));
    Ok(())
}

fn directories_outlive_their_owner(vm: &mut Vm) -> Result {
    let module = vm.load("procfs-dirs")?;
    fs::write(CONTROL, "drop dirs")?;
    assert_eq!(fs::read_to_string(ONE)?, "one");
    assert_eq!(fs::read_to_string(TWO)?, "two");
    fs::write(CONTROL, "drop files")?;
    assert!(!Path::new(TOP).exists());
    module.unload()
}

fn files_go_before_their_directories(vm: &mut Vm) -> Result {
    let module = vm.load("procfs-dirs")?;
    fs::write(CONTROL, "drop files")?;
    assert_eq!(names(TOP)?, ["sub"]);
    assert_eq!(vm.log().count("is gone")?, 3);
    fs::write(CONTROL, "drop dirs")?;
    assert!(!Path::new(TOP).exists());
    module.unload()
}

fn an_open_file_does_not_keep_its_directory(vm: &mut Vm) -> Result {
    let module = vm.load("procfs-dirs")?;
    let mut files = [File::open(ONE)?, File::open(TWO)?];
    let dir = File::open(TOP)?;
    module.unload()?;
    assert!(!Path::new(TOP).exists());
    for file in &mut files {
        assert_eq!(error_of(file.read(&mut [0; 8])), Some(Errno::IO));
    }
    drop(dir);
    Ok(())
}

fn what_cannot_be_is_refused(vm: &mut Vm) -> Result {
    let _module = vm.load("procfs-dirs")?;
    fs::write(CONTROL, "bad")?;
    assert_eq!(names(TOP)?, ["42", "one", "sub"]);
    Ok(())
}
