// SPDX-License-Identifier: GPL-2.0-only

use rustix::mm::{MapFlags, ProtFlags};

use crate::{
    i2c::{I2cBus, driver_exists},
    mapping::Mapping,
    netdev::{NetDevice, PacketSocket},
    netlink::{Netlink, Request},
    pci::{EDU, PciDevice},
    platform,
    prelude::*,
    sigio::*,
    usb,
};

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
        lost_timers_are_stopped,
        lost_probes_are_taken_away,
        lost_executors_are_stopped,
        a_task_may_drop_an_executor,
        lost_files_are_removed,
        lost_files_are_removed_when_init_fails,
        an_open_file_keeps_the_module,
        lost_lines_are_given_back,
        a_lost_line_may_be_in_use,
        lost_interrupts_are_removed,
        lost_gpio_chips_are_removed,
        lost_i2c_drivers_and_adapters_are_removed,
        lost_disks_are_removed,
        lost_families_are_unregistered,
        a_lost_family_may_be_in_use,
        lost_pci_drivers_leave_their_devices,
        lost_platform_devices_are_given_back,
        lost_usb_drivers_are_removed,
        so_does_a_mapping_or_a_wish_for_signals,
        lost_input_devices_are_unregistered,
        lost_net_devices_are_unregistered,
        lost_objects_are_gone,
    ],
    setup: Some(gpio_sim),
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

/// They have a handle to themselves, so they are lost in each way, also when that is dropped.
fn lost_timers_are_stopped(vm: &mut Vm) -> Result {
    for way in WAYS.into_iter().chain(["dropped"]) {
        load(vm, "timer", way)?.unload()?;
        nothing_goes_on();
        vm.log().expect("lost_handles: not dropped: 1 timers; ")?;
    }
    are_stopped_when_init_fails(vm, "timer", "1 timers")?;
    vm.rounds(|vm| {
        let module = load(vm, "timer drops itself", "")?;
        vm.log().expect("lost-handles: dropped itself")?;
        module.unload()?;
        assert_eq!(vm.log().count("not dropped")?, 0);
        Ok(())
    })
}

