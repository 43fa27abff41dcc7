// SPDX-License-Identifier: GPL-2.0-only

use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::prelude::*;
use rustix::{
    fs::{CWD, FileType, Mode, makedev, mknodat},
    thread::{CpuSet, gettid, sched_getaffinity, sched_setaffinity},
};

pub const EXAMPLE: Example = Example {
    tests: tests![
        an_open_device_outlives_its_node,
        an_open_file_outlives_its_directory,
        an_open_that_is_refused_leaves_nothing,
        release_is_at_the_last_close,
        nothing_is_left_when_init_fails,
        an_init_that_fails_waits_for_open_files,
        an_init_that_fails_waits_for_who_is_opening,
        a_node_made_by_hand_outlives_the_module,
        a_node_made_by_hand_outlives_a_lost_device,
        what_is_there_already_stays,
        bad_names_are_refused,
        nothing_is_made_before_init,
        majors_are_those_that_there_can_be,
    ],
    ..Example::EMPTY
};

const CONTROL: &str = "/proc/dropped-nodes";
const DEVICE: &str = "/dev/dropped-nodes";
const DIR: &str = "/sys/kernel/debug/dropped-nodes";
const FILE: &str = "/sys/kernel/debug/dropped-nodes/file";

fn texts(vm: &mut Vm) -> Result<Vec<String>> {
    vm.log().texts("dropped-nodes")
}

fn an_open_device_outlives_its_node(vm: &mut Vm) -> Result {
    let mut module = vm.load("dropped-nodes")?;
    let mut file = File::open(DEVICE)?;
    fs::write(CONTROL, "drop device")?;
    assert!(!Path::new(DEVICE).exists());
    assert!(!Path::new("/sys/class/dropped-nodes").exists());
    assert!(!fs::read_to_string("/proc/devices")?.contains("dropped-nodes"));

    // Node, class and number are gone; the file is as it was.
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    assert_eq!(text, "device");
    assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK));
    assert_eq!(texts(vm)?, ["device opened"]);
    drop(file);
    let expected = ["device opened", "device released", "device is gone"];
    assert_eq!(texts(vm)?, expected);
    module.unload()
}

fn an_open_file_outlives_its_directory(vm: &mut Vm) -> Result {
    let mut module = vm.load("dropped-nodes")?;
    let mut files = Vec::new();
    for name in ["value", "blob", "file"] {
        files.push(File::open(Path::new(DIR).join(name))?);
    }
    fs::write(CONTROL, "drop directory")?;
    assert!(!Path::new(DIR).exists());
    for file in &mut files {
        assert_eq!(error_of(file.read(&mut [0; 8])), Some(Errno::IO));
    }
    assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK));
    assert_eq!(texts(vm)?, ["file opened"]);
    drop(files);
    let expected = ["file opened", "file released", "file is gone"];
    assert_eq!(texts(vm)?, expected);
    module.unload()
}

fn an_open_that_is_refused_leaves_nothing(vm: &mut Vm) -> Result {
    let module = vm.load("dropped-nodes")?;
    for path in [DEVICE, FILE] {
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(libc::O_NONBLOCK);
        assert_eq!(error_of(options.open(path)), Some(Errno::BUSY), "{path}");
    }
    // Neither a reference to the module, nor one to the data.
    module.unload()?;
    let mut texts = texts(vm)?;
    texts.sort();
    assert_eq!(texts, ["device is gone", "file is gone"]);
    Ok(())
}

fn release_is_at_the_last_close(vm: &mut Vm) -> Result {
    let _module = vm.load("dropped-nodes")?;
    for path in [DEVICE, FILE] {
        vm.log().mark()?;
        let file = File::open(path)?;
        let same = file.try_clone()?;
        drop(file);
        assert_eq!(vm.log().count("released")?, 0, "{path}");
        drop(same);
        assert_eq!(vm.log().count("released")?, 1, "{path}");
        assert_eq!(vm.log().count("opened")?, 1, "{path}");
    }
    Ok(())
}

fn nothing_is_left_when_init_fails(vm: &mut Vm) -> Result {
    assert_eq!(vm.load_fails("dropped-nodes", "fail")?, Errno::NODEV);
    for path in [CONTROL, DEVICE, DIR, "/sys/class/dropped-nodes"] {
        assert!(!Path::new(path).exists(), "{path}");
    }
    assert_eq!(vm.log().count("is gone")?, 2);
    Ok(())
}

/// The kernel would free the module under who has opened a node.
fn an_init_that_fails_waits_for_open_files(vm: &mut Vm) -> Result {
    for path in [DEVICE, FILE] {
        vm.log().mark()?;
        let load = Waiter::begin(|| Module::load("dropped-nodes", "fail wait").map(drop));
        eventually(path, || Path::new(path).exists())?;
        let file = File::open(path)?;
        eventually("the end of init", || !Path::new(CONTROL).exists())?;
        eventually("the end of the device", || !Path::new(DEVICE).exists())?;
        // It is on its way out, and the module stays.
        thread::sleep(Duration::from_millis(200));
        assert!(!load.has_ended(), "{path}");
        assert_eq!(vm.log().count("released")?, 0, "{path}");
        drop(file);
        let error = load.end()?.unwrap_err();
        assert_eq!(errno(&error), Some(Errno::NODEV), "{path}: {error:#}");
        assert_eq!(vm.log().count("released")?, 1, "{path}");
        assert_eq!(vm.log().count("is gone")?, 2, "{path}");
        assert!(!Path::new("/sys/module/dropped_nodes").exists());
    }
    Ok(())
}

