// SPDX-License-Identifier: GPL-2.0-only

use crate::{
    pci::{EDU, PciDevice},
    platform,
    prelude::*,
};
use commands::*;

mod commands;

pub const EXAMPLE: Example = Example {
    tests: tests![
        a_driver_gets_all_its_devices,
        devices_are_called_as_they_are,
        names_that_cannot_be,
        no_driver_in_a_method_or_a_handler,
        a_device_that_reaches_no_memory,
        errors_of_probe_are_those_of_who_binds,
        registers_have_bounds,
        registers_are_had_by_one,
        memory_is_as_it_must_be,
        an_interrupt_is_had_by_one,
        interrupts_come,
        the_machine_may_sleep,
        a_device_is_master_when_it_may,
        what_goes_with_a_device_is_empty_then,
        what_is_lost_is_taken_back,
        a_probe_that_fails_leaves_nothing,
        one_of_two_devices_goes,
        a_device_waits_for_its_handler,
        things_go_while_they_are_used,
        a_method_may_drop_its_driver,
        a_handler_may_drop_its_driver,
        a_handler_may_own_its_driver,
        handles_are_dropped_in_softirqs,
        drivers_and_modules_at_the_same_time,
        a_failing_init_ends,
        unloading_at_once,
        unloading_while_it_interrupts,
    ],
    setup: Some(platform::suspend_once),
    ..Example::EMPTY
};

const NAME: &str = "pci-devices";

/// Where its driver is.
const DRIVER: &str = "/sys/bus/pci/drivers/pci-devices";

/// The size of the registers.
const MIB: usize = 1 << 20;

const THINGS: [usize; 5] = [BAR, MEMORY, SOURCE, IRQ, DEVICE];

fn load(vm: &mut Vm) -> Result<(Module, Control)> {
    let module = vm.load(NAME)?;
    Ok((module, Control::open("/proc/pci-devices")?))
}

/// With a driver that does this, which has both devices. The first of them is used.
fn load_with(vm: &mut Vm, what: usize) -> Result<(Module, Control)> {
    let (module, control) = load(vm)?;
    control.call(SET, what)?;
    control.call(REGISTER, 0)?;
    use_device(&control, &first()?)?;
    Ok((module, control))
}

/// The device is used from now on, as the driver has got it last. The kernel has no order of
/// devices: one that was put in again is the last one.
fn use_device(control: &Control, device: &PciDevice) -> Result {
    let place = place(device)?;
    let mut found = None;
    for n in 0.. {
        match control.call(USE, n) {
            Ok(_) if control.get(PLACE) == place => found = Some(n),
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error, Errno::DOM);
                break;
            }
        }
    }
    control.call(USE, found.context("the driver has not got it")?)?;
    Ok(())
}

/// The end of the device's address.
fn place(device: &PciDevice) -> Result<usize> {
    let digits: String = device.address().split([':', '.']).collect();
    Ok(usize::from_str_radix(&digits[digits.len() - 4..], 16)?)
}

fn first() -> Result<PciDevice> {
    PciDevice::first(EDU)
}

/// Both devices, in the order of their addresses.
fn both() -> Result<[PciDevice; 2]> {
    let found = PciDevice::all(EDU)?;
    <[PciDevice; 2]>::try_from(found).map_err(|found| anyhow!("{found:?}"))
}

/// As long as there is one, threads of handlers wait.
struct Hold;

impl Hold {
    const FILE: &str = "/sys/module/pci_devices/parameters/hold";

    fn begin() -> Result<Self> {
        fs::write(Self::FILE, "1")?;
        Ok(Self)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        // What waits forever fails the test.
        let _ = fs::write(Self::FILE, "0");
    }
}

/// Nothing of any device is left, and nothing was as it must not be.
fn all_is_gone(control: &Control) -> Result {
    eventually("all to be dropped", || control.get(LIVING) == 0)?;
    for device in both()? {
        assert_eq!(device.driver(), None);
        assert!(!device.is_master()?);
    }
    assert_eq!(interrupts(NAME)?, None);
    assert!(!fs::read_to_string("/proc/iomem")?.contains(NAME));
    assert_eq!(control.get(PROBES), control.get(REMOVES));
    assert_eq!(control.get(WRONG), 0);
    Ok(())
}

