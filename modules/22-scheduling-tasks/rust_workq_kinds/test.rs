// SPDX-License-Identifier: GPL-2.0-only

use crate::prelude::*;

pub const EXAMPLE: Example = Example {
    demo: &["dmesg | grep rust_workq_kinds:"],
    tests: tests![each_kind_runs_where_it_should, unloading_at_once],
    ..Example::EMPTY
};

/// The queues, and whether their workers belong to one CPU, have a high
/// priority, or are none as they run in softirq context.
const KINDS: [(&str, Kind); 10] = [
    ("Percpu", Kind::Cpu),
    ("Highpri", Kind::Highpri),
    ("Long", Kind::Cpu),
    ("Dfl", Kind::Unbound),
    ("DflLong", Kind::Unbound),
    ("Freezable", Kind::Cpu),
    ("PowerEfficient", Kind::Cpu),
    ("FreezablePowerEfficient", Kind::Cpu),
    ("Bh", Kind::SoftIrq),
    ("BhHighpri", Kind::SoftIrq),
];

#[derive(Clone, Copy)]
enum Kind {
    Cpu,
    Highpri,
    Unbound,
    SoftIrq,
}

impl Kind {
    fn fits(self, context: &str, worker: &str) -> bool {
        // kworker/CPU:NUMBER, kworker/CPU:NUMBERH, kworker/uPOOL:NUMBER
        let worker = worker.strip_prefix("kworker/");
        let unbound = worker.is_some_and(|worker| worker.starts_with('u'));
        let high = worker.is_some_and(|worker| worker.ends_with('H'));
        match self {
            Self::Cpu => context == "process" && worker.is_some() && !unbound && !high,
            Self::Highpri => context == "process" && worker.is_some() && !unbound && high,
            Self::Unbound => context == "process" && unbound,
            // Whatever was interrupted.
            Self::SoftIrq => context == "softirq",
        }
    }
}

fn each_kind_runs_where_it_should(vm: &mut Vm) -> Result {
    // Where the administrator prefers to save power, two more are not bound.
    let saves = fs::read_to_string("/sys/module/workqueue/parameters/power_efficient")?;
    assert_eq!(saves, "N\n");

    vm.load("rust_workq_kinds")?.unload()?;
    let said = vm.log().said("rust_workq_kinds")?;
    assert_eq!(said.len(), KINDS.len() + 1, "{said:?}");
    assert!(said.iter().all(|line| line.level == 6), "{said:?}");
    for (name, kind) in KINDS {
        let line = said.iter().find_map(|line| {
            let rest = line.text.strip_prefix(name)?.strip_prefix(": ")?;
            rest.split_once(" context, ")
        });
        let (context, worker) = line.with_context(|| format!("no {name} in {said:?}"))?;
        assert!(kind.fits(context, worker), "{name}: {context}, {worker}");
    }
    // The kernel says so when the first item comes to one that is.
    let log = vm.sh("dmesg")?;
    assert!(!log.contains("deprecated workqueue"), "{log}");
    Ok(())
}

fn unloading_at_once(vm: &mut Vm) -> Result {
    vm.rounds(|vm| vm.load("rust_workq_kinds")?.unload())
}
