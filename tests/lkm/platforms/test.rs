// SPDX-License-Identifier: GPL-2.0-only

use crate::{platform, prelude::*};
use commands::*;

mod commands;

pub const EXAMPLE: Example = Example {
    tests: tests![
        drivers_of_all_kinds,
        properties_have_types,
        what_cannot_be_is_refused,
        a_name_is_had_by_one,
        makes_nothing_in_a_method,
        errors_of_probe_are_those_of_who_binds,
        what_is_deferred_is_tried_again,
        errors_of_suspend_end_it,
        each_device_is_told_once,
        foreign_devices_come_and_go,
        dropping_a_driver_waits,
        dropping_a_device_waits,
        methods_may_drop_anything,
        two_drivers_may_drop_each_other,
        dropped_while_the_machine_goes_to_sleep,
        a_suspend_may_wait_for_a_drop,
        more_tasks_than_it_knows_of,
        handles_are_dropped_in_softirqs,
        dropped_while_user_space_binds,
        unloading_while_user_space_binds,
        files_of_what_is_gone,
        a_failing_init_ends,
        unloading_at_once,
    ],
    params: "early",
    setup: Some(platform::suspend_once),
    ..Example::EMPTY
};

/// The kernel's own number for what it tries again.
const EPROBE_DEFER: usize = 517;

/// The name of a driver, and of the device for it.
fn name(thing: usize) -> String {
    format!("platforms-{}", thing % DEVICE)
}

fn driver_of(device: usize) -> Option<String> {
    platform::driver_of(&name(device))
}

fn is_bound(device: usize) -> bool {
    driver_of(device).is_some()
}

fn load(vm: &mut Vm) -> Result<(Module, Control)> {
    let module = vm.load("platforms")?;
    Ok((module, Control::open("/proc/platforms")?))
}

/// With the first driver and its device.
fn load_bound(vm: &mut Vm) -> Result<(Module, Control)> {
    let (module, control) = load(vm)?;
    control.call(MAKE, DRIVER)?;
    control.call(MAKE, DEVICE)?;
    assert!(is_bound(DEVICE));
    Ok((module, control))
}

fn calls(control: &Control) -> [usize; 4] {
    [PROBE, REMOVE, SUSPEND, RESUME].map(|method| control.call(CALLS, method).unwrap())
}

/// Nothing was as it must not be, and the methods end.
fn all_is_well(control: &Control) -> Result {
    eventually("the end of methods", || control.get(RUNNING) == 0)?;
    assert_eq!(control.get(WRONG), 0);
    Ok(())
}

fn fails_with(method: usize, errno: usize) -> usize {
    method | (errno << 8)
}

/// Has `method` drop `things`.
fn arm(control: &Control, method: usize, things: &[usize]) -> Result {
    let mask: usize = things.iter().map(|thing| 1_usize << thing).sum();
    control.call(ARM, method | (mask << 8))?;
    Ok(())
}

fn drivers_of_all_kinds(vm: &mut Vm) -> Result {
    let (module, control) = load(vm)?;
    for driver in [DRIVER, OTHER_DRIVER, EMPTY, WIDE, READER, MAKER] {
        let device = DEVICE + driver;
        // Either can be there first, and either can go first.
        for [first, second] in [[driver, device], [device, driver]] {
            for [third, last] in [[driver, device], [device, driver]] {
                let [probes, removes, ..] = calls(&control);
                control.call(MAKE, first)?;
                assert_eq!(calls(&control)[0], probes);
                control.call(MAKE, second)?;
                assert_eq!(calls(&control)[..2], [probes + 1, removes], "{driver}");
                assert_eq!(driver_of(device), Some(name(driver)));
                control.call(DROP, third)?;
                assert_eq!(calls(&control)[..2], [probes + 1, removes + 1], "{driver}");
                assert_eq!(platform::exists(&name(device)), third == driver);
                assert_eq!(platform::has_driver(&name(driver)), third == device);
                control.call(DROP, last)?;
                assert_eq!((control.get(DRIVERS), control.get(BOUND)), (0, 0));
            }
        }
    }
    all_is_well(&control)?;
    drop(control);
    module.unload()?;
    assert_eq!(vm.log().texts("platforms")?, [""; 0]);
    Ok(())
}