/// Drops all that the module has.
fn drop_all(control: &Control) -> Result {
    for thing in THINGS {
        control.call(DROP, thing)?;
    }
    Ok(())
}

/// Waits until the driver has gone, which is when it has no device any more.
fn driver_goes() -> Result {
    eventually("the driver to go", || !Path::new(DRIVER).exists())
}

/// Makes one of each for the device that is used.
fn make_all(control: &Control, interrupt: u32, handler: usize) -> Result {
    control.call(MAP, 0)?;
    control.call(ALLOCATE, 100)?;
    control.call(MASTER, 0)?;
    control.call(interrupt, 0)?;
    control.call(REQUEST, handler)?;
    Ok(())
}

/// The interrupt of the device that is used comes.
fn interrupts_once(control: &Control) -> Result {
    let before = control.get(HARD);
    control.call(RAISE, 0)?;
    eventually("the interrupt", || control.get(HARD) > before)
}

fn a_driver_gets_all_its_devices(vm: &mut Vm) -> Result {
    let (module, control) = load(vm)?;
    for n in 1..=3 {
        control.call(REGISTER, 0)?;
        for device in both()? {
            assert_eq!(device.driver().as_deref(), Some(NAME));
        }
        assert_eq!(control.get(PROBES), 2 * n);
        assert_eq!(control.get(LIVING), 2);
        control.call(UNREGISTER, 0)?;
        assert_eq!(control.get(REMOVES), 2 * n);
        all_is_gone(&control)?;
        assert!(!Path::new(DRIVER).exists());
    }
    drop(control);
    module.unload()?;
    assert_eq!(vm.log().texts(NAME)?, [""; 0]);
    Ok(())
}

fn devices_are_called_as_they_are(vm: &mut Vm) -> Result {
    let (_module, control) = load_with(vm, TAKE)?;
    let mut places = Vec::new();
    for n in 0..2 {
        control.call(USE, n)?;
        places.push(control.get(PLACE));
    }
    places.sort_unstable();
    let [one, other] = both()?;
    assert_eq!(places, [place(&one)?, place(&other)?]);
    assert_eq!(control.call(USE, 2), Err(Errno::DOM));
    Ok(())
}

fn names_that_cannot_be(vm: &mut Vm) -> Result {
    let (_module, control) = load_with(vm, TAKE)?;
    for name in 0..NAMES {
        assert_eq!(control.call(TRY_NAME, name), Err(Errno::INVAL), "{name}");
    }
    // One that is taken.
    assert_eq!(control.call(TRY_NAME, NAMES), Err(Errno::BUSY));
    assert_eq!(first()?.driver().as_deref(), Some(NAME));
    assert_eq!(control.get(PROBES), 2);
    Ok(())
}

/// It would wait for a lock of the device, which the kernel has, or somebody who waits for this.
fn no_driver_in_a_method_or_a_handler(vm: &mut Vm) -> Result {
    let deadlk = Errno::DEADLK.raw_os_error() as usize;
    let (module, control) = load_with(vm, REGISTER_ANOTHER)?;
    assert_eq!(control.get(REGISTERED), deadlk);
    drop(control);
    module.unload()?;
    let (_module, control) = load_with(vm, TAKE)?;
    assert_eq!(control.get(REGISTERED), 0);
    make_all(&control, MSI, REGISTERING)?;
    control.call(RAISE, 0)?;
    eventually("the thread", || control.get(THREADS) > 0)?;
    assert_eq!(control.get(REGISTERED), deadlk);
    assert!(!Path::new("/sys/bus/pci/drivers/pci-another").exists());
    Ok(())
}

fn a_device_that_reaches_no_memory(vm: &mut Vm) -> Result {
    let (module, control) = load(vm)?;
    control.call(TRY_NARROW, 0)?;
    let refusals = vm
        .log()
        .count("with driver pci-narrow failed with error -5")?; // EIO
    assert_eq!(refusals, 2);
    all_is_gone(&control)?;
    drop(control);
    module.unload()
}

