// SPDX-License-Identifier: GPL-2.0-only

//! A device with a value for each opening and a number for all, by ioctl.
//!
//! Book: 10 Talking To Device Files
//! Book: 17 Copying Data Across the User-Kernel Boundary

use core::ffi::CStr;
use kernel::{
    ioctl::{
        _IO,
        _IOR,
        _IOW, //
    },
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};
use lkm::{
    chrdev,
    file::{
        self,
        Argument,
        File,
        Offset,
        Opened,
        Operations,
        Writer, //
    },
    new_irq_rwlock,
    sync::IrqRwLock,
    OnDrop, //
};

module! {
    type: Module,
    name: "ioctl",
    authors: ["lkmpg-rs"],
    description: "This is test_ioctl module",
    license: "GPL",
}

const DRIVER_NAME: &CStr = c"ioctltest";

/// C's `struct ioctl_arg`, which has this one member.
type IoctlArg = u32;

const IOC_MAGIC: u32 = 0x66;
const IOCTL_VALSET: u32 = _IOW::<IoctlArg>(IOC_MAGIC, 0);
const IOCTL_VALGET: u32 = _IOR::<IoctlArg>(IOC_MAGIC, 1);
const IOCTL_VALGET_NUM: u32 = _IOR::<c_int>(IOC_MAGIC, 2);
const IOCTL_VALSET_NUM: u32 = _IO(IOC_MAGIC, 3);

struct Driver {
    ioctl_num: Atomic<c_int>,
}

#[vtable]
impl Operations for Driver {
    /// The value.
    type Private = IrqRwLock<u8>;

    fn open(&self, _file: &File) -> impl PinInit<IrqRwLock<u8>, Error> {
        pr_alert!("test_ioctl_open call.\n");
        file::infallible(new_irq_rwlock!(0xff))
    }

    fn release(&self, _file: &Opened<Self>) {
        pr_alert!("test_ioctl_close call.\n");
    }

    /// Fills the whole buffer with the value.
    fn read(&self, file: &Opened<Self>, _pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
        let val = *file.private().read();
        dst.fill(val)
    }

    fn ioctl(&self, file: &Opened<Self>, cmd: u32, arg: Argument) -> Result<u32> {
        let val = file.private();
        match cmd {
            IOCTL_VALSET => {
                let data: IoctlArg = arg.read()?;
                let byte = u8::try_from(data)?;
                pr_alert!("IOCTL set val:{byte:x} .\n");
                *val.write() = byte;
            }
            IOCTL_VALGET => {
                let data = IoctlArg::from(*val.read());
                arg.write(&data)?;
            }
            IOCTL_VALGET_NUM => arg.write(&self.ioctl_num.load(Relaxed))?,
            IOCTL_VALSET_NUM => self.ioctl_num.store(arg.number() as c_int, Relaxed),
            _ => return Err(ENOTTY),
        }
        Ok(0)
    }
}

struct Module {
    _device: chrdev::Registration<Driver>,
    // Dropped last, when the device is gone.
    _removed: OnDrop,
}

impl kernel::Module for Module {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let driver = Driver {
            ioctl_num: Atomic::new(0),
        };
        let device = chrdev::Registration::new(DRIVER_NAME, driver)?;
        let major = device.major();
        pr_alert!("ioctltest driver(major: {major}) installed.\n");
        Ok(Self {
            _device: device,
            _removed: OnDrop(|| pr_alert!("ioctltest driver removed.\n")),
        })
    }
}
