// SPDX-License-Identifier: GPL-2.0-only

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};

use object::{Object, ObjectSection, ObjectSymbol, read::elf::ElfFile64};
use rustix::system::init_module;

use crate::prelude::*;
use commands::*;

#[path = "../interfaces/commands.rs"]
#[allow(clippy::duplicate_mod, dead_code)]
mod commands;

pub const EXAMPLE: Example = Example {
    tests: tests![
        each_calls_the_other,
        it_needs_the_other_module,
        it_keeps_the_other_module,
        other_forms_are_refused,
        other_sources_are_refused,
        a_guest_that_is_gone_is_not_called,
        a_guest_goes_when_init_fails,
        a_lost_guest_goes_with_its_module,
        unloading_waits_for_calls,
        without_an_object_calls_fail,
        guests_come_and_go_under_calls,
        nothing_is_left_of_guests,
    ],
    ..Example::EMPTY
};

const USER: &str = "interfaces-user";

/// Loads the module that is called, and the one that calls.
fn load(vm: &mut Vm) -> Result<(Module, Module, Control)> {
    let hall = vm.load("interfaces")?;
    let user = vm.load(USER)?;
    Ok((hall, user, Control::open("/proc/interfaces")?))
}

/// How long the greeting is.
const HELLO: Answer = Ok("hello, hall".len());

fn each_calls_the_other(vm: &mut Vm) -> Result {
    let (hall, user, control) = load(vm)?;
    assert_eq!(control.call(GREET, 0), HELLO);
    let own = Control::open("/proc/interfaces-user")?;
    for _ in 0..10 {
        own.call(CALL, 0)?;
        assert_eq!(control.call(GREET, 0), HELLO);
    }
    assert_eq!(control.get(IS_GONE), 0);
    assert_eq!(vm.log().complaints(USER)?.len(), 0);
    drop((own, control));
    user.unload()?;
    hall.unload()
}

fn it_needs_the_other_module(vm: &mut Vm) -> Result {
    assert_eq!(modinfo(USER)?.get("depends"), Some("interfaces"));
    let error = Module::load_alone(USER, "").unwrap_err();
    assert_eq!(errno(&error), Some(Errno::NOENT));
    vm.log()
        .expect("interfaces_user: Unknown symbol lkm_export_interfaces_hall (err -2)")?;
    // Like modprobe, this loads both, and unloads both.
    vm.load(USER)?.unload()?;
    assert!(!Path::new("/sys/module/interfaces").exists());
    Ok(())
}

fn it_keeps_the_other_module(vm: &mut Vm) -> Result {
    let (mut hall, user, control) = load(vm)?;
    drop(control);
    assert_eq!(hall.try_unload(), Err(Errno::WOULDBLOCK));
    let renames = [("interfaces-user", "user-of-halls-1")];
    let again = Module::load_renamed(USER, "interfaces_uses", &renames);
    assert_eq!(hall.try_unload(), Err(Errno::WOULDBLOCK));
    user.unload()?;
    assert_eq!(hall.try_unload(), Err(Errno::WOULDBLOCK));
    again?.unload()?;
    hall.unload()
}

/// Nobody calls what may be something else. The log says which symbol it is about.
fn other_forms_are_refused(vm: &mut Vm) -> Result {
    let hall = vm.load("interfaces")?;
    for form in 1..=5 {
        vm.log().mark()?;
        let errno = vm.load_fails(USER, &format!("form={form}"))?;
        assert_eq!(errno, Errno::INVAL, "{form}");
        vm.log().expect(
            "interfaces_user: disagrees about the interface of lkm_export_interfaces_hall; \
             build both modules together",
        )?;
        // It does not keep the other module.
        assert!(!Path::new("/sys/module/interfaces/holders/interfaces_user").exists());
    }
    hall.unload()
}

/// Where in the file of the other module its symbol begins: with the number that was made
/// from the sources of `lkm`.
fn sources_in(hall: &[u8]) -> Result<usize> {
    let file = ElfFile64::<object::LittleEndian>::parse(hall)?;
    let symbol = file.symbol_by_name("lkm_export_interfaces_hall");
    let symbol = symbol.context("no such symbol")?;
    let index = symbol.section_index().context("no section")?;
    let (begin, _) = file
        .section_by_index(index)?
        .file_range()
        .context("no bytes")?;
    Ok(usize::try_from(begin + symbol.address())?)
}

/// As if one of them had been built at another time, when its interface was the same.
fn other_sources_are_refused(vm: &mut Vm) -> Result {
    let mut bytes = fs::read(module_file("interfaces"))?;
    let at = sources_in(&bytes)?;
    bytes[at] ^= 1;
    init_module(&bytes, c"")?;
    let hall = Module::of_others("interfaces")?;
    assert_eq!(vm.load_fails(USER, "")?, Errno::INVAL);
    vm.log()
        .expect("interfaces_user: disagrees about the interface of lkm_export_interfaces_hall; ")?;
    hall.unload()
}