fn errors_of_probe_are_those_of_who_binds(vm: &mut Vm) -> Result {
    /// The kernel's own number for what it tries again.
    const EPROBE_DEFER: usize = 517;
    let (module, control) = load_with(vm, TAKE)?;
    let device = first()?;
    for (errno, expected) in [
        (1, Errno::PERM),
        (11, Errno::AGAIN),
        (19, Errno::NODEV),
        (512, Errno::INTR),
        (EPROBE_DEFER, Errno::AGAIN),
        (524, Errno::OPNOTSUPP),
        (600, Errno::IO),
        (4095, Errno::IO),
    ] {
        device.unbind(NAME)?;
        control.call(SET, FAIL + errno)?;
        assert_eq!(device.bind(NAME), Err(expected), "{errno}");
        control.call(SET, TAKE)?;
        let bound = device.bind(NAME);
        // What was deferred, the kernel may have tried again by itself.
        if errno != EPROBE_DEFER {
            bound?;
        }
        let has_driver = || device.driver().as_deref() == Some(NAME);
        eventually("the driver", has_driver)?;
    }
    drop(control);
    module.unload()
}

fn registers_have_bounds(vm: &mut Vm) -> Result {
    let (_module, control) = load_with(vm, TAKE)?;
    control.call(MAP, 0)?;
    assert_eq!(control.get(BAR_SIZE), MIB);
    assert_eq!(control.get(READ), 0x0100_00ed);
    // The device inverts what it gets there.
    control.call(WRITE, (4 << 32) | 0xffff_fff0)?;
    assert_eq!(control.call(READ, 4), Ok(0xf));
    for good in [8, MIB - 8, MIB - 4] {
        assert!(control.call(READ, good).is_ok(), "{good:#x}");
    }
    for bad in [
        1,
        2,
        3,
        5,
        MIB - 3,
        MIB - 1,
        MIB,
        MIB + 4,
        usize::MAX - 3,
        usize::MAX,
    ] {
        assert_eq!(control.call(READ, bad), Err(Errno::INVAL), "{bad:#x}");
    }
    for bad in [1, MIB - 2, MIB, u32::MAX as usize - 3] {
        let written = control.call(WRITE, bad << 32);
        assert_eq!(written, Err(Errno::INVAL), "{bad:#x}");
    }
    Ok(())
}

fn registers_are_had_by_one(vm: &mut Vm) -> Result {
    let (_module, control) = load_with(vm, TAKE)?;
    for bar in [1, 2, 5, 6, 100, u32::MAX as usize] {
        assert_eq!(control.call(MAP, bar), Err(Errno::INVAL), "{bar}");
    }
    control.call(MAP, 0)?;
    assert!(fs::read_to_string("/proc/iomem")?.contains(NAME));
    assert_eq!(control.call(MAP, 0), Err(Errno::BUSY));
    control.call(DROP, BAR)?;
    assert!(!fs::read_to_string("/proc/iomem")?.contains(NAME));
    control.call(MAP, 0)?;
    Ok(())
}

fn memory_is_as_it_must_be(vm: &mut Vm) -> Result {
    let (_module, control) = load_with(vm, TAKE)?;
    assert_eq!(control.call(ALLOCATE, 0), Err(Errno::INVAL));
    for many in [1 << 30, 1 << 40, usize::MAX - 4095, usize::MAX] {
        assert_eq!(control.call(ALLOCATE, many), Err(Errno::NOMEM), "{many:#x}");
    }
    for len in [1, 100, 4096, 5000, 64 << 10] {
        control.call(ALLOCATE, len)?;
        assert_eq!(control.get(MEMORY_SIZE), len);
        assert!(control.get(ADDRESS_BITS) <= 28, "{len}");
        assert!(control.get(ALIGNMENT_BITS) >= 12, "{len}");
        let places = [0, len / 2, len - 1];
        // Somebody may have had it before.
        for at in places {
            assert_eq!(control.call(PEEK, at), Ok(0), "{len} {at}");
        }
        for at in places {
            control.call(POKE, (at << 8) | 0x5a)?;
            assert_eq!(control.call(PEEK, at), Ok(0x5a), "{len} {at}");
        }
        for bad in [len, len + 1, usize::MAX >> 8] {
            assert_eq!(control.call(PEEK, bad), Err(Errno::INVAL), "{len} {bad}");
            assert_eq!(control.call(POKE, bad << 8), Err(Errno::INVAL));
        }
    }
    Ok(())
}

