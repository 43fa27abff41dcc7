// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    demo: &["sleep 1", "dmesg | grep later"],
    tests: tests![
        runs_when_the_delay_is_over,
        unloading_cancels_it,
        unloading_when_the_delay_ends,
        bad_delays,
    ],
    ..Example::EMPTY
};

const EXIT: &str = "Rust work queue sample (exit)";

fn said(vm: &mut Vm) -> Result<Vec<Line>> {
    vm.log().said("rust_delayed_work")
}

/// After how many milliseconds the work ran, as its line says.
fn passed(line: &str) -> Option<u64> {
    let passed = line.strip_prefix("Hello from a work item, ")?;
    passed.strip_suffix(" ms later")?.parse().ok()
}

/// Loads the module, and says after how many milliseconds the work ran.
fn ran_after(vm: &mut Vm, delay: u64) -> Result<u64> {
    vm.log().mark()?;
    let module = vm.load_with("rust_delayed_work", &format!("delay_ms={delay}"))?;
    let line = vm.log().expect("Hello from a work item")?;
    let line = line.trim_start_matches("rust_delayed_work: ");
    module.unload()?;
    assert_eq!(said(vm)?, [line, EXIT].map(info));
    passed(line).context("a number of milliseconds")
}

/// A delay is a number of ticks, the work's line tells the clock's time. They
/// differ when ticks are counted late, as on a virtual processor that the host
/// has not run for a while: there the work is early by the clock at times, but
/// not each time.
fn runs_when_the_delay_is_over(vm: &mut Vm) -> Result {
    for delay in [0, 50, 100] {
        let mut passed = Vec::new();
        while passed.last().is_none_or(|last| *last < delay) {
            assert!(passed.len() < 10, "{passed:?} ms, not {delay}");
            passed.push(ran_after(vm, delay)?);
        }
    }
    let module = vm.load("rust_delayed_work")?;
    assert_eq!(module.param("delay_ms")?, "100");
    Ok(())
}

/// A timer that nobody cancels would go off in a module that is gone.
fn unloading_cancels_it(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        vm.log().mark()?;
        vm.load_with("rust_delayed_work", "delay_ms=4294967295")?
            .unload()?;
        assert_eq!(said(vm)?, ["Cancelled", EXIT].map(info));
        Ok(())
    })
}

fn unloading_when_the_delay_ends(vm: &mut Vm) -> Result {
    let mut delay = 0;
    vm.rounds(|vm| {
        delay = (delay + 1) % 8;
        vm.log().mark()?;
        let module = vm.load_with("rust_delayed_work", &format!("delay_ms={delay}"))?;
        thread::sleep(Duration::from_millis(delay));
        module.unload()?;
        let said = said(vm)?;
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].text == "Cancelled" || passed(&said[0].text).is_some());
        assert_eq!(said[1], info(EXIT));
        Ok(())
    })
}

fn bad_delays(vm: &mut Vm) -> Result {
    let refused = |vm: &mut Vm, value| vm.load_fails("rust_delayed_work", value);
    assert_eq!(refused(vm, "delay_ms=-1")?, Errno::INVAL);
    assert_eq!(refused(vm, "delay_ms=soon")?, Errno::INVAL);
    assert_eq!(refused(vm, "delay_ms=4294967296")?, Errno::RANGE);
    Ok(())
}