/// The kernel does not look at them: it takes a number for the address of a text.
fn properties_have_types(vm: &mut Vm) -> Result {
    let (_module, control) = load(vm)?;
    for thing in [READER, DEVICE + READER, SWAPPED, FOREIGN] {
        control.call(MAKE, thing)?;
    }
    assert!(is_bound(DEVICE + READER));
    let reader = name(READER);
    platform::give_to(&name(SWAPPED), &reader)?;
    platform::bind(&reader, &name(SWAPPED))?;
    // This one has none.
    platform::give_to(&name(FOREIGN), &reader)?;
    let refused = platform::bind(&reader, &name(FOREIGN));
    assert_eq!(refused, Err(Errno::NODEV));
    assert_eq!(calls(&control)[0], 2);
    all_is_well(&control)?;
    Ok(())
}

fn what_cannot_be_is_refused(vm: &mut Vm) -> Result {
    let (_module, control) = load(vm)?;
    for (index, name) in NAMES.iter().enumerate() {
        let (device, driver) = match index {
            0..=4 => (Err(Errno::INVAL), Err(Errno::INVAL)),
            5 | 6 => (Err(Errno::EXIST), Ok(0)),
            _ => (Ok(0), Ok(0)),
        };
        assert_eq!(control.call(TRY_DEVICE, index), device, "{name:?}");
        assert_eq!(control.call(TRY_DRIVER, index), driver, "{name:?}");
    }
    all_is_well(&control)?;
    Ok(())
}

fn a_name_is_had_by_one(vm: &mut Vm) -> Result {
    let (_module, control) = load_bound(vm)?;
    for _ in 0..3 {
        assert_eq!(control.call(MAKE, DRIVER), Err(Errno::BUSY));
        assert_eq!(control.call(MAKE, DEVICE), Err(Errno::EXIST));
    }
    assert!(is_bound(DEVICE));
    assert_eq!(calls(&control), [1, 0, 0, 0]);
    assert_eq!((control.get(DRIVERS), control.get(BOUND)), (1, 1));
    // As soon as one has gone, the next can have it.
    for _ in 0..vm.fewer(20) {
        control.call(DROP, DRIVER)?;
        control.call(MAKE, DRIVER)?;
        control.call(DROP, DEVICE)?;
        control.call(MAKE, DEVICE)?;
    }
    all_is_well(&control)?;
    Ok(())
}

fn makes_nothing_in_a_method(vm: &mut Vm) -> Result {
    let (_module, control) = load(vm)?;
    control.call(MAKE, MAKER)?;
    control.call(MAKE, DEVICE + MAKER)?;
    assert!(is_bound(DEVICE + MAKER));
    let deadlk = Errno::DEADLK.raw_os_error() as usize;
    assert_eq!(control.get(MADE_IN_METHOD), (deadlk << 16) | deadlk);
    all_is_well(&control)?;
    Ok(())
}

/// The kernel's own numbers are none for user space.
fn errors_of_probe_are_those_of_who_binds(vm: &mut Vm) -> Result {
    let (_module, control) = load(vm)?;
    let name = name(DRIVER);
    for (errno, expected) in [
        (1, Errno::PERM),
        (5, Errno::IO),
        (6, Errno::NXIO),
        (12, Errno::NOMEM),
        (19, Errno::NODEV),
        (22, Errno::INVAL),
        (512, Errno::INTR),
        (513, Errno::INTR),
        (EPROBE_DEFER, Errno::AGAIN),
        (524, Errno::OPNOTSUPP),
        (600, Errno::IO),
        (4095, Errno::IO),
    ] {
        control.call(FAIL, fails_with(PROBE, errno))?;
        // The driver is there, whatever it says of a device.
        control.call(MAKE, DEVICE)?;
        control.call(MAKE, DRIVER)?;
        assert!(!is_bound(DEVICE), "{errno}");
        assert_eq!(platform::bind(&name, &name), Err(expected), "{errno}");
        assert_eq!(control.get(BOUND), 0);
        control.call(FAIL, 0)?;
        let bound = platform::bind(&name, &name);
        // What was deferred, the kernel may have tried again by itself.
        if errno != EPROBE_DEFER {
            bound?;
        }
        eventually("the driver", || is_bound(DEVICE))?;
        control.call(DROP, DRIVER)?;
        control.call(DROP, DEVICE)?;
    }
    all_is_well(&control)?;
    Ok(())
}