/// They are hit by all that goes on.
fn lost_probes_are_taken_away(vm: &mut Vm) -> Result {
    let probes = || -> Result<usize> {
        let list = fs::read_to_string("/sys/kernel/debug/kprobes/list")?;
        Ok(list.matches("vfs_open").count())
    };
    for kind in ["probe", "probe with itself"] {
        let module = load(vm, kind, "forgotten")?;
        assert_eq!(probes()?, 1, "{kind}");
        module.unload()?;
        assert_eq!(probes()?, 0, "{kind}");
        vm.log().expect("lost_handles: not dropped: 1 probes; ")?;
    }
    are_stopped(vm, "probe", "1 probes")?;
    are_stopped_when_init_fails(vm, "probe", "1 probes")?;
    assert_eq!(probes()?, 0);
    let module = load(vm, "probe drops itself", "")?;
    vm.log().mark()?;
    // Reading this opens it.
    eventually("the probe's end", || probes().is_ok_and(|n| n == 0))?;
    module.unload()?;
    assert_eq!(vm.log().count("not dropped")?, 0);
    vm.forgive_leaks();
    Ok(())
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
const FILES: [(&str, &str, &str); 11] = [
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
    (
        "config",
        "1 subsystems in configfs",
        "/sys/kernel/config/lost-handles/text",
    ),
    ("chrdev", "1 character devices", "/dev/lost-handles1"),
    ("misc", "1 miscellaneous devices", "/dev/lost-handles"),
    ("shared", "1 miscellaneous devices", "/dev/lost-handles"),
    ("class", "1 device classes", "/sys/class/lost-handles/text"),
    ("class device", "1 device classes", "/dev/lost-handles0"),
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
        let loses = ["proc file", "proc dir", "sysfs dir", "class", "config"];
        let keeps = !loses.contains(&kind);
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

fn lost_lines_are_given_back(vm: &mut Vm) -> Result {
    are_stopped(vm, "gpio lines", "3 GPIO lines")?;
    are_stopped_when_init_fails(vm, "gpio lines", "3 GPIO lines")?;
    for line in 1..=3 {
        drop(GpioLine(line).take()?);
    }
    Ok(())
}

/// Whoever uses it when it has gone gets an error.
fn a_lost_line_may_be_in_use(vm: &mut Vm) -> Result {
    let line = GpioLine(2);
    for _ in 0..3 {
        let module = load(vm, "gpio line in use", "")?;
        line.becomes(true)?;
        module.unload()?;
        vm.log().expect("lost-handles: set: errno 108")?; // ESHUTDOWN
        drop(line.take()?);
    }
    let errno = vm.load_fails("lost-handles", "kind=\"gpio line in use\" fail")?;
    assert_eq!(errno, Errno::NODEV);
    drop(line.take()?);
    vm.forgive_leaks();
    Ok(())
}

/// While they come, and before their lines are given back.
fn lost_interrupts_are_removed(vm: &mut Vm) -> Result {
    let line = GpioLine(16);
    let press = || -> Result {
        line.pull(true)?;
        line.pull(false)?;
        Ok(())
    };
    while_others(1, press, || lose_interrupts(vm))?;
    drop(line.take()?);
    vm.forgive_leaks();
    Ok(())
}

fn lose_interrupts(vm: &mut Vm) -> Result {
    for said in ["1 interrupt handlers", "1 GPIO lines"] {
        are_stopped(vm, "interrupt", said)?;
        are_stopped_when_init_fails(vm, "interrupt", said)?;
    }
    load(vm, "interrupt with itself", "")?.unload()?;
    nothing_goes_on();
    let said = "lost_handles: not dropped: 1 interrupt handlers; ";
    vm.log().expect(said)?;
    Ok(())
}

/// As when the handle is not lost, a requested line keeps the module, and a file of the
/// controller does not.
fn lost_gpio_chips_are_removed(vm: &mut Vm) -> Result {
    for way in WAYS {
        let mut module = load(vm, "gpio chip", way)?;
        let chip = GpioChip::open("lost-handles")?;
        let line = chip.request(&[0], line::INPUT | line::RISING)?;
        assert!(!line.is_high()?);
        assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK), "{way}");
        drop(line);
        module.unload()?;
        assert_eq!(chip.ask(), Err(Errno::NODEV), "{way}");
        assert!(!GpioChip::exists("lost-handles"), "{way}");
        vm.log()
            .expect("lost_handles: not dropped: 1 GPIO controllers; ")?;
    }
    are_stopped_when_init_fails(vm, "gpio chip", "1 GPIO controllers")?;
    assert!(!GpioChip::exists("lost-handles"));
    vm.forgive_leaks();
    Ok(())
}

/// Neither they nor a device keep the module.
fn lost_i2c_drivers_and_adapters_are_removed(vm: &mut Vm) -> Result {
    const NAME: &str = "lost-handles";
    for way in WAYS {
        let module = load(vm, "i2c", way)?;
        let bus = I2cBus::find(NAME)?;
        bus.add(NAME, 0x50)?;
        assert_eq!(bus.driver(0x50).as_deref(), Some(NAME), "{way}");
        module.unload()?;
        assert!(!driver_exists(NAME) && !I2cBus::exists(NAME), "{way}");
        let log = vm.log();
        log.expect("lost_handles: not dropped: 1 I2C adapters; ")?;
        log.expect("lost_handles: not dropped: 1 I2C drivers; ")?;
        assert_eq!(
            log.count("lost-handles: the last byte: errno 0")?,
            1,
            "{way}"
        );
    }
    for said in ["1 I2C adapters", "1 I2C drivers"] {
        are_stopped(vm, "i2c", said)?;
        are_stopped_when_init_fails(vm, "i2c", said)?;
    }
    assert!(!driver_exists(NAME) && !I2cBus::exists(NAME));
    Ok(())
}

