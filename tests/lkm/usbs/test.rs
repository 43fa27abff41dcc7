// SPDX-License-Identifier: GPL-2.0-only

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use rustix::process::{Signal, getpid, kill_process};

use crate::{
    platform,
    prelude::*,
    usb::{self, USB_CARD_READER, USB_KEYBOARD, UsbController, UsbDevice},
};
use commands::*;
use signals::{Reaction, react};

mod commands;

pub const EXAMPLE: Example = Example {
    tests: tests![
        bound_to_what_it_is_for,
        user_space_has_a_say,
        knows_what_it_is_bound_to,
        control_transfers,
        interrupt_transfers,
        bulk_transfers,
        what_cannot_be_is_refused,
        waits_no_longer_than_it_may,
        a_signal_ends_a_wait,
        names_that_can_be,
        things_of_all_sizes,
        what_is_gone_says_so,
        unplugging_ends_transfers,
        so_does_whatever_takes_the_driver_off,
        unloading_ends_transfers,
        a_probe_may_refuse,
        errors_of_probe_are_those_of_who_binds,
        what_is_deferred_is_tried_again,
        a_probe_that_waits_is_ended,
        dropping_waits_for_methods,
        makes_no_driver_in_a_method,
        a_method_may_drop_its_driver,
        a_method_may_drop_another_driver,
        two_drivers_may_drop_each_other,
        handles_are_dropped_in_softirqs,
        a_lost_interface_is_harmless,
        parted_while_the_machine_sleeps,
        transfers_on_all_cpus_while_it_goes,
        plugged_in_while_drivers_come_and_go,
        unloading_while_user_space_binds,
        loaded_with_probes_in_threads,
        files_of_what_is_gone,
        a_failing_init_ends,
        unloading_at_once,
    ],
    setup: Some(all_is_plugged_in),
    ..Example::EMPTY
};

fn all_is_plugged_in(_vm: &mut Vm) -> Result {
    // One that is just being found could be lost for good.
    keyboard()?;
    reader()?;
    if platform::can_suspend() {
        // The first time something stays.
        UsbController::of(&keyboard()?)?.suspend()?;
    }
    keyboard()?;
    reader().map(drop)
}

fn keyboard() -> Result<UsbDevice> {
    UsbDevice::find(USB_KEYBOARD)
}

fn reader() -> Result<UsbDevice> {
    UsbDevice::find(USB_CARD_READER)
}

/// What the driver of a kind is called.
fn name(kind: usize) -> &'static str {
    DRIVERS[kind].to_str().expect("a name")
}

fn is_bound(device: &UsbDevice, kind: usize) -> bool {
    device.driver().as_deref() == Some(name(kind))
}

fn becomes_bound(device: &UsbDevice, kind: usize) -> Result {
    eventually("the driver", || is_bound(device, kind))
}

/// Waits until there is no such driver.
fn is_gone(kind: usize) -> Result {
    eventually("the driver's end", || !usb::has_driver(name(kind)))
}

/// Methods wait, as long as this lives.
struct Hold<'a>(&'a Control);

impl<'a> Hold<'a> {
    fn begin(control: &'a Control) -> Result<Self> {
        control.call(HOLD, 1)?;
        Ok(Self(control))
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        let _ = self.0.call(HOLD, 0);
    }
}

fn load(vm: &mut Vm) -> Result<(Module, Control)> {
    let module = vm.load("usbs")?;
    Ok((module, Control::open("/proc/usbs")?))
}

fn load_with(vm: &mut Vm, kind: usize) -> Result<(Module, Control)> {
    let (module, control) = load(vm)?;
    control.call(MAKE, kind)?;
    Ok((module, control))
}

/// The keyboard says nothing.
fn be_quiet(control: &Control) -> Result {
    control.call(SET_IDLE, 0)?;
    control.call(FORGET, 0)?;
    Ok(())
}

/// Begins a thread that waits for a key, which nobody presses.
fn waits_for_a_key(control: &Control) -> Result<Waiter<Answer>> {
    be_quiet(control)?;
    let waiter = control.caller(REPORT, 0)?;
    waiter.sleeps()?;
    Ok(waiter)
}

/// Nothing was as it must not be, and the methods have ended.
fn all_is_well(control: &Control) {
    assert_eq!(control.get(WRONG), 0);
    assert_eq!(control.get(RUNNING), 0);
}

