// SPDX-License-Identifier: GPL-2.0-only

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    tests: tests![
        attributes_get_the_class,
        devices_come_and_go,
        numbers_run_out,
        a_number_is_free_after_an_error,
        devices_are_added_while_others_are,
        what_cannot_be_is_refused,
        a_name_that_is_taken_is_refused,
        an_open_file_outlives_its_device,
        a_failing_init_leaves_nothing,
        a_failing_init_ends_reads,
        unloading_waits_for_a_show,
        unloading_waits_for_a_store,
        many_add_and_remove,
    ],
    ..Example::EMPTY
};

const CLASS: &str = "/sys/class/device-classes";

fn path(file: &str) -> String {
    format!("{CLASS}/{file}")
}

fn node(minor: u32) -> String {
    format!("/dev/device-classes/n{minor}")
}

/// Writes `text`, which is not empty, to an attribute: no text is no write.
fn write(file: &str, text: &str) -> std::result::Result<(), Errno> {
    let written = fs::write(path(file), text);
    written.map_err(|error| Errno::from_io_error(&error).unwrap())
}

/// What an attribute shows.
fn show(file: &str) -> Result<String> {
    Ok(fs::read_to_string(path(file))?)
}

fn attributes_get_the_class(vm: &mut Vm) -> Result {
    let _module = vm.load("device-classes")?;
    let modes = [
        ("add", 0o200),
        ("add-two", 0o200),
        ("clash", 0o200),
        ("last", 0o444),
        ("left", 0o444),
        ("list", 0o440),
        ("remove", 0o200),
        ("slow", 0o644),
    ];
    assert_eq!(names(CLASS)?, modes.map(|(name, _)| name));
    for (name, mode) in modes {
        assert_eq!(fs::metadata(path(name))?.mode() & 0o7777, mode, "{name}");
    }
    assert_eq!(show("list")?, "");
    for (minor, list) in [(0, " 0"), (1, " 0 1"), (2, " 0 1 2")] {
        write("add", "one")?;
        assert_eq!(show("last")?, format!("{minor}\n"));
        assert_eq!(show("list")?, list);
    }
    write("remove", "1\n")?;
    assert_eq!(show("list")?, " 0 2");
    for (text, errno) in [
        ("1", Errno::NODEV),
        ("3", Errno::NODEV),
        ("4", Errno::NODEV),
        ("4294967295", Errno::NODEV),
        ("4294967296", Errno::INVAL),
        ("-1", Errno::INVAL),
        ("x", Errno::INVAL),
    ] {
        assert_eq!(write("remove", text), Err(errno), "{text}");
    }
    assert_eq!(show("list")?, " 0 2");
    Ok(())
}

fn devices_come_and_go(vm: &mut Vm) -> Result {
    let module = vm.load("device-classes")?;
    let devices = fs::read_to_string("/proc/devices")?;
    let number = |line: &str| line.strip_suffix(" device-classes").map(str::to_owned);
    let number = devices.lines().find_map(number);
    let major: u32 = number.context("no major number")?.trim().parse()?;
    for minor in 0..3 {
        assert!(!Path::new(&node(minor)).exists());
        write("add", "one")?;
        let metadata = fs::metadata(node(minor))?;
        assert!(metadata.file_type().is_char_device());
        assert_eq!(metadata.mode() & 0o7777, 0o444);
        assert_eq!(metadata.rdev(), rustix::fs::makedev(major, minor));
        assert_eq!(fs::read_to_string(node(minor))?, minor.to_string());
        assert!(Path::new(&path(&format!("device-classes!n{minor}"))).exists());
    }
    write("remove", "1")?;
    assert!(!Path::new(&node(1)).exists());
    assert!(!Path::new(&path("device-classes!n1")).exists());
    assert_eq!(fs::read_to_string(node(2))?, "2");
    assert_eq!(show("left")?, "2\n");
    module.unload()?;
    vm.log()
        .expect(&format!("device-classes: exit begins, major {major}"))?;
    vm.log().expect("device-classes: 0 are left")?;
    assert!(!Path::new("/dev/device-classes").exists());
    assert!(!Path::new(CLASS).exists());
    assert!(!fs::read_to_string("/proc/devices")?.contains("device-classes"));
    Ok(())
}

