// SPDX-License-Identifier: GPL-2.0-only

//! Virtual input devices, which a write to a file in sysfs makes. What they are is said by
//! other modules, which this one is there for.
//!
//! Book: 24 Virtual Input Device Driver

use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    },
};
use lkm::{
    chrdev,
    file::mode,
    interface::{
        Exported,
        Remote, //
    },
    sysfs::{
        self,
        Attribute, //
    },
    OnDrop, //
};

mod api;
mod device;

use api::{
    Driver,
    Vinput, //
};
use device::Virtual;

module! {
    type: Module,
    name: "vinput",
    authors: ["lkmpg-rs"],
    description: "Emulate input events",
    license: "GPL",
}

lkm::export! {
    /// What drivers call.
    static VINPUT: dyn Vinput = vinput;
}

/// How many devices there can be.
const MAX_VINPUT: u32 = 32;
/// The longest name of a type, in bytes.
const MAX_NAME: usize = 15;

/// The devices, and the class that they are in: `/sys/class/vinput`.
type Class = chrdev::Class<Virtual, Types>;

static ATTRIBUTES: [Attribute<Class>; 2] = [
    Attribute::write_only(c"export", mode!(0o200), export),
    Attribute::write_only(c"unexport", mode!(0o200), unexport),
];

/// A type of devices.
struct Type {
    number: u64,
    /// A text.
    name: KVec<u8>,
    driver: Remote<dyn Driver>,
}

impl Type {
    fn name(&self) -> &str {
        core::str::from_utf8(&self.name).unwrap_or_default()
    }
}

struct List {
    types: KVec<Type>,
    next: u64,
}

#[pin_data]
struct Types {
    /// Who makes a device, or takes one away, has it locked.
    #[pin]
    list: Mutex<List>,
}

/// Makes a device of the type that was written: `echo vkbd >/sys/class/vinput/export`.
fn export(class: &Class, text: &[u8]) -> Result {
    let name = text.strip_suffix(b"\n").unwrap_or(text);
    let list = class.data().list.lock();
    let found = list.types.iter().find(|it| it.name().as_bytes() == name);
    let Some(found) = found else {
        pr_info!("This virtual device isn't registered\n");
        return Err(ENODEV);
    };
    // The node comes last, when all that it leads to is there.
    let minor = class.add(|minor| Virtual::new(found, minor))?;
    let name = found.name();
    pr_info!("vinput{minor}: Registered virtual input {name} {minor}\n");
    Ok(())
}

/// Takes away the device whose number was written: `echo 0 >/sys/class/vinput/unexport`.
fn unexport(class: &Class, text: &[u8]) -> Result {
    let id: i64 = sysfs::parse(text)?;
    let list = class.data().list.lock();
    let device = u32::try_from(id).ok().and_then(|id| class.remove(id).ok());
    let Some(device) = device else {
        pr_err!("No such vinput device {id}\n");
        return Err(ENODEV);
    };
    device.kill();
    drop(list);
    Ok(())
}

impl Vinput for Class {
    fn register(&self, name: &str, driver: Remote<dyn Driver>) -> Result<u64> {
        if name.is_empty() || name.len() > MAX_NAME {
            return Err(EINVAL);
        }
        let mut list = self.data().list.lock();
        let list = &mut *list;
        if let Some(other) = list.types.iter().find(|it| it.name() == name) {
            // One whose module has gone without a word is in nobody's way.
            if !other.driver.is_gone() {
                return Err(EEXIST);
            }
            let other = other.number;
            forget(self, &mut list.types, other)?;
        }
        let mut copy = KVec::new();
        copy.extend_from_slice(name.as_bytes(), GFP_KERNEL)?;
        let number = list.next;
        let new = Type {
            number,
            name: copy,
            driver,
        };
        list.types.push(new, GFP_KERNEL)?;
        list.next += 1;
        pr_info!("registered new virtual input device '{name}'\n");
        Ok(number)
    }

    fn unregister(&self, number: u64) -> Result<()> {
        forget(self, &mut self.data().list.lock().types, number)
    }
}

/// Takes a type out of the list, and its devices away.
fn forget(class: &Class, types: &mut KVec<Type>, number: u64) -> Result {
    let index = types.iter().position(|it| it.number == number);
    let gone = types.remove(index.ok_or(ENOENT)?)?;
    let is_its_own = |device: &Arc<Virtual>| device.is_of_type(number);
    for minor in 0..MAX_VINPUT {
        if class.get(minor).as_ref().is_some_and(is_its_own) {
            class.remove(minor)?.kill();
        }
    }
    let name = gone.name();
    pr_info!("unregistered virtual input device '{name}'\n");
    Ok(())
}

struct Module {
    _vinput: Exported<dyn Vinput, Class>,
    // Dropped last, when the class is gone.
    _exit: OnDrop,
}

impl kernel::Module for Module {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        pr_info!("Loading virtual input driver\n");
        let list = List {
            types: KVec::new(),
            next: 0,
        };
        let types = pin_init!(Types {
            list <- new_mutex!(list),
        });
        let class = Class::new(MAX_VINPUT, c"vinput", &ATTRIBUTES, types)?;
        Ok(Self {
            _vinput: VINPUT.publish(class)?,
            _exit: OnDrop(|| pr_info!("Unloading virtual input driver\n")),
        })
    }
}
