// SPDX-License-Identifier: GPL-2.0-only

use crate::{platform, prelude::*};

pub const EXAMPLE: Example = Example {
    tests: tests![
        none_is_added_in_a_method,
        it_goes_with_the_module,
        a_lost_one_goes_with_the_module,
        a_failing_init_ends,
        a_method_may_drop_it,
        one_under_a_later_one_goes_with_that,
        what_cannot_be_added,
        unloading_while_user_space_binds,
    ],
    ..Example::EMPTY
};

const DRIVER: &str = "overlays";
const DEVICES: [&str; 2] = ["overlays_one", "overlays_other"];

fn is_gone() -> bool {
    let node = |device: &str| Path::new("/proc/device-tree").join(device).exists();
    let is_there = |device: &&str| platform::exists(device) || node(device);
    !DEVICES.iter().any(is_there)
}

fn load(vm: &mut Vm, params: &str) -> Result<Module> {
    vm.log().mark()?;
    let module = vm.load_with("overlays", params)?;
    for device in DEVICES {
        assert_eq!(platform::driver_of(device).as_deref(), Some(DRIVER));
    }
    Ok(module)
}

/// The kernel would wait for ever: it has a lock while it adds one.
fn none_is_added_in_a_method(vm: &mut Vm) -> Result {
    let module = load(vm, "")?;
    // EDEADLK
    assert_eq!(vm.log().count("an overlay in a method: errno 35")?, 2);
    module.unload()
}

fn it_goes_with_the_module(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        load(vm, "")?.unload()?;
        vm.log().expect("overlays: 0 devices are left")?;
        assert_eq!(vm.log().count("not dropped")?, 0);
        assert!(is_gone());
        Ok(())
    })
}

fn a_lost_one_goes_with_the_module(vm: &mut Vm) -> Result {
    for _ in 0..3 {
        load(vm, "forget")?.unload()?;
        vm.log().expect("overlays: not dropped: 1 overlays; ")?;
        vm.log().expect("overlays: 0 devices are left")?;
        assert!(is_gone());
    }
    vm.forgive_leaks();
    Ok(())
}

fn a_failing_init_ends(vm: &mut Vm) -> Result {
    for params in ["fail", "forget fail"] {
        for _ in 0..3 {
            vm.log().mark()?;
            assert_eq!(vm.load_fails("overlays", params)?, Errno::NODEV);
            vm.log().expect("overlays: 0 devices are left")?;
            assert!(is_gone());
        }
    }
    vm.forgive_leaks();
    Ok(())
}

/// Of its own devices' driver: somebody else waits for the method.
fn a_method_may_drop_it(vm: &mut Vm) -> Result {
    for method in ["in_probe", "in_drop"] {
        for device in DEVICES {
            let module = load(vm, "")?;
            platform::unbind(DRIVER, device)?;
            fs::write(format!("/sys/module/overlays/parameters/{method}"), "1")?;
            // It may be gone by then.
            let _ = platform::bind(DRIVER, device);
            let _ = platform::unbind(DRIVER, device);
            eventually("its end", is_gone)?;
            module.unload()?;
            assert_eq!(vm.log().count("not dropped")?, 0);
        }
    }
    Ok(())
}

/// The kernel refuses to remove it before.
fn one_under_a_later_one_goes_with_that(vm: &mut Vm) -> Result {
    for _ in 0..3 {
        let module = load(vm, "later")?;
        // EBUSY
        let stays = "overlays: an overlay of the device tree stays for now: errno 16";
        vm.log().expect(stays)?;
        assert!(Path::new("/proc/device-tree/overlays_one/lkmpg,later").exists());
        module.unload()?;
        vm.log().expect("overlays: 0 devices are left")?;
        assert_eq!(vm.log().count("stays for now")?, 1);
        assert!(is_gone());
    }
    Ok(())
}

/// One without a place, of which the kernel keeps nothing. And one with a node in two parts, of
/// which it has a list of changes: it would undo what it has never done.
fn what_cannot_be_added(vm: &mut Vm) -> Result {
    for _ in 0..3 {
        let module = load(vm, "bad")?;
        // EINVAL
        assert_eq!(vm.log().count("overlays: a bad overlay: errno 22")?, 2);
        let kept = "overlays: the kernel keeps an overlay that it has not applied";
        assert_eq!(vm.log().count(kept)?, 1);
        assert_eq!(vm.log().count("Error reverting changeset")?, 0);
        assert!(!Path::new("/proc/device-tree/overlays_twice").exists());
        module.unload()?;
        assert_eq!(vm.log().count("stays for now")?, 0);
        assert!(is_gone());
    }
    Ok(())
}

fn unloading_while_user_space_binds(vm: &mut Vm) -> Result {
    let bind = || {
        for device in DEVICES {
            let _ = platform::unbind(DRIVER, device);
            let _ = platform::bind(DRIVER, device);
        }
        Ok(())
    };
    while_others(2, bind, || {
        for _ in 0..vm.fewer(50) {
            vm.load("overlays")?.unload()?;
        }
        Ok(())
    })?;
    assert!(is_gone());
    Ok(())
}
