// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    tests: tests![
        threads_may_end_each_other,
        items_may_drop_each_other,
        lost_threads_are_asked_together,
        who_parks_a_thread_in_vain_is_stopped,
        a_group_drops_a_closure_without_its_lock,
        a_misc_device_may_be_dropped_by_its_open,
        a_failed_init_ends_when_a_write_drops_its_device,
        a_failed_init_ends_when_a_write_drops_its_lost_device,
        a_failed_init_ends_what_waits_in_its_files,
    ],
    ..Example::EMPTY
};

const DEVICE: &str = "/dev/deadlocks";

fn load(vm: &mut Vm, kind: &str) -> Result<Module> {
    vm.log().mark()?;
    vm.load_with("deadlocks", &format!("kind={kind}"))
}

/// Unloads the module, in which all have met and nothing was lost.
fn unload(vm: &mut Vm, module: Module) -> Result {
    module.unload()?;
    assert_eq!(vm.log().count("nobody came")?, 0);
    assert_eq!(vm.log().count("not dropped")?, 0);
    Ok(())
}

/// The end of an init that was to fail.
fn has_failed(vm: &mut Vm, load: Waiter<Result>) -> Result {
    let error = load.end()?.unwrap_err();
    assert_eq!(errno(&error), Some(Errno::NOSPC), "{error:#}");
    assert_eq!(vm.log().count("nobody came")?, 0);
    Ok(())
}

fn threads_may_end_each_other(vm: &mut Vm) -> Result {
    for (kind, threads) in [("drop", 2), ("circle", 5), ("stop", 2), ("join", 2)] {
        vm.many_rounds(30, |vm| {
            let module = load(vm, kind)?;
            let ended = "deadlocks: end: errno";
            eventually("the threads", || {
                vm.log().count(ended).is_ok_and(|count| count == threads)
            })?;
            unload(vm, module)?;
            // Who would have waited for itself was told.
            let refused: usize = matches!(kind, "stop" | "join").into();
            assert_eq!(vm.log().count("end: errno 35")?, refused, "{kind}"); // EDEADLK
            Ok(())
        })?;
    }
    Ok(())
}

/// And so may an item and a thread.
fn items_may_drop_each_other(vm: &mut Vm) -> Result {
    for kind in ["items", "mixed"] {
        vm.many_rounds(30, |vm| {
            let module = load(vm, kind)?;
            eventually("both", || {
                vm.log()
                    .count("dropped the other")
                    .is_ok_and(|count| count == 2)
            })?;
            unload(vm, module)
        })?;
    }
    Ok(())
}

/// Before one of them is waited for.
fn lost_threads_are_asked_together(vm: &mut Vm) -> Result {
    load(vm, "together")?.unload()?;
    vm.log().expect("deadlocks: not dropped: 20 threads; ")?;
    assert_eq!(vm.log().count("nobody came")?, 0);
    vm.forgive_leaks();
    Ok(())
}

/// The thread that it waits for would never park.
fn who_parks_a_thread_in_vain_is_stopped(vm: &mut Vm) -> Result {
    vm.many_rounds(30, |vm| {
        let module = load(vm, "park")?;
        // The other one waits uninterruptibly.
        let waits = |task: &Task| task.field("State") == "S (sleeping)";
        eventually("the wait", || {
            live_tasks(|name| name == "deadlocks").iter().any(waits)
        })?;
        assert_eq!(vm.log().count("park: errno")?, 0);
        unload(vm, module)?;
        vm.log().expect("park: errno 512")?; // ERESTARTSYS
        Ok(())
    })
}

fn a_group_drops_a_closure_without_its_lock(vm: &mut Vm) -> Result {
    load(vm, "group")?.unload()?;
    vm.log().expect("deadlocks: again: errno 108")?; // ESHUTDOWN
    vm.log().expect("deadlocks: join: errno 108")?;
    vm.forgive_leaks();
    Ok(())
}

/// The kernel has one lock for the opening of all such devices, and for making and
/// removing them.
fn a_misc_device_may_be_dropped_by_its_open(vm: &mut Vm) -> Result {
    vm.many_rounds(30, |vm| {
        let module = load(vm, "misc")?;
        let mut options = OpenOptions::new();
        let opened = options.write(true).open(DEVICE);
        assert_eq!(error_of(opened), Some(Errno::DEADLK));
        let file = File::open(DEVICE)?;
        eventually("the end of the device", || !Path::new(DEVICE).exists())?;
        drop(file);
        unload(vm, module)
    })
}

fn fails(kind: &str) -> Waiter<Result> {
    let params = format!("kind={kind} fail");
    Waiter::begin(move || Module::load("deadlocks", &params).map(drop))
}

/// A write that would wait for its own file.
fn a_write_drops_its_device(vm: &mut Vm, kind: &str) -> Result {
    vm.log().mark()?;
    let load = fails(kind);
    eventually("the device", || Path::new(DEVICE).exists())?;
    let mut file = OpenOptions::new().write(true).open(DEVICE)?;
    assert_eq!(file.write(b"x")?, 1);
    drop(file);
    has_failed(vm, load)?;
    assert!(!Path::new(DEVICE).exists());
    Ok(())
}

fn a_failed_init_ends_when_a_write_drops_its_device(vm: &mut Vm) -> Result {
    vm.many_rounds(30, |vm| a_write_drops_its_device(vm, "chrdev"))
}

/// When init has failed already.
fn a_failed_init_ends_when_a_write_drops_its_lost_device(vm: &mut Vm) -> Result {
    vm.many_rounds(30, |vm| {
        a_write_drops_its_device(vm, "late")?;
        vm.log()
            .expect("deadlocks: not dropped: 1 character devices; ")?;
        vm.log().expect("deadlocks: hung up: errno 19")?; // ENODEV
        Ok(())
    })
}

fn a_failed_init_ends_what_waits_in_its_files(vm: &mut Vm) -> Result {
    for (kind, path) in [
        ("read-proc", "/proc/deadlocks"),
        ("read-debugfs", "/sys/kernel/debug/deadlocks/endless"),
        ("read-chrdev", DEVICE),
        // The device that is dropped first is another one.
        ("read-second", DEVICE),
        ("read-misc", DEVICE),
        ("open-proc", "/proc/deadlocks"),
        ("open-debugfs", "/sys/kernel/debug/deadlocks/endless"),
        ("open-chrdev", DEVICE),
        ("open-misc", DEVICE),
    ] {
        vm.many_rounds(30, |vm| {
            vm.log().mark()?;
            let load = fails(kind);
            eventually("the file", || Path::new(path).exists())?;
            let reader = Waiter::begin(move || error_of(fs::read(path)));
            assert_eq!(reader.end()?, Some(Errno::NODEV), "{kind}");
            has_failed(vm, load)
        })?;
    }
    Ok(())
}
