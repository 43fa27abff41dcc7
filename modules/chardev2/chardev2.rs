// SPDX-License-Identifier: GPL-2.0-only

//! A device that keeps a message, which is also set and got with ioctl.
//!
//! Book: 10 Talking To Device Files

use kernel::{
    fs::{file::Offset, File},
    ioctl::{_IOR, _IOW, _IOWR},
    new_mutex,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Mutex,
    },
    uaccess::{UserSliceReader, UserSliceWriter},
};
use lkm::{
    chrdev,
    file::{self, events::*},
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

struct Message {
    text: KVec<u8>,
    /// The how manieth message it is; 0 when there is none yet.
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
        drop(message);
        self.arrived.wake_up_all();
    }
}

#[vtable]
impl file::Operations for CharDev {
    /// The number of the message that was read last.
    type Private = Atomic<u64>;

    fn open(&self, file: &File) -> impl PinInit<Atomic<u64>, Error> {
        pr_info!("device_open({})\n", Hashed(file.as_ptr()));
        Ok(Atomic::new(0))
    }

    fn release(&self, file: file::Opened<'_, Self>) {
        pr_info!("device_release({})\n", Hashed(file.as_ptr()));
    }

    fn read(
        &self,
        file: file::Opened<'_, Self>,
        pos: &mut Offset,
        dst: &mut UserSliceWriter,
    ) -> Result<usize> {
        let message = self.message.lock();
        let read = dst.write_slice_file(&message.text, pos)?;
        file.private().store(message.number, Relaxed);
        pr_info!("Read {read} bytes, {} left\n", dst.len());
        Ok(read)
    }

    fn write(
        &self,
        file: file::Opened<'_, Self>,
        _pos: &mut Offset,
        src: &mut UserSliceReader,
    ) -> Result<usize> {
        let len = src.len();
        pr_info!("device_write({},{len})\n", Hashed(file.as_ptr()));
        let mut text = KVec::from_elem(0, len.min(BUF_LEN), GFP_KERNEL)?;
        src.read_slice(&mut text)?;
        let written = text.len();
        self.set(text);
        Ok(written)
    }

    fn size(&self, _file: file::Opened<'_, Self>) -> Offset {
        self.message.lock().text.len() as Offset
    }

    fn ioctl(&self, _file: file::Opened<'_, Self>, cmd: u32, arg: file::Argument) -> Result<u32> {
        match cmd {
            IOCTL_SET_MSG => {
                let mut buffer = [0; BUF_LEN + 1];
                let text = arg
                    .slice(buffer.len())
                    .reader()
                    .strcpy_into_buf(&mut buffer)?;
                let mut copy = KVec::new();
                copy.extend_from_slice(text.to_bytes(), GFP_KERNEL)?;
                self.set(copy);
                Ok(0)
            }
            IOCTL_GET_MSG => {
                let message = self.message.lock();
                let mut dst = arg.slice(message.text.len() + 1).writer();
                dst.write_slice(&message.text)?;
                dst.write_slice(b"\0")?;
                Ok(0)
            }
            IOCTL_GET_NTH_BYTE if arg.number() <= BUF_LEN => {
                let byte = self.message.lock().text.get(arg.number()).copied();
                Ok(byte.unwrap_or(0).into())
            }
            IOCTL_GET_NTH_BYTE => Err(EINVAL),
            _ => Err(ENOTTY),
        }
    }

    fn poll(&self, file: file::Opened<'_, Self>, table: &file::PollTable<'_>) -> u32 {
        table.wait(&self.arrived);
        let can_write = EPOLLOUT | EPOLLWRNORM;
        if self.message.lock().number == file.private().load(Relaxed) {
            return can_write;
        }
        EPOLLIN | EPOLLRDNORM | can_write
    }
}

struct Module {
    _device: chrdev::Registration<CharDev>,
}

impl kernel::Module for Module {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let message = Message {
            text: KVec::new(),
            number: 0,
        };
        let device = pin_init!(CharDev {
            message <- new_mutex!(message),
            arrived <- new_wait_queue!(),
        });
        let device = chrdev::Registration::with_major(MAJOR_NUM, NAME, device)?;
        pr_info!("Device created on /dev/{NAME}\n");
        Ok(Self { _device: device })
    }
}