fn bound_to_what_it_is_for(vm: &mut Vm) -> Result {
    let (module, control) = load(vm)?;
    let (keyboard, reader) = (keyboard()?, reader()?);
    for (kind, has_keyboard, has_reader) in [
        (KEYBOARDS, true, false),
        (READERS, false, true),
        (BOTH, true, true),
        (NONE, false, false),
    ] {
        let before = control.get(PROBES);
        control.call(MAKE, kind)?;
        assert_eq!(is_bound(&keyboard, kind), has_keyboard, "{kind}");
        assert_eq!(is_bound(&reader, kind), has_reader, "{kind}");
        let count = usize::from(has_keyboard) + usize::from(has_reader);
        assert_eq!(control.get(PROBES) - before, count, "{kind}");
        // The driver itself, too.
        assert_eq!(control.get(LIVING), count + 1, "{kind}");
        control.call(DROP, kind)?;
        assert_eq!((keyboard.driver(), reader.driver()), (None, None), "{kind}");
        assert_eq!(control.get(DISCONNECTS), control.get(PROBES), "{kind}");
        assert_eq!(control.get(LIVING), 0, "{kind}");
    }
    // Who comes first has it.
    control.call(MAKE, KEYBOARDS)?;
    control.call(MAKE, BOTH)?;
    assert!(is_bound(&keyboard, KEYBOARDS) && is_bound(&reader, BOTH));
    all_is_well(&control);
    drop(control);
    module.unload()?;
    assert_eq!((keyboard.driver(), reader.driver()), (None, None));
    Ok(())
}

const PRODUCT_OF_READER: (u16, u16) = (0x08e6, 0x4433);

/// A driver can be told of more devices, and taken off one.
fn user_space_has_a_say(vm: &mut Vm) -> Result {
    let (_module, control) = load_with(vm, NONE)?;
    let (keyboard, reader) = (keyboard()?, reader()?);
    assert_eq!(keyboard.bind(name(NONE)), Err(Errno::NODEV));
    let (vendor, product) = PRODUCT_OF_READER;
    usb::add_id(name(NONE), vendor, product)?;
    assert!(is_bound(&reader, NONE) && !is_bound(&keyboard, NONE));
    assert_eq!(control.call(ASK, 1)?, 0);
    assert_eq!(control.call(ANSWER, 0)?, 0x81_01_0a);
    reader.unbind(name(NONE))?;
    assert_eq!(reader.driver(), None);
    assert_eq!(control.call(ASK, 1), Err(Errno::NODEV));
    reader.bind(name(NONE))?;
    assert!(is_bound(&reader, NONE));
    usb::remove_id(name(NONE), vendor, product)?;
    reader.unbind(name(NONE))?;
    assert_eq!(reader.bind(name(NONE)), Err(Errno::NODEV));
    control.call(DROP, NONE)?;
    assert_eq!([control.get(PROBES), control.get(DISCONNECTS)], [2, 2]);
    all_is_well(&control);
    Ok(())
}

fn knows_what_it_is_bound_to(vm: &mut Vm) -> Result {
    let (_module, control) = load_with(vm, BOTH)?;
    for (device, of, class, endpoints) in [
        // Address, kind and size: one to read interrupts from, ...
        (keyboard()?, 0, USB_KEYBOARD, &[(0x81, 3, 8)][..]),
        // ... and for bulks, one to read from and one to write to.
        (
            reader()?,
            OF_READER,
            USB_CARD_READER,
            &[(0x81, 3, 64), (0x82, 2, 64), (0x03, 2, 64)][..],
        ),
    ] {
        for (at, expected) in device.interface().bytes().chain([0]).enumerate() {
            assert_eq!(control.call(NAME, of + at)?, usize::from(expected));
        }
        for (command, file) in [(VENDOR, "idVendor"), (PRODUCT, "idProduct")] {
            let expected = usize::from_str_radix(&device.attribute(file)?, 16)?;
            assert_eq!(control.call(command, of)?, expected, "{file}");
        }
        let [class, subclass, protocol] = class.map(usize::from);
        let expected = (class << 16) | (subclass << 8) | protocol;
        assert_eq!(control.call(CLASS, of)?, expected);
        assert_eq!(control.call(ENDPOINTS, of)?, endpoints.len());
        for (at, (address, kind, size)) in endpoints.iter().enumerate() {
            let expected = (size << 16) | (kind << 8) | address;
            assert_eq!(control.call(ENDPOINT, of + at)?, expected, "{at}");
        }
        assert_eq!(
            control.call(ENDPOINT, of + endpoints.len()),
            Err(Errno::DOM)
        );
    }
    // It is still known when the device is gone.
    let keyboard = keyboard()?;
    let expected = control.call(VENDOR, 0)?;
    drop(keyboard.unplug()?);
    control.call(DROP, BOTH)?;
    assert_eq!(control.call(VENDOR, 0)?, expected);
    Ok(())
}

