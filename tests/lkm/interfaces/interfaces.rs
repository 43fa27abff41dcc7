// SPDX-License-Identifier: GPL-2.0-only

//! Test only: exports an object with `lkm::interface`, and calls objects of other modules.

use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        Arc,
        Mutex, //
    },
};
use lkm::{
    file::{
        mode,
        Argument,
        Opened,
        Operations, //
    },
    interface::{
        Exported,
        Remote, //
    },
    procfs,
};

mod api;
#[allow(dead_code)]
mod commands;

use api::{
    Guest,
    Hall, //
};
use commands::*;

module! {
    type: Interfaces,
    name: "interfaces",
    authors: ["lkmpg-rs"],
    description: "Test only: exports an object with lkm::interface",
    license: "GPL",
}

lkm::export! {
    static HALL: dyn Hall = interfaces_hall;
}

/// Where the guest is.
#[pin_data]
struct Room {
    #[pin]
    guest: Mutex<Option<Remote<dyn Guest>>>,
}

impl Room {
    fn guest(&self) -> Result<Remote<dyn Guest>> {
        self.guest.lock().clone().ok_or(ENOENT)
    }
}

/// The object that is exported. Its address is checked.
#[repr(align(64))]
struct Door(Arc<Room>);

impl Door {
    fn check(&self) -> Result {
        match core::ptr::from_ref(self).addr() % align_of::<Self>() {
            0 => Ok(()),
            _ => Err(EIO),
        }
    }
}

impl Hall for Door {
    fn nothing(&self) -> Result<()> {
        self.check()
    }

    fn small(&self, a: i8, b: u8, c: i16, d: u16) -> Result<i32> {
        Ok(i32::from(a) + i32::from(b) + i32::from(c) + i32::from(d))
    }

    fn big(&self, a: i32, b: u32, c: i64, d: u64, e: isize, f: usize) -> Result<i64> {
        let (d, e, f) = (d as i64, e as i64, f as i64);
        Ok(i64::from(a) + i64::from(b) + c + d + e + f)
    }

    fn not(&self, value: bool) -> Result<bool> {
        Ok(!value)
    }

    fn len(&self, bytes: &[u8]) -> Result<usize> {
        Ok(bytes.len())
    }

    fn reverse(&self, bytes: &mut [u8]) -> Result<()> {
        bytes.reverse();
        Ok(())
    }

    fn fail(&self, errno: i32) -> Result<u8> {
        Err(Error::from_errno(-errno))
    }

    fn enter(&self, guest: Remote<dyn Guest>) -> Result<()> {
        let before = self.0.guest.lock().replace(guest);
        drop(before);
        Ok(())
    }

    fn guest(&self) -> Result<Remote<dyn Guest>> {
        self.0.guest()
    }
}

#[pin_data]
struct Control {
    room: Arc<Room>,
    #[pin]
    exported: Mutex<Option<Exported<dyn Hall, Door>>>,
}

#[vtable]
impl Operations for Control {
    type Private = ();

    fn ioctl(&self, _file: &Opened<Self>, cmd: u32, _arg: Argument) -> Result<u32> {
        match cmd {
            GREET => {
                let mut text = [0; 32];
                let len = self.room.guest()?.greet("hall", &mut text)?;
                return match text.get(..len) {
                    Some(b"hello, hall") => Ok(len as u32),
                    _ => Err(EIO),
                };
            }
            HOLD => self.room.guest()?.hold()?,
            IS_GONE => return Ok(self.room.guest()?.is_gone().into()),
            FORGET => {
                let guest = self.room.guest.lock().take();
                drop(guest);
            }
            PUBLISH => {
                let exported = HALL.publish(Door(self.room.clone()))?;
                let before = self.exported.lock().replace(exported);
                drop(before);
            }
            WITHDRAW => {
                let exported = self.exported.lock().take();
                drop(exported);
            }
            _ => return Err(ENOTTY),
        }
        Ok(0)
    }
}

struct Interfaces {
    _control: procfs::Entry<Control>,
}

impl kernel::Module for Interfaces {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let room = pin_init!(Room {
            guest <- new_mutex!(None),
        });
        let room = Arc::pin_init(room, GFP_KERNEL)?;
        let exported = HALL.publish(Door(room.clone()))?;
        let control = pin_init!(Control {
            room,
            exported <- new_mutex!(Some(exported)),
        });
        Ok(Self {
            _control: procfs::Entry::new(c"interfaces", mode!(0o600), control)?,
        })
    }
}