fn a_guest_that_is_gone_is_not_called(vm: &mut Vm) -> Result {
    let (hall, user, control) = load(vm)?;
    assert_eq!(control.get(IS_GONE), 0);
    user.unload()?;
    for command in [GREET, HOLD] {
        assert_eq!(control.call(command, 0), Err(Errno::NODEV));
    }
    assert_eq!(control.get(IS_GONE), 1);
    // The next one is another.
    let user = vm.load(USER)?;
    assert_eq!(control.call(GREET, 0), HELLO);
    user.unload()?;
    drop(control);
    hall.unload()
}

fn a_guest_goes_when_init_fails(vm: &mut Vm) -> Result {
    let hall = vm.load("interfaces")?;
    let control = Control::open("/proc/interfaces")?;
    for params in ["fail", "fail lose"] {
        assert_eq!(vm.load_fails(USER, params)?, Errno::NODEV);
        assert_eq!(control.call(GREET, 0), Err(Errno::NODEV));
        assert_eq!(control.get(IS_GONE), 1);
    }
    vm.log()
        .expect("interfaces_user: not dropped: 1 objects for other modules; ")?;
    vm.forgive_leaks();
    drop(control);
    hall.unload()
}

fn a_lost_guest_goes_with_its_module(vm: &mut Vm) -> Result {
    let hall = vm.load("interfaces")?;
    let control = Control::open("/proc/interfaces")?;
    for _ in 0..3 {
        vm.log().mark()?;
        let user = vm.load_with(USER, "lose")?;
        assert_eq!(control.call(GREET, 0), HELLO);
        user.unload()?;
        vm.log()
            .expect("interfaces_user: not dropped: 1 objects for other modules; ")?;
        assert_eq!(control.call(GREET, 0), Err(Errno::NODEV));
    }
    vm.forgive_leaks();
    drop(control);
    hall.unload()
}

/// As long as a call is in the module, it stays, and no other call begins.
fn unloading_waits_for_calls(vm: &mut Vm) -> Result {
    for params in ["", "lose"] {
        let hall = vm.load("interfaces")?;
        let user = vm.load_with(USER, params)?;
        let control = Control::open("/proc/interfaces")?;
        let own = Control::open("/proc/interfaces-user")?;
        let held: Vec<_> = (0..3)
            .map(|_| {
                let control = control.clone();
                Waiter::begin(move || control.call(HOLD, 0))
            })
            .collect();
        eventually("all to be held", || own.get(HELD) == 3)?;
        if params == "lose" {
            // Its own file is gone before its lost guest is waited for.
            own.call(GO_ON, 0)?;
        }
        let unload = user.unload_in_thread();
        if params.is_empty() {
            eventually("the end of calls", || {
                control.call(GREET, 0) == Err(Errno::NODEV)
            })?;
            thread::sleep(Duration::from_millis(300));
            assert!(!unload.is_finished());
            assert_eq!(own.get(HELD), 3);
            own.call(GO_ON, 0)?;
        }
        for caller in held {
            assert_eq!(caller.end()?, Ok(0));
        }
        unload.join().unwrap()?;
        drop((own, control));
        hall.unload()?;
    }
    vm.forgive_leaks();
    Ok(())
}

/// The module stays, as somebody has imported its symbol.
fn without_an_object_calls_fail(vm: &mut Vm) -> Result {
    let (hall, user, control) = load(vm)?;
    let own = Control::open("/proc/interfaces-user")?;
    control.call(WITHDRAW, 0)?;
    assert_eq!(own.call(CALL, 0), Err(Errno::NODEV));
    assert_eq!(control.call(GREET, 0), HELLO);
    control.call(PUBLISH, 0)?;
    assert_eq!(own.call(CALL, 0), Ok(0));
    control.call(WITHDRAW, 0)?;
    drop((own, control));
    user.unload()?;
    hall.unload()
}

fn guests_come_and_go_under_calls(vm: &mut Vm) -> Result {
    let hall = vm.load("interfaces")?;
    let control = Control::open("/proc/interfaces")?;
    let (over, greeted) = (AtomicBool::new(false), AtomicU32::new(0));
    thread::scope(|scope| -> Result {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (over, greeted, control) = (&over, &greeted, control.clone());
                scope.spawn(move || -> Result {
                    while !over.load(SeqCst) {
                        match control.call(GREET, 0) {
                            HELLO => {
                                greeted.fetch_add(1, SeqCst);
                            }
                            // Nobody has come yet, or it is the guest that goes at once.
                            Err(Errno::NODEV | Errno::NOENT | Errno::IO) => {}
                            other => bail!("{other:?}"),
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        let rounds = vm.fewer(50);
        let come_and_go = || -> Result {
            for _ in 0..rounds {
                let user = Module::load(USER, "")?;
                let before = greeted.load(SeqCst);
                eventually("a greeting", || greeted.load(SeqCst) > before)?;
                user.unload()?;
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
    hall.unload()
}

/// Who still has one that is gone has no more than a few bytes.
fn nothing_is_left_of_guests(vm: &mut Vm) -> Result {
    let hall = vm.load("interfaces")?;
    let control = Control::open("/proc/interfaces")?;
    vm.rounds(|vm| {
        let user = vm.load(USER)?;
        assert_eq!(control.call(GREET, 0), HELLO);
        user.unload()?;
        control.call(FORGET, 0)?;
        Ok(())
    })?;
    drop(control);
    hall.unload()
}