/// The lowest that is free is the next.
fn numbers_run_out(vm: &mut Vm) -> Result {
    let _module = vm.load("device-classes")?;
    for _ in 0..3 {
        for _ in 0..4 {
            write("add", "one")?;
        }
        for _ in 0..10 {
            assert_eq!(write("add", "one"), Err(Errno::NOBUFS));
        }
        assert_eq!(show("list")?, " 0 1 2 3");
        for minor in ["2", "1"] {
            write("remove", minor)?;
        }
        for minor in ["1", "2"] {
            write("add", "one")?;
            assert_eq!(show("last")?.trim(), minor);
        }
        for minor in ["3", "0", "1", "2"] {
            write("remove", minor)?;
        }
    }
    Ok(())
}

fn a_number_is_free_after_an_error(vm: &mut Vm) -> Result {
    let _module = vm.load("device-classes")?;
    for _ in 0..10 {
        assert_eq!(write("add", "fail"), Err(Errno::DOM));
    }
    assert_eq!(
        (show("list")?, show("left")?),
        (String::new(), "0\n".into())
    );
    write("add", "one")?;
    assert_eq!(fs::read_to_string(node(0))?, "0");
    Ok(())
}

/// No lock is held while data is made.
fn devices_are_added_while_others_are(vm: &mut Vm) -> Result {
    let _module = vm.load("device-classes")?;
    write("add-two", "two")?;
    assert_eq!(
        (show("last")?, show("list")?),
        ("0\n".into(), " 0 1".into())
    );
    write("add", "one")?;
    // Only one has room: the one that makes it fails, and there is room again.
    assert_eq!(write("add-two", "two"), Err(Errno::NOBUFS));
    assert_eq!(show("list")?, " 0 1 2");
    write("add", "one")?;
    assert_eq!(show("last")?, "3\n");
    Ok(())
}

fn what_cannot_be_is_refused(vm: &mut Vm) -> Result {
    let _module = vm.load("device-classes")?;
    // The module complains of what is not refused as it should be.
    let complaints = vm.log().complaints("device-classes")?;
    assert!(complaints.is_empty(), "{complaints:?}");
    assert!(!Path::new("/sys/class/refused").exists());
    assert!(!fs::read_to_string("/proc/devices")?.contains("refused"));
    Ok(())
}

/// The kernel complains.
fn a_name_that_is_taken_is_refused(vm: &mut Vm) -> Result {
    let _module = vm.load("device-classes")?;
    assert_eq!(write("clash", "one"), Err(Errno::EXIST));
    let trouble = "cannot create duplicate filename '/class/clash/clash0'";
    vm.log().expect_trouble(trouble)?;
    assert_eq!(show("left")?, "0\n");
    assert!(!Path::new("/dev/clash0").exists());
    assert!(!Path::new("/sys/class/clash").exists());
    Ok(())
}

fn an_open_file_outlives_its_device(vm: &mut Vm) -> Result {
    let mut module = vm.load("device-classes")?;
    write("add", "one")?;
    let file = File::open(node(0))?;
    write("remove", "0")?;
    assert!(!Path::new(&node(0)).exists());
    let mut text = [0; 8];
    assert_eq!(file.read_at(&mut text, 0)?, 1);
    assert_eq!(text[0], b'0');
    // The next one with the number is another.
    write("add", "one")?;
    assert_eq!(show("left")?, "2\n");
    assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK));
    drop(file);
    assert_eq!(show("left")?, "1\n");
    module.unload()
}

fn a_failing_init_leaves_nothing(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let errno = vm.load_fails("device-classes", "fail")?;
        assert_eq!(errno, Errno::NODEV);
        assert!(!Path::new("/dev/device-classes").exists());
        assert!(!Path::new(CLASS).exists());
        assert!(!fs::read_to_string("/proc/devices")?.contains("device-classes"));
        Ok(())
    })
}

