// SPDX-License-Identifier: GPL-2.0-only

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use crate::{
    i2c::{I2cBus, I2cNode, SMBUS_BYTE_DATA, SMBUS_OTHERS, SMBUS_WORD_DATA, driver_exists},
    prelude::*,
};
use commands::*;

mod commands;

pub const EXAMPLE: Example = Example {
    tests: tests![
        each_kind_of_both,
        transfers_are_what_they_are,
        user_space_transfers_by_the_node,
        a_device_of_ten_bits_has_no_transfers,
        devices_are_told_apart,
        errors_are_those_of_the_adapter,
        a_probe_may_fail,
        a_client_ends_with_its_device,
        what_cannot_be_is_refused,
        a_name_is_had_by_one_driver,
        nothing_is_made_inside,
        a_method_does_not_wait_for_itself,
        taking_a_device_away_waits_for_transfers,
        dropping_waits_for_transfers,
        dropping_waits_for_open_nodes,
        an_open_node_keeps_the_module,
        unloading_waits_for_a_probe,
        functions_may_drop_anything,
        handles_are_dropped_in_softirqs,
        a_lost_client_is_harmless,
        everything_at_once_on_all_cpus,
        devices_are_made_while_the_bus_goes,
        loaded_with_probes_in_threads,
        a_failing_init_ends,
        a_failing_init_gives_devices_back,
        unloading_at_once,
    ],
    ..Example::EMPTY
};

/// What a device has an address for, in these tests.
const PLACE: u16 = 0x10;

fn load(vm: &mut Vm) -> Result<(Module, Control)> {
    let module = vm.load("i2c-devices")?;
    Ok((module, Control::open("/proc/i2c-devices")?))
}

/// Loads the module, with an adapter and a driver.
fn load_with_both(vm: &mut Vm) -> Result<(Module, Control, I2cBus)> {
    let (module, control) = load(vm)?;
    control.call(MAKE, BUS)?;
    control.call(MAKE, DRIVER)?;
    Ok((module, control, I2cBus::find(name(BUS))?))
}

/// What things of a kind are called.
fn name(kind: usize) -> &'static str {
    NAMES[kind].to_str().expect("they are ASCII")
}

/// Whether there is an adapter, or a driver, of that kind.
fn exists(kind: usize) -> bool {
    match kind {
        DRIVER.. => driver_exists(name(kind)),
        _ => I2cBus::exists(name(kind)),
    }
}

/// Has methods wait, or go on.
fn hold(yes: bool) -> Result {
    let path = "/sys/module/i2c_devices/parameters/hold";
    Ok(fs::write(path, u8::from(yes).to_string())?)
}

/// Nothing was as it must not be, and nothing runs.
fn all_is_well(control: &Control) {
    assert_eq!(control.get(WRONG), 0);
    assert_eq!(control.get(RUNNING), 0);
}

/// The name of the device that was probed last.
fn client_name(control: &Control) -> Result<String> {
    let mut bytes = Vec::new();
    while let Ok(byte) = control.call(NAME_BYTE, bytes.len()) {
        bytes.push(byte as u8);
    }
    Ok(String::from_utf8(bytes)?)
}

/// Of any size: nothing, and 4 KiB aligned to 64 bytes.
fn each_kind_of_both(vm: &mut Vm) -> Result {
    // One driver loses what it gets.
    vm.forgive_leaks();
    let (module, control) = load(vm)?;
    for bus_kind in [BUS, EMPTY_BUS, WIDE_BUS] {
        control.call(MAKE, bus_kind)?;
        let bus = I2cBus::find(name(bus_kind))?;
        for kind in [DRIVER, EMPTY_DRIVER, WIDE_DRIVER] {
            let before = control.get(PROBES);
            bus.add(name(kind), PLACE)?;
            assert_eq!(bus.driver(PLACE), None);
            control.call(MAKE, kind)?;
            assert_eq!(bus.driver(PLACE).as_deref(), Some(name(kind)));
            bus.delete(PLACE)?;
            bus.add(name(kind), PLACE)?;
            assert_eq!(bus.driver(PLACE).as_deref(), Some(name(kind)));
            bus.unbind(name(kind), PLACE)?;
            bus.bind(name(kind), PLACE)?;
            assert_eq!(control.get(PROBES), before + 3);
            control.call(DROP, kind)?;
            assert!(!exists(kind));
            assert_eq!(bus.driver(PLACE), None);
            bus.delete(PLACE)?;
        }
        control.call(DROP, bus_kind)?;
        assert!(!exists(bus_kind));
    }
    assert_eq!(control.get(REMOVES), 9);
    assert_eq!(control.get(LIVING), 0);
    all_is_well(&control);
    drop(control);
    module.unload()
}

