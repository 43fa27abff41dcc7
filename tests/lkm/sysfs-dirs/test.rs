// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    tests: tests![
        directories_are_three_deep,
        the_module_has_directories_in_its_own,
        a_directory_stays_as_long_as_what_is_in_it,
        a_binary_file_goes_with_its_handle,
        what_cannot_be_is_refused,
        modes_and_sizes_are_as_said,
        a_read_begins_anywhere,
        a_write_goes_anywhere,
        more_than_there_is_room_for_is_refused,
        what_is_not_filled_is_zero,
        errors_reach_user_space,
        what_is_not_there_is_an_error,
        an_open_file_does_not_reach_the_module,
        unloading_waits_for_a_read,
        lost_ones_are_removed,
        lost_ones_are_removed_when_init_fails,
    ],
    ..Example::EMPTY
};

const CONTROL: &str = "/proc/sysfs-dirs-control";
const TOP: &str = "/sys/kernel/sysfs-dirs";
const DEVICE: &str = "/sys/kernel/sysfs-dirs/device";
const BOTTOM: &str = "/sys/kernel/sysfs-dirs/device/bottom";
const OWN: &str = "/sys/module/sysfs_dirs/own";
const MORE: &str = "/sys/module/sysfs_dirs/own/more";
const PAGE: usize = 4096;

fn path(name: &str) -> String {
    format!("{DEVICE}/{name}")
}

fn exists(path: &str) -> bool {
    Path::new(path).exists()
}

fn name_in(dir: &str) -> io::Result<String> {
    fs::read_to_string(format!("{dir}/name"))
}

fn directories_are_three_deep(vm: &mut Vm) -> Result {
    let module = vm.load("sysfs-dirs")?;
    assert_eq!(names(TOP)?, ["device", "name"]);
    let files = [
        "bottom", "errors", "first", "liar", "memory", "no-size", "silent", "slow",
    ];
    assert_eq!(names(DEVICE)?, files);
    assert_eq!(names(BOTTOM)?, ["name"]);
    assert_eq!(name_in(TOP)?, "top");
    assert_eq!(fs::read_to_string(path("first"))?, "0");
    assert_eq!(name_in(BOTTOM)?, "bottom");
    module.unload()?;
    assert!(!exists(TOP));
    assert_eq!(vm.log().count("is gone")?, 5);
    Ok(())
}

fn the_module_has_directories_in_its_own(vm: &mut Vm) -> Result {
    let module = vm.load("sysfs-dirs")?;
    assert_eq!(names(OWN)?, ["more", "name"]);
    assert_eq!(name_in(OWN)?, "own");
    assert_eq!(name_in(MORE)?, "more");
    assert_eq!(module.param("lose")?, "N");
    module.unload()?;
    assert!(!exists("/sys/module/sysfs_dirs"));
    Ok(())
}

fn a_directory_stays_as_long_as_what_is_in_it(vm: &mut Vm) -> Result {
    let module = vm.load("sysfs-dirs")?;
    fs::write(CONTROL, "drop top")?;
    fs::write(CONTROL, "drop device")?;
    assert_eq!(name_in(TOP)?, "top");
    assert_eq!(fs::read_to_string(path("first"))?, "0");
    assert_eq!(name_in(BOTTOM)?, "bottom");
    assert_eq!(vm.log().count("is gone")?, 0);

    fs::write(CONTROL, "drop bottom")?;
    assert!(!exists(BOTTOM));
    assert_eq!(fs::read(path("memory"))?, b"0123456789abcdef");
    assert_eq!(name_in(TOP)?, "top");
    assert_eq!(vm.log().count("is gone")?, 1);

    fs::write(CONTROL, "drop files")?;
    assert!(!exists(TOP));
    assert_eq!(vm.log().count("is gone")?, 3);
    module.unload()
}

fn a_binary_file_goes_with_its_handle(vm: &mut Vm) -> Result {
    let module = vm.load("sysfs-dirs")?;
    let memory = File::open(path("memory"))?;
    fs::write(CONTROL, "drop files")?;
    assert_eq!(names(DEVICE)?, ["bottom", "first"]);
    assert_eq!(error_of(memory.read_at(&mut [0; 8], 0)), Some(Errno::NODEV));
    assert_eq!(vm.log().count("is gone")?, 0);

    fs::write(CONTROL, "drop bottom")?;
    assert_eq!(names(DEVICE)?, ["first"]);
    fs::write(CONTROL, "drop device")?;
    assert_eq!(names(TOP)?, ["name"]);
    fs::write(CONTROL, "drop top")?;
    assert!(!exists(TOP));
    module.unload()
}

