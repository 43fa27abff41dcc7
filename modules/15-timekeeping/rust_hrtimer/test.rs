// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    demo: &["sleep 1", "dmesg | grep tick"],
    tests: tests![
        ticks_so_often,
        never_ticks_early,
        ticks_in_time,
        unloading_before_the_first_tick,
        unloading_while_it_ticks,
        bad_values,
    ],
    ..Example::EMPTY
};

const EXIT: &str = "Rust timer sample (exit)";

fn tick(number: usize) -> String {
    format!("tick {number} in hardirq context")
}

/// The ticks, when the module has ticked and was unloaded.
fn ticks(vm: &mut Vm) -> Result<Vec<Line>> {
    let mut said = vm.log().said("rust_hrtimer")?;
    let last = said.pop().context("nothing was said")?;
    assert_eq!(last, info(EXIT));
    for (line, number) in said.iter().zip(1..) {
        assert_eq!(*line, info(tick(number)));
    }
    Ok(said)
}

fn ticks_so_often(vm: &mut Vm) -> Result {
    for count in [1, 2, 5] {
        vm.log().mark()?;
        let params = format!("interval_ms=10 ticks={count}");
        let module = vm.load_with("rust_hrtimer", &params)?;
        vm.log().expect(&tick(count))?;
        thread::sleep(Duration::from_millis(50));
        module.unload()?;
        assert_eq!(ticks(vm)?.len(), count);
    }
    let module = vm.load("rust_hrtimer")?;
    assert_eq!(module.param("interval_ms")?, "100");
    assert_eq!(module.param("ticks")?, "5");
    Ok(())
}

/// A tick can be late, but the next is not later for it: from the load it is
/// never less than its number of intervals, of which some may have been missed.
fn never_ticks_early(vm: &mut Vm) -> Result {
    const INTERVAL: u64 = 20;
    // What the log's clock and the timer's may differ by.
    const SLACK: u64 = 1000;
    let begin = Instant::now();
    let params = format!("interval_ms={INTERVAL} ticks=10");
    let module = vm.load_with("rust_hrtimer", &params)?;
    vm.log().expect(&tick(10))?;
    let took = begin.elapsed();
    assert!(took >= Duration::from_millis(10 * INTERVAL), "{took:?}");
    module.unload()?;
    let ticks = ticks(vm)?;
    assert_eq!(ticks.len(), 10);
    let span = ticks[9].micros - ticks[0].micros;
    // The first may have been as late as it likes.
    assert!(span + SLACK >= 8 * INTERVAL * 1000, "{span} us");
    Ok(())
}

/// Unless the machine has something else to do, each time.
fn ticks_in_time(vm: &mut Vm) -> Result {
    let mut spans = Vec::new();
    for _ in 0..10 {
        vm.log().mark()?;
        let module = vm.load("rust_hrtimer")?;
        vm.log().expect(&tick(5))?;
        module.unload()?;
        let ticks = ticks(vm)?;
        let span = ticks[4].micros - ticks[0].micros;
        // Four intervals of 100 ms.
        if span < 600_000 {
            return Ok(());
        }
        spans.push(span);
    }
    bail!("from the first tick to the fifth: {spans:?} us")
}

/// The timer of a module that is gone would go off in nothing.
fn unloading_before_the_first_tick(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        vm.log().mark()?;
        vm.load_with("rust_hrtimer", "interval_ms=4294967295")?
            .unload()?;
        assert_eq!(ticks(vm)?.len(), 0);
        Ok(())
    })
}

fn unloading_while_it_ticks(vm: &mut Vm) -> Result {
    let mut round = 0;
    vm.rounds(|vm| {
        round += 1;
        vm.log().mark()?;
        let module = vm.load_with("rust_hrtimer", "interval_ms=1 ticks=0")?;
        if round % 2 == 0 {
            vm.log().expect(&tick(1))?;
        }
        module.unload()?;
        ticks(vm)?;
        Ok(())
    })
}

fn bad_values(vm: &mut Vm) -> Result {
    let mut refused = |params| vm.load_fails("rust_hrtimer", params);
    assert_eq!(refused("interval_ms=0")?, Errno::INVAL);
    assert_eq!(refused("interval_ms=soon")?, Errno::INVAL);
    assert_eq!(refused("ticks=-1")?, Errno::INVAL);
    assert_eq!(refused("ticks=4294967296")?, Errno::RANGE);
    Ok(())
}