fn control_transfers(vm: &mut Vm) -> Result {
    let (_module, control) = load_with(vm, KEYBOARDS)?;
    for idle in [0, 1, 255, 7, 0] {
        control.call(SET_IDLE, idle)?;
        assert_eq!(control.call(GET_IDLE, 0)?, idle);
    }
    let descriptor = keyboard()?.descriptors()?;
    for (at, byte) in descriptor[..18].iter().enumerate() {
        assert_eq!(control.call(DESCRIPTOR, at)?, usize::from(*byte), "{at}");
    }
    for _ in 0..3 {
        assert_eq!(control.call(STALL, 0), Err(Errno::PIPE));
        assert_eq!(control.call(GET_IDLE, 0)?, 0);
    }
    // Several at the same time.
    let rounds = vm.fewer(100);
    on_threads(4, |n| {
        for at in 0..rounds as usize {
            match n {
                0 => ensure!(control.call(STALL, 0) == Err(Errno::PIPE)),
                1 => ensure!(control.call(GET_IDLE, 0)? == 0),
                _ => {
                    let byte = usize::from(descriptor[at % 18]);
                    ensure!(control.call(DESCRIPTOR, at % 18)? == byte);
                }
            }
        }
        Ok(())
    })?;
    all_is_well(&control);
    Ok(())
}

fn interrupt_transfers(vm: &mut Vm) -> Result {
    let (_module, control) = load_with(vm, KEYBOARDS)?;
    control.call(SET_IDLE, 1)?;
    for _ in 0..20 {
        assert_eq!(control.call(REPORT, 0)?, 8);
    }
    let rounds = vm.fewer(50);
    on_threads(4, |_| {
        for _ in 0..rounds {
            ensure!(control.call(REPORT, 0)? == 8);
        }
        Ok(())
    })?;
    be_quiet(&control)?;
    all_is_well(&control);
    Ok(())
}

/// What an answer to the question with that number is: a state, of 10 bytes.
fn answer_to(number: usize) -> usize {
    const STATE: usize = 0x81;
    (STATE << 16) | (number << 8) | 10
}

fn bulk_transfers(vm: &mut Vm) -> Result {
    let (_module, control) = load_with(vm, READERS)?;
    for number in 0..=255 {
        control.call(ASK, number)?;
        assert_eq!(control.call(ANSWER, 0)?, answer_to(number));
    }
    // The device remembers some.
    for number in 1..=5 {
        control.call(ASK, number)?;
    }
    for number in 1..=5 {
        assert_eq!(control.call(ANSWER, 0)?, answer_to(number));
    }
    // Who waits is answered.
    for number in 1..=5 {
        let waiter = control.caller(ANSWER, 0)?;
        waiter.sleeps()?;
        control.call(ASK, number)?;
        assert_eq!(waiter.end()?, Ok(answer_to(number)));
    }
    // Who waits for something else is not.
    let waiter = control.caller(CARD, 0)?;
    control.call(ASK, 9)?;
    assert_eq!(control.call(ANSWER, 0)?, answer_to(9));
    waiter.sleeps()?;
    control.call(DROP, READERS)?;
    assert_eq!(waiter.end()?, Err(Errno::NODEV));
    all_is_well(&control);
    Ok(())
}

fn what_cannot_be_is_refused(vm: &mut Vm) -> Result {
    let (_module, control) = load_with(vm, BOTH)?;
    for mistake in 0..GREED {
        let refused = control.call(MISTAKE, mistake);
        assert_eq!(refused, Err(Errno::INVAL), "{mistake}");
    }
    assert_eq!(control.call(MISTAKE, GREED), Err(Errno::NOMEM));
    assert_eq!(control.call(ASK, 3)?, 0);
    assert_eq!(control.call(ANSWER, 0)?, answer_to(3));
    all_is_well(&control);
    Ok(())
}

fn waits_no_longer_than_it_may(vm: &mut Vm) -> Result {
    let (_module, control) = load_with(vm, BOTH)?;
    be_quiet(&control)?;
    for _ in 0..vm.fewer(20) {
        assert_eq!(control.call(REPORT, 1), Err(Errno::TIMEDOUT));
        assert_eq!(control.call(ANSWER, 1), Err(Errno::TIMEDOUT));
        // That has done no harm.
        control.call(ASK, 4)?;
        assert_eq!(control.call(ANSWER, 0)?, answer_to(4));
    }
    control.call(SET_IDLE, 1)?;
    assert_eq!(control.call(REPORT, 0)?, 8);
    be_quiet(&control)?;
    all_is_well(&control);
    Ok(())
}

