// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;
use commands::*;

mod commands;

pub const EXAMPLE: Example = Example {
    tests: tests![
        an_item_runs_once_for_each_time,
        an_item_that_runs_can_be_enqueued,
        items_run_in_order,
        items_of_a_wide_queue_run_side_by_side,
        items_run_in_the_context_of_their_queue,
        workers_show_the_queue,
        an_item_enqueues_itself,
        delays,
        no_delay_is_too_long_or_too_short,
        delays_are_modified,
        flushing_ends_a_delay,
        flushing_waits,
        cancelling_takes_out,
        cancelling_waits,
        cancelling_ends_repetition,
        closures_run_once_and_are_freed,
        a_closure_may_wait_for_another,
        dropping_a_queue_waits_for_closures,
        queues_that_cannot_be,
        unloading_while_an_item_sleeps,
        unloading_before_a_delay_is_over,
        unloading_while_an_item_enqueues_itself,
        unloading_while_closures_sleep,
    ],
    ..Example::EMPTY
};

const PATH: &str = "/proc/workqueues";

/// A delay that no test waits for, in milliseconds: 12 days.
const LONG: usize = 1 << 30;

// The items, by their queues.
const ORDERED: [usize; 3] = [0, 1, 2];
const WIDE: [usize; 2] = [3, 4];
const PERCPU: usize = 5;
const SYSTEM: usize = 6;
const BH: usize = 7;
const SYSTEM_BH: usize = 8;

struct Queues(Control);

impl Queues {
    fn load(vm: &mut Vm) -> Result<(Module, Self)> {
        let module = vm.load("workqueues")?;
        Ok((module, Self(Control::open(PATH)?)))
    }

    fn call(&self, command: u32, argument: usize) -> Answer {
        self.0.call(command, argument)
    }

    /// Does something to an item; panics when it cannot.
    fn item(&self, command: u32, item: usize) -> usize {
        self.with(command, item, 0)
    }

    fn with(&self, command: u32, item: usize, value: usize) -> usize {
        self.call(command, item | (value << 8)).unwrap()
    }

    /// Enqueues an item that waits to be released, and waits until it does.
    fn hold(&self, item: usize) -> Result {
        self.with(HOLD, item, 1);
        assert_eq!(self.item(ENQUEUE, item), 1);
        eventually("the item to run", || self.item(RUNNING, item) == 1)
    }

    fn order(&self) -> Result<String> {
        Ok(fs::read_to_string(PATH)?)
    }
}

fn an_item_runs_once_for_each_time(vm: &mut Vm) -> Result {
    let (_module, queues) = Queues::load(vm)?;
    for item in ORDERED.into_iter().chain(WIDE).chain([PERCPU, SYSTEM]) {
        assert_eq!(queues.item(FLUSH, item), 0, "nothing to wait for");
        for times in 1..=20 {
            assert_eq!(queues.item(ENQUEUE, item), 1);
            queues.item(FLUSH, item);
            assert_eq!(queues.item(RUNS, item), times);
        }
        assert_eq!(queues.item(MOST, item), 1);
    }
    // Enqueued while it waits for its turn, it runs once.
    queues.hold(ORDERED[0])?;
    assert_eq!(queues.item(ENQUEUE, ORDERED[1]), 1);
    assert_eq!(queues.item(ENQUEUE, ORDERED[1]), 0);
    queues.item(RELEASE, 0);
    queues.item(FLUSH, ORDERED[1]);
    assert_eq!(queues.item(RUNS, ORDERED[1]), 21);
    assert_eq!(queues.call(ENQUEUE, 99), Err(Errno::INVAL));
    Ok(())
}

fn an_item_that_runs_can_be_enqueued(vm: &mut Vm) -> Result {
    let (_module, queues) = Queues::load(vm)?;
    for item in [ORDERED[0], WIDE[0], PERCPU, SYSTEM] {
        queues.hold(item)?;
        assert_eq!(queues.item(ENQUEUE, item), 1);
        assert_eq!(queues.item(ENQUEUE, item), 0);
        queues.item(RELEASE, item);
        queues.item(FLUSH, item);
        assert_eq!(queues.item(RUNS, item), 2);
        assert_eq!(queues.item(MOST, item), 1, "never twice at once");
    }
    Ok(())
}

