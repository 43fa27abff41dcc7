// SPDX-License-Identifier: GPL-2.0-only

//! A driver for USB keyboards: /dev/rust_usb0 has what one reports, and takes what its LEDs
//! are to show.
//!
//! Book: 26 USB Drivers

use kernel::{
    prelude::*,
    sync::Arc,
    time::Delta, //
};
use lkm::{
    chrdev,
    file::{
        nonblocking,
        Offset,
        Opened,
        Operations,
        Reader,
        Writer, //
    },
    usb::{
        self,
        Driver,
        Endpoint,
        Id,
        Interface,
        Kind,
        Request, //
    },
};

module! {
    type: Module,
    name: "rust_usb",
    authors: ["lkmpg-rs"],
    description: "A driver for USB keyboards",
    license: "GPL",
}

lkm::params! {
    idle: u8 {
        default: 0,
        mode: 0o444,
        description: "How often a keyboard repeats a report, in units of 4 ms; 0 for never",
    },
}

/// What we are for: human interface devices that speak the simple language of the time when a
/// PC boots, keyboards of them.
const KEYBOARDS: [Id; 1] = [Id::interface(3, 1, 1)];

/// How many there can be.
const MOST: u32 = 16;

/// The standard lets a device take 5 s. A machine that is busy may notice later.
const PATIENCE: Delta = Delta::from_secs(60);

/// What somebody waits for who does not want to wait: some of a keyboard's intervals.
const SHORTLY: Delta = Delta::from_millis(50);

/// A request of the USB standard, and what it can be about.
const GET_DESCRIPTOR: u8 = 6;
const OF_DEVICE: u16 = 1 << 8;

/// Requests of the standard for human interface devices, and what they can be about.
const GET_REPORT: u8 = 1;
const SET_REPORT: u8 = 9;
const SET_IDLE: u8 = 10;
const SET_PROTOCOL: u8 = 11;
const INPUT: u16 = 1 << 8;
const OUTPUT: u16 = 2 << 8;
const BOOT: u16 = 0;

/// One byte has a bit for each of shift, control and the like, one has no meaning, and six are
/// keys that are down.
type Report = [u8; 8];

/// A request for a human interface device.
fn hid(interface: &Interface, number: u8, value: u16) -> Request {
    Request {
        kind: Request::CLASS | Request::TO_INTERFACE,
        number,
        value,
        index: interface.number().into(),
    }
}

/// What the files of a keyboard have in common. One that is open keeps it when the keyboard was
/// pulled out: then `interface` says `ENODEV`.
struct Keyboard {
    interface: Arc<Interface>,
    reports: Endpoint,
}

#[vtable]
impl Operations for Keyboard {
    type Private = ();

    /// Waits for a report.
    fn read(&self, file: &Opened<Self>, _pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
        let mut report: Report = [0; 8];
        if dst.len() < report.len() {
            return Err(EINVAL);
        }
        let timeout = nonblocking(file).then_some(SHORTLY);
        let read = self.interface.read(self.reports, &mut report, timeout);
        let len = read.map_err(|error| if error == ETIMEDOUT { EAGAIN } else { error })?;
        dst.write_slice(&report[..len])?;
        Ok(len)
    }

    /// Takes a byte: 1 is for Num Lock, 2 for Caps Lock, 4 for Scroll Lock.
    fn write(&self, _file: &Opened<Self>, _pos: &mut Offset, src: &mut Reader) -> Result<usize> {
        if src.len() != 1 {
            return Err(EINVAL);
        }
        let leds: u8 = src.read()?;
        let request = hid(&self.interface, SET_REPORT, OUTPUT);
        self.interface.control_out(request, &[leds], PATIENCE)?;
        Ok(1)
    }
}

type Class = chrdev::Class<Keyboard, ()>;

struct Keyboards {
    class: Class,
}

impl Keyboards {
    /// Returns the number of the keyboard's device.
    fn add(&self, interface: &Arc<Interface>) -> Result<u32> {
        let mut endpoints = interface.endpoints();
        let reports = endpoints.find(|it| it.kind() == Kind::Interrupt && it.is_in());
        let reports = reports.ok_or(ENODEV)?;

        let request = Request {
            kind: Request::STANDARD | Request::TO_DEVICE,
            number: GET_DESCRIPTOR,
            value: OF_DEVICE,
            index: 0,
        };
        let mut device = [0; 18];
        interface.control_in(request, &mut device, PATIENCE)?;
        let (major, minor) = (device[3], device[2] >> 4);

        let boot = hid(interface, SET_PROTOCOL, BOOT);
        interface.control_out(boot, &[], PATIENCE)?;
        // What it has to say so far.
        let now = hid(interface, GET_REPORT, INPUT);
        let mut report: Report = [0; 8];
        interface.control_in(now, &mut report, PATIENCE)?;
        // Not before that: QEMU's keyboard would take it for what it is to repeat.
        let repeat = hid(interface, SET_IDLE, u16::from(idle.get()) << 8);
        interface.control_out(repeat, &[], PATIENCE)?;

        let keyboard = Keyboard {
            interface: interface.clone(),
            reports,
        };
        let number = self.class.add(|_minor| keyboard)?;
        let (name, size) = (interface.name(), reports.packet_size());
        let (vendor, product) = (interface.vendor(), interface.product());
        pr_info!("{name}: rust_usb{number} is {vendor:04x}:{product:04x}, USB {major}.{minor}\n");
        pr_info!(
            "{name}: endpoint {:#04x}, {size} bytes\n",
            reports.address()
        );
        Ok(number)
    }
}

impl Driver for Keyboards {
    /// The number of a device.
    type Device = u32;

    fn probe(&self, interface: &Arc<Interface>) -> impl PinInit<u32, Error> {
        self.add(interface)
    }

    fn disconnect(&self, number: &u32) {
        // The node goes. Who waits in a `read` has got an error already.
        if self.class.remove(*number).is_ok() {
            pr_info!("rust_usb{number} is gone\n");
        }
    }
}

struct Module {
    _driver: usb::Registration<Keyboards>,
}

impl kernel::Module for Module {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let keyboards = Keyboards {
            class: Class::new(MOST, c"rust_usb", &[], ())?,
        };
        // It is bound to the keyboards that are there, and is told of those that come.
        Ok(Self {
            _driver: usb::Registration::new(c"rust_usb", &KEYBOARDS, keyboards)?,
        })
    }
}
