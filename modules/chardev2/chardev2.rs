// SPDX-License-Identifier: GPL-2.0-only

//! A device that keeps a message, which is also set and got with ioctl.
//!
//! Book: 10 Talking To Device Files

use kernel::{
    ioctl::{_IOR, _IOW, _IOWR},
    new_mutex,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Mutex,
    },
};
use lkm::{
    chrdev,
    file::{
        self, events::*, Argument, File, Offset, Opened, Operations, PollTable, Reader, Writer,
    },
    new_wait_queue,
    print::Hashed,
    sync::WaitQueue,
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

#[derive(Default)]
struct Message {
    text: KVec<u8>,
    /// How many there have been.
    number: u64,
}

#[pin_data]
struct CharDev {
    #[pin]
    message: Mutex<Message>,
    #[pin]
    arrived: WaitQueue,
}

impl CharDev {
    fn set(&self, text: KVec<u8>) {
        let mut message = self.message.lock();
        message.text = text;
        message.number += 1;
        self.arrived.wake_up_all();
    }
}

#[vtable]
impl Operations for CharDev {
    /// The number of the message that was read last.
    type Private = Atomic<u64>;

    fn open(&self, file: &File) -> impl PinInit<Atomic<u64>, Error> {
        pr_info!("device_open({})\n", Hashed(file.as_ptr()));
        Ok(Atomic::new(0))
    }

    fn release(&self, file: &Opened<Self>) {
        pr_info!("device_release({})\n", Hashed(file.as_ptr()));
    }

    fn read(&self, file: &Opened<Self>, pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
        let message = self.message.lock();
        let read = dst.write_slice_file(&message.text, pos)?;
        file.private().store(message.number, Relaxed);
        if read > 0 {
            pr_info!("Read {read} bytes, {} left\n", dst.len());
        }
        Ok(read)
    }

    fn write(&self, file: &Opened<Self>, _pos: &mut Offset, src: &mut Reader) -> Result<usize> {
        pr_info!("device_write({},{})\n", Hashed(file.as_ptr()), src.len());
        let text = file::take(src, BUF_LEN)?;
        let len = text.len();
        self.set(text);
        Ok(len)
    }

    fn size(&self, _file: &Opened<Self>) -> Offset {
        self.message.lock().text.len() as Offset
    }

    fn ioctl(&self, _file: &Opened<Self>, cmd: u32, arg: Argument) -> Result<u32> {
        match cmd {
            IOCTL_SET_MSG => self.set(arg.read_string(BUF_LEN)?),
            IOCTL_GET_MSG => arg.write_string(&self.message.lock().text)?,
            IOCTL_GET_NTH_BYTE if arg.number() <= BUF_LEN => {
                let byte = self.message.lock().text.get(arg.number()).copied();
                // After the message there is a NUL.
                return Ok(byte.unwrap_or(0).into());
            }
            IOCTL_GET_NTH_BYTE => return Err(EINVAL),
            _ => return Err(ENOTTY),
        }
        Ok(0)
    }

    fn poll(&self, file: &Opened<Self>, table: &PollTable) -> u32 {
        table.wait(&self.arrived);
        match self.message.lock().number == file.private().load(Relaxed) {
            true => EPOLLOUT,
            false => EPOLLIN | EPOLLOUT,
        }
    }
}

struct Module {
    _device: chrdev::Registration<CharDev>,
}

impl kernel::Module for Module {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let device = pin_init!(CharDev {
            message <- new_mutex!(Message::default()),
            arrived <- new_wait_queue!(),
        });
        let device = chrdev::Registration::with_major(MAJOR_NUM, NAME, device)?;
        pr_info!("Device created on /dev/{NAME}\n");
        Ok(Self { _device: device })
    }
}