const MAJOR: u32 = 100;
const BY_HAND: &str = "/tmp/dropped-nodes";

/// Makes a node of our own for the device.
fn make_node() -> Result {
    fs::create_dir_all("/tmp")?;
    // A test that failed may have left one.
    let _ = fs::remove_file(BY_HAND);
    let mode = Mode::from(0o600);
    let device = makedev(MAJOR, 0);
    Ok(mknodat(
        CWD,
        BY_HAND,
        FileType::CharacterDevice,
        mode,
        device,
    )?)
}

/// Lets this thread run on `cpu` only.
fn run_on(cpu: usize) -> Result {
    let mut one = CpuSet::new();
    one.set(cpu);
    Ok(sched_setaffinity(None, &one)?)
}

/// Takes the CPU, again and again, from all who are not as important.
fn disturb(over: &AtomicBool) -> Result {
    run_on(0)?;
    let tid = gettid().as_raw_nonzero().to_string();
    let changed = Command::new("chrt")
        .args(["-f", "-p", "50", &tid])
        .status()?;
    ensure!(changed.success(), "chrt: {changed}");
    while !over.load(Ordering::Relaxed) {
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_millis(50) {}
        // The others need some of it, also where little is left of it.
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// A node of one's own leads to a device whose registration then fails. Who opens it
/// meanwhile may stand still in the module for a while: here a task that is more
/// important takes the CPU.
fn an_init_that_fails_waits_for_who_is_opening(vm: &mut Vm) -> Result {
    make_node()?;
    let over = Arc::new(AtomicBool::new(false));
    let mut others: Vec<_> = (0..8)
        .map(|_| {
            let over = over.clone();
            Waiter::begin(move || {
                run_on(0)?;
                while !over.load(Ordering::Relaxed) {
                    drop(File::open(BY_HAND));
                }
                anyhow::Ok(())
            })
        })
        .collect();
    let until = over.clone();
    others.push(Waiter::begin(move || disturb(&until)));
    let all = sched_getaffinity(None)?;
    run_on(1)?;
    for _ in 0..vm.fewer(30) {
        vm.log().mark()?;
        let errno = vm.load_fails("dropped-nodes", &format!("major={MAJOR} taken"))?;
        assert_eq!(errno, Module::init_exists());
        vm.log()
            .expect_trouble("cannot create duplicate filename")?;
        vm.log().expect_trouble("kobject_add_internal failed for")?;
    }
    sched_setaffinity(None, &all)?;
    over.store(true, Ordering::Relaxed);
    for other in others {
        other.end()??;
    }
    fs::remove_file(BY_HAND)?;
    Ok(())
}

/// A kernel that looks for faults keeps what the node leads to for another while.
fn a_node_made_by_hand_outlives_the_module(vm: &mut Vm) -> Result {
    outlives_the_module(vm, "", 6)?;
    outlives_the_module(vm, "fail wait", 6)
}

fn a_node_made_by_hand_outlives_a_lost_device(vm: &mut Vm) -> Result {
    outlives_the_module(vm, "fail wait lose", 2)?;
    vm.forgive_leaks();
    Ok(())
}

fn outlives_the_module(vm: &mut Vm, how: &str, rounds: u32) -> Result {
    make_node()?;
    let params = format!("major={MAJOR} {how}");
    for _ in 0..rounds {
        vm.log().mark()?;
        let params = params.clone();
        let load = Waiter::begin(move || Module::load("dropped-nodes", &params));
        eventually("the device", || File::open(BY_HAND).is_ok())?;
        match load.end()? {
            Ok(module) => {
                assert_eq!(how, "");
                module.unload()?;
            }
            Err(error) => assert_eq!(errno(&error), Some(Errno::NODEV), "{how}: {error:#}"),
        }
        for _ in 0..25 {
            assert_eq!(error_of(File::open(BY_HAND)), Some(Errno::NXIO), "{how}");
            thread::sleep(Duration::from_millis(20));
        }
        if how.ends_with("lose") {
            vm.log().expect("not dropped: 1 character devices; ")?;
        }
    }
    Ok(fs::remove_file(BY_HAND)?)
}

fn what_is_there_already_stays(vm: &mut Vm) -> Result {
    let _module = vm.load("dropped-nodes")?;
    fs::write(CONTROL, "again")?;
    vm.log().expect("already exists")?;
    assert_eq!(fs::read_to_string(FILE)?, "file");
    assert_eq!(fs::read_dir(DIR)?.count(), 3);
    Ok(())
}

fn bad_names_are_refused(vm: &mut Vm) -> Result {
    let _module = vm.load("dropped-nodes")?;
    fs::write(CONTROL, "bad")?;
    Ok(())
}

fn nothing_is_made_before_init(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        vm.log().mark()?;
        assert_eq!(vm.load_fails("dropped-nodes", "early")?, Errno::PERM);
        assert_eq!(texts(vm)?, ["early is gone"]);
        Ok(())
    })
}

fn majors_are_those_that_there_can_be(vm: &mut Vm) -> Result {
    for major in [MAJOR, 511] {
        let _module = vm.load_with("dropped-nodes", &format!("major={major}"))?;
        let devices = fs::read_to_string("/proc/devices")?;
        assert!(
            devices.contains(&format!("{major} dropped-nodes\n")),
            "{devices}"
        );
    }
    // For C the number 4096 + 100 is 100.
    for major in [512, 4096, 4096 + MAJOR, u32::MAX - 1, u32::MAX] {
        let errno = vm.load_fails("dropped-nodes", &format!("major={major}"))?;
        assert_eq!(errno, Errno::INVAL, "{major}");
    }
    Ok(())
}