fn what_cannot_be_is_refused(vm: &mut Vm) -> Result {
    let _module = vm.load("sysfs-dirs")?;
    // The module complains of what is not refused as it should be, and the kernel of
    // names that are taken.
    let complaints = vm.log().complaints("sysfs-dirs")?;
    assert!(complaints.is_empty(), "{complaints:?}");
    assert_eq!(vm.log().count("duplicate")?, 0);
    Ok(())
}

fn modes_and_sizes_are_as_said(vm: &mut Vm) -> Result {
    let _module = vm.load("sysfs-dirs")?;
    let files = [
        ("memory", 0o600, 16),
        ("no-size", 0o644, 0),
        ("silent", 0o444, 0),
        ("liar", 0o644, 0),
        ("slow", 0o400, 0),
    ];
    for (name, mode, size) in files {
        let it = fs::metadata(path(name))?;
        assert_eq!((it.mode() & 0o7777, it.size()), (mode, size), "{name}");
    }
    Ok(())
}

/// Up to its end, which the kernel or the function knows.
fn a_read_begins_anywhere(vm: &mut Vm) -> Result {
    let _module = vm.load("sysfs-dirs")?;
    for name in ["memory", "no-size"] {
        assert_eq!(fs::read(path(name))?, b"0123456789abcdef", "{name}");
        let file = File::open(path(name))?;
        let read = |len: usize, offset| {
            let mut bytes = vec![0; len];
            let read = file.read_at(&mut bytes, offset)?;
            bytes.truncate(read);
            anyhow::Ok(bytes)
        };
        assert_eq!(read(4, 10)?, b"abcd", "{name}");
        assert_eq!(read(PAGE + 1, 14)?, b"ef", "{name}");
        assert_eq!(read(1, 15)?, b"f", "{name}");
        for offset in [16, 17, 1000, u64::from(u32::MAX) + 1] {
            assert_eq!(read(8, offset)?, b"", "{name}");
        }
    }
    let mut memory = File::open(path("memory"))?;
    assert_eq!(memory.seek(SeekFrom::End(-2))?, 14);
    Ok(())
}

fn a_write_goes_anywhere(vm: &mut Vm) -> Result {
    let _module = vm.load("sysfs-dirs")?;
    let memory = read_write(path("memory"))?;
    assert_eq!(memory.write_at(b"XY", 3)?, 2);
    // The kernel passes on what is within the size.
    assert_eq!(memory.write_at(b"stuvwxyz", 12)?, 4);
    for offset in [16, 1000] {
        let result = memory.write_at(b"z", offset);
        assert_eq!(error_of(result), Some(Errno::FBIG));
    }
    assert_eq!(fs::read(path("memory"))?, b"012XY56789abstuv");

    // Without a size the function decides.
    let no_size = read_write(path("no-size"))?;
    assert_eq!(no_size.write_at(b"zz", 15)?, 1);
    assert_eq!(no_size.write_at(b"z", 16)?, 0);
    assert_eq!(error_of(no_size.write_at(b"z", 17)), Some(Errno::NOSPC));
    assert_eq!(no_size.write_at(b"q", 0)?, 1);
    assert_eq!(fs::read(path("memory"))?, b"q12XY56789abstuz");
    // The directory's attributes have the same data.
    assert_eq!(fs::read_to_string(path("first"))?, "q");
    Ok(())
}

/// Also a number of bytes that is negative to C.
fn more_than_there_is_room_for_is_refused(vm: &mut Vm) -> Result {
    let _module = vm.load("sysfs-dirs")?;
    let liar = read_write(path("liar"))?;
    for len in [1, 64, PAGE, PAGE + 1] {
        let mut bytes = vec![0; len];
        assert_eq!(error_of(liar.read_at(&mut bytes, 0)), Some(Errno::IO));
        assert_eq!(error_of(liar.write_at(&bytes, 0)), Some(Errno::IO));
    }
    Ok(())
}

/// The kernel's buffer is from `kmalloc()`.
fn what_is_not_filled_is_zero(vm: &mut Vm) -> Result {
    let _module = vm.load("sysfs-dirs")?;
    let silent = File::open(path("silent"))?;
    for len in [1, 8, 64, 1000, PAGE] {
        let mut bytes = vec![0xff; len];
        assert_eq!(silent.read_at(&mut bytes, 0)?, len);
        assert!(bytes.iter().all(|&byte| byte == 0), "{len}");
    }
    Ok(())
}

