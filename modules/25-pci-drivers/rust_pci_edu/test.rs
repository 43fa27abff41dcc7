// SPDX-License-Identifier: GPL-2.0-only

use std::process::{Child, Command, Stdio};

use rustix::event::PollFlags;

use crate::{
    disk::fill,
    pci::{EDU, PciDevice},
    polling::{READABLE, WRITABLE},
    prelude::*,
};
use commands::*;

mod commands;

pub const EXAMPLE: Example = Example {
    demo: &[
        "grep rust_pci_edu /proc/interrupts",
        "echo 'by DMA' >/dev/edu0",
        "dd if=/dev/edu0 bs=7 count=1 2>/dev/null",
        "grep -c rust_pci_edu /proc/iomem",
    ],
    tests: tests![
        says_what_it_finds,
        is_identified_and_alive,
        computes_factorials,
        a_result_is_waited_for,
        keeps_what_is_written,
        has_an_end,
        bad_addresses,
        each_interrupt_is_counted,
        many_use_it_at_once,
        a_signal_ends_a_wait,
        a_file_keeps_the_module,
        taken_away_while_it_is_open,
        pulled_out_while_it_is_open,
        pulled_out_while_it_is_used,
        a_factorial_that_nobody_fetches,
        unloading_while_it_copies,
        unloading_while_it_interrupts,
        another_device_is_refused,
        nothing_is_left,
    ],
    ..Example::EMPTY
};

const NAME: &str = "rust_pci_edu";
const DEVICE: &str = "/dev/edu0";
const SIZE: usize = 4096;

/// Interrupts as messages, and as lines.
const KINDS: [(&str, &str); 2] = [("", "MSI"), ("intx=1", "INTx")];

fn edu() -> Result<PciDevice> {
    PciDevice::first(EDU)
}

fn load(vm: &mut Vm) -> Result<(Module, Control)> {
    let module = vm.load(NAME)?;
    Ok((module, Control::open(DEVICE)?))
}

fn is_there() -> bool {
    Path::new(DEVICE).exists()
}

fn factorial(control: &Control, number: usize) -> Answer {
    control.call(START, number)?;
    control.call(RESULT, 0)
}

/// All that one can ask of a device that has gone.
fn all_is_gone(control: &Control) -> Result {
    for (command, argument) in [(IDENTIFY, 0), (LIVENESS, 1), (RAISE, 0), (RESULT, 0)] {
        let answer = control.call(command, argument);
        assert_eq!(answer, Err(Errno::NODEV), "{command:#x}");
    }
    let mut bytes = [0; 8];
    assert_eq!(error_of(control.read_at(&mut bytes, 0)), Some(Errno::NODEV));
    assert_eq!(error_of(control.write_at(&bytes, 0)), Some(Errno::NODEV));
    let events = polled(&**control)?;
    assert!(
        events.contains(PollFlags::ERR | PollFlags::HUP),
        "{events:?}"
    );
    Ok(())
}

/// It does what it is for.
fn works(control: &Control) -> Result {
    assert_eq!(factorial(control, 5), Ok(120));
    let mut bytes = [0; 16];
    fill(&mut bytes, 5);
    control.write_all_at(&bytes, 100)?;
    let mut seen = [0; 16];
    control.read_exact_at(&mut seen, 100)?;
    assert_eq!(seen, bytes);
    Ok(())
}