fn lost_disks_are_removed(vm: &mut Vm) -> Result {
    const DISK: &str = "/dev/lost-handles";
    for way in WAYS {
        let mut module = load(vm, "disk", way)?;
        let mut disk = File::open(DISK)?;
        let mut text = [0; 5];
        disk.read_exact(&mut text)?;
        assert_eq!(&text, b"here\n");
        assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK), "{way}");
        drop(disk);
        module.unload()?;
        assert!(!Path::new(DISK).exists(), "{way}");
        vm.log().expect("lost_handles: not dropped: 1 disks; ")?;
    }
    are_stopped_when_init_fails(vm, "disk", "1 disks")?;
    assert!(!Path::new(DISK).exists());
    Ok(())
}

/// Sockets that have joined a group do not keep the module.
fn lost_families_are_unregistered(vm: &mut Vm) -> Result {
    for way in WAYS {
        let module = load(vm, "genl family", way)?;
        let socket = Netlink::open()?;
        let family = socket.family("lost-handles")?;
        socket.join(family.groups[0].1)?;
        let request = Request::new(family.id, 1);
        socket.call(&request)?;
        module.unload()?;
        assert_eq!(socket.call(&request).unwrap_err().errno, Errno::NOENT);
        vm.log()
            .expect("lost_handles: not dropped: 1 generic netlink families; ")?;
    }
    are_stopped(vm, "genl family", "1 generic netlink families")?;
    are_stopped_when_init_fails(vm, "genl family", "1 generic netlink families")?;
    let refusal = Netlink::open()?.family("lost-handles").unwrap_err();
    assert_eq!(refusal.errno, Errno::NOENT);
    Ok(())
}

/// Whoever sends to its group when it has gone gets an error.
fn a_lost_family_may_be_in_use(vm: &mut Vm) -> Result {
    for _ in 0..3 {
        let module = load(vm, "genl family in use", "")?;
        let socket = Netlink::open()?;
        let family = socket.family("lost-handles")?;
        socket.join(family.groups[0].1)?;
        socket.next()?;
        module.unload()?;
        vm.log().expect("lost-handles: multicast: errno 19")?; // ENODEV
    }
    let errno = vm.load_fails("lost-handles", "kind=\"genl family in use\" fail")?;
    assert_eq!(errno, Errno::NODEV);
    vm.forgive_leaks();
    Ok(())
}

/// What a driver has for a device is dropped even so, by the kernel's way to it.
fn lost_platform_devices_are_given_back(vm: &mut Vm) -> Result {
    const NAME: &str = "lost-handles";
    for (kind, said) in [
        ("platform driver", "1 platform drivers"),
        ("platform device", "1 platform devices"),
        ("both", "1 platform drivers"),
        ("both", "1 platform devices"),
    ] {
        are_stopped(vm, kind, said)?;
        are_stopped_when_init_fails(vm, kind, said)?;
    }
    for way in WAYS {
        let module = load(vm, "both", way)?;
        assert_eq!(platform::driver_of(NAME).as_deref(), Some(NAME));
        module.unload()?;
        assert_eq!(vm.log().count("a device is given back")?, 1, "{way}");
        assert!(!platform::exists(NAME) && !platform::has_driver(NAME));
    }
    Ok(())
}

/// What user space has told them is freed.
fn lost_usb_drivers_are_removed(vm: &mut Vm) -> Result {
    const NAME: &str = "lost-handles";
    for way in WAYS {
        let module = load(vm, "usb driver", way)?;
        usb::add_id(NAME, 0xffff, 0)?;
        module.unload()?;
        assert!(!usb::has_driver(NAME), "{way}");
        vm.log()
            .expect("lost_handles: not dropped: 1 USB drivers; ")?;
    }
    are_stopped(vm, "usb driver", "1 USB drivers")?;
    are_stopped_when_init_fails(vm, "usb driver", "1 USB drivers")?;
    assert!(!usb::has_driver(NAME));
    Ok(())
}

