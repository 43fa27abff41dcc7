// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    tests: tests![
        lost_threads_are_stopped,
        lost_threads_that_wait_for_others_are_stopped,
        what_a_lost_thread_returned_is_not_dropped,
        a_lost_group_is_stopped,
        a_thread_may_drop_its_group,
        lost_threads_are_stopped_when_init_fails,
        a_thread_that_owns_itself_is_stopped,
        a_thread_may_drop_itself,
        a_thread_cannot_wait_for_itself,
        successors_end,
        lost_items_are_stopped,
        lost_items_are_stopped_when_init_fails,
        an_item_may_drop_itself,
        lost_queues_end,
        a_closure_may_drop_its_queue,
        lost_tasklets_are_stopped,
        lost_executors_are_stopped,
        a_task_may_drop_an_executor,
        lost_files_are_removed,
        lost_files_are_removed_when_init_fails,
        an_open_file_keeps_the_module,
    ],
    ..Example::EMPTY
};

const WAYS: [&str; 3] = ["forgotten", "static", "cycle"];

/// Loads the module with these parameters, and lets what it leaves alone run for a
/// while.
fn load(vm: &mut Vm, kind: &str, way: &str) -> Result<Module> {
    vm.log().mark()?;
    let module = vm.load_with("lost-handles", &format!("kind={kind:?} way={way}"))?;
    thread::sleep(Duration::from_millis(20));
    Ok(module)
}

/// What goes on in freed memory shows a little later.
fn nothing_goes_on() {
    thread::sleep(Duration::from_millis(100));
}

/// Loses a handle in each way. Unloading ends what it was for, and says so.
fn are_stopped(vm: &mut Vm, kind: &str, said: &str) -> Result {
    load(vm, kind, "dropped")?.unload()?;
    assert_eq!(vm.log().count("not dropped")?, 0, "{kind}");
    for way in WAYS {
        load(vm, kind, way)?.unload()?;
        nothing_goes_on();
        vm.log()
            .expect(&format!("lost_handles: not dropped: {said}; "))?;
    }
    vm.forgive_leaks();
    Ok(())
}

/// The same when init fails.
fn are_stopped_when_init_fails(vm: &mut Vm, kind: &str, said: &str) -> Result {
    for way in WAYS {
        vm.log().mark()?;
        let errno = vm.load_fails("lost-handles", &format!("kind={kind:?} way={way} fail"))?;
        assert_eq!(errno, Errno::NODEV, "{kind} {way}");
        nothing_goes_on();
        vm.log()
            .expect(&format!("lost_handles: not dropped: {said}; "))?;
    }
    vm.forgive_leaks();
    Ok(())
}

fn lost_threads_are_stopped(vm: &mut Vm) -> Result {
    for kind in ["thread", "parked"] {
        are_stopped(vm, kind, "1 threads")?;
    }
    Ok(())
}

/// The one that is waited for is older, so it is stopped later.
fn lost_threads_that_wait_for_others_are_stopped(vm: &mut Vm) -> Result {
    for way in WAYS {
        load(vm, "joins parked", way)?.unload()?;
        vm.log().expect("lost_handles: not dropped: 2 threads; ")?;
    }
    vm.forgive_leaks();
    Ok(())
}

/// Also if it owns the handle. If the handle is dropped, the value is dropped once.
fn what_a_lost_thread_returned_is_not_dropped(vm: &mut Vm) -> Result {
    for (way, drops) in WAYS.map(|way| (way, 0)).into_iter().chain([("dropped", 1)]) {
        load(vm, "value", way)?.unload()?;
        let log = vm.log();
        assert_eq!(log.count("the value is dropped")?, drops, "{way}");
        assert_eq!(log.count("not dropped: 1 threads")?, 1 - drops, "{way}");
    }
    load(vm, "returns itself", "")?.unload()?;
    vm.log().expect("lost_handles: not dropped: 1 threads; ")?;
    vm.forgive_leaks();
    Ok(())
}

/// The last thread to end in a group is joined by the next.
fn a_lost_group_is_stopped(vm: &mut Vm) -> Result {
    are_stopped(vm, "group", "4 threads")
}

fn a_thread_may_drop_its_group(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let module = load(vm, "group drops itself", "")?;
        vm.log().expect("lost-handles: dropped the group")?;
        vm.log().expect("lost-handles: asked to stop")?;
        module.unload()?;
        assert_eq!(vm.log().count("not dropped")?, 0);
        Ok(())
    })
}

