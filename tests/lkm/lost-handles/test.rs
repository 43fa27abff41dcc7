// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    tests: tests![
        lost_threads_are_stopped,
        a_lost_group_is_stopped,
        a_thread_may_drop_its_group,
        lost_threads_are_stopped_when_init_fails,
        a_thread_that_owns_itself_is_stopped,
        a_thread_may_drop_itself,
        a_thread_cannot_wait_for_itself,
        successors_end,
        the_hook_cannot_be_set,
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
        assert_eq!(vm.log().count("not dropped")?, 1, "{kind} {way}");
    }
    vm.forgive_leaks()
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
    vm.forgive_leaks()
}

fn lost_threads_are_stopped(vm: &mut Vm) -> Result {
    for kind in ["thread", "parked"] {
        are_stopped(vm, kind, "1 threads")?;
    }
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

/// It goes on, is asked to stop, and leaves nothing.
fn a_thread_may_drop_itself(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let module = load(vm, "drops itself", "")?;
        vm.log().expect("lost-handles: park: errno 35")?; // EDEADLK
        vm.log().expect("lost-handles: asked to stop")?;
        module.unload()?;
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
    load(vm, "successors", "")?.unload()?;
    vm.log().expect("lost-handles: successor: errno 108")?; // ESHUTDOWN
    nothing_goes_on();
    Ok(())
}

/// The parameter by which the kernel tells of the module's end has a name that none
/// can have.
fn the_hook_cannot_be_set(vm: &mut Vm) -> Result {
    for parameter in ["lkm=1", "lkm==1", "\"lkm= \"", "\"lkm=\"=1", "=", "lkm"] {
        vm.log().mark()?;
        let module = vm.load_with(
            "lost-handles",
            &format!("kind=thread way=forgotten {parameter}"),
        )?;
        vm.log().expect("lost_handles: unknown parameter")?;
        assert!(!Path::new("/sys/module/lost_handles/parameters").exists());
        module.unload()?;
    }
    Ok(())
}