/// Of a device that is there at the end, and of one that init itself has removed.
fn a_failing_init_ends_reads(vm: &mut Vm) -> Result {
    let readers: Vec<_> = (0..2)
        .map(|minor| {
            Waiter::begin(move || -> Result<_> {
                let mut file = None;
                eventually("the node", || {
                    file = File::open(format!("/dev/device-classes/n{minor}")).ok();
                    file.is_some()
                })?;
                let mut file = file.context("a file")?;
                Ok(error_of(file.read(&mut [0])))
            })
        })
        .collect();
    let errno = vm.load_fails("device-classes", "fail readers=2")?;
    assert_eq!(errno, Errno::NODEV);
    for reader in readers {
        assert_eq!(reader.end()??, Some(Errno::IO));
    }
    Ok(())
}

fn unloading_waits_for_a_show(vm: &mut Vm) -> Result {
    let module = vm.load("device-classes")?;
    write("add", "one")?;
    let reader = Waiter::begin(|| {
        let mut text = [0; 8];
        let mut file = File::open(path("slow"))?;
        let read = file.read(&mut text)?;
        Ok::<_, io::Error>((file, text[..read].to_vec()))
    });
    vm.log().expect("slow show begins")?;
    module.unload()?;
    vm.log().expect_after("exit begins", "slow show ends")?;

    // The read that was under way is answered, the next finds no module.
    let (mut file, text) = reader.end()??;
    assert_eq!(text, b"slow 0");
    assert_eq!(error_of(file.read(&mut [0; 8])), Some(Errno::NODEV));
    Ok(())
}

/// What it adds at the end goes with the rest.
fn unloading_waits_for_a_store(vm: &mut Vm) -> Result {
    let module = vm.load("device-classes")?;
    let writer = Waiter::begin(|| {
        let mut file = OpenOptions::new().write(true).open(path("slow"))?;
        let written = file.write(b"slow")?;
        Ok::<_, io::Error>((file, written))
    });
    vm.log().expect("slow store begins")?;
    module.unload()?;
    vm.log().expect_after("exit begins", "slow store ends")?;
    vm.log().expect("device-classes: 0 are left")?;
    assert!(!Path::new("/dev/device-classes").exists());
    let (mut file, written) = writer.end()??;
    assert_eq!(written, 4);
    assert_eq!(error_of(file.write(b"slow")), Some(Errno::NODEV));
    Ok(())
}

/// While others open what there is. Each number is one device at a time.
fn many_add_and_remove(vm: &mut Vm) -> Result {
    let module = vm.load("device-classes")?;
    let rounds = vm.fewer(300);
    let (over, seen) = (AtomicBool::new(false), AtomicU32::new(0));
    thread::scope(|scope| -> Result {
        let readers: Vec<_> = (0..2)
            .map(|_| scope.spawn(|| read_until(&over, &seen)))
            .collect();
        let writers: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| add_and_remove(rounds, &seen)))
            .collect();
        let written: Vec<_> = writers.into_iter().map(|it| it.join().unwrap()).collect();
        over.store(true, SeqCst);
        for reader in readers {
            reader.join().unwrap()?;
        }
        written.into_iter().collect()
    })?;
    for minor in 0..4 {
        let _ = write("remove", &minor.to_string());
    }
    assert_eq!(
        (show("list")?, show("left")?),
        (String::new(), "0\n".into())
    );
    module.unload()
}

/// Adds and removes so many, with two others who do the same. There is room for all. Now and
/// then waits until somebody has read a device.
fn add_and_remove(rounds: u32, seen: &AtomicU32) -> Result {
    for round in 0..rounds {
        write("add", "one")?;
        if round % 50 == 0 {
            let before = seen.load(SeqCst);
            eventually("somebody to read it", || seen.load(SeqCst) > before)?;
        }
        // Each finds one: there are as many as have been added and not yet removed.
        let removes = |minor: u32| write("remove", &minor.to_string()).is_ok();
        eventually("one to be removed", || (0..4).any(removes))
            .with_context(|| round.to_string())?;
    }
    Ok(())
}

/// Reads what there is until it is over.
fn read_until(over: &AtomicBool, seen: &AtomicU32) -> Result {
    while !over.load(SeqCst) {
        for minor in 0..4 {
            let Ok(mut file) = File::open(node(minor)) else {
                continue;
            };
            let mut text = String::new();
            file.read_to_string(&mut text)?;
            ensure!(text == minor.to_string(), "{text} is not {minor}");
            seen.fetch_add(1, SeqCst);
        }
    }
    Ok(())
}
