// SPDX-License-Identifier: GPL-2.0-only

use std::{
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering::SeqCst},
};

use libc::{SYS_read, c_long};
use rustix::process::{Signal, getpid, kill_process};

use crate::{
    prelude::*,
    usb::{self, USB_KEYBOARD, UsbController, UsbDevice},
};
use signals::{Reaction, react};

pub const EXAMPLE: Example = Example {
    demo: &[
        "ls -l /sys/bus/usb/drivers/rust_usb /dev/rust_usb0",
        "dd if=/dev/rust_usb0 bs=8 count=2 2>/dev/null | hexdump -C",
        "printf '\\002' >/dev/rust_usb0",
        "for n in 0 1; do echo $n >/sys/bus/usb/devices/1-1/authorized; done",
    ],
    tests: tests![
        says_what_it_has_found,
        is_bound_to_the_keyboard_alone,
        reads_reports,
        reads_no_less_than_a_report,
        waits_for_a_key,
        who_does_not_want_to_wait_is_told,
        a_signal_ends_a_wait,
        a_reader_can_be_killed,
        leds,
        what_idle_can_be,
        a_node_comes_and_goes,
        unplugged_while_reading,
        unbound_while_reading,
        removed_while_reading,
        the_controller_goes_while_reading,
        unplugged_by_all_and_read_by_all,
        an_open_file_keeps_the_module,
        so_does_one_of_a_keyboard_that_is_gone,
        comes_before_the_keyboard,
        unloading_at_once,
    ],
    // A keyboard that says nothing would keep who reads.
    params: "idle=1",
    setup: Some(there_is_a_keyboard),
};

const NODE: &str = "/dev/rust_usb0";
const READ: &[c_long] = &[SYS_read];

fn there_is_a_keyboard(_vm: &mut Vm) -> Result {
    keyboard().map(drop)
}

fn keyboard() -> Result<UsbDevice> {
    UsbDevice::find(USB_KEYBOARD)
}

/// Begins a thread that reads, and waits until it waits for a key.
fn reader() -> Result<Waiter<io::Result<usize>>> {
    let file = File::open(NODE)?;
    let waiter = Waiter::begin_in(READ, move || (&file).read(&mut [0; 8]))?;
    waiter.sleeps()?;
    Ok(waiter)
}

fn node_is_there() -> Result {
    eventually("the node", || Path::new(NODE).exists())
}

fn says_what_it_has_found(vm: &mut Vm) -> Result {
    let keyboard = keyboard()?;
    let name = keyboard.interface();
    let module = vm.load("rust_usb")?;
    let (vendor, product) = (
        keyboard.attribute("idVendor")?,
        keyboard.attribute("idProduct")?,
    );
    // It has one more digit there.
    let version = keyboard.attribute("version")?;
    let version = version.trim().get(..3).context("the version")?;
    let expected = [
        format!("{name}: rust_usb0 is {vendor}:{product}, USB {version}"),
        format!("{name}: endpoint 0x81, 8 bytes"),
    ];
    assert_eq!(vm.log().texts("rust_usb")?, expected);
    let node = fs::metadata(NODE)?;
    assert!(node.file_type().is_char_device());
    assert_eq!(node.permissions().mode() & 0o777, 0o600);
    module.unload()?;
    assert!(!Path::new(NODE).exists());
    assert_eq!(vm.log().texts("rust_usb")?[2..], ["rust_usb0 is gone"]);
    Ok(())
}

fn is_bound_to_the_keyboard_alone(vm: &mut Vm) -> Result {
    let keyboard = keyboard()?;
    assert_eq!(keyboard.driver(), None);
    let module = vm.load("rust_usb")?;
    assert_eq!(keyboard.driver().as_deref(), Some("rust_usb"));
    let bound = names("/sys/bus/usb/drivers/rust_usb")?;
    let bound: Vec<_> = bound.iter().filter(|name| name.contains(':')).collect();
    assert_eq!(bound, [&keyboard.interface()]);
    module.unload()?;
    assert_eq!(keyboard.driver(), None);
    assert!(!usb::has_driver("rust_usb"));
    Ok(())
}

/// Nobody has pressed a key.
fn reads_reports(vm: &mut Vm) -> Result {
    let _module = vm.load_with("rust_usb", "idle=1")?;
    let mut file = File::open(NODE)?;
    for len in [8, 9, 64, 100_000] {
        let mut report = vec![0xff; len];
        assert_eq!(file.read(&mut report)?, 8, "{len}");
        assert_eq!(report[..8], [0; 8], "{len}");
        assert!(report[8..].iter().all(|byte| *byte == 0xff), "{len}");
    }
    // Each who reads gets one.
    let rounds = vm.fewer(50);
    on_threads(4, |_| {
        for _ in 0..rounds {
            let mut report = [0xff; 8];
            ensure!(File::open(NODE)?.read(&mut report)? == 8 && report == [0; 8]);
        }
        Ok(())
    })?;
    Ok(())
}