fn a_signal_ends_a_wait(vm: &mut Vm) -> Result {
    let (_module, control) = load_with(vm, BOTH)?;
    let _reacting = react(Signal::USR1, Reaction::Count)?;
    let _mask = signals::block(Signal::USR1)?;
    be_quiet(&control)?;
    for command in [REPORT, ANSWER, CARD] {
        let waiter = control.caller(command, 0)?;
        waiter.sleeps()?;
        kill_process(getpid(), Signal::USR1)?;
        assert_eq!(waiter.end()?, Err(Errno::INTR));
    }
    control.call(ASK, 5)?;
    assert_eq!(control.call(ANSWER, 0)?, answer_to(5));
    all_is_well(&control);
    Ok(())
}

fn names_that_can_be(vm: &mut Vm) -> Result {
    let (_module, control) = load(vm)?;
    let errors = [Errno::INVAL; 4].into_iter().map(Err);
    let expected = errors.chain([Err(Errno::BUSY), Ok(0)]);
    for (index, expected) in expected.enumerate() {
        let made = control.call(TRY_NAME, index);
        assert_eq!(made, expected, "{:?}", NAMES[index]);
    }
    // One of our own.
    control.call(MAKE, NONE)?;
    assert_eq!(control.call(MAKE, NONE), Err(Errno::BUSY));
    control.call(DROP, NONE)?;
    control.call(MAKE, NONE)?;
    Ok(())
}

fn things_of_all_sizes(vm: &mut Vm) -> Result {
    let keyboard = keyboard()?;
    for kind in [WIDE, EMPTY] {
        let (module, control) = load_with(vm, kind)?;
        for _ in 0..3 {
            assert!(is_bound(&keyboard, kind));
            drop(keyboard.unplug()?);
            becomes_bound(&keyboard, kind)?;
        }
        assert_eq!([control.get(PROBES), control.get(DISCONNECTS)], [4, 3]);
        control.call(DROP, kind)?;
        assert_eq!([control.get(LIVING), control.get(DISCONNECTS)], [0, 4]);
        all_is_well(&control);
        drop(control);
        module.unload()?;
    }
    Ok(())
}

/// Also if somebody else has the device then, or the same driver again.
fn what_is_gone_says_so(vm: &mut Vm) -> Result {
    let (_module, control) = load(vm)?;
    assert_eq!(control.call(GET_IDLE, 0), Err(Errno::NXIO));
    control.call(MAKE, BOTH)?;
    control.call(DROP, BOTH)?;
    for command in [GET_IDLE, STALL, REPORT, ASK, ANSWER, CARD] {
        assert_eq!(control.call(command, 0), Err(Errno::NODEV), "{command:#x}");
    }
    // This one does not tell the module what it is bound to.
    control.call(MAKE, EMPTY)?;
    assert!(is_bound(&keyboard()?, EMPTY));
    assert_eq!(control.call(GET_IDLE, 0), Err(Errno::NODEV));
    all_is_well(&control);
    Ok(())
}

/// All that wait, and the driver's things are dropped.
fn unplugging_ends_transfers(vm: &mut Vm) -> Result {
    let (_module, control) = load_with(vm, BOTH)?;
    let (keyboard, reader) = (keyboard()?, reader()?);
    for n in 1..=vm.fewer(5) as usize {
        let keys = [waits_for_a_key(&control)?, waits_for_a_key(&control)?];
        let cards = [control.caller(CARD, 0)?, control.caller(ANSWER, 0)?];
        let away = keyboard.unplug()?;
        for waiter in keys {
            assert_eq!(waiter.end()?, Err(Errno::NODEV));
        }
        assert_eq!(control.get(LIVING), 2);
        assert_eq!(control.get(DISCONNECTS), 2 * n - 1);
        // The other device is there.
        for waiter in &cards {
            waiter.sleeps()?;
        }
        let other_away = reader.unplug()?;
        for waiter in cards {
            assert_eq!(waiter.end()?, Err(Errno::NODEV));
        }
        assert_eq!(control.get(LIVING), 1);
        drop((away, other_away));
        becomes_bound(&keyboard, BOTH)?;
        becomes_bound(&reader, BOTH)?;
        assert_eq!(control.get(LIVING), 3);
    }
    all_is_well(&control);
    Ok(())
}

fn so_does_whatever_takes_the_driver_off(vm: &mut Vm) -> Result {
    let (_module, control) = load_with(vm, KEYBOARDS)?;
    let before = keyboard()?;
    let ways: [fn(&UsbDevice, &Control) -> Result; 5] = [
        |keyboard, _| {
            keyboard.unbind(name(KEYBOARDS))?;
            Ok(keyboard.bind(name(KEYBOARDS))?)
        },
        |keyboard, _| keyboard.reset(),
        |_, control| {
            control.call(DROP, KEYBOARDS)?;
            control.call(MAKE, KEYBOARDS)?;
            Ok(())
        },
        |keyboard, _| {
            let controller = UsbController::of(keyboard)?;
            keyboard.remove()?;
            drop(controller.unplug()?);
            Ok(())
        },
        |keyboard, _| {
            drop(UsbController::of(keyboard)?.unplug()?);
            Ok(())
        },
    ];
    for (n, way) in ways.into_iter().enumerate() {
        let waiter = waits_for_a_key(&control)?;
        way(&before, &control)?;
        assert_eq!(waiter.end()?, Err(Errno::NODEV), "{n}");
        assert_eq!(keyboard()?, before);
        // The kernel itself may be asking the driver.
        eventually("the driver", || control.get(LIVING) == 2)?;
        becomes_bound(&before, KEYBOARDS)?;
        assert_eq!(control.get(DISCONNECTS), n + 1);
    }
    // All is plugged in again.
    reader()?;
    all_is_well(&control);
    Ok(())
}