/// Of a byte or of two, each of its own register.
fn transfers_are_what_they_are(vm: &mut Vm) -> Result {
    let (_module, control, bus) = load_with_both(vm)?;
    // That of all devices.
    let all = bus.add(name(DRIVER), 0);
    assert_eq!(all, Err(Errno::INVAL));
    for address in [0x01, PLACE, 0x7f] {
        bus.add(name(DRIVER), address)?;
        for register in [0, 1, 0x7f, 0xfe] {
            let byte = register ^ 0x5a;
            let word = (register << 8) | (register ^ 0xff);
            control.call(WRITE_BYTE, register | (byte << 8))?;
            control.call(WRITE_WORD, register | (word << 8))?;
            assert_eq!(control.call(READ_BYTE, register), Ok(byte));
            assert_eq!(control.call(READ_WORD, register), Ok(word));
            assert_eq!(control.get(LAST_ADDRESS), usize::from(address));
        }
        for register in [0, 1, 0x7f, 0xfe] {
            assert_eq!(control.call(READ_BYTE, register), Ok(register ^ 0x5a));
        }
        for word in [0, 1, 0xff, 0x100, 0x8000, 0xffff] {
            control.call(WRITE_WORD, 3 | (word << 8))?;
            assert_eq!(control.call(READ_WORD, 3), Ok(word));
            control.call(WRITE_BYTE, 3 | (word << 8))?;
            assert_eq!(control.call(READ_BYTE, 3), Ok(word & 0xff));
        }
        bus.delete(address)?;
    }
    all_is_well(&control);
    Ok(())
}

/// By any address of seven bits, with nothing that the adapter does not know.
fn user_space_transfers_by_the_node(vm: &mut Vm) -> Result {
    let (_module, control, bus) = load_with_both(vm)?;
    let node = I2cNode::open(bus)?;
    // Reading and writing bytes, and words.
    assert_eq!(node.functionality()?, 0x0078_0000);
    for address in [0x01, PLACE, 0x7f] {
        node.set_address(address, false)?;
        for register in [0, 0xff] {
            let mut data = [0; 34];
            data[0] = register ^ 0x5a;
            node.transfer(true, register, SMBUS_BYTE_DATA, &mut data)?;
            data[0] = 0;
            node.transfer(false, register, SMBUS_BYTE_DATA, &mut data)?;
            assert_eq!(data[..2], [register ^ 0x5a, 0]);
            data[..2].copy_from_slice(&[0x34, register]);
            node.transfer(true, register, SMBUS_WORD_DATA, &mut data)?;
            data[..2].fill(0);
            node.transfer(false, register, SMBUS_WORD_DATA, &mut data)?;
            assert_eq!(data[..3], [0x34, register, 0]);
            assert_eq!(control.get(LAST_ADDRESS), usize::from(address));
        }
    }
    let methods = control.get(METHODS);
    let fails = |kind: u32, errno: Errno| {
        for writes in [false, true] {
            let mut data = [1; 34];
            assert_eq!(node.transfer(writes, 0, kind, &mut data), Err(errno));
        }
    };
    for other in SMBUS_OTHERS {
        fails(other, Errno::OPNOTSUPP);
    }
    assert_eq!(node.transfer_messages(), Err(Errno::OPNOTSUPP));
    node.set_checksums(true)?;
    fails(SMBUS_BYTE_DATA, Errno::OPNOTSUPP);
    node.set_checksums(false)?;
    for address in [PLACE, 0x80, 0x3ff] {
        node.set_address(address, true)?;
        fails(SMBUS_BYTE_DATA, Errno::OPNOTSUPP);
        // The kernel keeps the address.
        node.set_seven_bits()?;
        if address > 0x7f {
            fails(SMBUS_WORD_DATA, Errno::NXIO);
        }
    }
    assert_eq!(node.set_address(0x80, false), Err(Errno::INVAL));
    assert_eq!(control.get(METHODS), methods);
    // A driver has it.
    bus.add(name(DRIVER), PLACE)?;
    assert_eq!(node.set_address(PLACE, false), Err(Errno::BUSY));
    all_is_well(&control);
    Ok(())
}

