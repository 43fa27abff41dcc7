// SPDX-License-Identifier: GPL-2.0-only

//! An item of work on each queue that the kernel has for all to use.
//!
//! Write-up: Workqueue

use kernel::prelude::*;
use lkm::{
    context::{
        Context,
        CurrentName, //
    },
    workqueue::{
        new_work,
        SystemQueue::{
            self,
            *, //
        },
        Work,
        WorkItem, //
    },
};

module! {
    type: RustQueues,
    name: "rust_workq_kinds",
    authors: ["lkmpg-rs"],
    description: "Rust work queue sample: the kernel's own queues",
    license: "GPL",
}

/// All but two: `system_wq` and `system_unbound_wq` are deprecated, and only say
/// so in the log when they are used. `Percpu` and `Dfl` are their new names.
const QUEUES: [SystemQueue; 10] = [
    Percpu,
    Highpri,
    Long,
    Dfl,
    DflLong,
    Freezable,
    PowerEfficient,
    FreezablePowerEfficient,
    Bh,
    BhHighpri,
];

struct Example(SystemQueue);

impl WorkItem for Example {
    fn run(work: &Work<Self>) {
        let context = Context::current();
        pr_info!("{:?}: {context} context, {CurrentName}\n", work.0);
    }
}

struct RustQueues {
    works: KVec<Work<Example>>,
}

impl kernel::Module for RustQueues {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let mut works = KVec::new();
        for queue in QUEUES {
            let work = new_work!(queue, Example(queue))?;
            work.enqueue();
            works.push(work, GFP_KERNEL)?;
        }
        Ok(Self { works })
    }
}

impl Drop for RustQueues {
    fn drop(&mut self) {
        for work in &self.works {
            work.flush();
        }
        pr_info!("Rust work queue sample (exit)\n");
    }
}
