// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;
use commands::*;

mod commands;

pub const EXAMPLE: Example = Example {
    tests: tests![
        each_kind_runs_where_it_must,
        hard_handlers_lose_nothing,
        threads_run_again,
        each_trigger_is_for_its_edges,
        what_cannot_be_is_refused,
        an_interrupt_by_its_number,
        a_driven_line_has_no_interrupt,
        an_interrupt_is_had_by_one,
        the_guides_modules_give_all_back,
        the_line_can_be_read,
        dropping_it_waits,
        sync_waits,
        many_sync_at_the_same_time,
        handles_are_dropped_in_softirqs,
        a_handler_may_drop_itself,
        handlers_may_drop_each_other,
        a_chip_that_goes,
        a_chip_that_goes_while_a_thread_runs,
        a_drop_while_a_chip_goes_waits,
        an_old_handle_leaves_a_new_one_alone,
        unloading_in_a_storm,
        unloading_waits_for_a_thread,
    ],
    setup: Some(gpio_sim),
    ..Example::EMPTY
};

/// The line that most tests use, and where the module has its interrupt.
const LINE: GpioLine = GpioLine(16);
const HERE: usize = 0;

/// What `/proc/interrupts` calls it.
const NAME: &str = "lkm-irqs";

const KINDS: [usize; 4] = [THREADED, HARD_ONLY, BOTH, BIG];

fn load(vm: &mut Vm) -> Result<(Module, Control)> {
    let module = vm.load("interrupts")?;
    Ok((module, Control::open("/proc/interrupts-control")?))
}

/// What [`REQUEST`] takes.
fn what(place: usize, line: GpioLine, kind: usize, trigger: usize) -> usize {
    place | ((line.0 as usize) << 8) | (kind << 16) | (trigger << 24)
}

/// Requests the interrupt of the line that most tests use.
fn request(irqs: &Control, kind: usize) -> Result {
    irqs.call(REQUEST, what(HERE, LINE, kind, RISING))?;
    Ok(())
}

fn press(line: GpioLine) -> Result {
    line.pull(true)?;
    line.pull(false)
}

/// As long as there is one, threads of handlers wait.
struct Hold;

