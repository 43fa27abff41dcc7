// SPDX-License-Identifier: GPL-2.0-only

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use rustix::{
    event::PollFlags,
    thread::{CpuSet, sched_setaffinity},
};

use crate::{polling::*, prelude::*};
use commands::*;

mod commands;

pub const EXAMPLE: Example = Example {
    tests: tests![
        buttons_are_seen,
        it_knows_who_uses_it,
        it_is_told_of_its_led,
        it_can_refuse_to_be_opened,
        what_cannot_be_is_refused,
        other_buttons_are_refused,
        it_cannot_report_while_it_is_told,
        a_file_outlives_it,
        a_file_outlives_the_module,
        it_may_drop_itself,
        it_may_drop_another,
        it_cannot_make_another,
        a_held_button_ends_with_it,
        all_cpus_report_while_it_goes,
        a_lost_device_is_unregistered,
    ],
    ..Example::EMPTY
};

const EV_SYN: u16 = 0;
const EV_KEY: u16 = 1;
const EV_LED: u16 = 17;
const LED_CAPSL: u16 = 1;

/// The bytes of a `struct input_event`, which begins with a time.
fn event(kind: u16, code: u16, value: i32) -> Vec<u8> {
    let numbers = [kind, code].map(u16::to_ne_bytes).concat();
    [&[0; 16][..], &numbers, &value.to_ne_bytes()].concat()
}

/// The folder of the device in `/sys`.
fn folder() -> Option<String> {
    folder_of("input-devices")
}

/// The folder of the device of that name.
fn folder_of(device: &str) -> Option<String> {
    for name in names("/sys/class/input").ok()? {
        let path = format!("/sys/class/input/{name}");
        let is_it = |text: String| text.trim_end() == device;
        if fs::read_to_string(format!("{path}/name")).is_ok_and(is_it) {
            return Some(path);
        }
    }
    None
}

/// Opens the device's file, without waiting for events.
fn open() -> Result<File> {
    let folder = folder().context("there is no device")?;
    let names = names(folder)?;
    let name = names.iter().find(|name| name.starts_with("event"));
    let path = format!("/dev/input/{}", name.context("no file")?);
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    Ok(options.custom_flags(libc::O_NONBLOCK).open(path)?)
}