fn an_interrupt_is_had_by_one(vm: &mut Vm) -> Result {
    let (_module, control) = load_with(vm, TAKE)?;
    control.call(MAP, 0)?;
    for interrupt in [MSI, INTX] {
        control.call(interrupt, 0)?;
        for other in [MSI, INTX] {
            assert_eq!(control.call(other, 0), Err(Errno::BUSY));
        }
        // Who had only the number would not be told when the device goes.
        if interrupt == MSI {
            assert_eq!(control.call(TRY_NUMBER, 0), Err(Errno::INVAL));
        }
        control.call(REQUEST, HARD_ONLY)?;
        assert_eq!(control.call(MSI, 0), Err(Errno::BUSY));
        control.call(DROP, IRQ)?;
        control.call(interrupt, 0)?;
        control.call(DROP, SOURCE)?;
    }
    Ok(())
}

fn interrupts_come(vm: &mut Vm) -> Result {
    let (_module, control) = load_with(vm, TAKE)?;
    let [one, other] = both()?;
    for (device, interrupt) in [(&one, MSI), (&one, INTX), (&other, MSI), (&other, INTX)] {
        use_device(&control, device)?;
        for handler in [HARD_ONLY, BOTH] {
            make_all(&control, interrupt, handler)?;
            for _ in 0..vm.fewer(50) {
                let threads = control.get(THREADS);
                interrupts_once(&control)?;
                if handler == BOTH {
                    eventually("the thread", || control.get(THREADS) > threads)?;
                }
                control.call(SYNC, 0)?;
                assert_eq!(control.get(RUNNING), 0);
            }
            assert!(interrupts(NAME)?.is_some_and(|count| count > 0));
            control.call(DROP, IRQ)?;
            control.call(DROP, BAR)?;
            assert_eq!(interrupts(NAME)?, None);
        }
    }
    Ok(())
}

/// The driver is not told.
fn the_machine_may_sleep(vm: &mut Vm) -> Result {
    if !platform::can_suspend() {
        vm.note("this kernel has no test of suspend");
        return Ok(());
    }
    let (_module, control) = load_with(vm, TAKE)?;
    for interrupt in [MSI, INTX] {
        make_all(&control, interrupt, BOTH)?;
        interrupts_once(&control)?;
        platform::suspend()?;
        assert!(first()?.is_master()?);
        assert_eq!(control.get(READ), 0x0100_00ed);
        interrupts_once(&control)?;
        control.call(DROP, IRQ)?;
        control.call(DROP, BAR)?;
    }
    Ok(())
}

fn a_device_is_master_when_it_may(vm: &mut Vm) -> Result {
    let (_module, control) = load_with(vm, TAKE)?;
    let [one, other] = both()?;
    assert!(!one.is_master()?);
    control.call(MASTER, 0)?;
    assert!(one.is_master()? && !other.is_master()?);
    one.unbind(NAME)?;
    assert!(!one.is_master()?);
    // One that the driver has no more does not become one.
    assert_eq!(control.call(MASTER, 0), Err(Errno::NODEV));
    assert!(!one.is_master()?);
    one.bind(NAME)?;
    assert!(!one.is_master()?);
    // Also where somebody else counts among those who use it.
    one.unbind(NAME)?;
    one.enable(true)?;
    one.bind(NAME)?;
    use_device(&control, &one)?;
    control.call(MASTER, 0)?;
    one.unbind(NAME)?;
    let is_master = one.is_master();
    one.enable(false)?;
    assert!(!is_master?);
    Ok(())
}