fn items_run_in_order(vm: &mut Vm) -> Result {
    let (_module, queues) = Queues::load(vm)?;
    for _ in 0..50 {
        fs::write(PATH, "clear")?;
        queues.hold(ORDERED[0])?;
        for item in [1, 2, 0] {
            assert_eq!(queues.item(ENQUEUE, ORDERED[item]), 1);
        }
        assert_eq!(queues.item(RUNNING, ORDERED[1]), 0, "one at a time");
        queues.item(RELEASE, 0);
        queues.item(FLUSH, ORDERED[0]);
        assert_eq!(queues.order()?, "0120");
    }
    Ok(())
}

fn items_of_a_wide_queue_run_side_by_side(vm: &mut Vm) -> Result {
    let (_module, queues) = Queues::load(vm)?;
    for item in WIDE {
        queues.hold(item)?;
    }
    for item in WIDE {
        assert_eq!(queues.item(RUNNING, item), 1);
    }
    Ok(())
}

fn items_run_in_the_context_of_their_queue(vm: &mut Vm) -> Result {
    let (_module, queues) = Queues::load(vm)?;
    let (process, softirq) = (0, 1);
    let all = [
        (ORDERED[0], process),
        (WIDE[0], process),
        (PERCPU, process),
        (SYSTEM, process),
        (BH, softirq),
        (SYSTEM_BH, softirq),
    ];
    for (item, context) in all {
        queues.item(ENQUEUE, item);
        queues.item(FLUSH, item);
        assert_eq!(queues.item(CONTEXT, item), context, "item {item}");
    }
    Ok(())
}

fn workers_show_the_queue(vm: &mut Vm) -> Result {
    let (_module, queues) = Queues::load(vm)?;
    let all = [
        (ORDERED[0], "lkm_ordered", true),
        (WIDE[0], "lkm_wide", true),
        (PERCPU, "lkm_percpu", false),
        (SYSTEM, "events_unbound", true),
    ];
    for (item, queue, unbound) in all {
        queues.hold(item)?;
        let end = format!("+{queue}");
        let workers = live_tasks(|name| name.ends_with(&end));
        let name = &workers.first().with_context(|| format!("no {end}"))?.name;
        assert_eq!(name.starts_with("kworker/u"), unbound, "{name}");
        queues.item(RELEASE, item);
        queues.item(FLUSH, item);
    }
    Ok(())
}

fn an_item_enqueues_itself(vm: &mut Vm) -> Result {
    let (_module, queues) = Queues::load(vm)?;
    for item in [ORDERED[0], WIDE[0], PERCPU, SYSTEM, BH, SYSTEM_BH] {
        queues.with(REPEAT, item, 10);
        queues.item(ENQUEUE, item);
        eventually("the item to repeat", || queues.item(RUNS, item) == 11)?;
        queues.item(FLUSH, item);
        assert_eq!(queues.item(RUNS, item), 11);
    }
    Ok(())
}

fn delays(vm: &mut Vm) -> Result {
    let (_module, queues) = Queues::load(vm)?;
    for item in [ORDERED[0], SYSTEM, BH] {
        assert_eq!(queues.with(ENQUEUE_DELAYED, item, 5), 1);
        eventually("the item to run", || queues.item(RUNS, item) == 1)?;
        assert_eq!(queues.with(ENQUEUE_DELAYED, item, LONG), 1);
        assert_eq!(queues.with(ENQUEUE_DELAYED, item, 0), 0);
        assert_eq!(queues.item(ENQUEUE, item), 0);
        thread::sleep(Duration::from_millis(100));
        assert_eq!(queues.item(RUNS, item), 1);
    }
    Ok(())
}

/// A long delay does not end early, and a negative one is none.
fn no_delay_is_too_long_or_too_short(vm: &mut Vm) -> Result {
    let (_module, queues) = Queues::load(vm)?;
    for item in [ORDERED[0], SYSTEM, BH] {
        for (n, delay) in FAR.into_iter().enumerate() {
            assert_eq!(queues.with(ENQUEUE_FAR, item, n), 1);
            if delay > 0 {
                thread::sleep(Duration::from_millis(20));
                assert_eq!(queues.item(RUNS, item), n, "{delay}");
                queues.item(FLUSH, item);
            }
            eventually("a run", || queues.item(RUNS, item) == n + 1)?;
        }
    }
    Ok(())
}

