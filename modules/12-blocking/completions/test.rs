// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    demo: &["dmesg | grep completions:"],
    tests: tests![the_crank_before_the_flywheel, the_threads_end_by_themselves],
    ..Example::EMPTY
};

/// How often the order is looked at.
const RUNS: u32 = 500;

const LINES: [&str; 4] = [
    "completions example",
    "Turn the crank",
    "Flywheel spins up",
    "completions exit",
];

fn check(vm: &mut Vm) -> Result {
    assert_eq!(vm.log().said("completions")?, LINES.map(info));
    Ok(())
}

/// It is unloaded at once, when its threads may not have begun, or are about to
/// end: the book's could be freed while they were still in it.
fn the_crank_before_the_flywheel(vm: &mut Vm) -> Result {
    vm.many_rounds(RUNS, |vm| {
        vm.log().mark()?;
        vm.load("completions")?.unload()?;
        check(vm)
    })
}

fn the_threads_end_by_themselves(vm: &mut Vm) -> Result {
    let module = vm.load("completions")?;
    vm.log().expect(LINES[2])?;
    let threads = || live_tasks(|name| name.starts_with("KThread "));
    eventually("the threads", || threads().is_empty())?;
    module.unload()?;
    check(vm)
}
