// SPDX-License-Identifier: GPL-2.0-only

//! A net device whose frames come back: vnetloop0.
//!
//! Book: 28 Network Drivers

use kernel::prelude::*;
use lkm::{
    netdev::{
        Driver,
        Frame,
        Netdev,
        Port,
        Receiver, //
    },
    sync::{
        new_irq_spinlock,
        IrqSpinLock, //
    },
};

module! {
    type: Module,
    name: "vnetloop",
    authors: ["lkmpg-rs"],
    description: "A net device whose frames come back",
    license: "GPL",
}

/// Frames that were sent, and are not received yet. A network card has such a ring, too, where
/// what it was given waits for the cable.
struct Ring {
    frames: KVec<Option<Frame>>,
    first: usize,
    count: usize,
}

impl Ring {
    const SIZE: usize = 256;

    fn new() -> Result<Self> {
        let mut frames = KVec::with_capacity(Self::SIZE, GFP_KERNEL)?;
        for _ in 0..Self::SIZE {
            frames.push(None, GFP_KERNEL)?;
        }
        Ok(Self {
            frames,
            first: 0,
            count: 0,
        })
    }

    fn is_full(&self) -> bool {
        self.count == Self::SIZE
    }

    /// It must not be full.
    fn push(&mut self, frame: Frame) {
        self.frames[(self.first + self.count) % Self::SIZE] = Some(frame);
        self.count += 1;
    }

    fn pop(&mut self) -> Option<Frame> {
        let frame = self.frames[self.first].take()?;
        self.first = (self.first + 1) % Self::SIZE;
        self.count -= 1;
        Some(frame)
    }
}

#[pin_data]
struct Vnetloop {
    // It is sent on one CPU and received on another. Softirqs must be off where one has this
    // lock, which interrupts that are off see to.
    #[pin]
    ring: IrqSpinLock<Ring>,
}

impl Vnetloop {
    fn pop(&self) -> Option<Frame> {
        self.ring.lock().pop()
    }
}

impl Driver for Vnetloop {
    // Nobody would answer.
    const ARP: bool = false;

    /// Nobody calls the other two any more. What has not come back is lost.
    fn stop(&self, _port: &Port) {
        while let Some(frame) = self.pop() {
            drop(frame);
        }
    }

    fn transmit(&self, port: &Port, frame: Frame) -> Result {
        let mut ring = self.ring.lock();
        if ring.is_full() {
            return Err(ENOSPC);
        }
        ring.push(frame);
        if ring.is_full() {
            // Better than to lose the next one: the kernel keeps it until there is room.
            port.stop_queue();
        }
        drop(ring);
        // A network card would interrupt. Here it is known already that a frame comes in.
        port.schedule();
        Ok(())
    }

    fn poll(&self, port: &Port, receiver: &mut Receiver<'_>) {
        while receiver.room() > 0 {
            let Some(frame) = self.pop() else { break };
            // There is room.
            let _ = receiver.receive(frame);
        }
        // If there are more frames than room, this is called again.
        let ring = self.ring.lock();
        if !ring.is_full() {
            port.wake_queue();
        }
    }
}

struct Module {
    _device: Netdev<Vnetloop>,
}

impl kernel::Module for Module {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let empty = Ring::new()?;
        let driver = pin_init!(Vnetloop {
            ring <- new_irq_spinlock!(empty),
        });
        let device = Netdev::<Vnetloop>::new(c"vnetloop%d", driver)?;
        pr_info!("registered {}\n", device.name());
        Ok(Self { _device: device })
    }
}
