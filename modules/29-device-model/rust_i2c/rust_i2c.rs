// SPDX-License-Identifier: GPL-2.0-only

//! A driver for temperature sensors on an I2C bus: each has a directory in
//! /sys/kernel/rust_i2c, with files as those of the kernel's own hwmon drivers.

use core::ffi::CStr;
use kernel::prelude::*;
use lkm::{
    file::mode,
    i2c::{
        self,
        Client,
        Driver, //
    },
    sysfs::{
        self,
        Dir,
        Page, //
    },
};

module! {
    type: RustI2c,
    name: "rust_i2c",
    authors: ["lkmpg-rs"],
    description: "Rust I2C driver sample: /sys/kernel/rust_i2c",
    license: "GPL",
    alias: ["i2c:rust_tmp105", "i2c:rust_lm75"],
}

// The registers. That of the configuration has one byte, the others have two.
const TEMPERATURE: u8 = 0;
const CONFIGURATION: u8 = 1;
const HYSTERESIS: u8 = 2;
const LIMIT: u8 = 3;

/// In the configuration of a TMP105: measure as exactly as can be.
const EXACT: u8 = 0x60;

/// A kind of sensor: of the 16 bits of a temperature it uses the first ones. The first eight
/// are whole degrees.
struct Kind {
    bits: u32,
}

const TMP105: u32 = 12;
const LM75: u32 = 9;

/// One of the sensors.
struct Sensor {
    client: Client,
    kind: &'static Kind,
    /// Its configuration, as it was found.
    before: u8,
}

impl Sensor {
    fn new(client: &Client, kind: &'static Kind) -> Result<Self> {
        // So far nobody has asked whether there is one. If not, this is the error, and the
        // device has no driver.
        let before = client.read_byte_data(CONFIGURATION)?;
        if kind.bits > LM75 {
            client.write_byte_data(CONFIGURATION, before | EXACT)?;
        }
        Ok(Self {
            client: client.clone(),
            kind,
            before,
        })
    }

    /// Shows a temperature in thousandths of a degree.
    fn show(&self, register: u8, page: &mut Page<'_>) -> Result {
        // SMBus has the lower byte first, the sensor the higher one.
        let word = self.client.read_word_data(register)?.swap_bytes();
        let steps = i32::from(word as i16) >> (16 - self.kind.bits);
        writeln!(page, "{}", (steps * 1000) >> (self.kind.bits - 8))
    }

    /// Stores what is as near to that as can be.
    fn store(&self, register: u8, text: &[u8]) -> Result {
        let millis = sysfs::parse::<i32>(text)?.clamp(-55_000, 125_000);
        let steps = ((millis << (self.kind.bits - 8)) + 500).div_euclid(1000);
        let word = (steps << (16 - self.kind.bits)) as u16;
        self.client.write_word_data(register, word.swap_bytes())
    }
}

impl Drop for Sensor {
    /// The driver loses the sensor. It does not know whether there still is one.
    fn drop(&mut self) {
        let _ = self.client.write_byte_data(CONFIGURATION, self.before);
    }
}

static ATTRIBUTES: [sysfs::Attribute<Sensor>; 3] = [
    sysfs::Attribute::read_only(c"temp1_input", mode!(0o444), |sensor, page| {
        sensor.show(TEMPERATURE, page)
    }),
    sysfs::Attribute::read_write(
        c"temp1_max",
        mode!(0o644),
        |sensor, page| sensor.show(LIMIT, page),
        |sensor, text| sensor.store(LIMIT, text),
    ),
    sysfs::Attribute::read_write(
        c"temp1_max_hyst",
        mode!(0o644),
        |sensor, page| sensor.show(HYSTERESIS, page),
        |sensor, text| sensor.store(HYSTERESIS, text),
    ),
];

/// What the sensors have in common: the directory that theirs are in.
struct Sensors(Dir<()>);

impl Sensors {
    fn add(&self, client: &Client, kind: &'static Kind) -> Result<Dir<Sensor>> {
        let sensor = Sensor::new(client, kind)?;
        self.0.subdir(client.name(), &ATTRIBUTES, sensor)
    }
}

impl Driver for Sensors {
    type Info = Kind;

    // When the driver loses a sensor, its directory is dropped. Whoever reads one of the files
    // has done so then, or gets an error.
    type Device = Dir<Sensor>;

    const IDS: &'static [(&'static CStr, Kind)] = &[
        (c"rust_tmp105", Kind { bits: TMP105 }),
        (c"rust_lm75", Kind { bits: LM75 }),
    ];

    fn probe(&self, client: &Client, kind: &'static Kind) -> impl PinInit<Dir<Sensor>, Error> {
        self.add(client, kind)
    }
}

struct RustI2c {
    _driver: i2c::Registration<Sensors>,
}

impl kernel::Module for RustI2c {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let dir = Dir::new(c"rust_i2c", &[], ())?;
        Ok(Self {
            _driver: i2c::Registration::new(c"rust_i2c", Sensors(dir))?,
        })
    }
}
