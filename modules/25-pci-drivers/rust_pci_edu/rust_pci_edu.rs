// SPDX-License-Identifier: GPL-2.0-only

//! A driver for QEMU's `edu`, a PCI device for learning: registers, interrupts, and memory that
//! the device accesses by itself. Each device has a file, `/dev/eduN`.
//!
//! Book: 25 PCI Drivers
//! Book: 18 Memory-Mapped I/O and Register Access

use kernel::{
    prelude::*,
    sync::Arc, //
};
use lkm::{
    chrdev,
    file::{
        events,
        Argument,
        DeviceNode,
        Offset,
        Opened,
        Operations,
        PollTable,
        Reader,
        Writer, //
    },
    irq::{
        self,
        Irq,
        Reply,
        Trigger, //
    },
    pci::{
        self,
        Device,
        Driver,
        Id, //
    },
};

mod commands;
mod edu;

use commands::*;
use edu::{
    Edu,
    SIZE, //
};

module! {
    type: Module,
    name: "rust_pci_edu",
    authors: ["lkmpg-rs"],
    description: "A driver for QEMU's edu device",
    license: "GPL",
    // By this udev finds the module when there is such a device.
    alias: ["pci:v00001234d000011E8sv*sd*bc*sc*i*"],
}

lkm::params! {
    intx: bool { default: false, mode: 0o444, description: "Whether interrupts are lines, not messages" },
}

/// How many devices there can be.
const MOST: u32 = 8;

/// What answers the interrupt.
struct Interrupt(Arc<Edu>);

#[vtable]
impl irq::Handler for Interrupt {
    fn hard(&self) -> Reply {
        self.0.interrupted()
    }
}

/// The file of a device.
struct Node(Arc<Edu>);

/// What `pos` is in the device's memory.
fn place(pos: Offset) -> Result<usize> {
    usize::try_from(pos).map_err(|_| EINVAL)
}

#[vtable]
impl Operations for Node {
    type Private = ();

    fn read(&self, _file: &Opened<Self>, pos: &mut Offset, dst: &mut Writer) -> Result<usize> {
        let at = place(*pos)?;
        let len = SIZE.saturating_sub(at).min(dst.len());
        if len == 0 {
            return Ok(0);
        }
        let mut bytes = KVec::from_elem(0_u8, len, GFP_KERNEL)?;
        self.0.read(at, &mut bytes)?;
        // Nobody waits for the memory of a process while he has the device.
        dst.write_slice(&bytes)?;
        *pos += len as Offset;
        Ok(len)
    }

    fn write(&self, _file: &Opened<Self>, pos: &mut Offset, src: &mut Reader) -> Result<usize> {
        let at = place(*pos)?;
        if src.is_empty() {
            return Ok(0);
        }
        if at >= SIZE {
            return Err(ENOSPC);
        }
        let bytes = src.take(SIZE - at)?;
        self.0.write(at, &bytes)?;
        *pos += bytes.len() as Offset;
        Ok(bytes.len())
    }

    fn size(&self, _file: &Opened<Self>) -> Offset {
        SIZE as Offset
    }

    fn ioctl(&self, file: &Opened<Self>, cmd: u32, arg: Argument) -> Result<u32> {
        let Self(edu) = self;
        match cmd {
            IDENTIFY => edu.id(),
            LIVENESS => edu.is_alive(arg.number() as u32).map(u32::from),
            START => {
                let number = u32::try_from(arg.number()).map_err(|_| ERANGE)?;
                edu.start_factorial(number).map(|()| 0)
            }
            RESULT => edu.factorial(file),
            RAISE => edu.raise().map(|()| 0),
            INTERRUPTS => Ok(edu.interrupts() & i32::MAX as u32),
            _ => Err(ENOTTY),
        }
    }

    /// The memory can always be read and written. A result is something urgent.
    fn poll<'a>(&'a self, _file: &'a Opened<Self>, table: &PollTable<'a>) -> u32 {
        table.wait(self.0.events());
        let result = match self.0.has_result() {
            true => events::EPOLLPRI,
            false => 0,
        };
        events::EPOLLIN | events::EPOLLOUT | result
    }
}

/// The files, in `/sys/class/rust_pci_edu`.
type Nodes = chrdev::Class<Node, ()>;

/// What the driver has of a device. The handler goes first.
struct Bound {
    _irq: Irq<Interrupt>,
    edu: Arc<Edu>,
    minor: u32,
}

struct EduDriver {
    nodes: Nodes,
}

impl Driver for EduDriver {
    type Data = Bound;

    const IDS: &'static [Id] = &[Id::new(0x1234, 0x11e8)];

    // The device has so many address lines. The kernel finds memory that it can reach.
    const DMA_BITS: u32 = 28;

    fn probe(&self, device: &Device) -> Result<Bound> {
        let bar = device.bar(0)?;
        let (major, minor) = Edu::version(&bar)?;
        // A driver that was unloaded, or has crashed, may have left it at work.
        Edu::quiet(&bar)?;
        let edu = Arc::pin_init(Edu::new(bar, device.coherent(SIZE)?), GFP_KERNEL)?;
        // A message is a write to memory, too.
        device.set_master()?;
        let (source, kind) = match intx.get() {
            true => (device.intx()?, "INTx"),
            false => (device.msi()?, "MSI"),
        };
        let number = source.number();
        let handler = Interrupt(edu.clone());
        let irq = Irq::new(source, Trigger::Unchanged, c"rust_pci_edu", handler)?;
        edu.start()?;
        if !edu.is_alive(0x1234_5678)? {
            return Err(EIO);
        }
        // From here on everybody can use it.
        let file = self.nodes.add(|_minor| Node(edu.clone()))?;
        pr_info!("{device}: edu {major}.{minor}, interrupt {number} ({kind}), /dev/edu{file}\n");
        Ok(Bound {
            _irq: irq,
            edu,
            minor: file,
        })
    }

    /// The file may be open, by those who wait for the device. All of them get `ENODEV`.
    fn remove(&self, data: Bound) {
        if self.nodes.remove(data.minor).is_ok() {
            pr_info!("/dev/edu{} is gone\n", data.minor);
        }
        data.edu.stop();
    }
}

struct Module {
    _driver: pci::Registration<EduDriver>,
}

impl kernel::Module for Module {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let node = DeviceNode::new(c"rust_pci_edu").path(c"edu");
        let driver = EduDriver {
            nodes: Nodes::new(MOST, node, &[], ())?,
        };
        Ok(Self {
            _driver: pci::Registration::new(c"rust_pci_edu", driver)?,
        })
    }
}