impl Hold {
    const FILE: &str = "/sys/module/interrupts/parameters/hold";

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

/// Waits until the kernel has no handler any more. It may be running yet.
fn interrupt_is_gone() -> Result {
    let is_gone = || interrupts(NAME).is_ok_and(|it| it.is_none());
    eventually("the interrupt to be gone", is_gone)
}

/// Whether a handler of that kind has a function of the command's name.
fn has(kind: usize, command: u32) -> bool {
    match command {
        HARD => kind != THREADED,
        _ => kind != HARD_ONLY,
    }
}

/// Waits until what ran of a handler of that kind ran so often.
fn has_run(irqs: &Control, kind: usize, counts: [usize; 2]) -> Result {
    for (command, count) in [HARD, THREADS].into_iter().zip(counts) {
        let runs = || irqs.get(command) == count;
        match has(kind, command) {
            true => eventually("the handler", runs)?,
            false => assert!(irqs.get(command) <= count),
        }
    }
    Ok(())
}

/// Nothing of any handler is left, and nothing was as it must not be.
fn all_is_gone(irqs: &Control) -> Result {
    eventually("all handlers to be dropped", || irqs.get(LIVING) == 0)?;
    LINE.becomes_free()?;
    assert_eq!(interrupts(NAME)?, None);
    assert_eq!(irqs.get(WRONG), 0);
    Ok(())
}

fn each_kind_runs_where_it_must(vm: &mut Vm) -> Result {
    let (_module, irqs) = load(vm)?;
    for kind in KINDS {
        request(&irqs, kind)?;
        let before = [HARD, THREADS].map(|command| irqs.get(command));
        let counted = interrupts(NAME)?.context(NAME)?;
        for n in 1..=20 {
            press(LINE)?;
            let counts = before.map(|before| before + n);
            let expected = |command| has(kind, command);
            let [hard, threads] = [HARD, THREADS].map(expected);
            has_run(&irqs, kind, counts).with_context(|| format!("kind {kind}"))?;
            // What it does not have does not run.
            assert!(hard || irqs.get(HARD) == before[0]);
            assert!(threads || irqs.get(THREADS) == before[1]);
        }
        assert_eq!(interrupts(NAME)?, Some(counted + 20));
        assert_eq!(irqs.get(LIVING), 1);
        irqs.call(DROP, HERE)?;
        // It is not called any more.
        let counts = [HARD, THREADS].map(|command| irqs.get(command));
        press(LINE)?;
        all_is_gone(&irqs)?;
        assert_eq!([HARD, THREADS].map(|command| irqs.get(command)), counts);
    }
    Ok(())
}

/// However slow the rest is.
fn hard_handlers_lose_nothing(vm: &mut Vm) -> Result {
    let (_module, irqs) = load(vm)?;
    for kind in [HARD_ONLY, BOTH] {
        request(&irqs, kind)?;
        let before = irqs.get(HARD);
        for n in 1..=vm.fewer(1000) as usize {
            press(LINE)?;
            eventually("the handler", || irqs.get(HARD) == before + n)?;
        }
        irqs.call(DROP, HERE)?;
    }
    all_is_gone(&irqs)
}

/// Once for all interrupts that come while they run.
fn threads_run_again(vm: &mut Vm) -> Result {
    let (_module, irqs) = load(vm)?;
    for kind in [THREADED, BOTH, BIG] {
        request(&irqs, kind)?;
        let before = irqs.get(THREADS);
        let held = Hold::begin()?;
        press(LINE)?;
        eventually("the thread", || irqs.get(RUNNING) == 1)?;
        for _ in 0..5 {
            press(LINE)?;
        }
        // Not beside itself.
        assert_eq!(irqs.get(RUNNING), 1);
        drop(held);
        eventually("the thread", || irqs.get(THREADS) == before + 2)?;
        irqs.call(SYNC, HERE)?;
        assert_eq!(irqs.get(THREADS), before + 2);
        irqs.call(DROP, HERE)?;
    }
    all_is_gone(&irqs)
}

fn each_trigger_is_for_its_edges(vm: &mut Vm) -> Result {
    let (_module, irqs) = load(vm)?;
    for (trigger, ups, downs) in [(RISING, 1, 0), (FALLING, 0, 1), (EDGES, 1, 1)] {
        irqs.call(REQUEST, what(HERE, LINE, HARD_ONLY, trigger))?;
        let mut expected = irqs.get(HARD);
        for _ in 0..10 {
            for (up, more) in [(true, ups), (false, downs)] {
                LINE.pull(up)?;
                expected += more;
                eventually("the handler", || irqs.get(HARD) == expected)?;
            }
        }
        irqs.call(DROP, HERE)?;
    }
    // The last trigger is still set.
    irqs.call(REQUEST, what(HERE, LINE, HARD_ONLY, UNCHANGED))?;
    let before = irqs.get(HARD);
    press(LINE)?;
    eventually("the handler", || irqs.get(HARD) == before + 2)?;
    irqs.call(DROP, HERE)?;
    all_is_gone(&irqs)
}

/// The chip knows edges only. Nothing is left of what is refused.
fn what_cannot_be_is_refused(vm: &mut Vm) -> Result {
    let (_module, irqs) = load(vm)?;
    for kind in KINDS {
        for trigger in [HIGH, LOW] {
            let argument = what(HERE, LINE, kind, trigger);
            assert_eq!(irqs.call(REQUEST, argument), Err(Errno::INVAL));
        }
    }
    assert_eq!(irqs.get(BAD_NAMES), 0);
    let number = |number: usize| irqs.call(REQUEST_NUMBER, HERE | (number << 8));
    assert_eq!(number(1_000_000_000), Err(Errno::INVAL));
    // C's IRQ_NOTCONNECTED.
    assert_eq!(number(1 << 31), Err(Errno::NOTCONN));
    all_is_gone(&irqs)
}

/// The line is that of a process.
fn an_interrupt_by_its_number(vm: &mut Vm) -> Result {
    let (module, irqs) = load(vm)?;
    request(&irqs, THREADED)?;
    let number = irqs.call(NUMBER, HERE)?;
    assert_eq!(number as u32, interrupt_number(NAME)?);
    irqs.call(DROP, HERE)?;

    let line = LINE.take()?;
    irqs.call(REQUEST_NUMBER, HERE | (number << 8))?;
    assert_eq!(irqs.call(NUMBER, HERE), Ok(number));
    assert_eq!(irqs.call(LEVEL, HERE), Err(Errno::BADF));
    let before = [HARD, THREADS].map(|command| irqs.get(command));
    for n in 1..=10 {
        press(LINE)?;
        has_run(&irqs, BOTH, before.map(|before| before + n))?;
    }
    // Somebody has it.
    let again = irqs.call(REQUEST_NUMBER, (HERE + 1) | (number << 8));
    assert_eq!(again, Err(Errno::BUSY));
    // The kernel takes it away with the chip.
    gpio_chip_goes()?;
    assert_eq!(interrupts(NAME)?, None);
    irqs.call(DROP, HERE)?;
    assert_eq!(irqs.get(LIVING), 0);
    drop(line);
    drop(irqs);
    module.unload()?;
    // The kernel forgets the names of those who had its lines.
    vm.forgive_leaks();
    gpio_chip_comes_as_before()
}

/// The line is one that somebody drives: it is not for interrupts.
fn a_driven_line_has_no_interrupt(vm: &mut Vm) -> Result {
    let (_module, irqs) = load(vm)?;
    request(&irqs, THREADED)?;
    let number = irqs.call(NUMBER, HERE)?;
    irqs.call(DROP, HERE)?;
    LINE.becomes_free()?;

    let by_number = HERE | (number << 8);
    let chip = GpioChip::open("lkmpg")?;
    // It stays so when nobody has it.
    drop(chip.request(&[LINE.0], line::OUTPUT)?);
    assert_eq!(irqs.call(REQUEST_NUMBER, by_number), Err(Errno::IO));
    drop(chip.request(&[LINE.0], line::INPUT)?);
    drop(chip);
    // No number is that high.
    let number = (1 << 30) << 8;
    assert_eq!(irqs.call(REQUEST_NUMBER, HERE | number), Err(Errno::INVAL));
    assert_eq!(irqs.get(LIVING), 0);
    irqs.call(REQUEST_NUMBER, by_number)?;
    irqs.call(DROP, HERE)?;
    all_is_gone(&irqs)
}

fn an_interrupt_is_had_by_one(vm: &mut Vm) -> Result {
    let (_module, irqs) = load(vm)?;
    request(&irqs, BOTH)?;
    let again = what(HERE + 1, LINE, BOTH, RISING);
    assert_eq!(irqs.call(REQUEST, again), Err(Errno::BUSY));
    assert_eq!(irqs.get(LIVING), 1);
    let error = LINE.take().err().context("the interrupt has the line")?;
    assert_eq!(errno(&error), Some(Errno::BUSY));
    // The first one still works.
    let before = irqs.get(HARD);
    press(LINE)?;
    eventually("the handler", || irqs.get(HARD) == before + 1)?;
    irqs.call(DROP, HERE)?;
    irqs.call(REQUEST, again)?;
    irqs.call(DROP, HERE + 1)?;
    all_is_gone(&irqs)
}

fn the_line_can_be_read(vm: &mut Vm) -> Result {
    let (_module, irqs) = load(vm)?;
    request(&irqs, THREADED)?;
    for up in [true, false, true, false] {
        LINE.pull(up)?;
        assert_eq!(irqs.call(LEVEL, HERE), Ok(up.into()));
    }
    Ok(())
}

/// Somebody has the interrupt of the second button. The guide's keep the first one then.
fn the_guides_modules_give_all_back(vm: &mut Vm) -> Result {
    const NAMES: [&str; 2] = ["gpiomod#button1", "gpiomod#button2"];
    let (_module, irqs) = load(vm)?;
    for name in ["intrpt", "bottomhalf", "bh_threaded"] {
        let module = vm.load(name)?;
        let number = interrupt_number(NAMES[1])? as usize;
        module.unload()?;

        irqs.call(REQUEST_NUMBER, HERE | (number << 8))?;
        vm.log().mark()?;
        assert_eq!(vm.load_fails(name, "")?, Errno::BUSY, "{name}");
        let complaints = vm.log().complaints(name)?;
        assert_eq!(complaints, [(3, "Unable to request IRQ: -16".to_owned())]);
        assert_eq!(interrupts(NAMES[0])?, None, "{name}");
        let threads = live_tasks(|task| task.starts_with("irq/") && task.contains("-gpiomod"));
        assert!(threads.is_empty(), "{name}");
        // The lines are free.
        for line in [4, 17, 18] {
            drop(GpioLine(line).take()?);
        }
        irqs.call(DROP, HERE)?;
        vm.load(name)?.unload()?;
    }
    Ok(())
}

/// Until the thread is over.
fn dropping_it_waits(vm: &mut Vm) -> Result {
    let (_module, irqs) = load(vm)?;
    for kind in [THREADED, BOTH, BIG] {
        request(&irqs, kind)?;
        let held = Hold::begin()?;
        press(LINE)?;
        eventually("the thread", || irqs.get(RUNNING) == 1)?;
        let dropper = irqs.caller(DROP, HERE)?;
        assert_eq!((irqs.get(RUNNING), irqs.get(LIVING)), (1, 1));
        // The interrupt is gone, but the thread has not been told yet.
        interrupt_is_gone()?;
        drop(held);
        dropper.end()??;
        assert_eq!((irqs.get(RUNNING), irqs.get(LIVING)), (0, 0));
    }
    all_is_gone(&irqs)
}

fn sync_waits(vm: &mut Vm) -> Result {
    let (_module, irqs) = load(vm)?;
    for kind in [THREADED, BOTH] {
        request(&irqs, kind)?;
        let held = Hold::begin()?;
        let before = irqs.get(THREADS);
        press(LINE)?;
        eventually("the thread", || irqs.get(RUNNING) == 1)?;
        let caller = irqs.caller(SYNC, HERE)?;
        drop(held);
        caller.end()??;
        assert_eq!(irqs.get(THREADS), before + 1);
        // There is nothing to wait for.
        irqs.call(SYNC, HERE)?;
        irqs.call(DROP, HERE)?;
    }
    all_is_gone(&irqs)
}

/// Each waits until the thread has run, and none for ever.
fn many_sync_at_the_same_time(vm: &mut Vm) -> Result {
    let (_module, irqs) = load(vm)?;
    irqs.call(SHARE, LINE.0 as usize)?;
    for n in 1..=3 {
        let held = Hold::begin()?;
        press(LINE)?;
        eventually("the thread", || irqs.get(RUNNING) == 1)?;
        let mut callers = Vec::new();
        for _ in 0..4 {
            callers.push(irqs.caller(SYNC_SHARED, 0)?);
        }
        assert!(callers.iter().all(|caller| !caller.has_ended()));
        drop(held);
        for caller in callers {
            caller.end()??;
        }
        assert_eq!(irqs.get(THREADS), n);
    }
    irqs.call(DROP_SHARED, 0)?;
    all_is_gone(&irqs)
}

/// They are removed a little later, whether they run or not.
fn handles_are_dropped_in_softirqs(vm: &mut Vm) -> Result {
    let (module, irqs) = load(vm)?;
    vm.rounds(|_| {
        for kind in KINDS {
            for pressed in [false, true] {
                request(&irqs, kind)?;
                LINE.pull(pressed)?;
                irqs.call(DROP_IN_SOFTIRQ, HERE)?;
                all_is_gone(&irqs)?;
                LINE.pull(false)?;
            }
        }
        Ok(())
    })?;
    // While a thread runs.
    request(&irqs, BOTH)?;
    let held = Hold::begin()?;
    press(LINE)?;
    eventually("the thread", || irqs.get(RUNNING) == 1)?;
    irqs.call(DROP_IN_SOFTIRQ, HERE)?;
    interrupt_is_gone()?;
    assert_eq!(irqs.get(LIVING), 1);
    drop(held);
    all_is_gone(&irqs)?;
    drop(irqs);
    module.unload()?;
    assert_eq!(vm.log().count("not dropped")?, 0);
    Ok(())
}

/// It is gone a little later. To wait for itself is an error.
fn a_handler_may_drop_itself(vm: &mut Vm) -> Result {
    const EDEADLK: usize = 35;
    let (module, irqs) = load(vm)?;
    vm.rounds(|_| {
        for kind in [SELFISH, SELFISH_HARD] {
            let before = irqs.get(HARD);
            request(&irqs, kind)?;
            press(LINE)?;
            all_is_gone(&irqs)?;
            assert_eq!(irqs.get(HARD), before + 1);
        }
        assert_eq!(irqs.get(SYNCED), EDEADLK);
        Ok(())
    })?;
    // At once, too.
    request(&irqs, SELFISH)?;
    press(LINE)?;
    let has_begun = || irqs.get(LIVING) == 0 || irqs.get(RUNNING) > 0;
    eventually("the thread", has_begun)?;
    drop(irqs);
    module.unload()?;
    assert_eq!(vm.log().count("not dropped")?, 0);
    Ok(())
}

/// Each would wait for the other. One of them does not.
fn handlers_may_drop_each_other(vm: &mut Vm) -> Result {
    let (module, irqs) = load(vm)?;
    let other = GpioLine(17);
    vm.rounds(|_| {
        irqs.call(RIVALS, (LINE.0 | (other.0 << 8)) as usize)?;
        press(LINE)?;
        press(other)?;
        all_is_gone(&irqs)?;
        other.becomes_free()
    })?;
    drop(irqs);
    module.unload()?;
    assert_eq!(vm.log().count("not dropped")?, 0);
    Ok(())
}

/// The interrupt comes no more. The handler is there until its handle is dropped.
fn a_chip_that_goes(vm: &mut Vm) -> Result {
    for how in [Some(DROP), Some(DROP_IN_SOFTIRQ), None] {
        for again in [false, true] {
            let (module, irqs) = load(vm)?;
            for (place, kind) in KINDS.into_iter().enumerate() {
                let line = GpioLine(LINE.0 + place as u32);
                irqs.call(REQUEST, what(place, line, kind, RISING))?;
                press(line)?;
            }
            gpio_chip_goes()?;
            assert_eq!(interrupts(NAME)?, None);
            assert_eq!(irqs.get(LIVING), 4);
            assert_eq!(irqs.call(LEVEL, HERE), Err(Errno::NODEV));
            irqs.call(SYNC, HERE)?;
            if again {
                gpio_chip_comes()?;
                let before = [HARD, THREADS].map(|command| irqs.get(command));
                press(LINE)?;
                assert_eq!([HARD, THREADS].map(|command| irqs.get(command)), before);
                irqs.call(SYNC, HERE)?;
            }
            if let Some(how) = how {
                for place in 0..KINDS.len() {
                    irqs.call(how, place)?;
                }
                eventually("all handlers to be dropped", || irqs.get(LIVING) == 0)?;
            }
            assert_eq!(irqs.get(WRONG), 0);
            drop(irqs);
            module.unload()?;
            gpio_chip_comes_as_before()?;
        }
    }
    // The kernel forgets the names of those who had its lines.
    vm.forgive_leaks();
    Ok(())
}

/// It waits for that.
fn a_chip_that_goes_while_a_thread_runs(vm: &mut Vm) -> Result {
    let (module, irqs) = load(vm)?;
    request(&irqs, BOTH)?;
    let held = Hold::begin()?;
    press(LINE)?;
    eventually("the thread", || irqs.get(RUNNING) == 1)?;
    let chip = thread::spawn(gpio_chip_goes);
    interrupt_is_gone()?;
    assert_eq!(irqs.get(RUNNING), 1);
    assert!(!chip.is_finished());
    drop(held);
    chip.join().expect("it does not panic")?;
    assert_eq!((irqs.get(RUNNING), irqs.get(LIVING)), (0, 1));
    drop(irqs);
    module.unload()?;
    // The kernel forgets the names of those who had its lines.
    vm.forgive_leaks();
    gpio_chip_comes_as_before()
}

/// The kernel has removed the handler, and waits until it does not run. So does who drops
/// the handle meanwhile.
fn a_drop_while_a_chip_goes_waits(vm: &mut Vm) -> Result {
    for kind in [THREADED, BOTH, BIG] {
        let (module, irqs) = load(vm)?;
        request(&irqs, kind)?;
        let held = Hold::begin()?;
        press(LINE)?;
        eventually("the thread", || irqs.get(RUNNING) == 1)?;
        let chip = thread::spawn(gpio_chip_goes);
        interrupt_is_gone()?;
        let dropper = irqs.caller(DROP, HERE)?;
        assert_eq!((irqs.get(RUNNING), irqs.get(LIVING)), (1, 1));
        drop(held);
        dropper.end()??;
        assert_eq!((irqs.get(RUNNING), irqs.get(LIVING)), (0, 0));
        chip.join().expect("it does not panic")?;
        drop(irqs);
        module.unload()?;
        gpio_chip_comes_as_before()?;
    }
    // The kernel forgets the names of those who had its lines.
    vm.forgive_leaks();
    Ok(())
}

/// Though both have the same number.
fn an_old_handle_leaves_a_new_one_alone(vm: &mut Vm) -> Result {
    let (module, irqs) = load(vm)?;
    request(&irqs, BOTH)?;
    let number = irqs.call(NUMBER, HERE)?;
    gpio_chip_goes()?;
    gpio_chip_comes()?;
    let (old, new) = (HERE, HERE + 1);
    irqs.call(REQUEST, what(new, LINE, BOTH, RISING))?;
    if irqs.call(NUMBER, new)? != number {
        vm.note("the kernel has given the interrupt another number");
    }
    irqs.call(DROP, old)?;
    assert_eq!(irqs.get(LIVING), 1);
    let before = irqs.get(HARD);
    for n in 1..=10 {
        press(LINE)?;
        eventually("the handler", || irqs.get(HARD) == before + n)?;
    }
    irqs.call(DROP, new)?;
    all_is_gone(&irqs)?;
    drop(irqs);
    module.unload()?;
    // The kernel forgets the names of those who had its lines.
    vm.forgive_leaks();
    gpio_chip_comes_as_before()
}

fn unloading_in_a_storm(vm: &mut Vm) -> Result {
    let press_all = || (0..4).try_for_each(|n| press(GpioLine(LINE.0 + n)));
    while_others(1, press_all, || {
        vm.rounds(|vm| {
            let (module, irqs) = load(vm)?;
            for (place, kind) in KINDS.into_iter().enumerate() {
                let line = GpioLine(LINE.0 + place as u32);
                irqs.call(REQUEST, what(place, line, kind, RISING))?;
            }
            eventually("interrupts", || irqs.get(HARD) > 0 && irqs.get(THREADS) > 0)?;
            assert_eq!(irqs.get(WRONG), 0);
            drop(irqs);
            module.unload()
        })
    })?;
    LINE.becomes_free()?;
    // One that came when nobody was there any more would be the next owner's.
    gpio_chip_comes_as_before()
}

fn unloading_waits_for_a_thread(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let (module, irqs) = load(vm)?;
        request(&irqs, THREADED)?;
        let held = Hold::begin()?;
        press(LINE)?;
        eventually("the thread", || irqs.get(RUNNING) == 1)?;
        let unload = module.unload_in_thread();
        interrupt_is_gone()?;
        assert!(!unload.is_finished());
        drop(held);
        unload.join().expect("it does not panic")
    })
}