fn delays_are_modified(vm: &mut Vm) -> Result {
    let (module, queues) = Queues::load(vm)?;
    let pending = |item| queues.item(IS_PENDING, item) == 1;
    for item in [ORDERED[0], SYSTEM, BH] {
        assert!(!pending(item));
        assert_eq!(queues.with(MODIFY, item, LONG), 0, "there was none");
        assert!(pending(item));
        assert_eq!(queues.with(MODIFY, item, 2 * LONG), 1);
        assert_eq!(queues.item(RUNS, item), 0);
        assert_eq!(queues.with(MODIFY, item, 1), 1);
        eventually("the item to run", || queues.item(RUNS, item) == 1)?;
        assert!(!pending(item));
    }
    // One that runs is not pending, and can be by being enqueued.
    queues.hold(SYSTEM)?;
    assert!(!pending(SYSTEM));
    assert_eq!(queues.with(MODIFY, SYSTEM, LONG), 0);
    assert!(pending(SYSTEM));
    queues.item(RELEASE, SYSTEM);
    module.unload()
}

fn flushing_ends_a_delay(vm: &mut Vm) -> Result {
    let (_module, queues) = Queues::load(vm)?;
    for item in [ORDERED[0], SYSTEM, BH] {
        assert_eq!(queues.with(ENQUEUE_DELAYED, item, LONG), 1);
        queues.item(FLUSH, item);
        assert_eq!(queues.item(RUNS, item), 1);
    }
    Ok(())
}

/// A thread that does `command` to an item, and waits for as long as it runs.
fn waits_for(vm: &mut Vm, command: u32) -> Result<usize> {
    let (_module, queues) = Queues::load(vm)?;
    queues.hold(SYSTEM)?;
    let waiter = queues.0.caller(command, SYSTEM)?;
    waiter.sleeps()?;
    assert_eq!(queues.item(RUNS, SYSTEM), 0);
    queues.item(RELEASE, SYSTEM);
    let answer = waiter.end()??;
    assert_eq!(queues.item(RUNS, SYSTEM), 1);
    assert_eq!(queues.item(RUNNING, SYSTEM), 0);
    Ok(answer)
}

fn flushing_waits(vm: &mut Vm) -> Result {
    assert_eq!(waits_for(vm, FLUSH)?, 1);
    Ok(())
}

fn cancelling_waits(vm: &mut Vm) -> Result {
    assert_eq!(waits_for(vm, CANCEL)?, 0);
    Ok(())
}

fn cancelling_takes_out(vm: &mut Vm) -> Result {
    let (_module, queues) = Queues::load(vm)?;
    for item in [ORDERED[1], SYSTEM, BH] {
        assert_eq!(queues.item(CANCEL, item), 0);
        assert_eq!(queues.with(ENQUEUE_DELAYED, item, LONG), 1);
        assert_eq!(queues.item(CANCEL, item), 1);
        assert_eq!(queues.item(RUNS, item), 0);
    }
    // One that waits for its turn.
    queues.hold(ORDERED[0])?;
    assert_eq!(queues.item(ENQUEUE, ORDERED[1]), 1);
    assert_eq!(queues.item(CANCEL, ORDERED[1]), 1);
    queues.item(RELEASE, ORDERED[0]);
    queues.item(FLUSH, ORDERED[0]);
    assert_eq!(queues.item(RUNS, ORDERED[1]), 0);
    // It is as before.
    assert_eq!(queues.item(ENQUEUE, ORDERED[1]), 1);
    queues.item(FLUSH, ORDERED[1]);
    assert_eq!(queues.item(RUNS, ORDERED[1]), 1);
    Ok(())
}

fn cancelling_ends_repetition(vm: &mut Vm) -> Result {
    let (_module, queues) = Queues::load(vm)?;
    for item in [ORDERED[0], WIDE[0], PERCPU, SYSTEM, BH, SYSTEM_BH] {
        for _ in 0..20 {
            let before = queues.item(RUNS, item);
            queues.with(REPEAT, item, ENDLESS);
            queues.item(ENQUEUE, item);
            eventually("the item", || queues.item(RUNS, item) > before + 2)?;
            queues.item(CANCEL, item);
            let after = queues.item(RUNS, item);
            assert_eq!(queues.item(RUNNING, item), 0);
            queues.with(REPEAT, item, 0);
            queues.item(ENQUEUE, item);
            queues.item(FLUSH, item);
            assert_eq!(queues.item(RUNS, item), after + 1, "item {item}");
        }
    }
    Ok(())
}