fn lost_threads_are_stopped_when_init_fails(vm: &mut Vm) -> Result {
    are_stopped_when_init_fails(vm, "thread", "1 threads")
}

/// An `Arc` that the closure has, and that has the thread.
fn a_thread_that_owns_itself_is_stopped(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        load(vm, "itself", "")?.unload()?;
        vm.log().expect("lost_handles: not dropped: 1 threads; ")?;
        Ok(())
    })?;
    let errno = vm.load_fails("lost-handles", "kind=itself fail")?;
    assert_eq!(errno, Errno::NODEV);
    nothing_goes_on();
    Ok(())
}

/// It goes on, is asked to stop, and leaves nothing. What it returns is dropped.
fn a_thread_may_drop_itself(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let module = load(vm, "drops itself", "")?;
        vm.log().expect("lost-handles: park: errno 35")?; // EDEADLK
        vm.log().expect("lost-handles: asked to stop")?;
        module.unload()?;
        assert_eq!(vm.log().count("the value is dropped")?, 1);
        assert_eq!(vm.log().count("not dropped")?, 0);
        Ok(())
    })
}

fn a_thread_cannot_wait_for_itself(vm: &mut Vm) -> Result {
    for kind in ["stops itself", "joins itself"] {
        let module = load(vm, kind, "")?;
        vm.log().expect("lost-handles: end: errno 35")?;
        module.unload()?;
    }
    Ok(())
}

/// From the end of the module on none is made.
fn successors_end(vm: &mut Vm) -> Result {
    let module = load(vm, "successors", "")?;
    vm.log().expect("lost-handles: runs")?;
    module.unload()?;
    vm.log().expect("lost-handles: successor: errno 108")?; // ESHUTDOWN
    nothing_goes_on();
    vm.forgive_leaks();
    Ok(())
}

const ITEMS: [&str; 5] = [
    "work",
    "delayed work",
    "bh work",
    "owned work",
    "owned bh work",
];

fn lost_items_are_stopped(vm: &mut Vm) -> Result {
    for kind in ITEMS {
        are_stopped(vm, kind, "1 work items")?;
    }
    Ok(())
}

fn lost_items_are_stopped_when_init_fails(vm: &mut Vm) -> Result {
    for kind in ITEMS {
        are_stopped_when_init_fails(vm, kind, "1 work items")?;
    }
    Ok(())
}

fn an_item_may_drop_itself(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let module = load(vm, "work drops itself", "")?;
        vm.log().expect("lost-handles: dropped itself: true")?;
        module.unload()?;
        assert_eq!(vm.log().count("not dropped")?, 0);
        Ok(())
    })?;
    load(vm, "work with itself", "")?.unload()?;
    vm.log()
        .expect("lost_handles: not dropped: 1 work items; ")?;
    vm.forgive_leaks();
    Ok(())
}

/// So do closures that give it the next.
fn lost_queues_end(vm: &mut Vm) -> Result {
    let in_sysfs = Path::new("/sys/devices/virtual/workqueue/lost-handles");
    for way in WAYS {
        let module = load(vm, "queue", way)?;
        assert!(in_sysfs.exists());
        module.unload()?;
        assert!(!in_sysfs.exists());
    }
    are_stopped_when_init_fails(vm, "queue", "1 workqueues")?;
    // When init has failed, lockdep soon knows no module there. A closure that prepares
    // the next one is then a fault to it.
    if !Path::new("/proc/lockdep").exists() {
        for kind in ["closures", "bh closures"] {
            are_stopped_when_init_fails(vm, kind, "1 workqueues")?;
        }
    }
    for kind in ["closures", "bh closures"] {
        for way in WAYS {
            load(vm, kind, way)?.unload()?;
            nothing_goes_on();
            vm.log()
                .expect("lost_handles: not dropped: 1 workqueues; ")?;
            vm.log().expect("lost-handles: successor: errno 108")?; // ESHUTDOWN
        }
    }
    vm.forgive_leaks();
    Ok(())
}

