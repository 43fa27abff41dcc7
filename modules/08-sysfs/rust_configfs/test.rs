// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    demo: &[
        "cat /sys/kernel/config/rust_configfs/description",
        "mkdir -p /sys/kernel/config/rust_configfs/group/child",
        "echo 32 >/sys/kernel/config/rust_configfs/group/child/storeme",
        "cat /sys/kernel/config/rust_configfs/group/child/storeme",
        "cat /sys/kernel/config/rust_configfs/children",
        "rmdir /sys/kernel/config/rust_configfs/group/child",
        "rmdir /sys/kernel/config/rust_configfs/group",
    ],
    tests: tests![
        shows_what_it_is,
        makes_groups_and_children,
        a_child_keeps_a_number,
        each_child_has_its_own,
        what_cannot_be_made,
        what_is_used_is_not_removed,
        a_directory_keeps_the_module,
        a_file_outlives_its_directory,
        a_file_does_not_keep_the_module,
        many_make_and_remove,
        unloading_at_once,
    ],
    setup: Some(configfs),
    ..Example::EMPTY
};

const TOP: &str = "/sys/kernel/config/rust_configfs";
const GROUP: &str = "/sys/kernel/config/rust_configfs/group";
const CHILD: &str = "/sys/kernel/config/rust_configfs/group/child";
const STOREME: &str = "/sys/kernel/config/rust_configfs/group/child/storeme";

fn children() -> Result<String> {
    Ok(fs::read_to_string(format!("{TOP}/children"))?)
}

fn make_child() -> Result {
    fs::create_dir(GROUP)?;
    fs::create_dir(CHILD)?;
    Ok(())
}

fn remove_child() -> Result {
    fs::remove_dir(CHILD)?;
    fs::remove_dir(GROUP)?;
    Ok(())
}

fn shows_what_it_is(vm: &mut Vm) -> Result {
    let module = vm.load("rust_configfs")?;
    assert_eq!(names(TOP)?, ["children", "description"]);
    let text = fs::read_to_string(format!("{TOP}/description"))?;
    assert!(text.ends_with("a child in the group.\n"));
    for (path, mode) in [
        (TOP.to_owned(), 0o755),
        (format!("{TOP}/description"), 0o444),
    ] {
        assert_eq!(fs::metadata(path)?.mode() & 0o7777, mode);
    }
    module.unload()?;
    assert!(!Path::new(TOP).exists());
    Ok(())
}

fn makes_groups_and_children(vm: &mut Vm) -> Result {
    let module = vm.load("rust_configfs")?;
    assert_eq!(children()?, "0\n");
    make_child()?;
    assert_eq!(names(TOP)?, ["children", "description", "group"]);
    assert_eq!(names(GROUP)?, ["child"]);
    assert_eq!(names(CHILD)?, ["storeme"]);
    assert_eq!(fs::metadata(STOREME)?.mode() & 0o7777, 0o644);
    fs::create_dir(format!("{TOP}/another"))?;
    fs::create_dir(format!("{TOP}/another/child"))?;
    assert_eq!(children()?, "2\n");
    fs::remove_dir(format!("{TOP}/another/child"))?;
    fs::remove_dir(format!("{TOP}/another"))?;
    assert_eq!(children()?, "1\n");
    remove_child()?;
    assert_eq!(children()?, "0\n");
    module.unload()
}

fn a_child_keeps_a_number(vm: &mut Vm) -> Result {
    let _module = vm.load("rust_configfs")?;
    make_child()?;
    assert_eq!(fs::read_to_string(STOREME)?, "0\n");
    for text in ["32\n", "-5", "2147483647", "-2147483648"] {
        fs::write(STOREME, text)?;
        assert_eq!(fs::read_to_string(STOREME)?.trim(), text.trim());
    }
    for bad in ["", "x", "1 2", " 1", "2147483648", "99999999999999999999"] {
        let error = error_of(fs::write(STOREME, format!("{bad}\n")));
        assert_eq!(error, Some(Errno::INVAL), "{bad:?}");
    }
    assert_eq!(fs::read_to_string(STOREME)?, "-2147483648\n");
    remove_child()
}

