// SPDX-License-Identifier: GPL-2.0-only

//! I2C buses as user space has them: `/sys/bus/i2c`.
//!
//! Reference: `Documentation/i2c/instantiating-devices.rst`.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use anyhow::{Context, Result};
use rustix::io::Errno;

use crate::{
    files::{names, read_write, write_once},
    syscalls::{Argument, ioctl},
};

const DEVICES: &str = "/sys/bus/i2c/devices";
const DRIVERS: &str = "/sys/bus/i2c/drivers";

/// A bus, by the number that the kernel has given it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct I2cBus(u32);

impl I2cBus {
    /// The bus whose adapter is called `name`.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn find(name: &str) -> Result<Self> {
        let found = names(DEVICES)?.into_iter().find_map(|device| {
            let number = device.strip_prefix("i2c-")?.parse().ok()?;
            // It may be gone by now.
            let text = fs::read_to_string(format!("{DEVICES}/{device}/name")).ok()?;
            (text.trim_end() == name).then_some(Self(number))
        });
        found.with_context(|| format!("there is no I2C bus called {name}"))
    }

    /// Whether there is a bus whose adapter is called `name`.
    #[must_use]
    pub fn exists(name: &str) -> bool {
        Self::find(name).is_ok()
    }

    /// Tells the kernel that there is such a device.
    ///
    /// # Errors
    ///
    /// [`Errno::BUSY`](rustix::io::Errno::BUSY) at the root when the address is taken, and
    /// when the bus is gone.
    pub fn add(self, kind: &str, address: u16) -> Result<(), Errno> {
        let path = format!("{DEVICES}/i2c-{}/new_device", self.0);
        write_once(path, &format!("{kind} {address:#x}\n"))
    }

    /// Tells the kernel that the device is gone.
    ///
    /// # Errors
    ///
    /// When it was not [added](Self::add), and when the bus is gone.
    pub fn delete(self, address: u16) -> Result<(), Errno> {
        let path = format!("{DEVICES}/i2c-{}/delete_device", self.0);
        write_once(path, &format!("{address:#x}\n"))
    }

    /// What the kernel calls the device at `address`.
    #[must_use]
    pub fn device(self, address: u16) -> String {
        format!("{}-{address:04x}", self.0)
    }

    /// Whether the kernel has a device at `address`.
    #[must_use]
    pub fn has(self, address: u16) -> bool {
        Path::new(DEVICES).join(self.device(address)).exists()
    }

    /// The name of the driver that has the device at `address`.
    #[must_use]
    pub fn driver(self, address: u16) -> Option<String> {
        let link = format!("{DEVICES}/{}/driver", self.device(address));
        let driver = fs::read_link(link).ok()?;
        Some(driver.file_name()?.to_string_lossy().into_owned())
    }

    /// Gives the device at `address` to a driver.
    ///
    /// # Errors
    ///
    /// The driver's, and when the device is not of its kind.
    pub fn bind(self, driver: &str, address: u16) -> Result<(), Errno> {
        let path = format!("{DRIVERS}/{driver}/bind");
        write_once(path, &self.device(address))
    }

    /// Takes the device at `address` from its driver.
    ///
    /// # Errors
    ///
    /// When the driver does not have it.
    pub fn unbind(self, driver: &str, address: u16) -> Result<(), Errno> {
        let path = format!("{DRIVERS}/{driver}/unbind");
        write_once(path, &self.device(address))
    }
}

/// Commands of `linux/i2c-dev.h`.
const I2C_SLAVE: u32 = 0x703;
const I2C_TENBIT: u32 = 0x704;
const I2C_FUNCS: u32 = 0x705;
const I2C_RDWR: u32 = 0x707;
const I2C_PEC: u32 = 0x708;
const I2C_SMBUS: u32 = 0x720;

/// Kinds of transfers, of `linux/i2c.h`: one of a byte, ...
pub const SMBUS_BYTE_DATA: u32 = 2;
/// ... one of two, ...
pub const SMBUS_WORD_DATA: u32 = 3;
/// ... and the others, with none that reads what it was not given.
pub const SMBUS_OTHERS: [u32; 7] = [0, 1, 4, 5, 6, 7, 8];

/// An open `/dev/i2c-N`.
pub struct I2cNode(File);

impl I2cNode {
    /// That of a bus.
    ///
    /// # Errors
    ///
    /// As `File::open`.
    pub fn open(bus: I2cBus) -> io::Result<Self> {
        read_write(format!("/dev/i2c-{}", bus.0)).map(Self)
    }

    /// Whom transfers are for. An address of ten bits is one only while `ten_bits`.
    ///
    /// # Errors
    ///
    /// The kernel's error number: [`Errno::INVAL`] when it cannot be an address, and
    /// [`Errno::BUSY`] when a driver has that device.
    pub fn set_address(&self, address: u16, ten_bits: bool) -> Result<(), Errno> {
        self.set(I2C_TENBIT, ten_bits.into())?;
        self.set(I2C_SLAVE, address.into())
    }

    /// Takes back what [`set_address`](Self::set_address) has said of its bits.
    ///
    /// # Errors
    ///
    /// The kernel's error number.
    pub fn set_seven_bits(&self) -> Result<(), Errno> {
        self.set(I2C_TENBIT, 0)
    }

    /// Whether transfers have a checksum.
    ///
    /// # Errors
    ///
    /// The kernel's error number.
    pub fn set_checksums(&self, yes: bool) -> Result<(), Errno> {
        self.set(I2C_PEC, yes.into())
    }

    fn set(&self, command: u32, number: usize) -> Result<(), Errno> {
        ioctl(&self.0, command, Argument::Number(number)).map(drop)
    }

    /// What the adapter can do, in bits.
    ///
    /// # Errors
    ///
    /// The kernel's error number.
    pub fn functionality(&self) -> Result<u64, Errno> {
        let mut bits = [0; 8];
        ioctl(&self.0, I2C_FUNCS, Argument::Buffer(&mut bits))?;
        Ok(u64::from_ne_bytes(bits))
    }

    /// A transfer of a register, by `data`.
    ///
    /// # Errors
    ///
    /// The kernel's error number, or the adapter's.
    pub fn transfer(
        &self,
        writes: bool,
        register: u8,
        kind: u32,
        data: &mut [u8; 34],
    ) -> Result<(), Errno> {
        // As C's struct i2c_smbus_ioctl_data.
        let mut request = [0; 16];
        request[0] = u8::from(!writes);
        request[1] = register;
        request[4..8].copy_from_slice(&kind.to_ne_bytes());
        let address = data.as_mut_ptr().expose_provenance();
        request[8..].copy_from_slice(&address.to_ne_bytes());
        ioctl(&self.0, I2C_SMBUS, Argument::Buffer(&mut request)).map(drop)
    }

    /// Messages without registers: none of them.
    ///
    /// # Errors
    ///
    /// The kernel's error number.
    pub fn transfer_messages(&self) -> Result<(), Errno> {
        // As C's struct i2c_msg, and struct i2c_rdwr_ioctl_data.
        let mut message = [0; 16];
        let address = message.as_mut_ptr().expose_provenance();
        let mut request = [0; 16];
        request[..8].copy_from_slice(&address.to_ne_bytes());
        request[8] = 1;
        ioctl(&self.0, I2C_RDWR, Argument::Buffer(&mut request)).map(drop)
    }
}

/// Whether there is a driver of that name.
#[must_use]
pub fn driver_exists(name: &str) -> bool {
    Path::new(DRIVERS).join(name).exists()
}