fn unloading_ends_transfers(vm: &mut Vm) -> Result {
    for _ in 0..3 {
        let (module, control) = load_with(vm, BOTH)?;
        let waiters = [
            waits_for_a_key(&control)?,
            control.caller(CARD, 0)?,
            control.caller(ANSWER, 0)?,
        ];
        module.unload()?;
        for waiter in waiters {
            assert_eq!(waiter.end()?, Err(Errno::NODEV));
        }
    }
    Ok(())
}

fn a_probe_may_refuse(vm: &mut Vm) -> Result {
    let (module, control) = load(vm)?;
    let keyboard = keyboard()?;
    control.call(MAKE, CHOOSY)?;
    assert_eq!(keyboard.driver(), None);
    assert_eq!([control.get(PROBES), control.get(LIVING)], [1, 1]);
    // Somebody has kept what it was asked about.
    assert_eq!(control.call(GET_IDLE, 0), Err(Errno::NODEV));
    // The next one is asked.
    control.call(MAKE, KEYBOARDS)?;
    assert!(is_bound(&keyboard, KEYBOARDS));
    assert_eq!(control.call(GET_IDLE, 0)?, 0);
    control.call(DROP, KEYBOARDS)?;
    assert_eq!(keyboard.bind(name(CHOOSY)), Err(Errno::NXIO));
    assert_eq!([control.get(PROBES), control.get(DISCONNECTS)], [3, 1]);
    all_is_well(&control);
    drop(control);
    module.unload()
}

/// The kernel's own number for what it tries again.
const EPROBE_DEFER: usize = 517;

/// The kernel's own numbers are none for user space.
fn errors_of_probe_are_those_of_who_binds(vm: &mut Vm) -> Result {
    let (_module, control) = load(vm)?;
    let keyboard = keyboard()?;
    for (errno, expected) in [
        (1, Errno::PERM),
        (4, Errno::INTR),
        (5, Errno::IO),
        (6, Errno::NXIO),
        (19, Errno::NODEV),
        (512, Errno::INTR),
        (EPROBE_DEFER, Errno::AGAIN),
        (524, Errno::OPNOTSUPP),
        (600, Errno::IO),
        (4095, Errno::IO),
    ] {
        control.call(FAIL, errno)?;
        // The driver is there, whatever it says of a device.
        control.call(MAKE, KEYBOARDS)?;
        assert_eq!(keyboard.driver(), None, "{errno}");
        let bound = keyboard.bind(name(KEYBOARDS));
        assert_eq!(bound, Err(expected), "{errno}");
        assert_eq!(control.get(LIVING), 1, "{errno}");
        // Somebody has kept what it was asked about.
        assert_eq!(control.call(GET_IDLE, 0), Err(Errno::NODEV), "{errno}");
        control.call(FAIL, 0)?;
        let bound = keyboard.bind(name(KEYBOARDS));
        // What was deferred, the kernel may have tried again by itself.
        if errno != EPROBE_DEFER {
            bound?;
        }
        becomes_bound(&keyboard, KEYBOARDS)?;
        control.call(DROP, KEYBOARDS)?;
        assert_eq!(control.get(LIVING), 0, "{errno}");
    }
    all_is_well(&control);
    Ok(())
}

/// When some other device has got its driver.
fn what_is_deferred_is_tried_again(vm: &mut Vm) -> Result {
    let (module, control) = load(vm)?;
    let keyboard = keyboard()?;
    for _ in 0..vm.fewer(5) {
        control.call(FAIL, EPROBE_DEFER)?;
        control.call(MAKE, KEYBOARDS)?;
        assert_eq!(keyboard.driver(), None);
        control.call(FAIL, 0)?;
        control.call(MAKE, READERS)?;
        becomes_bound(&keyboard, KEYBOARDS)?;
        control.call(DROP, KEYBOARDS)?;
        control.call(DROP, READERS)?;
    }
    // Or it goes before that.
    control.call(FAIL, EPROBE_DEFER)?;
    control.call(MAKE, KEYBOARDS)?;
    control.call(DROP, KEYBOARDS)?;
    assert_eq!(control.get(LIVING), 0);
    all_is_well(&control);
    drop(control);
    module.unload()
}

