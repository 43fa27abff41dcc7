// SPDX-License-Identifier: GPL-2.0-only

//! Memory that a device reads and writes by itself. There is no hardware, so nobody does: this
//! shows what comes before.
//!
//! Book: 19 DMA and mmap

use kernel::prelude::*;
use lkm::{
    dma::{
        Coherent,
        Direction,
        Streaming, //
    },
    platform::{
        Device,
        Driver,
        OwnDevice,
        Registration, //
    },
};

module! {
    type: DmaDemo,
    name: "dma",
    authors: ["lkmpg-rs"],
    description: "LKMPG DMA API demo module",
    license: "GPL",
}

lkm::params! {
    coherent_size: u32 { default: 4096, mode: 0o444, description: "Size of the coherent DMA buffer" },
    streaming_size: u32 { default: 4096, mode: 0o444, description: "Size of the streaming DMA buffer" },
}

/// As much as the kernel has in one piece.
const MOST: u32 = 4 << 20;

const FILL: [u8; 64] = [0x5a; 64];

/// What the driver has for its device. It goes before the device does.
struct Buffers<'bound> {
    _coherent: Coherent<'bound>,
    _streaming: Streaming<'bound>,
}

impl<'bound> Buffers<'bound> {
    fn new(device: &'bound Device) -> Result<Self> {
        // The device has 32 lines for an address. It is the first thing to say.
        device
            .set_dma_bits(32)
            .inspect_err(|_| pr_err!("failed to set DMA mask\n"))?;
        // Both sides see at once what the other one writes.
        let coherent = Coherent::new(device, coherent_size.get() as usize)
            .inspect_err(|_| pr_err!("failed to allocate coherent buffer\n"))?;
        // The device has this one, but for the time of a call.
        let size = streaming_size.get() as usize;
        let mut streaming = Streaming::new(device, size, Direction::ToDevice)
            .inspect_err(|_| pr_err!("failed to allocate streaming buffer\n"))?;
        for at in (0..size).step_by(FILL.len()) {
            streaming.write(at, &FILL[..FILL.len().min(size - at)])?;
        }
        pr_info!(
            "coherent={:#018x}/{} streaming={} DMA mask={:#x}\n",
            coherent.address(),
            coherent.size(),
            streaming.size(),
            device.dma_mask(),
        );
        Ok(Self {
            _coherent: coherent,
            _streaming: streaming,
        })
    }
}

impl Drop for Buffers<'_> {
    fn drop(&mut self) {
        pr_info!("DMA demo removed\n");
    }
}

struct Demo;

#[vtable]
impl Driver for Demo {
    type Private<'bound> = Buffers<'bound>;

    fn probe<'bound>(
        &'bound self,
        device: &'bound Device,
    ) -> impl PinInit<Buffers<'bound>, Error> + 'bound {
        Buffers::new(device)
    }
}

struct DmaDemo {
    _driver: Registration<Demo>,
    _device: OwnDevice,
}

impl kernel::Module for DmaDemo {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        for size in [coherent_size.get(), streaming_size.get()] {
            if size == 0 || size > MOST {
                return Err(EINVAL);
            }
        }
        let device = OwnDevice::new(c"lkmpg_dma_demo", &[])?;
        let driver = Registration::new(c"lkmpg_dma_demo", Demo)?;
        Ok(Self {
            _driver: driver,
            _device: device,
        })
    }
}
