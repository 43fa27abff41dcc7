// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    tests: tests![
        threads_may_end_each_other,
        items_may_drop_each_other,
        who_parks_a_thread_in_vain_is_stopped,
        a_group_drops_a_closure_without_its_lock,
        a_misc_device_may_be_dropped_by_its_open,
        a_failed_init_ends_when_a_write_drops_its_device,
        a_failed_init_ends_what_waits_in_its_files,
    ],
    ..Example::EMPTY
};

const DEVICE: &str = "/dev/deadlocks";

fn load(vm: &mut Vm, kind: &str) -> Result<Module> {
    vm.log().mark()?;
    vm.load_with("deadlocks", &format!("kind={kind}"))
}

fn threads_may_end_each_other(vm: &mut Vm) -> Result {
    for (kind, threads) in [("drop", 2), ("circle", 5), ("stop", 2), ("join", 2)] {
        vm.many_rounds(30, |vm| {
            let module = load(vm, kind)?;
            eventually("the threads", || {
                vm.log()
                    .count("deadlocks: end: errno")
                    .is_ok_and(|count| count == threads)
            })?;
            module.unload()?;
            // Who would have waited for itself was told.
            let refused: usize = matches!(kind, "stop" | "join").into();
            assert_eq!(vm.log().count("end: errno 35")?, refused, "{kind}"); // EDEADLK
            assert_eq!(vm.log().count("not dropped")?, 0, "{kind}");
            Ok(())
        })?;
    }
    Ok(())
}

fn items_may_drop_each_other(vm: &mut Vm) -> Result {
    vm.many_rounds(30, |vm| {
        let module = load(vm, "items")?;
        eventually("the items", || {
            vm.log()
                .count("dropped the other")
                .is_ok_and(|count| count == 2)
        })?;
        module.unload()?;
        assert_eq!(vm.log().count("not dropped")?, 0);
        Ok(())
    })
}

/// The thread that it waits for would never park.
fn who_parks_a_thread_in_vain_is_stopped(vm: &mut Vm) -> Result {
    vm.many_rounds(30, |vm| {
        load(vm, "park")?.unload()?;
        assert_eq!(vm.log().count("not dropped")?, 0);
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
        assert_eq!(
            error_of(options.write(true).open(DEVICE)),
            Some(Errno::DEADLK)
        );
        let file = File::open(DEVICE)?;
        eventually("the end of the device", || !Path::new(DEVICE).exists())?;
        drop(file);
        module.unload()?;
        assert_eq!(vm.log().count("not dropped")?, 0);
        Ok(())
    })
}

/// That drop waits until init has ended, which waits for the file.
fn a_failed_init_ends_when_a_write_drops_its_device(vm: &mut Vm) -> Result {
    vm.many_rounds(30, |vm| {
        vm.log().mark()?;
        let load = Waiter::begin(|| Module::load("deadlocks", "kind=chrdev fail").map(drop));
        eventually("the device", || Path::new(DEVICE).exists())?;
        let mut file = OpenOptions::new().write(true).open(DEVICE)?;
        assert_eq!(file.write(b"x")?, 1);
        drop(file);
        let error = load.end()?.unwrap_err();
        assert_eq!(errno(&error), Some(Errno::NODEV), "{error:#}");
        assert!(!Path::new(DEVICE).exists());
        Ok(())
    })
}

fn a_failed_init_ends_what_waits_in_its_files(vm: &mut Vm) -> Result {
    for (kind, path) in [
        ("read-proc", "/proc/deadlocks"),
        ("read-debugfs", "/sys/kernel/debug/deadlocks/endless"),
        ("read-chrdev", DEVICE),
        ("read-misc", DEVICE),
    ] {
        let params = format!("kind={kind} fail");
        vm.many_rounds(30, |vm| {
            vm.log().mark()?;
            let params = params.clone();
            let load = Waiter::begin(move || Module::load("deadlocks", &params).map(drop));
            eventually("the file", || Path::new(path).exists())?;
            assert_eq!(error_of(fs::read(path)), Some(Errno::NODEV), "{kind}");
            let error = load.end()?.unwrap_err();
            assert_eq!(errno(&error), Some(Errno::NODEV), "{kind}: {error:#}");
            Ok(())
        })?;
    }
    Ok(())
}