/// Makes a driver that waits for a key when it is asked, and has it asked. The result is who
/// has plugged in the keyboard.
fn a_patient_probe(control: &Control) -> Result<Waiter<()>> {
    control.call(MAKE, KEYBOARDS)?;
    be_quiet(control)?;
    control.call(DROP, KEYBOARDS)?;
    let away = keyboard()?.unplug()?;
    control.call(MAKE, PATIENT)?;
    let plugging = Waiter::begin(move || drop(away));
    eventually("the method", || control.get(RUNNING) == 1)?;
    plugging.sleeps()?;
    Ok(plugging)
}

fn a_probe_that_waits_is_ended(vm: &mut Vm) -> Result {
    let keyboard = keyboard()?;
    for _ in 0..3 {
        let (module, control) = load(vm)?;
        let plugging = a_patient_probe(&control)?;
        control.call(DROP, PATIENT)?;
        plugging.end()?;
        assert_eq!(keyboard.driver(), None);
        assert_eq!(control.get(LIVING), 0);
        all_is_well(&control);
        let plugging = a_patient_probe(&control)?;
        drop(control);
        module.unload()?;
        plugging.end()?;
        assert_eq!(keyboard.driver(), None);
    }
    Ok(())
}

/// For one that is disconnected, and for one that is asked.
fn dropping_waits_for_methods(vm: &mut Vm) -> Result {
    let keyboard = keyboard()?;
    let (_module, control) = load_with(vm, KEYBOARDS)?;
    let hold = Hold::begin(&control)?;
    let device = keyboard.clone();
    let unplugging = Waiter::begin(move || device.unplug());
    eventually("the method", || control.get(RUNNING) == 1)?;
    let dropper = control.caller(DROP, KEYBOARDS)?;
    thread::sleep(Duration::from_millis(100));
    assert!(!dropper.has_ended() && !unplugging.has_ended());
    assert_eq!(control.get(LIVING), 2);
    drop(hold);
    assert_eq!(dropper.end()?, Ok(0));
    let away = unplugging.end()??;
    assert_eq!(control.get(LIVING), 0);

    control.call(MAKE, KEYBOARDS)?;
    let hold = Hold::begin(&control)?;
    let plugging = Waiter::begin(move || drop(away));
    eventually("the method", || control.get(RUNNING) == 1)?;
    let dropper = control.caller(DROP, KEYBOARDS)?;
    thread::sleep(Duration::from_millis(100));
    assert!(!dropper.has_ended() && !plugging.has_ended());
    drop(hold);
    assert_eq!(dropper.end()?, Ok(0));
    plugging.end()?;
    assert_eq!(keyboard.driver(), None);
    assert_eq!(control.get(LIVING), 0);
    all_is_well(&control);
    Ok(())
}

fn makes_no_driver_in_a_method(vm: &mut Vm) -> Result {
    let (_module, control) = load_with(vm, MAKERS)?;
    assert!(is_bound(&keyboard()?, MAKERS));
    let expected = Errno::DEADLK.raw_os_error() as usize;
    assert_eq!(control.get(MADE_IN_METHOD), expected);
    assert!(!usb::has_driver("usbs-made"));
    Ok(())
}

/// The method goes on, and somebody else waits for it.
fn a_method_may_drop_its_driver(vm: &mut Vm) -> Result {
    let mut kinds = SELFISH.into_iter().cycle();
    let keyboard = keyboard()?;
    vm.rounds(|vm| {
        let kind = kinds.next().context("a kind")?;
        let (module, control) = load(vm)?;
        // One of them is asked when it is plugged in, the others when it is unplugged again.
        let away = keyboard.unplug()?;
        control.call(MAKE, kind)?;
        drop(away);
        if kind != SELFISH[0] {
            drop(keyboard.unplug()?);
        }
        is_gone(kind)?;
        eventually("its end", || control.get(LIVING) == 0)?;
        assert_eq!(keyboard.driver(), None);
        assert_eq!(control.get(DISCONNECTS), control.get(PROBES));
        all_is_well(&control);
        drop(control);
        module.unload()?;
        assert_eq!(vm.log().texts("usbs")?, [""; 0]);
        Ok(())
    })
}

fn a_method_may_drop_another_driver(vm: &mut Vm) -> Result {
    let (keyboard, reader) = (keyboard()?, reader()?);
    vm.rounds(|vm| {
        let (module, control) = load_with(vm, KEYBOARDS)?;
        control.call(MAKE, UNKIND)?;
        assert!(is_bound(&keyboard, KEYBOARDS) && is_bound(&reader, UNKIND));
        reader.unbind(name(UNKIND))?;
        is_gone(KEYBOARDS)?;
        assert_eq!(keyboard.driver(), None);
        drop(control);
        module.unload()?;
        assert_eq!(vm.log().texts("usbs")?, [""; 0]);
        Ok(())
    })
}