/// It can have a driver all the same.
fn a_device_of_ten_bits_has_no_transfers(vm: &mut Vm) -> Result {
    // How the kernel writes that it has ten bits.
    const TEN_BITS: u16 = 0xa000;
    let (module, control, bus) = load_with_both(vm)?;
    bus.add(name(DRIVER), TEN_BITS + PLACE)?;
    assert_eq!(control.get(LIVING), 1);
    for transfer in [READ_BYTE, WRITE_BYTE, READ_WORD, WRITE_WORD] {
        assert_eq!(control.call(transfer, 0), Err(Errno::OPNOTSUPP));
    }
    assert_eq!(control.get(METHODS), 0);
    bus.delete(TEN_BITS + PLACE)?;
    assert_eq!(control.get(LIVING), 0);
    drop(control);
    module.unload()
}

fn devices_are_told_apart(vm: &mut Vm) -> Result {
    let (_module, control, bus) = load_with_both(vm)?;
    let kinds = [("i2c-plain", 1), ("i2c-plain-of-19-let", 19), ("p", 3)];
    for (address, (kind, info)) in (PLACE..).zip(kinds) {
        bus.add(kind, address)?;
        assert_eq!(control.get(LAST_INFO), info, "{kind}");
        assert_eq!(control.get(ADDRESS), usize::from(address));
        assert_eq!(client_name(&control)?, bus.device(address));
    }
    assert_eq!(control.get(LIVING), 3);
    for other in ["i2c-plai", "i2c-plainn", "pp", "I2C-plain"] {
        bus.add(other, 0x20)?;
        assert_eq!(bus.driver(0x20), None, "{other}");
        bus.delete(0x20)?;
    }
    // The same address on another bus is another device.
    control.call(MAKE, WIDE_BUS)?;
    let other = I2cBus::find(name(WIDE_BUS))?;
    assert_ne!(other, bus);
    other.add(name(DRIVER), PLACE)?;
    assert_eq!(client_name(&control)?, other.device(PLACE));
    assert_eq!(control.get(LIVING), 4);
    control.call(DROP, BUS)?;
    assert_eq!(control.get(LIVING), 1);
    all_is_well(&control);
    Ok(())
}

/// What others may see of an error number.
fn seen(errno: usize) -> Errno {
    Errno::from_raw_os_error(match errno {
        512..=514 | 516 => 4,
        515 => 25,
        524 => 95,
        512.. => 5,
        _ => errno as i32,
    })
}

/// The kernel's own number for "not yet".
const EPROBE_DEFER: usize = 517;

const ERRNOS: [usize; 13] = [
    1,
    4,
    5,
    6,
    11,
    19,
    95,
    511,
    512,
    515,
    EPROBE_DEFER,
    524,
    4095,
];

fn errors_are_those_of_the_adapter(vm: &mut Vm) -> Result {
    let (_module, control, bus) = load_with_both(vm)?;
    bus.add(name(DRIVER), PLACE)?;
    let transfers = [READ_BYTE, WRITE_BYTE, READ_WORD, WRITE_WORD];
    for errno in ERRNOS {
        control.call(FAIL, errno)?;
        for transfer in transfers {
            let before = control.get(METHODS);
            // C would call again by itself.
            let seen = if errno == 11 {
                Errno::BUSY
            } else {
                seen(errno)
            };
            assert_eq!(control.call(transfer, 0), Err(seen), "{errno}");
            assert_eq!(control.get(METHODS), before + 1, "{errno}");
        }
    }
    control.call(FAIL, 0)?;
    for transfer in transfers {
        assert_eq!(control.call(transfer, 0), Ok(0));
    }
    all_is_well(&control);
    Ok(())
}

