// SPDX-License-Identifier: GPL-2.0-only

//! A device that keeps a message, which is also set and got with ioctl.
//!
//! Book: 10 Talking To Device Files

use core::ffi::CStr;
use kernel::{
    ioctl::{
        _IOR,
        _IOW,
        _IOWR, //
    },
    prelude::*, //
};
use lkm::{
    chrdev,
    file::{
        Argument,
        File,
        Offset,
        Opened,
        Operations,
        PollTable,
        Reader,
        Writer, //
    },
    message::{
        Message,
        Seen, //
    },
    new_message,
};

module! {
    type: Module,
    name: "chardev2",
    authors: ["lkmpg-rs"],
    description: "A device that keeps a message",
    license: "GPL",
}

const NAME: &CStr = c"char_dev";
const BUF_LEN: usize = 80;

/// Also what the numbers of the ioctls begin with.
const MAJOR_NUM: u32 = 100;
const IOCTL_SET_MSG: u32 = _IOW::<*const c_char>(MAJOR_NUM, 0);
const IOCTL_GET_MSG: u32 = _IOR::<*const c_char>(MAJOR_NUM, 1);
const IOCTL_GET_NTH_BYTE: u32 = _IOWR::<c_int>(MAJOR_NUM, 2);

#[pin_data]
struct CharDev {
    #[pin]
    message: Message,
}

#[vtable]
impl Operations for CharDev {
    type Private = Seen;

    fn open(&self, file: &File) -> impl PinInit<Seen, Error> {
        pr_info!("device_open({})\n", file.address());
        Ok(Seen::default())
    }

    fn release(&self, file: &Opened<Self>) {
        let (inode, file) = (file.inode(), file.address());
        pr_info!("device_release({inode},{file})\n");
    }

    fn read(&self, file: &Opened<Self>, pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
        let read = self.message.read(file.private(), pos, dst)?;
        if read > 0 {
            pr_info!("Read {read} bytes, {} left\n", dst.len());
        }
        Ok(read)
    }

    fn write(&self, file: &Opened<Self>, _pos: &mut Offset, src: &mut Reader) -> Result<usize> {
        let (file, buffer) = (file.address(), src.address());
        pr_info!("device_write({file},{buffer},{})\n", src.len());
        if src.is_empty() {
            return Ok(0);
        }
        let mut text = src.take(BUF_LEN)?;
        let len = text.len();
        // The NUL that ends a string is not part of the message.
        if text.ends_with(b"\0") {
            text.truncate(len - 1);
        }
        self.message.set(text);
        Ok(len)
    }

    fn size(&self, _file: &Opened<Self>) -> Offset {
        self.message.lock().len() as Offset
    }

    fn ioctl(&self, file: &Opened<Self>, cmd: u32, arg: Argument) -> Result<u32> {
        match cmd {
            IOCTL_SET_MSG => {
                let len = arg.read_string(BUF_LEN)?.len() + 1;
                self.write(file, &mut 0, &mut arg.reader(len.min(BUF_LEN)))?;
            }
            IOCTL_GET_MSG => {
                // As much as the caller's buffer must hold.
                let mut dst = arg.writer(BUF_LEN + 19);
                self.read(file, &mut 0, &mut dst)?;
                dst.write_slice(b"\0")?;
            }
            IOCTL_GET_NTH_BYTE if arg.number() <= BUF_LEN => {
                let byte = self.message.lock().get(arg.number()).copied();
                // After the message there is a NUL.
                return Ok(byte.unwrap_or(0).into());
            }
            IOCTL_GET_NTH_BYTE => return Err(EINVAL),
            _ => return Err(ENOTTY),
        }
        Ok(0)
    }

    fn poll<'a>(&'a self, file: &'a Opened<Self>, table: &PollTable<'a>) -> u32 {
        self.message.poll(file.private(), table)
    }
}

struct Module {
    _device: chrdev::Registration<CharDev>,
}

impl kernel::Module for Module {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let device = pin_init!(CharDev { message <- new_message!() });
        let device = chrdev::Registration::with_major(MAJOR_NUM, NAME, device)?;
        pr_info!("Device created on /dev/char_dev\n");
        Ok(Self { _device: device })
    }
}