/// All of its memory.
fn contents() -> Result<Vec<u8>> {
    let mut bytes = vec![0; SIZE];
    File::open(DEVICE)?.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// A process that waits for all of its memory, or has it already.
fn reader() -> Result<Child> {
    let of = format!("if={DEVICE}");
    let mut command = Command::new("dd");
    command.args([&of, "of=/dev/null", "bs=4096", "count=1"]);
    let mut child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let syscall = format!("/proc/{}/syscall", child.id());
    let read = format!("{} ", libc::SYS_read);
    eventually("somebody to read", || {
        let reads = fs::read_to_string(&syscall).is_ok_and(|it| it.starts_with(&read));
        reads || child.try_wait().is_ok_and(|ended| ended.is_some())
    })?;
    Ok(child)
}

fn says_what_it_finds(vm: &mut Vm) -> Result {
    let address = edu()?.address().to_owned();
    assert_eq!(
        modinfo(NAME)?.get("alias"),
        Some("pci:v00001234d000011E8sv*sd*bc*sc*i*")
    );
    for (params, kind) in KINDS {
        vm.log().mark()?;
        let module = vm.load_with(NAME, params)?;
        let number = interrupt_number(NAME)?;
        let found = format!("{address}: edu 1.0, interrupt {number} ({kind}), {DEVICE}");
        assert_eq!(vm.log().said(NAME)?, [info(&*found)]);
        assert_eq!(edu()?.driver().as_deref(), Some(NAME));
        assert_eq!(fs::metadata(DEVICE)?.mode() & 0o777, 0o600);
        assert!(edu()?.is_master()?);
        let bits = fs::read_to_string(edu()?.path("dma_mask_bits"))?;
        assert_eq!(bits, "28\n");
        assert!(fs::read_to_string("/proc/iomem")?.contains(NAME));
        module.unload()?;
        let gone = format!("{DEVICE} is gone");
        assert_eq!(vm.log().said(NAME)?, [info(&*found), info(&*gone)]);
        assert_eq!(edu()?.driver(), None);
        assert!(!is_there());
        assert_eq!(interrupts(NAME)?, None);
        assert!(!edu()?.is_master()?);
        assert!(!fs::read_to_string("/proc/iomem")?.contains(NAME));
    }
    Ok(())
}

fn is_identified_and_alive(vm: &mut Vm) -> Result {
    let (_module, control) = load(vm)?;
    assert_eq!(control.get(IDENTIFY), 0x0100_00ed);
    for number in [0, 1, 0x1234_5678, 0xffff_ffff] {
        assert_eq!(control.call(LIVENESS, number), Ok(1));
    }
    assert_eq!(control.call(100, 0), Err(Errno::NOTTY));
    Ok(())
}

fn computes_factorials(vm: &mut Vm) -> Result {
    for (params, kind) in KINDS {
        let module = vm.load_with(NAME, params)?;
        let control = Control::open(DEVICE)?;
        let mut expected = 1;
        for number in 0..=12 {
            expected *= number.max(1);
            let before = control.get(INTERRUPTS);
            assert_eq!(factorial(&control, number), Ok(expected), "{kind} {number}");
            assert!(control.get(INTERRUPTS) > before);
        }
        // What does not fit into 32 bits.
        for number in [13, 14, usize::MAX, 1 << 32] {
            assert_eq!(control.call(START, number), Err(Errno::RANGE), "{number}");
        }
        drop(control);
        module.unload()?;
    }
    Ok(())
}

/// By who asks for it, or by poll(2). It is fetched once.
fn a_result_is_waited_for(vm: &mut Vm) -> Result {
    let (_module, control) = load(vm)?;
    assert_eq!(control.call(RESULT, 0), Err(Errno::INVAL));
    assert_eq!(polled(&**control)?, READABLE | WRITABLE);
    control.call(START, 6)?;
    assert_eq!(control.call(START, 7), Err(Errno::BUSY));
    assert_eq!(poll_for(&**control, PollFlags::PRI)?, PollFlags::PRI);
    assert_eq!(control.call(START, 7), Err(Errno::BUSY));
    let mut options = OpenOptions::new();
    let options = options.read(true).custom_flags(libc::O_NONBLOCK);
    let other = options.open(DEVICE)?;
    let result = ioctl(&other, RESULT, Argument::None);
    assert_eq!(result, Ok(720));
    assert_eq!(control.call(RESULT, 0), Err(Errno::INVAL));
    assert_eq!(polled(&**control)?, READABLE | WRITABLE);
    // One who does not wait is told so, or the device was fast.
    control.call(START, 8)?;
    let mut result = Err(Errno::AGAIN);
    eventually("the result", || {
        result = ioctl(&other, RESULT, Argument::None);
        result != Err(Errno::AGAIN)
    })?;
    assert_eq!(result, Ok(40320));
    Ok(())
}

fn keeps_what_is_written(vm: &mut Vm) -> Result {
    for (params, kind) in KINDS {
        let module = vm.load_with(NAME, params)?;
        let file = read_write(DEVICE)?;
        let mut model = vec![0; SIZE];
        fill(&mut model, 1);
        file.write_all_at(&model, 0)?;
        for (at, len) in [(0, 1), (1, 3), (100, 1000), (SIZE - 1, 1), (4, SIZE - 4)] {
            let mut seen = vec![0; len];
            file.read_exact_at(&mut seen, at as u64)?;
            assert!(seen == model[at..at + len], "{kind}: {at} {len}");
            fill(&mut model[at..at + len], at as u64 + 7);
            file.write_all_at(&model[at..at + len], at as u64)?;
        }
        drop(file);
        // It is the device's memory, not the module's.
        module.unload()?;
        let module = vm.load_with(NAME, params)?;
        assert!(contents()? == model, "{kind}");
        module.unload()?;
    }
    Ok(())
}

fn has_an_end(vm: &mut Vm) -> Result {
    let _module = vm.load(NAME)?;
    let mut file = read_write(DEVICE)?;
    assert_eq!(file.seek(SeekFrom::End(0))?, SIZE as u64);
    assert_eq!(file.read(&mut [0; 8])?, 0);
    assert_eq!(error_of(file.write(b"x")), Some(Errno::NOSPC));
    assert_eq!(file.write(b"")?, 0);
    file.seek(SeekFrom::End(-3))?;
    assert_eq!(file.write(b"abcdef")?, 3);
    file.seek(SeekFrom::End(-4))?;
    let mut bytes = [0; 8];
    assert_eq!(file.read(&mut bytes)?, 4);
    assert_eq!(&bytes[1..4], b"abc");
    for at in [SIZE as u64, 1 << 32, 1 << 62] {
        assert_eq!(file.read_at(&mut bytes, at)?, 0, "{at}");
        let written = error_of(file.write_at(&bytes, at));
        assert_eq!(written, Some(Errno::NOSPC), "{at}");
    }
    Ok(())
}

fn bad_addresses(vm: &mut Vm) -> Result {
    let _module = vm.load(NAME)?;
    let file = read_write(DEVICE)?;
    for len in [1, SIZE, 2 * SIZE] {
        assert_eq!(read_to_bad_address(&file, len), Err(Errno::FAULT));
        assert_eq!(write_from_bad_address(&file, len), Err(Errno::FAULT));
    }
    Ok(())
}

fn each_interrupt_is_counted(vm: &mut Vm) -> Result {
    let rounds = vm.fewer(200) as usize;
    for (params, kind) in KINDS {
        let module = vm.load_with(NAME, params)?;
        let control = Control::open(DEVICE)?;
        let before = control.get(INTERRUPTS);
        for n in 1..=rounds {
            control.call(RAISE, 0)?;
            let counted = || control.get(INTERRUPTS) == before + n;
            eventually("the interrupt", counted).with_context(|| kind)?;
        }
        let counted = interrupts(NAME)?.context(NAME)?;
        assert!(counted >= (before + rounds) as u64, "{kind} {counted}");
        drop(control);
        module.unload()?;
    }
    Ok(())
}

/// Four threads have a quarter of its memory each. Others compute, and interrupt.
fn many_use_it_at_once(vm: &mut Vm) -> Result {
    let rounds = vm.fewer(10);
    let (module, control) = load(vm)?;
    on_threads(6, |thread| {
        let mut bytes = [0; SIZE / 4];
        let mut seen = [0; SIZE / 4];
        for round in 0..rounds {
            let at = u64::from(thread) * SIZE as u64 / 4;
            match thread {
                0..4 => {
                    fill(&mut bytes, u64::from(round * 4 + thread));
                    control.write_all_at(&bytes, at)?;
                    control.read_exact_at(&mut seen, at)?;
                    ensure!(seen == bytes, "thread {thread}, round {round}");
                }
                4 => {
                    let result = factorial(&control, 10)?;
                    ensure!(result == 3_628_800, "round {round}: {result}");
                }
                _ => {
                    control.call(RAISE, 0)?;
                }
            }
        }
        Ok(())
    })?;
    drop(control);
    module.unload()
}

/// The device goes on meanwhile. Who comes next waits for it.
fn a_signal_ends_a_wait(vm: &mut Vm) -> Result {
    let (module, control) = load(vm)?;
    for _ in 0..5 {
        works(&control)?;
        let mut child = reader()?;
        child.kill()?;
        child.wait()?;
        works(&control)?;
    }
    drop(control);
    module.unload()
}

fn a_file_keeps_the_module(vm: &mut Vm) -> Result {
    let (mut module, control) = load(vm)?;
    assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK));
    works(&control)?;
    // Also when the device is gone.
    edu()?.unbind(NAME)?;
    assert_eq!(module.try_unload(), Err(Errno::WOULDBLOCK));
    drop(control);
    module.unload()
}