/// When some other device has got its driver.
fn what_is_deferred_is_tried_again(vm: &mut Vm) -> Result {
    let (module, control) = load(vm)?;
    for _ in 0..vm.fewer(10) {
        control.call(FAIL, fails_with(PROBE, EPROBE_DEFER))?;
        control.call(MAKE, DRIVER)?;
        control.call(MAKE, DEVICE)?;
        assert!(!is_bound(DEVICE));
        control.call(FAIL, 0)?;
        control.call(MAKE, EMPTY)?;
        control.call(MAKE, DEVICE + EMPTY)?;
        eventually("that it is tried again", || is_bound(DEVICE))?;
        for thing in [DRIVER, DEVICE, EMPTY, DEVICE + EMPTY] {
            control.call(DROP, thing)?;
        }
    }
    // Or it goes before that.
    control.call(FAIL, fails_with(PROBE, EPROBE_DEFER))?;
    control.call(MAKE, DRIVER)?;
    control.call(MAKE, DEVICE)?;
    all_is_well(&control)?;
    drop(control);
    module.unload()
}

fn needs_suspend(vm: &mut Vm) -> bool {
    if !platform::can_suspend() {
        vm.note("this machine is not put to sleep");
    }
    platform::can_suspend()
}

fn errors_of_suspend_end_it(vm: &mut Vm) -> Result {
    if !needs_suspend(vm) {
        return Ok(());
    }
    let (_module, control) = load_bound(vm)?;
    for (errno, expected) in [
        (16, Errno::BUSY),
        (19, Errno::NODEV),
        (517, Errno::IO),
        (4095, Errno::IO),
    ] {
        let [.., suspends, resumes] = calls(&control);
        control.call(FAIL, fails_with(SUSPEND, errno))?;
        assert_eq!(platform::suspend(), Err(expected), "{errno}");
        assert_eq!(calls(&control)[2..], [suspends + 1, resumes], "{errno}");
        // It is too late for an error then.
        control.call(FAIL, fails_with(RESUME, errno))?;
        platform::suspend()?;
        assert_eq!(calls(&control)[2..], [suspends + 2, resumes + 1], "{errno}");
        control.call(FAIL, 0)?;
        platform::suspend()?;
    }
    assert!(is_bound(DEVICE));
    all_is_well(&control)?;
    Ok(())
}

/// Also where a driver has but one of the methods, or none.
fn each_device_is_told_once(vm: &mut Vm) -> Result {
    if !needs_suspend(vm) {
        return Ok(());
    }
    let (_module, control) = load_bound(vm)?;
    for driver in [OTHER_DRIVER, EMPTY, WIDE] {
        control.call(MAKE, driver)?;
        control.call(MAKE, DEVICE + driver)?;
    }
    // A second device of the first driver.
    control.call(MAKE, FOREIGN)?;
    platform::give_to(&name(FOREIGN), &name(DRIVER))?;
    platform::bind(&name(DRIVER), &name(FOREIGN))?;
    for round in 1..=3 {
        platform::suspend()?;
        // Those of both drivers that have both methods, and that of the wide one.
        assert_eq!(calls(&control), [5, 0, 4 * round, 3 * round]);
    }
    all_is_well(&control)?;
    Ok(())
}

fn foreign_devices_come_and_go(vm: &mut Vm) -> Result {
    let (module, control) = load_bound(vm)?;
    let (driver, other) = (name(DRIVER), name(OTHER_DRIVER));
    control.call(MAKE, OTHER_DRIVER)?;
    control.call(MAKE, FOREIGN)?;
    let foreign = name(FOREIGN);
    for _ in 0..vm.fewer(20) {
        assert_eq!(platform::bind(&driver, &foreign), Err(Errno::NODEV));
        for driver in [&driver, &other] {
            platform::give_to(&foreign, driver)?;
            platform::bind(driver, &foreign)?;
            assert_eq!(driver_of(FOREIGN).as_ref(), Some(driver));
            assert_eq!(control.get(BOUND), 2);
            platform::unbind(driver, &foreign)?;
        }
        platform::give_to(&foreign, "")?;
    }
    platform::give_to(&foreign, &driver)?;
    platform::bind(&driver, &foreign)?;
    // It is taken from its driver when that goes, and can have another one.
    control.call(DROP, DRIVER)?;
    assert_eq!(control.get(BOUND), 0);
    assert!(platform::exists(&foreign) && !is_bound(FOREIGN));
    all_is_well(&control)?;
    drop(control);
    module.unload()
}