fn two_drivers_may_drop_each_other(vm: &mut Vm) -> Result {
    let devices = [reader()?, keyboard()?];
    vm.rounds(|vm| {
        let (module, control) = load(vm)?;
        for kind in RIVALS {
            control.call(MAKE, kind)?;
        }
        on_threads(2, |n| {
            // The other one may be faster.
            let _ = devices[n as usize].unbind(name(RIVALS[n as usize]));
            Ok(())
        })?;
        is_gone(RIVALS[1])?;
        drop(control);
        module.unload()?;
        assert_eq!(vm.log().texts("usbs")?, [""; 0]);
        Ok(())
    })
}

fn handles_are_dropped_in_softirqs(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let (module, control) = load_with(vm, BOTH)?;
        control.call(DROP_IN_SOFTIRQ, BOTH)?;
        is_gone(BOTH)?;
        eventually("its end", || control.get(LIVING) == 0)?;
        assert_eq!([control.get(PROBES), control.get(DISCONNECTS)], [2, 2]);
        drop(control);
        module.unload()
    })
}

/// What was forgotten stays in memory.
fn a_lost_interface_is_harmless(vm: &mut Vm) -> Result {
    vm.forgive_leaks();
    let keyboard = keyboard()?;
    for _ in 0..3 {
        let (module, control) = load_with(vm, LOSER)?;
        drop(keyboard.unplug()?);
        becomes_bound(&keyboard, LOSER)?;
        assert_eq!([control.get(PROBES), control.get(LIVING)], [2, 2]);
        drop(control);
        module.unload()?;
        assert_eq!(vm.log().texts("usbs")?, [""; 0]);
    }
    Ok(())
}

/// It is asked again when the machine was woken. What it has of a device is dropped each time.
fn parted_while_the_machine_sleeps(vm: &mut Vm) -> Result {
    if !platform::can_suspend() {
        vm.note("this kernel has no test of suspend");
        return Ok(());
    }
    let (module, control) = load_with(vm, BOTH)?;
    let (old_keyboard, old_reader) = (keyboard()?, reader()?);
    let controller = UsbController::of(&old_keyboard)?;
    be_quiet(&control)?;
    for round in 1..=3 {
        controller.suspend()?;
        // Its driver looks for the devices.
        eventually("the devices", || control.get(PROBES) >= 2 * (round + 1))?;
        eventually("their drivers", || control.get(LIVING) == 3)?;
        for (device, before) in [(keyboard()?, &old_keyboard), (reader()?, &old_reader)] {
            assert_eq!(&device, before);
            becomes_bound(&device, BOTH)?;
        }
        assert_eq!(control.get(DISCONNECTS) + 2, control.get(PROBES));
        assert_eq!(control.call(GET_IDLE, 0)?, 0);
        control.call(ASK, round)?;
        assert_eq!(control.call(ANSWER, 0)?, answer_to(round));
    }
    all_is_well(&control);
    drop(control);
    module.unload()
}

/// Each transfer is made, or fails because there is nothing. QEMU forgets one that waits when
/// another one of the same endpoint is ended, so none waits for ever here.
fn transfers_on_all_cpus_while_it_goes(vm: &mut Vm) -> Result {
    let (module, control) = load_with(vm, BOTH)?;
    let keyboard = keyboard()?;
    control.call(SET_IDLE, 1)?;
    let (done, turn) = (AtomicU32::new(0), AtomicU32::new(0));
    let transfer = || -> Result {
        let (command, argument) = match turn.fetch_add(1, SeqCst) % 4 {
            0 => (GET_IDLE, 0),
            1 => (REPORT, 100),
            2 => (REPORT, 1),
            _ => (DESCRIPTOR, 17),
        };
        match control.call(command, argument) {
            Ok(_) => done.fetch_add(1, SeqCst),
            Err(Errno::NODEV) => 0,
            Err(Errno::TIMEDOUT) if command == REPORT => 0,
            Err(error) => return Err(error.into()),
        };
        Ok(())
    };
    let rounds = vm.fewer(60);
    while_others(4, transfer, || -> Result {
        for round in 0..rounds {
            let before = done.load(SeqCst);
            eventually("a transfer", || done.load(SeqCst) > before + round % 10)?;
            match round % 3 {
                0 => drop(keyboard.unplug()?),
                1 => {
                    keyboard.unbind(name(BOTH))?;
                    keyboard.bind(name(BOTH))?;
                }
                _ => {
                    control.call(DROP, BOTH)?;
                    control.call(MAKE, BOTH)?;
                }
            }
        }
        Ok(())
    })?;
    be_quiet(&control)?;
    assert_eq!(control.get(LIVING), 3);
    all_is_well(&control);
    drop(control);
    module.unload()
}

