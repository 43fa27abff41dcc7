// SPDX-License-Identifier: GPL-2.0-only

use std::{
    ffi::CStr,
    os::fd::OwnedFd,
    process::Command,
    sync::atomic::{AtomicBool, Ordering::SeqCst},
};

use rustix::{
    fs::{CWD, Mode, OFlags, openat},
    thread::{Uid, set_thread_res_uid},
};

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    demo: &[
        "open_as 1234 /proc/version /dev/null",
        "open_as 1235 /proc/version",
        "dmesg | grep 'Opened file'",
    ],
    params: "uid=1234",
    tests: tests![
        logs_what_one_user_opens,
        spies_on_nobody_at_first,
        another_user_can_be_chosen,
        any_user_can_be_chosen,
        files_that_are_not_there_are_logged,
        long_paths_are_cut,
        paths_that_are_not_in_memory_are_said_so,
        paths_can_be_anywhere,
        control_characters_are_escaped,
        works_as_a_breakpoint_and_as_a_jump,
        the_probe_goes_with_the_module,
        two_of_them_can_go_in_any_order,
        opens_while_it_comes_and_goes,
        bad_values,
    ],
    ..Example::EMPTY
};

/// Who is spied on, and who is not.
const SPIED: u32 = 1234;
const OTHER: u32 = 1235;

/// Something that everybody may open.
const FILE: &str = "/proc/version";

/// The probes that there are.
const LIST: &str = "/sys/kernel/debug/kprobes/list";
const SYSCALL: &str = "__x64_sys_openat";

/// By openat(2), which the standard library's open need not be.
fn open(path: impl AsRef<[u8]>) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    openat(CWD, path.as_ref(), flags, Mode::empty())
}

/// Does `what` in a thread that belongs to `user`, from now on and for ever.
fn as_user<T: Send>(user: u32, what: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            become_user(user);
            what()
        });
        thread.join().unwrap()
    })
}

/// The thread belongs to `user`. To the kernel each thread has a user of its own.
fn become_user(user: u32) {
    let user = Uid::from_raw(user);
    set_thread_res_uid(user, user, user).unwrap();
}

fn load(vm: &mut Vm) -> Result<Module> {
    let module = vm.load_with("syscall-steal", &format!("uid={SPIED}"))?;
    vm.log().mark()?;
    Ok(module)
}

/// What was logged about files since the mark.
fn logged(vm: &mut Vm) -> Result<Vec<String>> {
    let texts = vm.log().texts("syscall-steal")?.into_iter();
    Ok(texts.filter(|text| text.contains("Opened")).collect())
}

fn opened(user: u32, path: &str) -> String {
    format!("Opened file by {user}: {path}")
}