fn dropping_a_driver_waits(vm: &mut Vm) -> Result {
    drop_waits(vm, DRIVER)
}

fn dropping_a_device_waits(vm: &mut Vm) -> Result {
    drop_waits(vm, DEVICE)
}

/// For a method that runs in another task.
fn drop_waits(vm: &mut Vm, thing: usize) -> Result {
    for method in [PROBE, REMOVE] {
        let (module, control) = load_bound(vm)?;
        let name = name(DRIVER);
        if method == PROBE {
            platform::unbind(&name, &name)?;
        }
        control.call(HOLD, method)?;
        let binder = Waiter::begin(move || match method {
            PROBE => platform::bind(&name, &name),
            _ => platform::unbind(&name, &name),
        });
        eventually("the method", || control.get(RUNNING) == 1)?;
        let dropper = control.caller(DROP, thing)?;
        dropper.sleeps()?;
        assert_eq!(control.get(DRIVERS), 1);
        control.call(HOLD, 0)?;
        assert_eq!(dropper.end()?, Ok(0));
        assert_eq!(binder.end()?, Ok(()));
        assert_eq!(control.get(BOUND), 0);
        assert_eq!(control.get(DRIVERS), usize::from(thing == DEVICE));
        all_is_well(&control)?;
        drop(control);
        module.unload()?;
    }
    Ok(())
}

/// The first driver and its device: their owners do what makes `method` run.
fn have_called(control: &Control, method: usize) -> Result {
    let name = name(DRIVER);
    match method {
        PROBE | REMOVE => {
            platform::unbind(&name, &name)?;
            // What is being dropped can be gone, and so can its files.
            let _ = platform::bind(&name, &name);
        }
        _ => platform::suspend()?,
    }
    assert!(control.call(CALLS, method)? > 0);
    Ok(())
}

fn methods() -> impl Iterator<Item = usize> {
    let with_suspend = if platform::can_suspend() { 4 } else { 2 };
    [PROBE, REMOVE, SUSPEND, RESUME]
        .into_iter()
        .take(with_suspend)
}

/// It goes on, and somebody else waits for it.
fn methods_may_drop_anything(vm: &mut Vm) -> Result {
    for method in methods() {
        for things in [
            &[DRIVER] as &[_],
            &[DEVICE],
            &[OTHER_DRIVER],
            &[DEVICE + OTHER_DRIVER],
            &[DRIVER, DEVICE, OTHER_DRIVER, DEVICE + OTHER_DRIVER],
        ] {
            let (module, control) = load_bound(vm)?;
            control.call(MAKE, OTHER_DRIVER)?;
            control.call(MAKE, DEVICE + OTHER_DRIVER)?;
            arm(&control, method, things)?;
            have_called(&control, method)?;
            let is_gone = |thing: &usize| match *thing {
                DRIVER | OTHER_DRIVER => !platform::has_driver(&name(*thing)),
                _ => !platform::exists(&name(*thing)),
            };
            eventually("their end", || things.iter().all(is_gone))?;
            let drivers = [DRIVER, OTHER_DRIVER];
            let left = drivers.iter().filter(|driver| !things.contains(driver));
            let left = left.count();
            eventually("the drop", || control.get(DRIVERS) == left)?;
            all_is_well(&control)?;
            drop(control);
            module.unload()?;
            assert_eq!(vm.log().texts("platforms")?, [""; 0]);
        }
    }
    Ok(())
}

fn two_drivers_may_drop_each_other(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let (module, control) = load_bound(vm)?;
        control.call(MAKE, OTHER_DRIVER)?;
        control.call(MAKE, DEVICE + OTHER_DRIVER)?;
        arm(&control, REMOVE, &[DRIVER, OTHER_DRIVER])?;
        on_threads(2, |n| {
            let name = name([DRIVER, OTHER_DRIVER][n as usize]);
            // The other one may be faster.
            let _ = platform::unbind(&name, &name);
            Ok(())
        })?;
        eventually("their end", || control.get(DRIVERS) == 0)?;
        all_is_well(&control)?;
        drop(control);
        module.unload()?;
        assert_eq!(vm.log().texts("platforms")?, [""; 0]);
        Ok(())
    })
}

