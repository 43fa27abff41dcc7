// SPDX-License-Identifier: GPL-2.0-only

//! A device that says how warm and how humid it is: a DHT11 sensor on one line.
//!
//! Book: 21.3 DHT11 sensor

use kernel::{
    new_mutex,
    prelude::*,
    str::CString,
    sync::Mutex,
    time::{
        delay::fsleep,
        Delta,
        Instant,
        Monotonic, //
    },
};
use lkm::{
    chrdev,
    file::{
        File,
        Offset,
        Opened,
        Operations,
        Writer, //
    },
    gpio::{
        AtomicInput,
        Gpio,
        Input,
        Output, //
    },
    sync::{
        new_irq_spinlock,
        IrqSpinLock, //
    },
};

module! {
    type: Module,
    name: "dht11",
    authors: ["lkmpg-rs"],
    description: "A sensor of humidity and temperature: /dev/dht11",
    license: "GPL",
}

lkm::params! {
    chip: &CStr {
        default: c"dht11-sim",
        mode: 0o444,
        description: "The label of the GPIO controller that the sensor is connected to",
    },
    dht11_gpio: u32 { default: 0, mode: 0o444, description: "The number of its line there" },
}

/// How long the line is low to ask the sensor: 18 ms or more.
const QUESTION: Delta = Delta::from_millis(20);

const TRIES: u32 = 5;
const PAUSE: Delta = Delta::from_millis(10);

/// No level lasts longer in an answer, whose longest is 80 us.
const LONGEST: Delta = Delta::from_micros(200);

/// To know that, one has to have looked: an interrupt that nobody can turn off, or the host of
/// a virtual machine, may have kept us from it.
const LOOKS: u32 = 1000;

struct Reading {
    humidity: u8,
    temperature: u8,
}

#[pin_data]
struct Dht11 {
    // High when nobody asks. Nothing, if it was lost when somebody did: an error of the chip.
    #[pin]
    line: Mutex<Option<Output>>,
    // Interrupts are off on the CPU that holds it.
    #[pin]
    undisturbed: IrqSpinLock<()>,
}

/// The line, driven high.
fn request() -> Result<Output> {
    let line = chip.with_core(|label| Gpio::get(label, dht11_gpio.get(), c"Signal"))?;
    let line = line.into_input()?;
    // Of no use if it is behind a bus that makes one wait.
    line.atomic()?;
    line.into_output(true)
}

/// How often one sees the line at `level` before it changes.
fn width(line: &AtomicInput<'_>, level: bool) -> Result<u32> {
    let begin = Instant::<Monotonic>::now();
    let mut looks = 0;
    while line.get()? == level {
        looks += 1;
        if looks >= LOOKS && begin.elapsed() > LONGEST {
            return Err(ETIMEDOUT);
        }
    }
    Ok(looks)
}

impl Dht11 {
    /// What the sensor answers. That takes it 4 ms or so: so long are interrupts off. When
    /// somebody else runs meanwhile, a part of the answer is lost.
    fn answer(&self, line: &Input) -> Result<[u8; 5]> {
        let line = line.atomic()?;
        let _undisturbed = self.undisturbed.lock();
        // The line is high until the sensor pulls it low. That it is there, it says by a low
        // and a high level of the same width.
        width(&line, true)?;
        width(&line, false)?;
        width(&line, true)?;
        let mut bytes = [0; 5];
        for bit in 0..40 {
            // A bit is 1 when the line is high for longer than it was low. How long that is
            // does not matter, nor how fast we look.
            let (low, high) = (width(&line, false)?, width(&line, true)?);
            bytes[bit / 8] = bytes[bit / 8] << 1 | u8::from(high > low);
        }
        Ok(bytes)
    }

    fn ask(&self, place: &mut Option<Output>) -> Result<Reading> {
        let line = match place.take() {
            Some(line) => line,
            None => request()?,
        };
        line.set(false)?;
        let begin = Instant::<Monotonic>::now();
        // A sleep counts ticks. A virtual machine can get some of them late, and all at once.
        while begin.elapsed() < QUESTION {
            fsleep(PAUSE);
        }
        // Nobody drives the line now: a resistor pulls it up.
        let line = line.into_input()?;
        let answer = self.answer(&line);
        // First of all the line is as it was, whatever has come.
        *place = Some(line.into_output(true)?);

        let bytes = answer?;
        let mut sum = 0_u8;
        for byte in &bytes[..4] {
            sum = sum.wrapping_add(*byte);
        }
        if sum != bytes[4] {
            return Err(EIO);
        }
        // What is behind the point is in the other bytes, and 0 for this sensor.
        Ok(Reading {
            humidity: bytes[0],
            temperature: bytes[2],
        })
    }

    fn measure(&self) -> Result<Reading> {
        let mut line = self.line.lock();
        for _ in 1..TRIES {
            match self.ask(&mut line) {
                Err(error) if error == ETIMEDOUT || error == EIO => fsleep(PAUSE),
                result => return result,
            }
        }
        self.ask(&mut line)
    }
}

#[vtable]
impl Operations for Dht11 {
    /// Who opens the device gets a reading of his own.
    type Private = Reading;

    fn open(&self, _file: &File) -> impl PinInit<Reading, Error> {
        self.measure()
    }

    fn read(&self, file: &Opened<Self>, pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
        let Reading {
            humidity,
            temperature,
        } = file.private();
        let msg = CString::try_from_fmt(fmt!(
            "Humidity: {humidity}%\nTemperature: {temperature} deg C\n"
        ))?;
        dst.write_slice_file(msg.to_bytes(), pos)
    }
}

struct Module {
    _device: chrdev::Registration<Dht11>,
}

impl kernel::Module for Module {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        // The line comes first. It is there as long as somebody can open the device.
        let line = request().inspect_err(|error| {
            pr_err!("Unable to request GPIOs for dht11: {}\n", error.to_errno());
        })?;
        let dht11 = pin_init!(Dht11 {
            line <- new_mutex!(Some(line)),
            undisturbed <- new_irq_spinlock!(()),
        });
        let device = chrdev::Registration::new(c"dht11", dht11)?;
        pr_info!("Major = {}, Minor = 0\n", device.major());
        pr_info!("Device created on /dev/dht11\n");
        Ok(Self { _device: device })
    }
}