/// Then the device has no driver, and whoever has got it cannot use it.
fn a_probe_may_fail(vm: &mut Vm) -> Result {
    let (module, control, bus) = load_with_both(vm)?;
    for errno in ERRNOS {
        control.call(FAIL_PROBE, errno)?;
        bus.add(name(DRIVER), PLACE)?;
        assert_eq!(bus.driver(PLACE), None);
        let bound = bus.bind(name(DRIVER), PLACE);
        let seen = match errno {
            EPROBE_DEFER => Errno::AGAIN,
            _ => seen(errno),
        };
        assert_eq!(bound, Err(seen), "{errno}");
        assert_eq!(control.call(READ_BYTE, 0), Err(Errno::NODEV));
        bus.delete(PLACE)?;
        assert_eq!(control.call(READ_BYTE, 0), Err(Errno::NODEV));
    }
    assert_eq!([control.get(LIVING), control.get(REMOVES)], [0, 0]);
    control.call(FAIL_PROBE, 0)?;
    bus.add(name(DRIVER), PLACE)?;
    assert_eq!(control.get(LIVING), 1);
    all_is_well(&control);
    drop(control);
    module.unload()
}

/// That of the next is another one, also if it is the same device.
fn a_client_ends_with_its_device(vm: &mut Vm) -> Result {
    let (_module, control, bus) = load_with_both(vm)?;
    let is_gone = || {
        for transfer in [READ_BYTE, WRITE_BYTE, READ_WORD, WRITE_WORD] {
            assert_eq!(control.call(transfer, 0), Err(Errno::NODEV));
        }
    };
    bus.add(name(DRIVER), PLACE)?;
    bus.unbind(name(DRIVER), PLACE)?;
    is_gone();
    bus.bind(name(DRIVER), PLACE)?;
    assert_eq!(control.call(READ_BYTE, 0), Ok(0));
    bus.delete(PLACE)?;
    is_gone();
    // It still says who it was.
    assert_eq!(client_name(&control)?, bus.device(PLACE));
    assert_eq!(control.get(ADDRESS), usize::from(PLACE));
    bus.add(name(DRIVER), PLACE)?;
    control.call(DROP, DRIVER)?;
    is_gone();
    control.call(MAKE, DRIVER)?;
    assert_eq!(control.call(READ_BYTE, 0), Ok(0));
    control.call(DROP, BUS)?;
    is_gone();
    all_is_well(&control);
    Ok(())
}

fn what_cannot_be_is_refused(vm: &mut Vm) -> Result {
    let (_module, control) = load(vm)?;
    for (command, count) in [
        (TRY_ADAPTER_NAME, ADAPTER_NAMES.len()),
        (TRY_DRIVER_NAME, DRIVER_NAMES.len()),
    ] {
        for index in 0..count {
            let is_good = index + 1 == count;
            let expected = if is_good { Ok(0) } else { Err(Errno::INVAL) };
            assert_eq!(control.call(command, index), expected, "{index}");
        }
    }
    Ok(())
}

/// Adapters have numbers, and may share a name.
fn a_name_is_had_by_one_driver(vm: &mut Vm) -> Result {
    let (_module, control, bus) = load_with_both(vm)?;
    bus.add(name(DRIVER), PLACE)?;
    assert_eq!(control.call(MAKE, DRIVER), Err(Errno::BUSY));
    assert_eq!(bus.driver(PLACE).as_deref(), Some(name(DRIVER)));
    assert_eq!(control.get(PROBES), 1);
    // The one before goes when the next is there.
    control.call(MAKE, BUS)?;
    assert_ne!(I2cBus::find(name(BUS))?, bus);
    assert_eq!(control.get(REMOVES), 1);
    all_is_well(&control);
    Ok(())
}