/// The kernel's threads run on meanwhile, and so does one that drops the driver, or its device,
/// while that is told.
fn dropped_while_the_machine_goes_to_sleep(vm: &mut Vm) -> Result {
    if !needs_suspend(vm) {
        return Ok(());
    }
    for thing in [DRIVER, DEVICE] {
        for _ in 0..vm.fewer(10) {
            let (module, control) = load_bound(vm)?;
            control.call(DROP_LATER, thing)?;
            platform::suspend()?;
            eventually("the drop", || control.get(BOUND) == 0)?;
            let left = usize::from(thing == DEVICE);
            eventually("its end", || control.get(DRIVERS) == left)?;
            assert_eq!(calls(&control)[..3], [1, 1, 1]);
            all_is_well(&control)?;
            drop(control);
            module.unload()?;
        }
    }
    Ok(())
}

/// Here a method waits for the thread that drops another driver, and that one's device is asleep
/// by then. So the drop must not wait until the machine is awake.
fn a_suspend_may_wait_for_a_drop(vm: &mut Vm) -> Result {
    if !needs_suspend(vm) {
        return Ok(());
    }
    let (module, control) = load_bound(vm)?;
    for _ in 0..vm.fewer(5) {
        control.call(MAKE, WIDE)?;
        control.call(MAKE, DEVICE + WIDE)?;
        assert!(is_bound(DEVICE + WIDE));
        control.call(DROP_MEANWHILE, WIDE)?;
        platform::suspend()?;
        assert!(!platform::has_driver(&name(WIDE)));
        assert!(is_bound(DEVICE) && !is_bound(DEVICE + WIDE));
        assert_eq!((control.get(DRIVERS), control.get(BOUND)), (1, 1));
        control.call(DROP, DEVICE + WIDE)?;
    }
    all_is_well(&control)?;
    drop(control);
    module.unload()
}

/// Anybody may be one of those that are not known: nothing can be made, and no drop waits.
fn more_tasks_than_it_knows_of(vm: &mut Vm) -> Result {
    // More than there are places for.
    const MANY: usize = 65;
    // The index of a good name.
    const GOOD: usize = 7;
    fn crowd(n: usize) -> String {
        format!("platforms-crowd-{n}")
    }
    let (module, control) = load(vm)?;
    control.call(CROWD, MANY)?;
    control.call(MAKE, DRIVER)?;
    control.call(MAKE, EMPTY)?;
    for n in 0..MANY {
        platform::give_to(&crowd(n), &name(DRIVER))?;
    }
    control.call(HOLD, PROBE)?;
    let binders: Vec<_> = (0..MANY)
        .map(|n| Waiter::begin(move || platform::bind(&name(DRIVER), &crowd(n))))
        .collect();
    eventually("the methods", || control.get(RUNNING) == MANY)?;
    assert_eq!(control.call(TRY_DRIVER, GOOD), Err(Errno::DEADLK));
    assert_eq!(control.call(TRY_DEVICE, GOOD), Err(Errno::DEADLK));
    // No method of this one runs.
    control.call(DROP, EMPTY)?;
    eventually("its end", || !platform::has_driver(&name(EMPTY)))?;
    // Whoever waited for this one would wait until the methods go on.
    control.call(DROP, DRIVER)?;
    assert_eq!((control.get(RUNNING), control.get(DRIVERS)), (MANY, 1));
    control.call(HOLD, 0)?;
    for binder in binders {
        assert_eq!(binder.end()?, Ok(()));
    }
    eventually("the drop", || control.get(DRIVERS) == 0)?;
    let [probes, removes, ..] = calls(&control);
    assert_eq!((probes, removes), (MANY, MANY));
    all_is_well(&control)?;
    assert_eq!(control.call(TRY_DRIVER, GOOD), Ok(0));
    assert_eq!(control.call(TRY_DEVICE, GOOD), Ok(0));
    control.call(CROWD, 0)?;
    drop(control);
    module.unload()
}

fn handles_are_dropped_in_softirqs(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        for thing in [DRIVER, DEVICE] {
            let (module, control) = load_bound(vm)?;
            control.call(DROP_IN_SOFTIRQ, thing)?;
            eventually("its end", || control.get(BOUND) == 0)?;
            all_is_well(&control)?;
            drop(control);
            module.unload()?;
        }
        Ok(())
    })
}

