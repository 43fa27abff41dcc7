// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    demo: &["cat /proc/[0-9]*/comm | grep HELLOWORLD || true"],
    tests: tests![
        the_work_runs_once,
        a_worker_of_the_queue_runs_it,
        unloading_at_once,
    ],
    ..Example::EMPTY
};

const LINE: &str = "work handler function.";

fn the_work_runs_once(vm: &mut Vm) -> Result {
    let module = vm.load("sched")?;
    vm.log().expect(LINE)?;
    module.unload()?;
    assert_eq!(vm.log().said("sched")?, [info(LINE)]);
    Ok(())
}

/// Until it does other work, a worker shows the queue that it worked for last.
/// Others may have work for it at once, but not every time.
fn a_worker_of_the_queue_runs_it(vm: &mut Vm) -> Result {
    let mut seen = Vec::new();
    for _ in 0..20 {
        vm.log().mark()?;
        let module = vm.load("sched")?;
        vm.log().expect(LINE)?;
        let names = vm.sh("cat /proc/[0-9]*/comm 2>/dev/null || true")?;
        module.unload()?;
        let workers = names.lines().filter(|name| name.starts_with("kworker/u"));
        seen = workers.map(str::to_owned).collect();
        if seen.iter().any(|name| name.ends_with("-HELLOWORLD")) {
            return Ok(());
        }
    }
    bail!("no worker of the queue, but {seen:?}")
}

/// The work has run when the module is gone, however soon that is.
fn unloading_at_once(vm: &mut Vm) -> Result {
    vm.rounds(|vm| {
        vm.log().mark()?;
        vm.load("sched")?.unload()?;
        assert_eq!(vm.log().said("sched")?.len(), 1);
        Ok(())
    })
}