/// The kernel does not call again for EAGAIN; its own numbers become others.
fn errors_reach_user_space(vm: &mut Vm) -> Result {
    let _module = vm.load("sysfs-dirs")?;
    let file = read_write(path("errors"))?;
    let errors = [
        (11, Errno::AGAIN),
        (28, Errno::NOSPC),
        (512, Errno::INTR),
        (515, Errno::NOTTY),
        (524, Errno::OPNOTSUPP),
        (529, Errno::IO),
    ];
    for (errno, seen) in errors {
        assert_eq!(error_of(file.read_at(&mut [0; 8], errno)), Some(seen));
        assert_eq!(error_of(file.write_at(b"x", errno)), Some(seen));
    }
    Ok(())
}

/// As of every attribute: root may change the mode.
fn what_is_not_there_is_an_error(vm: &mut Vm) -> Result {
    let _module = vm.load("sysfs-dirs")?;
    let silent = path("silent");
    assert_eq!(error_of(read_write(&silent)), Some(Errno::ACCESS));
    fs::set_permissions(&silent, fs::Permissions::from_mode(0o666))?;
    let file = read_write(&silent)?;
    assert_eq!(error_of(file.write_at(b"x", 0)), Some(Errno::IO));
    Ok(())
}

fn an_open_file_does_not_reach_the_module(vm: &mut Vm) -> Result {
    let module = vm.load("sysfs-dirs")?;
    let memory = read_write(path("memory"))?;
    let mut texts = Vec::new();
    for dir in [TOP, BOTTOM, OWN, MORE] {
        texts.push(File::open(format!("{dir}/name"))?);
    }
    let dir = File::open(BOTTOM)?;
    module.unload()?;
    let gone = Some(Errno::NODEV);
    assert_eq!(error_of(memory.read_at(&mut [0; 8], 0)), gone);
    assert_eq!(error_of(memory.write_at(b"x", 0)), gone);
    for file in &mut texts {
        assert_eq!(error_of(file.read(&mut [0; 8])), gone);
    }
    drop(dir);
    Ok(())
}

fn unloading_waits_for_a_read(vm: &mut Vm) -> Result {
    let module = vm.load("sysfs-dirs")?;
    let reader = Waiter::begin(|| {
        let mut file = File::open(path("slow"))?;
        let read = file.read(&mut [0; 8])?;
        Ok::<_, io::Error>((file, read))
    });
    vm.log().expect("slow read begins")?;
    module.unload()?;

    // The module was still there at the end of the read.
    vm.log().expect_after("exit begins", "slow read ends")?;

    let (mut file, read) = reader.end()??;
    assert_eq!(read, 1);
    assert_eq!(error_of(file.read(&mut [0; 8])), Some(Errno::NODEV));
    Ok(())
}

/// What the module says of the handles that it has lost.
fn says_what_was_lost(vm: &mut Vm) -> Result {
    for said in ["6 binary files in sysfs", "5 directories in sysfs"] {
        vm.log()
            .expect(&format!("sysfs_dirs: not dropped: {said}; "))?;
    }
    assert!(!exists(TOP));
    assert!(!exists("/sys/module/sysfs_dirs"));
    Ok(())
}

fn lost_ones_are_removed(vm: &mut Vm) -> Result {
    vm.load("sysfs-dirs")?.unload()?;
    assert_eq!(vm.log().count("not dropped")?, 0);

    let module = vm.load_with("sysfs-dirs", "lose")?;
    assert_eq!(name_in(BOTTOM)?, "bottom");
    assert_eq!(name_in(MORE)?, "more");
    let memory = File::open(path("memory"))?;
    module.unload()?;
    assert_eq!(error_of(memory.read_at(&mut [0; 8], 0)), Some(Errno::NODEV));
    says_what_was_lost(vm)?;
    vm.forgive_leaks();
    Ok(())
}

fn lost_ones_are_removed_when_init_fails(vm: &mut Vm) -> Result {
    assert_eq!(vm.load_fails("sysfs-dirs", "fail")?, Errno::NODEV);
    assert_eq!(vm.log().count("not dropped")?, 0);

    assert_eq!(vm.load_fails("sysfs-dirs", "lose fail")?, Errno::NODEV);
    says_what_was_lost(vm)?;
    vm.forgive_leaks();
    Ok(())
}