fn closures_run_once_and_are_freed(vm: &mut Vm) -> Result {
    let (_module, queues) = Queues::load(vm)?;
    for _ in 0..100 {
        queues.call(SPAWN, 0)?;
    }
    queues.call(FLUSH_QUEUE, 0)?;
    assert_eq!(queues.call(SPAWNED, 0)?, 100);
    assert_eq!(queues.call(OWNED, 0)?, 0);
    Ok(())
}

/// To the kernel an item at the address of one that runs, with its function, is that one.
fn a_closure_may_wait_for_another(vm: &mut Vm) -> Result {
    let (_module, queues) = Queues::load(vm)?;
    for count in 1..=20 {
        queues.call(CHAIN, 0)?;
        queues.call(FLUSH_QUEUE, 0)?;
        assert_eq!(queues.call(SPAWNED, 0)?, count);
    }
    Ok(())
}

fn dropping_a_queue_waits_for_closures(vm: &mut Vm) -> Result {
    let (_module, queues) = Queues::load(vm)?;
    assert_eq!(queues.call(DROP_QUEUE, 20)?, 20);
    assert_eq!(queues.call(OWNED, 0)?, 0);
    Ok(())
}

fn queues_that_cannot_be(vm: &mut Vm) -> Result {
    let (_module, queues) = Queues::load(vm)?;
    let (bh, unbound, reclaim, highpri, percpu) = (1, 1 << 1, 1 << 3, 1 << 4, 1 << 8);
    let sysfs = 1 << 6;
    let good = [
        (unbound, 0),
        (unbound, 1),
        (unbound | reclaim | highpri, 2048),
        (percpu, 3),
        (bh | percpu, 0),
        (bh | percpu | highpri, 0),
        (unbound | NO_NAME, 0),
    ];
    let bad = [
        (0, 0),
        (unbound | percpu, 0),
        (unbound, 2049),
        (unbound, 0xffff_ffff),
        (bh, 0),
        (bh | unbound, 0),
        (bh | percpu, 1),
        (bh | percpu | reclaim, 0),
        (unbound | sysfs | NO_NAME, 0),
    ];
    let new = |(flags, most): (usize, usize)| queues.call(NEW_QUEUE, flags | (most << 32));
    for queue in good {
        assert_eq!(new(queue), Ok(0), "{queue:x?}");
    }
    for queue in bad {
        assert_eq!(new(queue), Err(Errno::INVAL), "{queue:x?}");
    }
    let ordered = |flags| queues.call(NEW_ORDERED, flags);
    for flags in [0, reclaim, highpri | reclaim] {
        assert_eq!(ordered(flags), Ok(0), "{flags:x}");
    }
    for flags in [bh, unbound, percpu, sysfs] {
        assert_eq!(ordered(flags), Err(Errno::INVAL), "{flags:x}");
    }
    Ok(())
}

fn unloading_while_an_item_sleeps(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let (module, queues) = Queues::load(vm)?;
        for item in [ORDERED[0], WIDE[0], PERCPU, SYSTEM] {
            queues.with(NAP, item, 20);
            queues.item(ENQUEUE, item);
        }
        eventually("the item", || {
            queues.item(RUNNING, SYSTEM) + queues.item(RUNS, SYSTEM) == 1
        })?;
        module.unload()
    })
}

fn unloading_before_a_delay_is_over(vm: &mut Vm) -> Result {
    let mut delay = 0;
    vm.rounds(|vm| {
        let (module, queues) = Queues::load(vm)?;
        // Some are never over, some are while it unloads.
        delay = (delay + 1) % 4;
        for item in [ORDERED[0], ORDERED[1], PERCPU, SYSTEM, BH] {
            queues.with(ENQUEUE_DELAYED, item, LONG);
        }
        for item in [WIDE[0], WIDE[1], SYSTEM_BH] {
            queues.with(ENQUEUE_DELAYED, item, delay);
        }
        module.unload()
    })
}

fn unloading_while_an_item_enqueues_itself(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let (module, queues) = Queues::load(vm)?;
        for item in [ORDERED[0], WIDE[0], PERCPU, SYSTEM, BH, SYSTEM_BH] {
            queues.with(REPEAT, item, ENDLESS);
            queues.item(ENQUEUE, item);
        }
        eventually("the items", || {
            queues.item(RUNS, SYSTEM) > 2 && queues.item(RUNS, BH) > 2
        })?;
        module.unload()
    })
}

fn unloading_while_closures_sleep(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        let (module, queues) = Queues::load(vm)?;
        for _ in 0..5 {
            queues.call(SPAWN, 5)?;
        }
        module.unload()
    })
}