fn plugged_in_while_drivers_come_and_go(vm: &mut Vm) -> Result {
    let devices = [keyboard()?, reader()?];
    let turn = AtomicU32::new(0);
    let plug = || -> Result {
        let turn = turn.fetch_add(1, SeqCst) as usize;
        drop(devices[turn % 2].unplug()?);
        Ok(())
    };
    while_others(1, plug, || -> Result {
        for round in 0..vm.fewer(60) {
            let (module, control) = load_with(vm, BOTH)?;
            if round % 2 == 0 {
                control.call(DROP, BOTH)?;
                assert_eq!(control.get(LIVING), 0);
                assert_eq!(control.get(DISCONNECTS), control.get(PROBES));
                control.call(MAKE, KEYBOARDS)?;
            }
            assert_eq!(control.get(WRONG), 0);
            drop(control);
            module.unload()?;
        }
        Ok(())
    })
}

/// As fast as it can, and looks at all that there is.
fn bind_and_look() -> Result {
    let (vendor, product) = PRODUCT_OF_READER;
    for class in [USB_KEYBOARD, USB_CARD_READER] {
        let Some(device) = UsbDevice::look(class) else {
            continue;
        };
        // The driver, or the device, may be gone.
        let _ = usb::add_id(name(BOTH), vendor, product);
        let _ = device.bind(name(BOTH));
        let _ = usb::uevent(&device.interface());
        let _ = usb::remove_id(name(BOTH), vendor, product);
        let _ = device.unbind(name(BOTH));
        let _ = usb::uevent(&device.interface());
    }
    Ok(())
}

fn unloading_while_user_space_binds(vm: &mut Vm) -> Result {
    while_others(3, bind_and_look, || -> Result {
        for _ in 0..vm.fewer(50) {
            let (module, control) = load_with(vm, BOTH)?;
            control.call(DROP, BOTH)?;
            assert_eq!(control.get(LIVING), 0);
            control.call(MAKE, BOTH)?;
            assert_eq!(control.get(WRONG), 0);
            drop(control);
            module.unload()?;
        }
        Ok(())
    })?;
    assert_eq!((keyboard()?.driver(), reader()?.driver()), (None, None));
    Ok(())
}

/// Those that are there are asked before insmod returns, whatever it was told.
fn loaded_with_probes_in_threads(vm: &mut Vm) -> Result {
    let keyboard = keyboard()?;
    for _ in 0..vm.fewer(20) {
        let module = vm.load_with("usbs", "early async_probe")?;
        assert!(is_bound(&keyboard, KEYBOARDS));
        module.unload()?;
        assert_eq!(keyboard.driver(), None);
    }
    Ok(())
}

/// Somebody has them open.
fn files_of_what_is_gone(vm: &mut Vm) -> Result {
    let (module, control) = load_with(vm, BOTH)?;
    let driver = format!("/sys/bus/usb/drivers/{}", name(BOTH));
    let open = |file: &str| {
        let path = format!("{driver}/{file}");
        read_write(&path).or_else(|_| OpenOptions::new().write(true).open(path))
    };
    let (mut new_id, mut bind) = (open("new_id")?, open("bind")?);
    drop(control);
    module.unload()?;
    assert_eq!(error_of(new_id.read(&mut [0; 64])), Some(Errno::NODEV));
    assert_eq!(error_of(new_id.write(b"08e6 4433")), Some(Errno::NODEV));
    let bound = bind.write(keyboard()?.interface().as_bytes());
    assert_eq!(error_of(bound), Some(Errno::NODEV));
    Ok(())
}

fn a_failing_init_ends(vm: &mut Vm) -> Result {
    let keyboard = keyboard()?;
    vm.rounds(|vm| {
        assert_eq!(vm.load_fails("usbs", "early fail")?, Errno::NODEV);
        assert_eq!(keyboard.driver(), None);
        Ok(())
    })?;
    vm.forgive_leaks();
    assert_eq!(vm.load_fails("usbs", "early forget fail")?, Errno::NODEV);
    vm.log().expect("usbs: not dropped: 1 USB drivers")?;
    assert_eq!(keyboard.driver(), None);
    vm.load_with("usbs", "early forget")?.unload()?;
    assert_eq!(keyboard.driver(), None);
    Ok(())
}

fn unloading_at_once(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let (module, control) = load_with(vm, BOTH)?;
        drop(control);
        module.unload()
    })
}