/// Whoever has it, and however the device goes.
fn what_goes_with_a_device_is_empty_then(vm: &mut Vm) -> Result {
    for (is_removed, interrupt) in [(false, MSI), (true, INTX)] {
        let (module, control) = load_with(vm, TAKE)?;
        make_all(&control, interrupt, BOTH)?;
        interrupts_once(&control)?;
        let device = first()?;
        match is_removed {
            true => device.remove()?,
            false => device.unbind(NAME)?,
        }
        assert_eq!(interrupts(NAME)?, None);
        for (command, argument) in [
            (READ, 0),
            (WRITE, 4 << 32),
            (PEEK, 0),
            (POKE, 1),
            (RAISE, 0),
            (MASTER, 0),
            (MAP, 0),
            (ALLOCATE, 1),
            (MSI, 0),
            (INTX, 0),
        ] {
            let answer = control.call(command, argument);
            assert_eq!(answer, Err(Errno::NODEV), "{command:#x}");
        }
        // What they know they still know, and there is nothing to wait for.
        assert_eq!(control.get(BAR_SIZE), MIB);
        assert_eq!(control.get(MEMORY_SIZE), 100);
        assert_eq!(control.call(SYNC, 0), Ok(0));
        // The driver can have the device again, while the old things are there.
        if device.exists() {
            device.bind(NAME)?;
        } else {
            PciDevice::rescan()?;
        }
        assert_eq!(device.driver().as_deref(), Some(NAME));
        assert_eq!(control.call(READ, 0), Err(Errno::NODEV));
        use_device(&control, &device)?;
        make_all(&control, interrupt, HARD_ONLY)?;
        interrupts_once(&control)?;
        assert_eq!(control.call(READ, 0), Ok(0x0100_00ed));
        control.call(UNREGISTER, 0)?;
        drop_all(&control)?;
        all_is_gone(&control)?;
        drop(control);
        module.unload()?;
    }
    Ok(())
}

/// When the driver loses the device: it can be had again.
fn what_is_lost_is_taken_back(vm: &mut Vm) -> Result {
    let (module, control) = load_with(vm, MAKE_AND_LOSE)?;
    assert!(interrupts(NAME)?.is_some());
    control.call(UNREGISTER, 0)?;
    assert_eq!(interrupts(NAME)?, None);
    assert!(!fs::read_to_string("/proc/iomem")?.contains(NAME));
    control.call(SET, TAKE)?;
    control.call(REGISTER, 0)?;
    use_device(&control, &first()?)?;
    for thing in [BAR, MEMORY, IRQ] {
        make_all(&control, MSI, HARD_ONLY)?;
        interrupts_once(&control)?;
        control.call(LOSE, thing)?;
        first()?.unbind(NAME)?;
        drop_all(&control)?;
        control.call(UNREGISTER, 0)?;
        control.call(REGISTER, 0)?;
        use_device(&control, &first()?)?;
    }
    control.call(MSI, 0)?;
    control.call(LOSE, SOURCE)?;
    assert_eq!(control.call(MSI, 0), Err(Errno::BUSY));
    control.call(UNREGISTER, 0)?;
    assert_eq!(control.get(WRONG), 0);
    drop(control);
    module.unload()?;
    // All of it was taken back before.
    assert_eq!(vm.log().count("not dropped")?, 0);
    vm.forgive_leaks();
    Ok(())
}

fn a_probe_that_fails_leaves_nothing(vm: &mut Vm) -> Result {
    for what in [MAKE_AND_FAIL, LOSE_AND_FAIL] {
        let (module, control) = load(vm)?;
        control.call(SET, what)?;
        control.call(REGISTER, 0)?;
        for device in both()? {
            assert_eq!(device.driver(), None);
            assert!(!device.is_master()?);
            assert_eq!(device.bind(NAME), Err(Errno::IO));
        }
        assert_eq!(control.get(PROBES), 4);
        assert_eq!(control.get(REMOVES), 0);
        assert_eq!(interrupts(NAME)?, None);
        assert!(!fs::read_to_string("/proc/iomem")?.contains(NAME));
        if what == MAKE_AND_FAIL {
            assert_eq!(control.call(READ, 0), Err(Errno::NODEV));
            assert_eq!(control.call(PEEK, 0), Err(Errno::NODEV));
        }
        // Another time it works.
        control.call(SET, MAKE)?;
        first()?.bind(NAME)?;
        assert_eq!(control.call(READ, 0), Ok(0x0100_00ed));
        interrupts_once(&control)?;
        drop(control);
        module.unload()?;
    }
    vm.forgive_leaks();
    Ok(())
}

fn one_of_two_devices_goes(vm: &mut Vm) -> Result {
    for interrupt in [MSI, INTX] {
        let (module, control) = load_with(vm, TAKE)?;
        let [one, other] = both()?;
        make_all(&control, interrupt, BOTH)?;
        interrupts_once(&control)?;
        for _ in 0..10 {
            other.unbind(NAME)?;
            interrupts_once(&control)?;
            other.bind(NAME)?;
            interrupts_once(&control)?;
        }
        assert_eq!(one.driver().as_deref(), Some(NAME));
        control.call(UNREGISTER, 0)?;
        drop_all(&control)?;
        all_is_gone(&control)?;
        drop(control);
        module.unload()?;
    }
    Ok(())
}

