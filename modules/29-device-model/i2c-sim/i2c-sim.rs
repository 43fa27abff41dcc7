// SPDX-License-Identifier: GPL-2.0-only

//! An I2C bus with two temperature sensors, for those who have none: a TMP105 at 0x48, and an
//! LM75 at 0x49. What they measure is in /sys/module/i2c_sim/parameters.

use kernel::{
    new_mutex,
    prelude::*,
    sync::Mutex, //
};
use lkm::{
    i2c::adapter::{
        self,
        Adapter, //
    },
    params::Param,
};

module! {
    type: I2cSim,
    name: "i2c-sim",
    authors: ["lkmpg-rs"],
    description: "Two temperature sensors on an I2C bus, simulated",
    license: "GPL",
}

lkm::params! {
    temperature: i32 {
        default: 21_500,
        mode: 0o644,
        description: "What they measure, in thousandths of a degree Celsius",
        set: |millis| check((-55_000..=125_000).contains(&millis)),
    },
    silent: u32 {
        default: 0,
        mode: 0o644,
        description: "How many of the next transfers are not answered",
    },
}

fn check(fits: bool) -> Result {
    match fits {
        true => Ok(()),
        false => Err(EINVAL),
    }
}

/// Counts down. Returns whether there was anything left.
fn take_one(from: &Param<u32>) -> bool {
    let left = from.get();
    from.set(left.saturating_sub(1));
    left > 0
}

const TMP105: u16 = 0x48;
const LM75: u16 = 0x49;

// The registers of both. That of the configuration has one byte, the others have two. Those
// of limits are also called T_LOW and T_HIGH.
const TEMPERATURE: u8 = 0;
const CONFIGURATION: u8 = 1;
const HYSTERESIS: u8 = 2;
const LIMIT: u8 = 3;

/// A sensor. A temperature is in units of 1/256 degree. It has 16 bits, of which the last are
/// 0: seven of an LM75, four of a TMP105. How exactly that measures, it is told.
#[derive(Clone, Copy)]
struct Sensor {
    configuration: u8,
    limits: [u16; 2],
}

impl Sensor {
    /// As it is when it gets power: 75 and 80 degrees.
    const NEW: Self = Self {
        configuration: 0,
        limits: [75 << 8, 80 << 8],
    };

    fn measure(&self, address: u16) -> u16 {
        let units = (i64::from(temperature.get()) << 8).div_euclid(1000);
        let unused = match address {
            TMP105 => 7 - ((self.configuration >> 5) & 3),
            _ => 7,
        };
        // The parameter is in the range of the sensor.
        ((units >> unused) << unused) as u16
    }

    fn limit(&mut self, register: u8) -> Result<&mut u16> {
        match register {
            HYSTERESIS => Ok(&mut self.limits[0]),
            LIMIT => Ok(&mut self.limits[1]),
            _ => Err(EIO),
        }
    }
}

#[pin_data]
struct Bus {
    #[pin]
    sensors: Mutex<[Sensor; 2]>,
}

impl Bus {
    /// Asks the sensor at that address, if there is one.
    fn ask<R>(&self, address: u16, what: impl FnOnce(&mut Sensor) -> Result<R>) -> Result<R> {
        let place = match address {
            TMP105 => 0,
            LM75 => 1,
            _ => return Err(ENXIO),
        };
        match take_one(&silent) {
            true => Err(ENXIO),
            false => what(&mut self.sensors.lock()[place]),
        }
    }
}

// A byte of a register that has two, or the other way round, is more than these sensors can
// be asked for.
impl Adapter for Bus {
    fn read_byte_data(&self, address: u16, register: u8) -> Result<u8> {
        self.ask(address, |sensor| match register {
            CONFIGURATION => Ok(sensor.configuration),
            _ => Err(EIO),
        })
    }

    fn write_byte_data(&self, address: u16, register: u8, value: u8) -> Result {
        self.ask(address, |sensor| {
            if register != CONFIGURATION {
                return Err(EIO);
            }
            pr_info!("{address:#04x}: configuration {value:#04x}\n");
            sensor.configuration = value;
            Ok(())
        })
    }

    fn read_word_data(&self, address: u16, register: u8) -> Result<u16> {
        let word = self.ask(address, |sensor| match register {
            TEMPERATURE => Ok(sensor.measure(address)),
            _ => sensor.limit(register).copied(),
        })?;
        // The sensor sends the higher byte first, which SMBus takes for the lower one.
        Ok(word.swap_bytes())
    }

    fn write_word_data(&self, address: u16, register: u8, value: u16) -> Result {
        let mask = match address {
            TMP105 => 0xfff0,
            _ => 0xff80,
        };
        self.ask(address, |sensor| {
            *sensor.limit(register)? = value.swap_bytes() & mask;
            Ok(())
        })
    }
}

struct I2cSim {
    _bus: adapter::Registration<Bus>,
}

impl kernel::Module for I2cSim {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let bus = pin_init!(Bus {
            sensors <- new_mutex!([Sensor::NEW; 2]),
        });
        Ok(Self {
            _bus: adapter::Registration::new(c"i2c-sim", bus)?,
        })
    }
}