fn each_child_has_its_own(vm: &mut Vm) -> Result {
    let _module = vm.load("rust_configfs")?;
    fs::create_dir(GROUP)?;
    let child = |n: u32| format!("{GROUP}/child-{n}");
    for n in 0..10 {
        fs::create_dir(child(n))?;
        fs::write(format!("{}/storeme", child(n)), n.to_string())?;
    }
    assert_eq!(children()?, "10\n");
    for n in (0..10).rev() {
        let text = fs::read_to_string(format!("{}/storeme", child(n)))?;
        assert_eq!(text, format!("{n}\n"));
        fs::remove_dir(child(n))?;
    }
    // It is a new one when it comes again.
    fs::create_dir(child(1))?;
    let text = fs::read_to_string(format!("{}/storeme", child(1)))?;
    assert_eq!(text, "0\n");
    fs::remove_dir(child(1))?;
    fs::remove_dir(GROUP)?;
    Ok(())
}

fn what_cannot_be_made(vm: &mut Vm) -> Result {
    let _module = vm.load("rust_configfs")?;
    make_child()?;
    for (path, expected) in [
        (format!("{CHILD}/more"), Errno::PERM),
        (format!("{GROUP}/nobody"), Errno::PERM),
        (GROUP.to_owned(), Errno::EXIST),
        (CHILD.to_owned(), Errno::EXIST),
        (format!("{TOP}/description"), Errno::EXIST),
        (format!("{TOP}/nowhere/child"), Errno::NOENT),
    ] {
        let error = error_of(fs::create_dir(&path));
        assert_eq!(error, Some(expected), "{path}");
    }
    // Files are only made by the module.
    assert!(fs::write(format!("{GROUP}/file"), "").is_err());
    assert_eq!(children()?, "1\n");
    remove_child()
}

fn what_is_used_is_not_removed(vm: &mut Vm) -> Result {
    let _module = vm.load("rust_configfs")?;
    make_child()?;
    assert_eq!(error_of(fs::remove_dir(GROUP)), Some(Errno::NOTEMPTY));
    assert!(fs::remove_dir(TOP).is_err());
    assert!(fs::remove_file(STOREME).is_err());
    fs::write(STOREME, "1")?;
    remove_child()
}

fn a_directory_keeps_the_module(vm: &mut Vm) -> Result {
    let mut module = vm.load("rust_configfs")?;
    make_child()?;
    assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK));
    fs::remove_dir(CHILD)?;
    assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK));
    fs::remove_dir(GROUP)?;
    module.unload()
}

fn a_file_outlives_its_directory(vm: &mut Vm) -> Result {
    let module = vm.load("rust_configfs")?;
    make_child()?;
    let mut file = read_write(STOREME)?;
    file.write_all(b"7")?;
    remove_child()?;
    file.rewind()?;
    assert_eq!(error_of(file.read(&mut [0; 8])), Some(Errno::NOENT));
    assert_eq!(error_of(file.write(b"8")), Some(Errno::NOENT));
    module.unload()?;
    assert_eq!(error_of(file.write(b"8")), Some(Errno::NOENT));
    Ok(())
}

fn a_file_does_not_keep_the_module(vm: &mut Vm) -> Result {
    let module = vm.load("rust_configfs")?;
    let mut file = File::open(format!("{TOP}/children"))?;
    let directory = File::open(TOP)?;
    module.unload()?;
    assert_eq!(error_of(file.read(&mut [0; 8])), Some(Errno::NOENT));
    drop(directory);
    Ok(())
}

fn many_make_and_remove(vm: &mut Vm) -> Result {
    let module = vm.load("rust_configfs")?;
    fs::create_dir(GROUP)?;
    let rounds = vm.fewer(100);
    on_threads(4, |thread| {
        let child = format!("{GROUP}/child-{thread}");
        for round in 0..rounds {
            fs::create_dir(&child)?;
            fs::write(format!("{child}/storeme"), round.to_string())?;
            let text = fs::read_to_string(format!("{child}/storeme"))?;
            ensure!(text == format!("{round}\n"), "{text}");
            let count: u32 = children()?.trim_end().parse()?;
            ensure!((1..=4).contains(&count), "{count} children");
            fs::remove_dir(&child)?;
        }
        Ok(())
    })?;
    assert_eq!(children()?, "0\n");
    fs::remove_dir(GROUP)?;
    module.unload()
}

fn unloading_at_once(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let module = vm.load("rust_configfs")?;
        make_child()?;
        remove_child()?;
        module.unload()
    })
}