fn taken_away_while_it_is_open(vm: &mut Vm) -> Result {
    for (params, _) in KINDS {
        let module = vm.load_with(NAME, params)?;
        let control = Control::open(DEVICE)?;
        for _ in 0..5 {
            edu()?.unbind(NAME)?;
            assert!(!is_there());
            all_is_gone(&control)?;
            assert_eq!(edu()?.unbind(NAME), Err(Errno::NODEV));
            edu()?.bind(NAME)?;
            // An old file is not of the new device.
            all_is_gone(&control)?;
            works(&Control::open(DEVICE)?)?;
        }
        drop(control);
        module.unload()?;
    }
    Ok(())
}

fn pulled_out_while_it_is_open(vm: &mut Vm) -> Result {
    for (params, _) in KINDS {
        let module = vm.load_with(NAME, params)?;
        let control = Control::open(DEVICE)?;
        let edu = edu()?;
        edu.remove()?;
        assert!(!edu.exists() && !is_there());
        all_is_gone(&control)?;
        // It is put in again, and the driver is there.
        PciDevice::rescan()?;
        assert_eq!(edu.driver().as_deref(), Some(NAME));
        works(&Control::open(DEVICE)?)?;
        all_is_gone(&control)?;
        drop(control);
        module.unload()?;
    }
    Ok(())
}