/// Whoever takes the device from its driver waits, too, and who drops the driver.
fn a_device_waits_for_its_handler(vm: &mut Vm) -> Result {
    for (interrupt, unregisters) in [(MSI, false), (INTX, false), (MSI, true), (INTX, true)] {
        let (module, control) = load_with(vm, TAKE)?;
        make_all(&control, interrupt, BOTH)?;
        let held = Hold::begin()?;
        control.call(RAISE, 0)?;
        eventually("the thread", || control.get(RUNNING) == 1)?;
        let (device, other) = (first()?, control.clone());
        let taker = Waiter::begin(move || match unregisters {
            true => other.call(UNREGISTER, 0).map(drop),
            false => device.unbind(NAME),
        });
        taker.sleeps()?;
        assert!(!taker.has_ended());
        assert_eq!(control.get(RUNNING), 1);
        drop(held);
        assert_eq!(taker.end()?, Ok(()));
        assert_eq!(control.get(RUNNING), 0);
        control.call(UNREGISTER, 0)?;
        drop_all(&control)?;
        all_is_gone(&control)?;
        drop(control);
        module.unload()?;
    }
    Ok(())
}

/// On all CPUs, by the interrupt, too.
fn things_go_while_they_are_used(vm: &mut Vm) -> Result {
    let rounds = vm.fewer(50).max(4);
    let (module, control) = load_with(vm, MAKE)?;
    // The other device would be made of, too.
    let [device, other] = both()?;
    other.unbind(NAME)?;
    device.unbind(NAME)?;
    device.bind(NAME)?;
    let uses = || -> Result {
        for (command, argument) in [
            (RAISE, 0),
            (READ, 0),
            (PEEK, 5),
            (POKE, 6 << 8),
            (MASTER, 0),
        ] {
            match control.call(command, argument) {
                Ok(_) | Err(Errno::NODEV) => {}
                other => bail!("{command:#x}: {other:?}"),
            }
        }
        Ok(())
    };
    while_others(4, uses, || {
        for _ in 0..rounds {
            interrupts_once(&control)?;
            device.unbind(NAME)?;
            device.bind(NAME)?;
        }
        Ok(())
    })?;
    control.call(UNREGISTER, 0)?;
    drop_all(&control)?;
    all_is_gone(&control)?;
    drop(control);
    module.unload()
}

/// It goes a little later. Here it is one that has just got a device, or loses one.
fn a_method_may_drop_its_driver(vm: &mut Vm) -> Result {
    for what in [DROP_IN_PROBE, DROP_IN_REMOVE] {
        vm.many_rounds(20, |vm| {
            let (module, control) = load(vm)?;
            control.call(REGISTER, 0)?;
            let device = first()?;
            device.unbind(NAME)?;
            control.call(SET, what)?;
            device.bind(NAME)?;
            if what == DROP_IN_REMOVE {
                device.unbind(NAME)?;
            }
            driver_goes()?;
            all_is_gone(&control)?;
            drop(control);
            module.unload()?;
            assert_eq!(vm.log().count("not dropped")?, 0);
            Ok(())
        })?;
    }
    Ok(())
}

/// In its thread, or while it is made.
fn a_handler_may_drop_its_driver(vm: &mut Vm) -> Result {
    for (interrupt, handler) in [
        (MSI, UNKIND),
        (INTX, UNKIND),
        (MSI, UNKIND_AT_FIRST),
        (INTX, UNKIND_AT_FIRST),
    ] {
        vm.many_rounds(20, |vm| {
            let (module, control) = load_with(vm, TAKE)?;
            make_all(&control, interrupt, handler)?;
            if handler == UNKIND {
                control.call(RAISE, 0)?;
            }
            driver_goes()?;
            drop_all(&control)?;
            all_is_gone(&control)?;
            drop(control);
            module.unload()?;
            assert_eq!(vm.log().count("not dropped")?, 0);
            Ok(())
        })?;
    }
    Ok(())
}