fn a_closure_may_drop_its_queue(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        for kind in ["closure drops queue", "bh closure drops queue"] {
            let module = load(vm, kind, "")?;
            vm.log().expect("lost-handles: ran")?;
            module.unload()?;
            assert_eq!(vm.log().count("not dropped")?, 0, "{kind}");
        }
        load(vm, "closure drops another queue", "dropped")?.unload()?;
        vm.log().expect("lost-handles: ran")?;
        assert_eq!(vm.log().count("not dropped")?, 0);
        Ok(())
    })
}

/// Also one that schedules itself, or drops itself.
fn lost_tasklets_are_stopped(vm: &mut Vm) -> Result {
    for way in WAYS.into_iter().chain(["dropped"]) {
        load(vm, "tasklet", way)?.unload()?;
        nothing_goes_on();
        vm.log().expect("lost_handles: not dropped: 1 tasklets; ")?;
    }
    are_stopped_when_init_fails(vm, "tasklet", "1 tasklets")?;
    vm.rounds(|vm| {
        let module = load(vm, "tasklet drops itself", "")?;
        vm.log().expect("lost-handles: dropped itself")?;
        module.unload()?;
        assert_eq!(vm.log().count("not dropped")?, 0);
        Ok(())
    })
}

fn lost_executors_are_stopped(vm: &mut Vm) -> Result {
    are_stopped(vm, "executor", "1 executors")?;
    are_stopped_when_init_fails(vm, "executor", "1 executors")?;
    load(vm, "task with executor", "")?.unload()?;
    vm.log()
        .expect("lost_handles: not dropped: 1 executors; ")?;
    vm.log().expect("lost-handles: a task is over")?;
    let errno = vm.load_fails("lost-handles", "kind=\"task with executor\" fail")?;
    assert_eq!(errno, Errno::NODEV);
    nothing_goes_on();
    vm.forgive_leaks();
    Ok(())
}

fn a_task_may_drop_an_executor(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let module = load(vm, "task drops executor", "")?;
        vm.log().expect("lost-handles: a task is over")?;
        module.unload()?;
        load(vm, "task drops another executor", "dropped")?.unload()?;
        assert_eq!(vm.log().count("not dropped")?, 0);
        Ok(())
    })
}

/// A kind, how it is called, and a file that there is of it.
const FILES: [(&str, &str, &str); 7] = [
    ("proc file", "1 files in /proc", "/proc/lost-handles"),
    (
        "proc dir",
        "1 files in /proc",
        "/proc/lost-handles/more/text",
    ),
    (
        "sysfs dir",
        "3 directories in sysfs",
        "/sys/kernel/lost-handles/more/text",
    ),
    (
        "sysfs dir",
        "1 binary files in sysfs",
        "/sys/module/lost_handles/lost/text",
    ),
    (
        "debugfs dir",
        "2 directories in debugfs",
        "/sys/kernel/debug/lost-handles/more/text",
    ),
    ("chrdev", "1 character devices", "/dev/lost-handles1"),
    ("misc", "1 miscellaneous devices", "/dev/lost-handles"),
];

fn lost_files_are_removed(vm: &mut Vm) -> Result {
    for (kind, said, path) in FILES {
        for way in WAYS {
            let module = load(vm, kind, way)?;
            assert_eq!(fs::read_to_string(path)?, "here\n", "{kind} {way}");
            module.unload()?;
            assert!(!Path::new(path).exists(), "{kind} {way}");
            vm.log()
                .expect(&format!("lost_handles: not dropped: {said}; "))?;
        }
    }
    vm.forgive_leaks();
    Ok(())
}

fn lost_files_are_removed_when_init_fails(vm: &mut Vm) -> Result {
    for (kind, said, path) in FILES {
        are_stopped_when_init_fails(vm, kind, said)?;
        assert!(!Path::new(path).exists(), "{kind}");
    }
    Ok(())
}

/// As it does when the handle is not lost. Where the kernel lets a module go all the
/// same, the file has none of it.
fn an_open_file_keeps_the_module(vm: &mut Vm) -> Result {
    for (kind, _, path) in FILES {
        let mut module = load(vm, kind, "forgotten")?;
        let mut file = File::open(path)?;
        let keeps = !["proc file", "proc dir", "sysfs dir"].contains(&kind);
        match keeps {
            true => {
                assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK), "{kind}");
                drop(file);
                module.unload()?;
            }
            false => {
                module.unload()?;
                assert!(file.read(&mut [0; 8]).is_err(), "{kind}");
            }
        }
    }
    vm.forgive_leaks();
    Ok(())
}