/// Has a function of that stage run.
fn run(control: &Control, bus: I2cBus, stage: usize) -> Result {
    match stage {
        IN_METHOD => {
            control.call(READ_BYTE, 1)?;
        }
        IN_PROBE => bus.add(name(DRIVER), PLACE + 1)?,
        _ => bus.delete(PLACE)?,
    }
    Ok(())
}

const STAGES: [usize; 3] = [IN_METHOD, IN_PROBE, IN_REMOVE];

fn nothing_is_made_inside(vm: &mut Vm) -> Result {
    for stage in STAGES {
        let (module, control, bus) = load_with_both(vm)?;
        bus.add(name(DRIVER), PLACE)?;
        control.call(TRY_TO_MAKE, 1)?;
        control.call(STAGE, stage)?;
        run(&control, bus, stage)?;
        let deadlock = Errno::DEADLK.raw_os_error() as usize;
        assert_eq!(control.get(MADE), deadlock, "{stage}");
        assert!(!exists(EMPTY_BUS) && !exists(EMPTY_DRIVER));
        all_is_well(&control);
        drop(control);
        module.unload()?;
    }
    Ok(())
}

/// It cannot use its own bus, which it has. A driver's functions can.
fn a_method_does_not_wait_for_itself(vm: &mut Vm) -> Result {
    for stage in STAGES {
        let (module, control, bus) = load_with_both(vm)?;
        bus.add(name(DRIVER), PLACE)?;
        control.call(TRY_TO_USE, 1)?;
        control.call(STAGE, stage)?;
        run(&control, bus, stage)?;
        let expected = match stage {
            IN_METHOD => Errno::DEADLK.raw_os_error() as usize,
            _ => 0,
        };
        assert_eq!(control.get(USED), expected, "{stage}");
        all_is_well(&control);
        drop(control);
        module.unload()?;
    }
    Ok(())
}

/// Begins a transfer that is held, and does what is to wait for it: what there is of the device
/// is dropped, and then it waits.
fn waits_for_a_transfer<T: Send + 'static>(
    control: &Control,
    what: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    hold(true)?;
    let other = control.clone();
    let reader = Waiter::begin(move || other.call(READ_BYTE, 0));
    eventually("the method", || control.get(RUNNING) == 1)?;
    let removes = control.get(REMOVES);
    let waiter = Waiter::begin(what);
    eventually("the drop", || control.get(REMOVES) == removes + 1)?;
    thread::sleep(Duration::from_millis(100));
    assert!(!waiter.has_ended());
    assert!(!reader.has_ended());
    hold(false)?;
    assert_eq!(reader.end()?, Ok(0));
    waiter.end()
}

fn taking_a_device_away_waits_for_transfers(vm: &mut Vm) -> Result {
    let (_module, control, bus) = load_with_both(vm)?;
    for _ in 0..3 {
        bus.add(name(DRIVER), PLACE)?;
        waits_for_a_transfer(&control, move || bus.unbind(name(DRIVER), PLACE))??;
        bus.bind(name(DRIVER), PLACE)?;
        waits_for_a_transfer(&control, move || bus.delete(PLACE))??;
        assert_eq!(control.call(READ_BYTE, 0), Err(Errno::NODEV));
    }
    all_is_well(&control);
    Ok(())
}

fn dropping_waits_for_transfers(vm: &mut Vm) -> Result {
    for kind in [DRIVER, BUS] {
        let (module, control, bus) = load_with_both(vm)?;
        bus.add(name(DRIVER), PLACE)?;
        let other = control.clone();
        let dropped = waits_for_a_transfer(&control, move || other.call(DROP, kind))?;
        assert_eq!(dropped, Ok(0));
        assert!(!exists(kind));
        assert_eq!(control.get(LIVING), 0);
        all_is_well(&control);
        drop(control);
        module.unload()?;
    }
    Ok(())
}

