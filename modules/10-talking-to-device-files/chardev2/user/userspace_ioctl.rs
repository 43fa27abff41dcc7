// SPDX-License-Identifier: GPL-2.0-only

//! Sets the message of /dev/char_dev by ioctl, and gets it again: byte by byte,
//! then whole.

use std::{fs::File, io, process::ExitCode};

use crate::prelude::{Argument, Errno, ioctl};
use rustix::ioctl::opcode;

/// The device, and what the numbers of its ioctls begin with.
const DEVICE_PATH: &str = "/dev/char_dev";
const MAJOR_NUM: u8 = 100;

const IOCTL_SET_MSG: u32 = opcode::write::<*const u8>(MAJOR_NUM, 0);
const IOCTL_GET_MSG: u32 = opcode::read::<*const u8>(MAJOR_NUM, 1);
const IOCTL_GET_NTH_BYTE: u32 = opcode::read_write::<i32>(MAJOR_NUM, 2);

/// A message has at most 80 bytes, and a NUL after them.
const BUF_LEN: usize = 81;

pub fn main() -> ExitCode {
    let file = match open() {
        Ok(file) => file,
        Err(error) => {
            println!("Can't open device file: {DEVICE_PATH}, error:{error}");
            return ExitCode::FAILURE;
        }
    };
    match talk(&file) {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            println!("{text}");
            ExitCode::FAILURE
        }
    }
}

fn open() -> io::Result<File> {
    File::options().read(true).write(true).open(DEVICE_PATH)
}

fn talk(file: &File) -> Result<(), String> {
    set_msg(file, "Message passed by ioctl\n").map_err(|e| format!("ioctl_set_msg failed:{e}"))?;

    print!("get_nth_byte message:");
    for n in 0.. {
        match get_nth_byte(file, n) {
            Ok(0) => break,
            Ok(byte) => print!("{}", char::from(byte)),
            Err(e) => {
                return Err(format!(
                    "\nioctl_get_nth_byte failed at the {n}'th byte: {e}"
                ));
            }
        }
    }

    let message = get_msg(file).map_err(|e| format!("ioctl_get_msg failed:{e}"))?;
    print!("get_msg message:{message}");
    Ok(())
}

fn set_msg(file: &File, message: &str) -> Result<(), Errno> {
    let mut buffer = [message.as_bytes(), b"\0"].concat();
    ioctl(file, IOCTL_SET_MSG, Argument::Buffer(&mut buffer)).map(drop)
}

fn get_nth_byte(file: &File, n: usize) -> Result<u8, Errno> {
    let byte = ioctl(file, IOCTL_GET_NTH_BYTE, Argument::Number(n))?;
    Ok(u8::try_from(byte).unwrap_or(b'?'))
}

fn get_msg(file: &File) -> Result<String, Errno> {
    let mut buffer = [0; BUF_LEN];
    ioctl(file, IOCTL_GET_MSG, Argument::Buffer(&mut buffer))?;
    let text = buffer.split(|byte| *byte == 0).next().unwrap_or_default();
    Ok(String::from_utf8_lossy(text).into_owned())
}
