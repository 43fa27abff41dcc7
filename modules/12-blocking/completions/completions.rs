// SPDX-License-Identifier: GPL-2.0-only

//! Two kernel threads, of which one waits for the other: the crank is turned
//! before the flywheel spins up.
//!
//! Book: 12.2 Completions

use kernel::{
    prelude::*,
    sync::Arc, //
};
use lkm::{
    kthread::{
        KThread,
        ThisThread, //
    },
    sync::Completion, //
};

module! {
    type: Completions,
    name: "completions",
    authors: ["lkmpg-rs"],
    description: "Completions example",
    license: "GPL",
}

#[pin_data]
struct Machine {
    #[pin]
    crank_comp: Completion,
    #[pin]
    flywheel_comp: Completion,
}

impl Machine {
    fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            crank_comp <- Completion::new(),
            flywheel_comp <- Completion::new(),
        })
    }

    fn turn_crank(&self, _this: &ThisThread) -> Result {
        pr_info!("Turn the crank\n");
        self.crank_comp.complete_all();
        Ok(())
    }

    fn spin_up_flywheel(&self, _this: &ThisThread) -> Result {
        // Interruptible: if there can be no crank, this thread is asked to stop.
        self.crank_comp.wait_interruptible()?;
        pr_info!("Flywheel spins up\n");
        self.flywheel_comp.complete_all();
        Ok(())
    }
}

struct Completions {
    machine: Arc<Machine>,
    // Dropping them waits until they have left the module, which the completions
    // do not say.
    _flywheel: KThread,
    _crank: KThread,
}

impl kernel::Module for Completions {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        pr_info!("completions example\n");
        let machine = Arc::pin_init(Machine::new(), GFP_KERNEL)?;
        let (flywheel, crank) = (machine.clone(), machine.clone());
        Ok(Self {
            machine,
            _flywheel: KThread::spawn(c"KThread Flywheel", move |this| {
                flywheel.spin_up_flywheel(this)
            })?,
            _crank: KThread::spawn(c"KThread Crank", move |this| crank.turn_crank(this))?,
        })
    }
}

impl Drop for Completions {
    fn drop(&mut self) {
        self.machine.crank_comp.wait();
        self.machine.flywheel_comp.wait();
        pr_info!("completions exit\n");
    }
}