/// What owns the driver goes with a thing of its device: that must not wait for itself.
fn a_handler_may_own_its_driver(vm: &mut Vm) -> Result {
    for command in [DROP, DROP_IN_SOFTIRQ] {
        vm.many_rounds(20, |vm| {
            let (module, control) = load_with(vm, TAKE)?;
            make_all(&control, MSI, OWNER)?;
            interrupts_once(&control)?;
            control.call(command, IRQ)?;
            driver_goes()?;
            drop_all(&control)?;
            all_is_gone(&control)?;
            drop(control);
            module.unload()?;
            assert_eq!(vm.log().count("not dropped")?, 0);
            Ok(())
        })?;
    }
    Ok(())
}

fn handles_are_dropped_in_softirqs(vm: &mut Vm) -> Result {
    vm.many_rounds(20, |vm| {
        let (module, control) = load_with(vm, TAKE)?;
        let device = first()?;
        for thing in [IRQ, MEMORY, BAR, DEVICE] {
            use_device(&control, &device)?;
            make_all(&control, MSI, BOTH)?;
            interrupts_once(&control)?;
            if thing == BAR {
                // The handler has them, too.
                control.call(DROP, IRQ)?;
            }
            control.call(DROP_IN_SOFTIRQ, thing)?;
            drop_all(&control)?;
            // It may be a little later.
            use_device(&control, &device)?;
            for command in [MSI, MAP] {
                let is_free = || control.call(command, 0).is_ok();
                eventually("all to be given back", is_free)?;
            }
            drop_all(&control)?;
        }
        control.call(UNREGISTER_IN_SOFTIRQ, 0)?;
        driver_goes()?;
        all_is_gone(&control)?;
        drop(control);
        module.unload()
    })
}

/// While user space gives it devices, takes them away, and looks.
fn drivers_and_modules_at_the_same_time(vm: &mut Vm) -> Result {
    let [one, other] = both()?;
    let meddle = || -> Result {
        for device in [&one, &other] {
            // The driver may be gone.
            let _ = device.unbind(NAME);
            let _ = device.bind(NAME);
        }
        // The kernel reads the driver's name for the last one, and has no lock.
        for path in ["/proc/interrupts", "/proc/iomem", "/proc/bus/pci/devices"] {
            fs::read(path)?;
        }
        let _ = names(DRIVER);
        Ok(())
    };
    while_others(2, meddle, || {
        for _ in 0..vm.fewer(25).max(3) {
            let (module, control) = load(vm)?;
            control.call(SET, MAKE)?;
            control.call(REGISTER, 0)?;
            control.call(UNREGISTER, 0)?;
            control.call(REGISTER, 0)?;
            drop(control);
            module.unload()?;
        }
        Ok(())
    })?;
    for device in [one, other] {
        assert_eq!(device.driver(), None);
        assert!(!device.is_master()?);
    }
    Ok(())
}

fn a_failing_init_ends(vm: &mut Vm) -> Result {
    vm.many_rounds(20, |vm| {
        assert_eq!(vm.load_fails(NAME, "early fail")?, Errno::NODEV);
        driver_goes()
    })?;
    assert_eq!(vm.load_fails(NAME, "early forget fail")?, Errno::NODEV);
    vm.log()
        .expect("pci_devices: not dropped: 1 PCI drivers; ")?;
    driver_goes()?;
    let module = vm.load_with(NAME, "early forget")?;
    assert_eq!(first()?.driver().as_deref(), Some(NAME));
    module.unload()?;
    driver_goes()?;
    assert!(!fs::read_to_string("/proc/iomem")?.contains(NAME));
    vm.forgive_leaks();
    Ok(())
}

fn unloading_at_once(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let (module, control) = load_with(vm, MAKE)?;
        drop(control);
        module.unload()
    })
}

fn unloading_while_it_interrupts(vm: &mut Vm) -> Result {
    for interrupt in [MSI, INTX] {
        vm.rounds(|vm| {
            let (module, control) = load_with(vm, TAKE)?;
            make_all(&control, interrupt, BOTH)?;
            for _ in 0..5 {
                control.call(RAISE, 0)?;
            }
            drop(control);
            module.unload()
        })?;
    }
    Ok(())
}