fn reads_no_less_than_a_report(vm: &mut Vm) -> Result {
    let _module = vm.load_with("rust_usb", "idle=1")?;
    let mut file = File::open(NODE)?;
    for len in [1, 7] {
        let result = file.read(&mut vec![0; len]);
        assert_eq!(error_of(result), Some(Errno::INVAL), "{len}");
    }
    assert_eq!(read_to_bad_address(&file, 8), Err(Errno::FAULT));
    assert_eq!(Edge::of(&[1; 4]).read(&file, 8), Err(Errno::FAULT));
    assert_eq!(ioctl(&file, 0, Argument::None), Err(Errno::NOTTY));
    Ok(())
}

fn waits_for_a_key(vm: &mut Vm) -> Result {
    let _module = vm.load("rust_usb")?;
    let keyboard = keyboard()?;
    let readers = [reader()?, reader()?, reader()?];
    // It can be asked for something else meanwhile.
    fs::write(NODE, [2])?;
    assert!(readers.iter().all(|reader| !reader.has_ended()));
    drop(keyboard.unplug()?);
    for reader in readers {
        assert_eq!(error_of(reader.end()?), Some(Errno::NODEV));
    }
    Ok(())
}

fn who_does_not_want_to_wait_is_told(vm: &mut Vm) -> Result {
    let _module = vm.load("rust_usb")?;
    let mut options = OpenOptions::new();
    let options = options.read(true).custom_flags(libc::O_NONBLOCK);
    let mut file = options.open(NODE)?;
    for _ in 0..3 {
        let result = file.read(&mut [0; 8]);
        assert_eq!(error_of(result), Some(Errno::AGAIN));
    }
    Ok(())
}

fn a_signal_ends_a_wait(vm: &mut Vm) -> Result {
    let _module = vm.load("rust_usb")?;
    let _reacting = react(Signal::USR1, Reaction::Count)?;
    let _mask = signals::block(Signal::USR1)?;
    let file = File::open(NODE)?;
    for _ in 0..3 {
        let file = file.try_clone()?;
        let waiter = Waiter::begin_in(READ, move || {
            let _mask = signals::unblock(Signal::USR1);
            (&file).read(&mut [0; 8])
        })?;
        waiter.sleeps()?;
        kill_process(getpid(), Signal::USR1)?;
        assert_eq!(error_of(waiter.end()?), Some(Errno::INTR));
    }
    Ok(())
}

fn a_reader_can_be_killed(vm: &mut Vm) -> Result {
    let module = vm.load("rust_usb")?;
    // Other programs do not read, but have the kernel pass the bytes on.
    let mut dd = Command::new("dd");
    dd.arg(format!("if={NODE}")).args(["bs=8", "count=1"]);
    let mut child = dd.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    process_is_in(child.id(), READ)?;
    child.kill()?;
    assert_eq!(child.wait()?.to_string(), "signal: 9 (SIGKILL)");
    module.unload()
}

fn leds(vm: &mut Vm) -> Result {
    let _module = vm.load("rust_usb")?;
    let mut file = read_write(NODE)?;
    for leds in [0, 1, 2, 4, 7, 255] {
        assert_eq!(file.write(&[leds])?, 1);
    }
    for bad in [&[][..], &[1, 2], &[0; 8]] {
        assert_eq!(error_of(file.write(bad)), Some(Errno::INVAL), "{bad:?}");
    }
    assert_eq!(write_from_bad_address(&file, 1), Err(Errno::FAULT));
    assert_eq!(file.write(&[0])?, 1);
    Ok(())
}

fn what_idle_can_be(vm: &mut Vm) -> Result {
    for idle in ["0", "1", "255", "0x10"] {
        vm.load_with("rust_usb", &format!("idle={idle}"))?
            .unload()?;
    }
    for (idle, expected) in [
        ("256", Errno::RANGE),
        ("-1", Errno::INVAL),
        ("x", Errno::INVAL),
    ] {
        let errno = vm.load_fails("rust_usb", &format!("idle={idle}"))?;
        assert_eq!(errno, expected, "{idle}");
    }
    Ok(())
}

/// Each time with the same number.
fn a_node_comes_and_goes(vm: &mut Vm) -> Result {
    let _module = vm.load_with("rust_usb", "idle=1")?;
    let keyboard = keyboard()?;
    for _ in 0..vm.fewer(20) {
        let mut old = File::open(NODE)?;
        let away = keyboard.unplug()?;
        assert!(!Path::new(NODE).exists());
        assert_eq!(error_of(old.read(&mut [0; 8])), Some(Errno::NODEV));
        drop(away);
        node_is_there()?;
        assert_eq!(File::open(NODE)?.read(&mut [0; 8])?, 8);
        // It is the same keyboard, but another device.
        assert_eq!(error_of(old.read(&mut [0; 8])), Some(Errno::NODEV));
        assert_eq!(error_of(fs::write(NODE, [1])), None);
    }
    Ok(())
}