/// Those who wait for it, or use it, are told.
fn pulled_out_while_it_is_used(vm: &mut Vm) -> Result {
    let module = vm.load(NAME)?;
    let rounds = vm.fewer(10).max(2);
    // There is no device for a while.
    let open = || -> Result<Option<File>> {
        match read_write(DEVICE) {
            Ok(file) => Ok(Some(file)),
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::NOENT | Errno::NXIO) => Ok(None),
                _ => Err(error.into()),
            },
        }
    };
    let copies = || -> Result {
        let Some(file) = open()? else { return Ok(()) };
        loop {
            match error_of(file.read_at(&mut [0; 64], 0)) {
                None => {}
                Some(Errno::NODEV) => return Ok(()),
                other => bail!("{other:?}"),
            }
        }
    };
    let computes = || -> Result {
        let Some(file) = open()? else { return Ok(()) };
        let call = |command, argument| ioctl(&file, command, Argument::Number(argument));
        loop {
            match call(START, 12).and_then(|_| call(RESULT, 0)) {
                Ok(479_001_600) => {}
                // Another thread is at it, or has fetched it.
                Err(Errno::BUSY | Errno::INVAL) => {}
                Err(Errno::NODEV) => return Ok(()),
                other => bail!("{other:?}"),
            }
            let _ = call(RAISE, 0);
        }
    };
    let edu = edu()?;
    while_others(2, copies, || {
        while_others(2, computes, || {
            for round in 0..rounds {
                eventually("the device to be used", || {
                    interrupts(NAME).is_ok_and(|count| count.is_some_and(|count| count > 10))
                })?;
                if round % 2 == 0 {
                    edu.unbind(NAME)?;
                    edu.bind(NAME)?;
                } else {
                    edu.remove()?;
                    PciDevice::rescan()?;
                }
            }
            edu.unbind(NAME)?;
            Ok(())
        })
    })?;
    edu.bind(NAME)?;
    works(&Control::open(DEVICE)?)?;
    module.unload()
}

fn a_factorial_that_nobody_fetches(vm: &mut Vm) -> Result {
    vm.many_rounds(20, |vm| {
        let (module, control) = load(vm)?;
        assert_eq!(control.call(RESULT, 0), Err(Errno::INVAL));
        control.call(START, 12)?;
        drop(control);
        module.unload()
    })
}

/// The device writes to memory of the module until it has done.
fn unloading_while_it_copies(vm: &mut Vm) -> Result {
    let module = vm.load(NAME)?;
    let mut model = vec![0; SIZE];
    fill(&mut model, 9);
    fs::write(DEVICE, &model)?;
    module.unload()?;
    for _ in 0..vm.fewer(20) {
        let module = vm.load(NAME)?;
        let mut child = reader()?;
        child.kill()?;
        child.wait()?;
        module.unload()?;
    }
    let module = vm.load(NAME)?;
    assert!(contents()? == model);
    module.unload()
}

fn unloading_while_it_interrupts(vm: &mut Vm) -> Result {
    for (params, _) in KINDS {
        vm.rounds(|vm| {
            let module = vm.load_with(NAME, params)?;
            let control = Control::open(DEVICE)?;
            control.call(START, 12)?;
            for _ in 0..5 {
                control.call(RAISE, 0)?;
            }
            drop(control);
            module.unload()
        })?;
    }
    Ok(())
}

/// Somebody gives the driver a device that it is not for.
fn another_device_is_refused(vm: &mut Vm) -> Result {
    let module = vm.load(NAME)?;
    let other = PciDevice::first((0x1b36, 0x0005))?;
    assert_eq!(other.bind(NAME), Err(Errno::NODEV));
    other.override_driver(NAME)?;
    let bound = other.bind(NAME);
    other.override_driver("")?;
    assert_eq!(bound, Err(Errno::NODEV));
    assert_eq!(other.driver(), None);
    assert!(!Path::new("/dev/edu1").exists());
    works(&Control::open(DEVICE)?)?;
    module.unload()
}

fn nothing_is_left(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let (module, control) = load(vm)?;
        edu()?.unbind(NAME)?;
        edu()?.bind(NAME)?;
        drop(control);
        module.unload()
    })
}
