// SPDX-License-Identifier: GPL-2.0-only

//! A number in /sys that user space can read and change.
//!
//! Book: 8 sysfs: Interacting with your module

use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};
use lkm::{
    file::mode,
    sysfs::{
        self,
        Page, //
    },
    OnDrop, //
};

module! {
    type: HelloSysfs,
    name: "hello-sysfs",
    authors: ["lkmpg-rs"],
    description: "A number in /sys: /sys/kernel/mymodule/myvariable",
    license: "GPL",
}

static ATTRIBUTES: [sysfs::Attribute<MyVariable>; 1] = [sysfs::Attribute::read_write(
    c"myvariable",
    mode!(0o660),
    MyVariable::show,
    MyVariable::store,
)];

/// The variable you want to be able to change. Several processes may do so at
/// the same time.
struct MyVariable(Atomic<i32>);

impl MyVariable {
    fn show(&self, page: &mut Page<'_>) -> Result {
        writeln!(page, "{}", self.0.load(Relaxed))
    }

    fn store(&self, text: &[u8]) -> Result {
        self.0.store(sysfs::parse(text)?, Relaxed);
        Ok(())
    }
}

struct HelloSysfs {
    _mymodule: sysfs::Dir<MyVariable>,
    // Dropped last, when the directory is gone.
    _exit: OnDrop,
}

impl kernel::Module for HelloSysfs {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let myvariable = MyVariable(Atomic::new(0));
        let mymodule = sysfs::Dir::new(c"mymodule", &ATTRIBUTES, myvariable)?;
        pr_info!("mymodule: initialized\n");
        Ok(Self {
            _mymodule: mymodule,
            _exit: OnDrop(|| pr_info!("mymodule: Exit success\n")),
        })
    }
}