/// The kinds, codes and values of the events that there are to read.
fn events(mut file: &File) -> io::Result<Vec<(u16, u16, i32)>> {
    let mut events = Vec::new();
    let mut bytes = [0; 24];
    loop {
        match file.read(&mut bytes) {
            Ok(len) => assert_eq!(len, bytes.len()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(events),
            Err(error) => return Err(error),
        }
        let number = |at: usize| u16::from_ne_bytes([bytes[at], bytes[at + 1]]);
        let value = i32::from_ne_bytes(bytes[20..].try_into().unwrap());
        events.push((number(16), number(18), value));
    }
}

fn load(vm: &mut Vm) -> Result<(Module, Control)> {
    let module = vm.load("input-devices")?;
    Ok((module, Control::open("/proc/input-devices")?))
}

/// Makes sure that nothing complained, and that nothing was lost.
fn end(vm: &mut Vm, module: Module) -> Result {
    module.unload()?;
    assert_eq!(vm.log().complaints("input-devices")?.len(), 0);
    assert_eq!(vm.log().count("not dropped")?, 0);
    Ok(())
}

fn buttons_are_seen(vm: &mut Vm) -> Result {
    let (module, control) = load(vm)?;
    control.call(MAKE, 0)?;
    let file = open()?;
    for code in [FIRST, LAST] {
        control.call(PRESS, code.into())?;
        control.call(RELEASE, code.into())?;
        let all = events(&file)?;
        // One that is held for a while repeats.
        let once: Vec<_> = all.into_iter().filter(|it| it.2 != 2).collect();
        let sync = (EV_SYN, 0, 0);
        assert!(once.starts_with(&[(EV_KEY, code, 1), sync]), "{once:?}");
        assert!(once.ends_with(&[(EV_KEY, code, 0), sync]), "{once:?}");
    }
    drop((file, control));
    end(vm, module)
}

/// The first user opens it, and the last one closes it, whoever they are. So does who has it
/// inhibited.
fn it_knows_who_uses_it(vm: &mut Vm) -> Result {
    let (module, control) = load(vm)?;
    control.call(MAKE, 0)?;
    let counts = || (control.get(OPENS), control.get(CLOSES));
    assert_eq!(counts(), (0, 0));
    let one = open()?;
    let two = open()?;
    assert_eq!(counts(), (1, 0));
    drop(one);
    assert_eq!(counts(), (1, 0));
    drop(two);
    assert_eq!(counts(), (1, 1));

    let file = open()?;
    let inhibited = format!("{}/inhibited", folder().context("no device")?);
    fs::write(&inhibited, "1")?;
    assert_eq!(counts(), (2, 2));
    control.call(PRESS, FIRST.into())?;
    fs::write(&inhibited, "0")?;
    assert_eq!(counts(), (3, 2));
    // Unregistering closes it, too.
    control.call(DROP, 0)?;
    assert_eq!(counts(), (3, 3));
    drop((file, control));
    end(vm, module)
}

fn it_is_told_of_its_led(vm: &mut Vm) -> Result {
    let (module, control) = load(vm)?;
    control.call(MAKE, 0)?;
    let mut file = open()?;
    for value in [1, 0, 1] {
        let before = control.get(EVENTS);
        file.write_all(&event(EV_LED, LED_CAPSL, value))?;
        assert_eq!(control.get(LED), value as usize);
        assert_eq!(control.get(EVENTS), before + 1);
        // It is so already.
        file.write_all(&event(EV_LED, LED_CAPSL, value))?;
        assert_eq!(control.get(EVENTS), before + 1);
    }
    // A LED that it does not have.
    let before = control.get(EVENTS);
    file.write_all(&event(EV_LED, 2, 1))?;
    assert_eq!(control.get(EVENTS), before);
    drop((file, control));
    end(vm, module)
}

fn it_can_refuse_to_be_opened(vm: &mut Vm) -> Result {
    let (module, control) = load(vm)?;
    control.call(MAKE, 0)?;
    for (errno, expected) in [
        (Errno::ACCESS, Errno::ACCESS),
        (Errno::BUSY, Errno::BUSY),
        (Errno::CHILD, Errno::IO),
        (Errno::STALE, Errno::IO),
    ] {
        control.call(DO, REFUSE + errno.raw_os_error() as usize)?;
        let error = open().unwrap_err();
        assert_eq!(crate::prelude::errno(&error), Some(expected));
    }
    assert_eq!(control.get(CLOSES), 0);
    control.call(DO, NOTHING)?;
    drop(open()?);
    assert_eq!(control.get(CLOSES), 1);
    drop(control);
    end(vm, module)
}

fn what_cannot_be_is_refused(vm: &mut Vm) -> Result {
    let (module, control) = load(vm)?;
    vm.rounds(|_| {
        assert_eq!(control.get(MAKE_BAD), 0);
        Ok(())
    })?;
    let devices = fs::read_to_string("/proc/bus/input/devices")?;
    assert!(!devices.contains("input-devices"), "{devices}");
    drop(control);
    end(vm, module)
}

fn other_buttons_are_refused(vm: &mut Vm) -> Result {
    let (module, control) = load(vm)?;
    assert_eq!(control.call(PRESS, FIRST.into()), Err(Errno::NOENT));
    control.call(MAKE, 0)?;
    let file = open()?;
    for code in [0, 1, FIRST - 1, LAST + 1, 0x2ff, 0x300, u16::MAX] {
        for command in [PRESS, RELEASE] {
            let answer = control.call(command, code.into());
            assert_eq!(answer, Err(Errno::INVAL), "{code}");
        }
    }
    assert_eq!(events(&file)?, []);
    drop((file, control));
    end(vm, module)
}

/// C has a lock then that a report takes.
fn it_cannot_report_while_it_is_told(vm: &mut Vm) -> Result {
    let (module, control) = load(vm)?;
    control.call(MAKE, 0)?;
    let mut file = open()?;
    control.call(DO, REPORT)?;
    file.write_all(&event(EV_LED, LED_CAPSL, 1))?;
    assert_eq!(control.get(ANSWER), 35); // EDEADLK
    assert_eq!(control.call(PRESS, FIRST.into()), Ok(0));
    drop((file, control));
    end(vm, module)
}

/// Whoever has its file open, reads from it or waits for it.
fn a_file_outlives_it(vm: &mut Vm) -> Result {
    let (module, control) = load(vm)?;
    vm.rounds(|_| {
        control.call(MAKE, 0)?;
        let mut file = open()?;
        let same = file.try_clone()?;
        let waiter = Waiter::begin_in(POLL, move || poll_for(&same, PollFlags::IN))?;
        control.call(DROP, 0)?;
        assert!(waiter.end()??.contains(PollFlags::HUP));
        assert_eq!(error_of(events(&file)), Some(Errno::NODEV));
        let written = file.write(&event(EV_LED, LED_CAPSL, 1));
        assert_eq!(error_of(written), Some(Errno::NODEV));
        assert!(folder().is_none());
        Ok(())
    })?;
    assert_eq!(control.get(OPENS), control.get(CLOSES));
    drop(control);
    end(vm, module)
}

/// It does not keep the module, and the module does not need it.
fn a_file_outlives_the_module(vm: &mut Vm) -> Result {
    for _ in 0..3 {
        let (module, control) = load(vm)?;
        control.call(MAKE, 0)?;
        let file = open()?;
        control.call(PRESS, FIRST.into())?;
        drop(control);
        end(vm, module)?;
        assert_eq!(error_of(events(&file)), Some(Errno::NODEV));
        drop(file);
    }
    Ok(())
}

/// In a function that unregistering waits for: it goes a little later.
fn it_may_drop_itself(vm: &mut Vm) -> Result {
    let (module, control) = load(vm)?;
    vm.rounds(|_| {
        for what in [DROP_IN_OPEN, DROP_IN_CLOSE, DROP_IN_EVENT] {
            control.call(DO, what)?;
            control.call(MAKE, 0)?;
            let mut file = open()?;
            // It may be gone by now, as it may be when it is closed.
            let _ = file.write(&event(EV_LED, LED_CAPSL, 1));
            drop(file);
            eventually("its end", || folder().is_none())?;
            assert_eq!(control.call(PRESS, FIRST.into()), Err(Errno::NOENT));
        }
        Ok(())
    })?;
    drop(control);
    end(vm, module)
}

/// Unregistering that takes locks that are held, when the console opens the one that does it
/// while that is being registered, or closes it while that is being unregistered.
fn it_may_drop_another(vm: &mut Vm) -> Result {
    let (module, control) = load(vm)?;
    vm.many_rounds(10, |_| {
        for make in [MAKE, MAKE_KEYBOARD] {
            for what in [DROP_OTHER_IN_OPEN, DROP_OTHER_IN_CLOSE, DROP_OTHER_IN_EVENT] {
                control.call(MAKE_OTHER, 0)?;
                assert!(folder_of("another").is_some());
                control.call(DO, what)?;
                control.call(make, 0)?;
                let mut file = open()?;
                file.write_all(&event(EV_LED, LED_CAPSL, 1))?;
                drop(file);
                control.call(DROP, 0)?;
                assert!(folder().is_none());
                assert_eq!(control.get(HAS_OTHER), 0);
                eventually("its end", || folder_of("another").is_none())?;
            }
        }
        control.call(DO, NOTHING)?;
        Ok(())
    })?;
    drop(control);
    end(vm, module)
}

/// It would wait for a lock that its own task may have.
fn it_cannot_make_another(vm: &mut Vm) -> Result {
    let (module, control) = load(vm)?;
    for make in [MAKE, MAKE_KEYBOARD] {
        control.call(DO, MAKE_IN_OPEN)?;
        control.call(make, 0)?;
        drop(open()?);
        assert_eq!(control.get(ANSWER), 35); // EDEADLK
        assert!(folder_of("never").is_none());
        control.call(DROP, 0)?;
    }
    // Elsewhere it can.
    control.call(MAKE_OTHER, 0)?;
    assert!(folder_of("another").is_some());
    drop(control);
    end(vm, module)
}

/// The kernel has a timer for it, to repeat.
fn a_held_button_ends_with_it(vm: &mut Vm) -> Result {
    let (module, control) = load(vm)?;
    vm.rounds(|_| {
        control.call(MAKE, 0)?;
        let file = open()?;
        control.call(PRESS, FIRST.into())?;
        control.call(DROP, 0)?;
        drop(file);
        Ok(())
    })?;
    // It would have been due by now.
    thread::sleep(Duration::from_secs(1));
    drop(control);
    end(vm, module)
}

fn all_cpus_report_while_it_goes(vm: &mut Vm) -> Result {
    let (module, control) = load(vm)?;
    let over = AtomicBool::new(false);
    let cpus = thread::available_parallelism()?.get();
    thread::scope(|scope| -> Result {
        let threads: Vec<_> = (0..2 * cpus)
            .map(|n| {
                let (over, control) = (&over, control.clone());
                scope.spawn(move || -> Result {
                    let mut one = CpuSet::new();
                    one.set(n % cpus);
                    sched_setaffinity(None, &one)?;
                    let button = usize::from(FIRST) + n % 8;
                    while !over.load(SeqCst) {
                        for command in [PRESS, RELEASE] {
                            match control.call(command, button) {
                                // Between two devices there is none.
                                Ok(_) | Err(Errno::NOENT) => {}
                                Err(error) => bail!("report: {error}"),
                            }
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        let come_and_go = || -> Result {
            for _ in 0..vm.fewer(100) {
                control.call(MAKE, 0)?;
                let file = open()?;
                eventually("a report", || {
                    events(&file).is_ok_and(|all| !all.is_empty())
                })?;
                control.call(DROP, 0)?;
                // Whoever was reporting has dropped it by then.
                eventually("its end", || folder().is_none())?;
            }
            Ok(())
        };
        let result = come_and_go();
        over.store(true, SeqCst);
        for thread in threads {
            thread.join().unwrap()?;
        }
        result
    })?;
    drop(control);
    end(vm, module)
}

/// Reports that come later fail. Nothing is done for a device that is gone.
fn a_lost_device_is_unregistered(vm: &mut Vm) -> Result {
    for _ in 0..3 {
        vm.log().mark()?;
        let module = vm.load_with("input-devices", "lose")?;
        let file = open()?;
        eventually("a report", || {
            events(&file).is_ok_and(|all| !all.is_empty())
        })?;
        module.unload()?;
        assert_eq!(error_of(events(&file)), Some(Errno::NODEV));
        assert!(folder().is_none());
        vm.log().expect("input_devices: not dropped: 1 threads; ")?;
        vm.log()
            .expect("input_devices: not dropped: 1 input devices; ")?;
        vm.log().expect("input-devices: reports end: errno 19")?; // ENODEV
    }
    vm.forgive_leaks();
    Ok(())
}