/// By rmmod itself, which goes on when the probe does.
/// Until then they work.
fn dropping_waits_for_open_nodes(vm: &mut Vm) -> Result {
    let (module, control, bus) = load_with_both(vm)?;
    for _ in 0..vm.fewer(10) {
        control.call(MAKE, BUS)?;
        let node = I2cNode::open(I2cBus::find(name(BUS))?)?;
        node.set_address(PLACE, false)?;
        let dropper = control.caller(DROP, BUS)?;
        eventually("the bus to go", || !exists(BUS))?;
        dropper.sleeps()?;
        let mut data = [7; 34];
        node.transfer(true, 1, SMBUS_BYTE_DATA, &mut data)?;
        node.transfer(false, 1, SMBUS_BYTE_DATA, &mut data)?;
        assert_eq!(data[0], 7);
        assert!(!dropper.has_ended());
        drop(node);
        assert_eq!(dropper.end()?, Ok(0));
    }
    assert!(I2cNode::open(bus).is_err());
    all_is_well(&control);
    drop(control);
    module.unload()
}

fn an_open_node_keeps_the_module(vm: &mut Vm) -> Result {
    let (mut module, control, bus) = load_with_both(vm)?;
    let node = I2cNode::open(bus)?;
    drop(control);
    assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK));
    node.set_address(PLACE, false)?;
    node.transfer(false, 1, SMBUS_BYTE_DATA, &mut [0; 34])?;
    drop(node);
    module.unload()
}

fn unloading_waits_for_a_probe(vm: &mut Vm) -> Result {
    for _ in 0..vm.fewer(10) {
        let (module, control, bus) = load_with_both(vm)?;
        hold(true)?;
        let adder = Waiter::begin(move || bus.add(name(DRIVER), PLACE));
        eventually("the method", || control.get(RUNNING) == 1)?;
        drop(control);
        let unload = Waiter::begin(move || module.unload());
        thread::sleep(Duration::from_millis(50));
        assert!(!unload.has_ended());
        assert!(!adder.has_ended());
        hold(false)?;
        adder.end()??;
        unload.end()??;
        assert!(!exists(BUS) && !exists(DRIVER));
    }
    Ok(())
}

/// Themselves, too. It goes a little later.
fn functions_may_drop_anything(vm: &mut Vm) -> Result {
    for stage in STAGES {
        for victim in [BUS, DRIVER].repeat(vm.fewer(5) as usize) {
            let (module, control, bus) = load_with_both(vm)?;
            bus.add(name(DRIVER), PLACE)?;
            control.call(VICTIM, victim)?;
            control.call(STAGE, stage)?;
            run(&control, bus, stage)?;
            eventually("its end", || !exists(victim))?;
            eventually("that of devices", || control.get(LIVING) == 0)?;
            all_is_well(&control);
            drop(control);
            module.unload()?;
            assert_eq!(vm.log().count("not dropped")?, 0, "{stage} {victim}");
        }
    }
    Ok(())
}

fn handles_are_dropped_in_softirqs(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let (module, control, bus) = load_with_both(vm)?;
        bus.add(name(DRIVER), PLACE)?;
        control.call(DROP_IN_SOFTIRQ, DRIVER)?;
        eventually("its end", || !exists(DRIVER))?;
        control.call(DROP_IN_SOFTIRQ, BUS)?;
        eventually("its end", || !exists(BUS))?;
        drop(control);
        module.unload()
    })
}

fn a_lost_client_is_harmless(vm: &mut Vm) -> Result {
    vm.forgive_leaks();
    for _ in 0..5 {
        let (module, control) = load(vm)?;
        control.call(MAKE, BUS)?;
        control.call(MAKE, EMPTY_DRIVER)?;
        let bus = I2cBus::find(name(BUS))?;
        bus.add(name(EMPTY_DRIVER), PLACE)?;
        bus.delete(PLACE)?;
        bus.add(name(EMPTY_DRIVER), PLACE)?;
        drop(control);
        module.unload()?;
        assert_eq!(vm.log().count("not dropped")?, 0);
    }
    Ok(())
}

