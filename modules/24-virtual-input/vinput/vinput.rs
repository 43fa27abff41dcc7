// SPDX-License-Identifier: GPL-2.0-only

//! Virtual input devices, which a write to a file in sysfs makes. What they are is said by
//! other modules, which this one is there for.
//!
//! Book: 24 Virtual Input Device Driver

use kernel::{
    new_mutex,
    prelude::*,
    str::CString,
    sync::{
        Arc,
        Mutex, //
    },
};
use lkm::{
    chrdev,
    file::{
        mode,
        Offset,
        Opened,
        Operations,
        Reader,
        Writer, //
    },
    input::{
        self,
        Capabilities,
        Id,
        BUS_VIRTUAL, //
    },
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

use api::{
    Driver,
    Vinput, //
};

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
/// The longest text that a device takes or gives, in bytes.
const MAX_LEN: usize = 128;
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

/// A device that has been exported.
struct Live {
    of_type: u64,
    driver: Remote<dyn Driver>,
    input: input::Device,
    last: i64,
}

impl Live {
    fn new(of: &Type, minor: u32) -> Result<Self> {
        let mut can = Capabilities::new();
        of.driver.init(&mut can)?;
        let uniq = CString::try_from_fmt(fmt!("vinput{minor}"))?;
        let id = Id {
            bus: BUS_VIRTUAL,
            ..Id::default()
        };
        let input = input::Builder::new(of.name(), &can)
            .phys("vinput")
            .uniq(uniq.to_str()?)
            .id(id)
            .register(())?;
        Ok(Self {
            of_type: of.number,
            driver: of.driver.clone(),
            input,
            last: 0,
        })
    }
}

/// What the files of a device have in common. A file that is open keeps it, but what is in
/// it goes when the device is unexported.
#[pin_data]
struct Virtual {
    #[pin]
    live: Mutex<Option<Live>>,
}

impl Virtual {
    fn is_of_type(&self, number: u64) -> bool {
        let live = self.live.lock();
        live.as_ref().is_some_and(|live| live.of_type == number)
    }

    /// Waits until nobody reads or writes. The lock is not held while the input device goes.
    fn kill(&self) {
        let live = self.live.lock().take();
        drop(live);
    }
}

#[vtable]
impl Operations for Virtual {
    type Private = ();

    fn read(&self, _file: &Opened<Self>, pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
        let mut text = [0; MAX_LEN];
        let live = self.live.lock();
        let Some(device) = &*live else {
            return Err(ENODEV);
        };
        let len = device.driver.read(device.last, &mut text)?;
        // Who reads can keep a copy to its memory waiting for as long as it likes.
        drop(live);
        // The driver is another module: it can be wrong.
        let text = text.get(..len).ok_or(EIO)?;
        dst.write_slice_file(text, pos)
    }

    fn write(&self, _file: &Opened<Self>, _pos: &mut Offset, src: &mut Reader) -> Result<usize> {
        let len = src.len();
        if len > MAX_LEN {
            pr_warn!("Too long. {MAX_LEN} bytes allowed\n");
            return Err(EINVAL);
        }
        let text = src.take(MAX_LEN)?;
        let mut live = self.live.lock();
        let Some(device) = &mut *live else {
            return Err(ENODEV);
        };
        device.last = device.driver.send(&device.input, &text)?;
        Ok(len)
    }
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
    let minor = class.add(|minor| {
        try_pin_init!(Virtual {
            live <- new_mutex!(Some(Live::new(found, minor)?)),
        }? Error)
    })?;
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