/// The module's lines in the list of probes.
fn probes() -> Result<String> {
    let list = fs::read_to_string(LIST)?;
    let lines = list.lines().filter(|line| line.contains(SYSCALL));
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

/// The book logs each letter in a line of its own.
fn logs_what_one_user_opens(vm: &mut Vm) -> Result {
    vm.log().mark()?;
    let module = vm.load_with("syscall-steal", &format!("uid={SPIED}"))?;
    vm.log().expect("Spying on UID:1234")?;
    for user in [OTHER, SPIED, 0, OTHER] {
        as_user(user, || open(FILE).map(drop))?;
    }
    open("/dev/null")?;
    as_user(SPIED, || open("/dev/null").map(drop))?;
    assert_eq!(
        vm.log().said("syscall-steal")?,
        [
            (6, "Spying on UID:1234".to_owned()),
            (6, opened(SPIED, FILE)),
            (6, opened(SPIED, "/dev/null")),
        ]
    );
    module.unload()?;
    vm.log().mark()?;
    as_user(SPIED, || open(FILE).map(drop))?;
    assert_eq!(logged(vm)?.len(), 0);
    // The program that comes with it.
    let module = load(vm)?;
    let mut program = Command::new("open_as");
    let output = program.args(["1234", FILE, "/nowhere"]).output()?;
    assert!(!output.status.success(), "{output:?}");
    let said = logged(vm)?;
    let expected = [opened(SPIED, FILE), opened(SPIED, "/nowhere")];
    assert!(said.ends_with(&expected), "{said:?}");
    module.unload()
}

fn spies_on_nobody_at_first(vm: &mut Vm) -> Result {
    vm.log().mark()?;
    let module = vm.load("syscall-steal")?;
    assert_eq!(module.param("uid")?, "4294967295");
    for user in [0, SPIED, u32::MAX - 1] {
        as_user(user, || open(FILE).map(drop))?;
    }
    let said = vm.log().said("syscall-steal")?;
    assert_eq!(said, [info("Spying on UID:4294967295")]);
    Ok(())
}

fn another_user_can_be_chosen(vm: &mut Vm) -> Result {
    let _module = load(vm)?;
    let param = Path::new("/sys/module/syscall_steal/parameters/uid");
    assert_eq!(fs::metadata(param)?.mode() & 0o7777, 0o644);
    for spied in [OTHER, SPIED, u32::MAX, OTHER] {
        fs::write(param, spied.to_string())?;
        vm.log().mark()?;
        for user in [SPIED, OTHER] {
            as_user(user, || open(FILE).map(drop))?;
        }
        let expected = [opened(spied, FILE)];
        let expected = &expected[usize::from(spied == u32::MAX)..];
        assert_eq!(logged(vm)?, expected);
    }
    Ok(())
}

/// To the book a user is an `int`, so half of them are negative numbers.
fn any_user_can_be_chosen(vm: &mut Vm) -> Result {
    for user in [1, 0x7fff_ffff, 0x8000_0000, u32::MAX - 1] {
        vm.log().mark()?;
        let module = vm.load_with("syscall-steal", &format!("uid={user}"))?;
        vm.log().expect(&format!("Spying on UID:{user}"))?;
        as_user(user, || open(FILE).map(drop))?;
        assert_eq!(logged(vm)?, [opened(user, FILE)]);
        module.unload()?;
    }
    Ok(())
}

/// The system call has not looked for the file yet.
fn files_that_are_not_there_are_logged(vm: &mut Vm) -> Result {
    let _module = load(vm)?;
    for (path, error) in [
        ("/nowhere", Errno::NOENT),
        ("", Errno::NOENT),
        ("/proc/version/x", Errno::NOTDIR),
        // Only root may read it.
        ("/proc/kmsg", Errno::ACCESS),
        ("nowhere", Errno::NOENT),
    ] {
        vm.log().mark()?;
        let result = as_user(SPIED, || open(path).map(drop));
        assert_eq!(result, Err(error), "{path}");
        assert_eq!(logged(vm)?, [opened(SPIED, path)]);
    }
    Ok(())
}

/// The longest path that the kernel takes has 4095 bytes.
fn long_paths_are_cut(vm: &mut Vm) -> Result {
    let _module = load(vm)?;
    for length in [198, 199, 200, 201, 255, 256, 4094, 4095, 4096, 10_000] {
        let path = "/nowhere".repeat(length / 8 + 1);
        let path = &path[..length];
        vm.log().mark()?;
        let error = as_user(SPIED, || open(path).map(drop));
        let expected = match length < 4096 {
            true => Errno::NOENT,
            false => Errno::NAMETOOLONG,
        };
        assert_eq!(error, Err(expected), "{length}");
        let text = match length < 200 {
            true => opened(SPIED, path),
            false => opened(SPIED, &path[..200]) + "... (the first 200 bytes)",
        };
        assert_eq!(logged(vm)?, [text], "{length}");
    }
    Ok(())
}

/// The book does not look whether it can read a letter, and goes on from there.
fn paths_that_are_not_in_memory_are_said_so(vm: &mut Vm) -> Result {
    let _module = load(vm)?;
    let unreadable = opened(SPIED, "(its path is not in memory)");
    // At two addresses.
    assert_eq!(as_user(SPIED, open_bad_address), Err(Errno::FAULT));
    assert_eq!(logged(vm)?, [unreadable.clone(), unreadable.clone()]);
    // Where no NUL comes before the end of memory, and where one does.
    for (path, text) in [
        (&b"/proc/version"[..], Err(&unreadable)),
        (b"", Err(&unreadable)),
        (b"/proc/version\0", Ok(FILE)),
        (b"\0", Ok("")),
    ] {
        vm.log().mark()?;
        let error = as_user(SPIED, || Edge::of(path).open().map(drop)).err();
        let (expected, text) = match text {
            Ok("") => (Some(Errno::NOENT), opened(SPIED, "")),
            Ok(text) => (None, opened(SPIED, text)),
            Err(text) => (Some(Errno::FAULT), text.clone()),
        };
        assert_eq!(error, expected);
        assert_eq!(logged(vm)?, [text]);
    }
    Ok(())
}

/// On two pages, too.
fn paths_can_be_anywhere(vm: &mut Vm) -> Result {
    const PAGE: usize = 4096;
    let _module = load(vm)?;
    let mut memory = vec![0; 3 * PAGE];
    let end = memory.as_ptr().align_offset(PAGE) + PAGE;
    for begin in end - FILE.len() - 2..=end {
        memory.fill(0);
        memory[begin..begin + FILE.len()].copy_from_slice(FILE.as_bytes());
        let path = CStr::from_bytes_until_nul(&memory[begin..])?;
        vm.log().mark()?;
        as_user(SPIED, || {
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            openat(CWD, path, flags, Mode::empty()).map(drop)
        })?;
        assert_eq!(logged(vm)?, [opened(SPIED, FILE)]);
    }
    Ok(())
}

/// Nobody can write a line of his own into the log, or move the cursor of who reads it.
fn control_characters_are_escaped(vm: &mut Vm) -> Result {
    let _module = load(vm)?;
    let result = as_user(SPIED, || open(b"a\nb\x1b[2J\xff").map(drop));
    assert_eq!(result, Err(Errno::NOENT));
    assert_eq!(logged(vm)?, [opened(SPIED, r"a\nb\x1b[2J\xff")]);
    // Each byte takes four.
    vm.log().mark()?;
    let _ = as_user(SPIED, || open([7; 4000]).map(drop));
    let text = opened(SPIED, &r"\x07".repeat(200)) + "... (the first 200 bytes)";
    assert_eq!(logged(vm)?, [text]);
    Ok(())
}

/// A while after it has put a breakpoint there, the kernel makes it a jump, if it can. Then
/// the handler runs in another context.
fn works_as_a_breakpoint_and_as_a_jump(vm: &mut Vm) -> Result {
    let module = load(vm)?;
    // Most often the first is with a breakpoint, and the last with a jump.
    for _ in 0..20 {
        as_user(SPIED, || open(FILE).map(drop))?;
        as_user(OTHER, || open(FILE).map(drop))?;
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(logged(vm)?, vec![opened(SPIED, FILE); 20]);
    // It says so as soon as it means to make one.
    if !probes()?.contains("[OPTIMIZED]") {
        vm.note("this kernel makes no jump of the breakpoint");
    }
    module.unload()
}

fn the_probe_goes_with_the_module(vm: &mut Vm) -> Result {
    assert_eq!(probes()?, "");
    // Each of them takes some tenths of a second: the kernel looks whether to make a jump.
    vm.many_rounds(30, |vm| {
        let module = load(vm)?;
        assert_eq!(probes()?.lines().count(), 1);
        as_user(SPIED, || open(FILE).map(drop))?;
        module.unload()?;
        assert_eq!(probes()?, "");
        Ok(())
    })
}

/// Two of the book's modules leave a pointer to the one that was unloaded first, unless
/// that is the one that was loaded last.
fn two_of_them_can_go_in_any_order(vm: &mut Vm) -> Result {
    for first_goes_first in [true, false] {
        let first = load(vm)?;
        let second = Module::load_renamed("syscall-steal", "syscall_steam", &[])?;
        let uid = format!("/sys/module/{}/parameters/uid", second.name());
        fs::write(uid, SPIED.to_string())?;
        let (goes, stays) = match first_goes_first {
            true => (first, second),
            false => (second, first),
        };
        for (number, module) in [(2, Some(goes)), (1, Some(stays)), (0, None)] {
            vm.log().mark()?;
            as_user(SPIED, || open(FILE).map(drop))?;
            assert_eq!(logged(vm)?, vec![opened(SPIED, FILE); number]);
            assert_eq!(probes()?.lines().count(), number);
            module.map_or(Ok(()), Module::unload)?;
        }
    }
    Ok(())
}

/// On two CPUs that are emulated an open takes some ten microseconds, and a line of the log
/// a millisecond: most of the opens are those of others.
fn opens_while_it_comes_and_goes(vm: &mut Vm) -> Result {
    let opens = vm.fewer(100_000) / 3;
    let stop = AtomicBool::new(false);
    vm.log().mark()?;
    thread::scope(|scope| {
        let others: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    become_user(OTHER);
                    for _ in 0..opens {
                        open(FILE).unwrap();
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            become_user(SPIED);
            while !stop.load(SeqCst) {
                open(FILE).unwrap();
                thread::sleep(Duration::from_millis(5));
            }
        });
        let mut rounds = || -> Result {
            while !others.iter().all(|thread| thread.is_finished()) {
                vm.load_with("syscall-steal", &format!("uid={SPIED}"))?
                    .unload()?;
            }
            Ok(())
        };
        let result = rounds();
        stop.store(true, SeqCst);
        result
    })?;
    let spying = format!("Spying on UID:{SPIED}");
    for text in vm.log().texts("syscall-steal")? {
        assert!(text == spying || text == opened(SPIED, FILE), "{text}");
    }
    // It still does what it did.
    let module = load(vm)?;
    as_user(SPIED, || open(FILE).map(drop))?;
    assert_eq!(logged(vm)?, [opened(SPIED, FILE)]);
    module.unload()
}

fn bad_values(vm: &mut Vm) -> Result {
    let mut refused = |params| vm.load_fails("syscall-steal", params);
    assert_eq!(refused("uid=-1")?, Errno::INVAL);
    assert_eq!(refused("uid=root")?, Errno::INVAL);
    assert_eq!(refused("uid=4294967296")?, Errno::RANGE);
    Ok(())
}