/// Transfers, devices that come and go, drivers and buses that do.
fn everything_at_once_on_all_cpus(vm: &mut Vm) -> Result {
    let (module, control, _bus) = load_with_both(vm)?;
    let rounds = vm.fewer(50);
    let count = AtomicU32::new(0);
    let others = || -> Result {
        let address = PLACE + (count.fetch_add(1, SeqCst) % 64) as u16;
        if let Ok(bus) = I2cBus::find(name(BUS)) {
            // The bus may go at any time.
            let _ = bus.add(name(DRIVER), address);
            for transfer in [WRITE_BYTE, READ_BYTE, WRITE_WORD, READ_WORD] {
                if let Err(error) = control.call(transfer, 0x1234) {
                    ensure!(error == Errno::NODEV, "{error}");
                }
            }
            let _ = bus.unbind(name(DRIVER), address);
            let _ = bus.bind(name(DRIVER), address);
            let _ = bus.delete(address);
        }
        Ok(())
    };
    // So that there is a device to use.
    I2cBus::find(name(BUS))?.add(name(DRIVER), 0x7f)?;
    while_others(3, others, || {
        for round in 0..rounds {
            let kind = [DRIVER, BUS][round as usize % 2];
            let command = [DROP, DROP_IN_SOFTIRQ][round as usize / 2 % 2];
            control.call(command, kind)?;
            eventually("its end", || !exists(kind))?;
            control.call(MAKE, kind)?;
        }
        Ok(())
    })?;
    control.call(DROP, DRIVER)?;
    assert_eq!(control.get(LIVING), 0);
    all_is_well(&control);
    drop(control);
    module.unload()
}

/// Linux 6.18 lets a device be made then, and waits for it for ever.
fn devices_are_made_while_the_bus_goes(vm: &mut Vm) -> Result {
    let (module, control, _bus) = load_with_both(vm)?;
    let add = || -> Result {
        if let Ok(bus) = I2cBus::find(name(BUS)) {
            for address in 0x20..0x28 {
                let _ = bus.add("nobody", address);
            }
        }
        Ok(())
    };
    while_others(2, add, || {
        for _ in 0..vm.fewer(50) {
            control.call(DROP, BUS)?;
            control.call(MAKE, BUS)?;
        }
        Ok(())
    })?;
    drop(control);
    module.unload()
}

/// The kernel probes devices while insmod goes on, and after that.
fn loaded_with_probes_in_threads(vm: &mut Vm) -> Result {
    let sim = vm.load("i2c-sim")?;
    let bus = I2cBus::find("i2c-sim")?;
    for address in 0x48..0x50 {
        bus.add(name(DRIVER), address)?;
    }
    for round in 0..vm.fewer(50) {
        let module = vm.load_with("i2c-devices", "early async_probe")?;
        if round % 2 == 0 {
            eventually("a probe", || bus.driver(0x4f).is_some())?;
        }
        module.unload()?;
        assert_eq!(bus.driver(0x48), None);
    }
    sim.unload()
}

fn a_failing_init_ends(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        assert_eq!(vm.load_fails("i2c-devices", "early fail")?, Errno::NODEV);
        Ok(())
    })?;
    vm.forgive_leaks();
    let failed = vm.load_fails("i2c-devices", "early forget fail")?;
    assert_eq!(failed, Errno::NODEV);
    vm.log()
        .expect("i2c_devices: not dropped: 1 I2C adapters")?;
    vm.log().expect("i2c_devices: not dropped: 1 I2C drivers")?;
    assert!(!exists(BUS) && !exists(DRIVER));
    Ok(())
}

fn a_failing_init_gives_devices_back(_vm: &mut Vm) -> Result {
    let load = Waiter::begin(|| Module::load("i2c-devices", "early wait fail").map(drop));
    eventually("the driver", || exists(DRIVER))?;
    let bus = I2cBus::find(name(BUS))?;
    bus.add(name(DRIVER), PLACE)?;
    assert_eq!(bus.driver(PLACE).as_deref(), Some(name(DRIVER)));
    fs::write("/sys/module/i2c_devices/parameters/wait", "0")?;
    let error = load.end()?.unwrap_err();
    assert_eq!(errno(&error), Some(Errno::NODEV));
    assert!(!bus.has(PLACE));
    assert!(!exists(BUS) && !exists(DRIVER));
    Ok(())
}

fn unloading_at_once(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let (module, control, bus) = load_with_both(vm)?;
        bus.add(name(DRIVER), PLACE)?;
        drop(control);
        module.unload()
    })
}