/// What ends a wait for a key.
fn ends_a_wait(vm: &mut Vm, go: impl FnOnce(&UsbDevice) -> Result) -> Result {
    let module = vm.load("rust_usb")?;
    let before = keyboard()?;
    let readers = [reader()?, reader()?];
    go(&before)?;
    for reader in readers {
        assert_eq!(error_of(reader.end()?), Some(Errno::NODEV));
    }
    // It is back, and is as before.
    let after = keyboard()?;
    assert_eq!(after, before);
    let is_bound = || after.driver().as_deref() == Some("rust_usb");
    eventually("the driver", is_bound)?;
    node_is_there()?;
    fs::write(NODE, [4])?;
    let reader = reader()?;
    drop(after.unplug()?);
    assert_eq!(error_of(reader.end()?), Some(Errno::NODEV));
    module.unload()
}

fn unplugged_while_reading(vm: &mut Vm) -> Result {
    ends_a_wait(vm, |keyboard| {
        let away = keyboard.unplug()?;
        assert!(!Path::new(NODE).exists());
        assert_eq!(UsbDevice::look(USB_KEYBOARD), None);
        drop(away);
        Ok(())
    })
}

fn unbound_while_reading(vm: &mut Vm) -> Result {
    ends_a_wait(vm, |keyboard| {
        keyboard.unbind("rust_usb")?;
        assert_eq!(keyboard.driver(), None);
        assert!(!Path::new(NODE).exists());
        Ok(keyboard.bind("rust_usb")?)
    })
}

fn removed_while_reading(vm: &mut Vm) -> Result {
    ends_a_wait(vm, |keyboard| {
        let controller = UsbController::of(keyboard)?;
        keyboard.remove()?;
        assert!(!Path::new(NODE).exists());
        // It is not looked for as long as it is plugged in.
        drop(controller.unplug()?);
        Ok(())
    })
}

fn the_controller_goes_while_reading(vm: &mut Vm) -> Result {
    ends_a_wait(vm, |keyboard| {
        let away = UsbController::of(keyboard)?.unplug()?;
        assert!(!Path::new(NODE).exists());
        drop(away);
        Ok(())
    })
}

/// Whoever reads or writes gets what there is, or is told that there is nothing.
fn unplugged_by_all_and_read_by_all(vm: &mut Vm) -> Result {
    let module = vm.load_with("rust_usb", "idle=1")?;
    let keyboard = keyboard()?;
    let (reads, rounds) = (AtomicU32::new(0), vm.fewer(50));
    let use_it = || -> Result {
        let Ok(mut file) = read_write(NODE) else {
            return Ok(());
        };
        for _ in 0..3 {
            for result in [file.read(&mut [0; 8]), file.write(&[0])] {
                match result {
                    Ok(_) => reads.fetch_add(1, SeqCst),
                    Err(error) if Errno::from_io_error(&error) == Some(Errno::NODEV) => continue,
                    Err(error) => return Err(error.into()),
                };
            }
        }
        Ok(())
    };
    while_others(3, use_it, || -> Result {
        for round in 0..rounds {
            let before = reads.load(SeqCst);
            if round % 2 == 0 {
                eventually("somebody who reads", || reads.load(SeqCst) > before)?;
            }
            drop(keyboard.unplug()?);
        }
        Ok(())
    })?;
    module.unload()
}

fn an_open_file_keeps_the_module(vm: &mut Vm) -> Result {
    let mut module = vm.load("rust_usb")?;
    // The keyboard alone does not.
    module.try_unload()?;
    let mut module = vm.load("rust_usb")?;
    let file = File::open(NODE)?;
    assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK));
    drop(file);
    module.unload()
}

fn so_does_one_of_a_keyboard_that_is_gone(vm: &mut Vm) -> Result {
    let mut module = vm.load("rust_usb")?;
    let mut file = read_write(NODE)?;
    let away = keyboard()?.unplug()?;
    assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK));
    assert_eq!(error_of(file.read(&mut [0; 8])), Some(Errno::NODEV));
    assert_eq!(error_of(file.write(&[0])), Some(Errno::NODEV));
    drop(file);
    module.unload()?;
    drop(away);
    assert_eq!(keyboard()?.driver(), None);
    Ok(())
}

fn comes_before_the_keyboard(vm: &mut Vm) -> Result {
    let away = keyboard()?.unplug()?;
    let _module = vm.load_with("rust_usb", "idle=1")?;
    assert!(usb::has_driver("rust_usb"));
    assert!(!Path::new(NODE).exists());
    drop(away);
    node_is_there()?;
    assert_eq!(File::open(NODE)?.read(&mut [0; 8])?, 8);
    Ok(())
}

fn unloading_at_once(vm: &mut Vm) -> Result {
    vm.rounds(|vm| vm.load("rust_usb")?.unload())
}
