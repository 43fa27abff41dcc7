// SPDX-License-Identifier: GPL-2.0-only

//! Objects that user space makes: groups by mkdir in /sys/kernel/config/rust_configfs, and
//! children by mkdir in a group.
//!
//! Book: 8 sysfs: Interacting with your module

use core::ffi::CStr;
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    },
};
use lkm::{
    configfs::{
        self,
        Item, //
    },
    file::mode,
    sysfs::{
        self,
        Attribute, //
    },
};

module! {
    type: RustConfigfs,
    name: "rust_configfs",
    authors: ["lkmpg-rs"],
    description: "Objects in configfs that user space makes",
    license: "GPL",
}

/// How many children there are. All who have it share it.
type Count = Arc<Atomic<u32>>;

/// The directory `rust_configfs` itself.
struct Top {
    children: Count,
}

static TOP: [Attribute<Top>; 2] = [
    Attribute::read_only(c"description", mode!(0o444), |_top, page| {
        writeln!(
            page,
            "Make a group here, by mkdir, and a child in the group."
        )
    }),
    Attribute::read_only(c"children", mode!(0o444), |top, page| {
        writeln!(page, "{}", top.children.load(Relaxed))
    }),
];

#[vtable]
impl Item for Top {
    type Child = Group;

    fn attributes() -> &'static [Attribute<Self>] {
        &TOP
    }

    /// Called for `mkdir rust_configfs/NAME`. The value that this returns lives as long as
    /// the directory: it is dropped by rmdir.
    fn make(&self, _name: &CStr) -> impl PinInit<Group, Error> {
        Ok(Group {
            children: self.children.clone(),
        })
    }
}

/// A directory in that. It has no files.
struct Group {
    children: Count,
}

#[vtable]
impl Item for Group {
    type Child = Child;

    /// An error is that of mkdir.
    fn make(&self, name: &CStr) -> impl PinInit<Child, Error> {
        Child::new(name, &self.children)
    }
}

/// A directory in a group.
struct Child {
    storeme: Atomic<i32>,
    children: Count,
}

static CHILD: [Attribute<Child>; 1] = [Attribute::read_write(
    c"storeme",
    mode!(0o644),
    |child, page| writeln!(page, "{}", child.storeme.load(Relaxed)),
    |child, text| {
        child.storeme.store(sysfs::parse(text)?, Relaxed);
        Ok(())
    },
)];

impl Child {
    fn new(name: &CStr, children: &Count) -> Result<Self> {
        // Any name that a file can have gets here. This module has its own idea of names.
        if name.to_bytes().starts_with(b"no") {
            return Err(EPERM);
        }
        children.fetch_add(1, Relaxed);
        Ok(Self {
            storeme: Atomic::new(0),
            children: children.clone(),
        })
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // One less: an atomic number goes round.
        self.children.fetch_add(u32::MAX, Relaxed);
    }
}

#[vtable]
impl Item for Child {
    // Nothing can be made in a child.
    type Child = ();

    fn attributes() -> &'static [Attribute<Self>] {
        &CHILD
    }
}

struct RustConfigfs {
    _subsystem: configfs::Subsystem<Top>,
}

impl kernel::Module for RustConfigfs {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let top = Top {
            children: Arc::new(Atomic::new(0), GFP_KERNEL)?,
        };
        Ok(Self {
            _subsystem: configfs::Subsystem::new(c"rust_configfs", top)?,
        })
    }
}