/// What the driver has of the device goes with it, and is not lost.
fn lost_pci_drivers_leave_their_devices(vm: &mut Vm) -> Result {
    const NAME: &str = "lost-handles";
    let device = PciDevice::first(EDU)?;
    let is_free = || -> Result {
        assert_eq!(device.driver(), None);
        assert!(!device.is_master()?);
        assert!(!fs::read_to_string("/proc/iomem")?.contains(NAME));
        assert_eq!(interrupts(NAME)?, None);
        Ok(())
    };
    for way in WAYS {
        let module = load(vm, "pci driver", way)?;
        assert_eq!(device.driver().as_deref(), Some(NAME), "{way}");
        assert!(interrupts(NAME)?.is_some());
        // It still does what it is for.
        device.unbind(NAME)?;
        is_free()?;
        device.bind(NAME)?;
        module.unload()?;
        is_free()?;
        assert_eq!(vm.log().count("lost-handles: acknowledge: errno 0")?, 2);
        vm.log()
            .expect("lost_handles: not dropped: 1 PCI drivers; ")?;
        assert_eq!(vm.log().count("not dropped")?, 1);
    }
    are_stopped(vm, "pci driver", "1 PCI drivers")?;
    are_stopped_when_init_fails(vm, "pci driver", "1 PCI drivers")?;
    is_free()
}

fn so_does_a_mapping_or_a_wish_for_signals(vm: &mut Vm) -> Result {
    let inbox = Inbox::new(&[SIGIO])?;
    for way in WAYS {
        let mut module = load(vm, "shared", way)?;
        let mut file = File::open("/dev/lost-handles")?;
        ask(&file, 0)?;
        let mapping = Mapping::with(&file, 0, 4096, ProtFlags::READ, MapFlags::SHARED)?;
        assert_eq!(file.read(&mut [0; 8])?, 5, "{way}");
        assert_eq!(inbox.take_all()?.len(), 1, "{way}");
        assert_eq!(mapping.read(3), b'e', "{way}");
        assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK), "{way}");
        drop(file);
        // It is still open, by the mapping.
        assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK), "{way}");
        drop(mapping);
        module.unload()?;
    }
    assert_eq!(inbox.take()?, None);
    vm.forgive_leaks();
    Ok(())
}

fn lost_input_devices_are_unregistered(vm: &mut Vm) -> Result {
    let devices = || fs::read_to_string("/proc/bus/input/devices");
    let module = load(vm, "input", "forgotten")?;
    assert!(devices()?.contains("lost-handles"));
    module.unload()?;
    assert!(!devices()?.contains("lost-handles"));
    are_stopped(vm, "input", "1 input devices")?;
    are_stopped_when_init_fails(vm, "input", "1 input devices")?;
    assert!(!devices()?.contains("lost-handles"));
    Ok(())
}

/// While they are up, and in use.
fn lost_net_devices_are_unregistered(vm: &mut Vm) -> Result {
    const DEVICE: &str = "lost-handles";
    for way in WAYS {
        let module = load(vm, "net device", way)?;
        let device = NetDevice::open(DEVICE)?;
        device.set_up(true)?;
        let socket = PacketSocket::of(device.index()?)?;
        socket.send(&[0; 60])?;
        module.unload()?;
        assert!(!NetDevice::exists(DEVICE), "{way}");
        assert_eq!(socket.send(&[0; 60]), Err(Errno::NXIO), "{way}");
        vm.log()
            .expect("lost_handles: not dropped: 1 net devices; ")?;
    }
    are_stopped(vm, "net device", "1 net devices")?;
    are_stopped_when_init_fails(vm, "net device", "1 net devices")?;
    assert!(!NetDevice::exists(DEVICE));
    Ok(())
}

/// What is in one is dropped with its handle, or not at all.
fn lost_objects_are_gone(vm: &mut Vm) -> Result {
    for kind in ["object", "exported"] {
        load(vm, kind, "dropped")?.unload()?;
        assert_eq!(vm.log().count("a callee is dropped")?, 1, "{kind}");
        are_stopped(vm, kind, "1 objects for other modules")?;
        assert_eq!(vm.log().count("a callee is dropped")?, 0, "{kind}");
        are_stopped_when_init_fails(vm, kind, "1 objects for other modules")?;
    }
    Ok(())
}