/// As fast as it can, and looks at all that there is.
fn bind_and_look() -> Result {
    for thing in [DRIVER, FOREIGN] {
        let (driver, device) = (name(DRIVER), name(thing));
        if platform::can_give_at_any_time() {
            let _ = platform::give_to(&device, &driver);
        }
        let _ = platform::bind(&driver, &device);
        for file in ["uevent", "driver_override", "modalias"] {
            let path = format!("/sys/bus/platform/devices/{device}/{file}");
            let _ = fs::read_to_string(path);
        }
        let _ = platform::unbind(&driver, &device);
    }
    Ok(())
}

fn dropped_while_user_space_binds(vm: &mut Vm) -> Result {
    let (module, control) = load(vm)?;
    control.call(MAKE, FOREIGN)?;
    platform::give_to(&name(FOREIGN), &name(DRIVER))?;
    while_others(3, bind_and_look, || {
        for _ in 0..vm.fewer(50) {
            control.call(MAKE, DRIVER)?;
            control.call(MAKE, DEVICE)?;
            control.call(DROP, DRIVER)?;
            control.call(MAKE, DRIVER)?;
            control.call(DROP, DEVICE)?;
            control.call(DROP, DRIVER)?;
        }
        Ok(())
    })?;
    assert_eq!((control.get(DRIVERS), control.get(BOUND)), (0, 0));
    let [probes, removes, ..] = calls(&control);
    assert_eq!(probes, removes);
    all_is_well(&control)?;
    drop(control);
    module.unload()
}

fn unloading_while_user_space_binds(vm: &mut Vm) -> Result {
    while_others(3, bind_and_look, || {
        for _ in 0..vm.fewer(50) {
            let (module, control) = load_bound_by_anybody(vm)?;
            drop(control);
            module.unload()?;
        }
        Ok(())
    })
}

/// Others may have taken the device from its driver.
fn load_bound_by_anybody(vm: &mut Vm) -> Result<(Module, Control)> {
    let (module, control) = load(vm)?;
    for thing in [DRIVER, FOREIGN, DEVICE] {
        control.call(MAKE, thing)?;
    }
    // Also on Linux 6.18 this can be done once at any time: there is nothing to free.
    platform::give_to(&name(FOREIGN), &name(DRIVER))?;
    Ok((module, control))
}

/// Somebody has them open.
fn files_of_what_is_gone(vm: &mut Vm) -> Result {
    let (module, control) = load_bound(vm)?;
    let (device, driver) = (name(DEVICE), name(DRIVER));
    let open = |path: String| File::open(&path).context(path);
    let files = [
        open(format!("/sys/bus/platform/devices/{device}/uevent"))?,
        open(format!("/sys/bus/platform/devices/{device}/modalias"))?,
        open(format!("/sys/bus/platform/devices/{device}/power/control"))?,
    ];
    let path = format!("/sys/bus/platform/drivers/{driver}/bind");
    let mut bind = OpenOptions::new().write(true).open(path)?;
    control.call(DROP, DEVICE)?;
    let written = bind.write(device.as_bytes());
    assert_eq!(error_of(written), Some(Errno::NODEV));
    all_is_well(&control)?;
    drop(control);
    module.unload()?;
    for mut file in files {
        assert_eq!(error_of(file.read(&mut [0; 64])), Some(Errno::NODEV));
    }
    assert_eq!(error_of(bind.write(b"x")), Some(Errno::NODEV));
    Ok(())
}

fn a_failing_init_ends(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        assert_eq!(vm.load_fails("platforms", "early fail")?, Errno::NODEV);
        Ok(())
    })?;
    let failed = vm.load_fails("platforms", "early forget fail")?;
    assert_eq!(failed, Errno::NODEV);
    vm.log()
        .expect("platforms: not dropped: 1 platform devices")?;
    vm.log()
        .expect("platforms: not dropped: 1 platform drivers")?;
    assert!(!platform::exists(&name(DEVICE)));
    assert!(!platform::has_driver(&name(DRIVER)));
    vm.forgive_leaks();
    Ok(())
}

fn unloading_at_once(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let (module, control) = load_bound(vm)?;
        drop(control);
        module.unload()
    })
}
