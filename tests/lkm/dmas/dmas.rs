// SPDX-License-Identifier: GPL-2.0-only

//! Test only: the memory of `lkm::dma`.

use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};
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
    type: Dmas,
    name: "dmas",
    authors: ["lkmpg-rs"],
    description: "Test only: the memory of lkm::dma",
    license: "GPL",
}

lkm::params! {
    forget: bool { default: false, mode: 0, description: "Whether buffers are lost" },
}

static ERRORS: Atomic<u32> = Atomic::new(0);

#[track_caller]
fn must(is_so: bool) {
    if !is_so {
        ERRORS.fetch_add(1, Relaxed);
        pr_err!("line {}\n", core::panic::Location::caller().line());
    }
}

fn fails<T>(result: Result<T>, expected: Error) -> bool {
    result.is_err_and(|error| error == expected)
}

const DIRECTIONS: [Direction; 3] = [Direction::ToDevice, Direction::FromDevice, Direction::Both];
const SIZES: [usize; 6] = [8, 63, 4095, 4096, 4097, 100_000];
/// No memory is that big in one piece, or at all.
const HUGE: [usize; 5] = [
    64 << 20,
    1 << 40,
    isize::MAX as usize,
    usize::MAX - 4095,
    usize::MAX,
];

fn addresses(device: &Device) {
    must(device.dma_mask() == 0xffff_ffff);
    for bits in [0, 65, 1000, u32::MAX] {
        must(fails(device.set_dma_bits(bits), EINVAL));
    }
    // So little memory no machine has.
    must(fails(device.set_dma_bits(1), EIO));
    must(device.set_dma_bits(64).is_ok() && device.dma_mask() == u64::MAX);
    must(device.set_dma_bits(32).is_ok() && device.dma_mask() == 0xffff_ffff);
}

/// The addresses of so many bytes.
fn is_in_reach(address: u64, size: usize) -> bool {
    address % 4096 == 0 && address + size as u64 <= 1 << 32
}

fn coherent(device: &Device) -> Result {
    must(fails(Coherent::new(device, 0), EINVAL));
    for size in HUGE {
        must(fails(Coherent::new(device, size), ENOMEM));
    }
    for size in SIZES {
        let memory = Coherent::new(device, size)?;
        must(memory.size() == size && is_in_reach(memory.address(), size));
        let mut bytes = [1; 4];
        for at in [0, size / 2 - 1, size - 4] {
            must(memory.read_slice(at, &mut bytes).is_ok() && bytes == [0; 4]);
            must(memory.write_slice(at, b"some").is_ok());
            must(memory.read_slice(at, &mut bytes).is_ok() && &bytes == b"some");
            must(memory.write_slice(at, &[0; 4]).is_ok());
        }
        for at in [size - 3, size, size + 1, usize::MAX - 3, usize::MAX] {
            must(fails(memory.read_slice(at, &mut bytes), EINVAL));
            must(fails(memory.write_slice(at, &bytes), EINVAL));
            must(fails(memory.atomic_u32(at), EINVAL));
        }
        must(memory.read_slice(size, &mut []).is_ok());
        must(fails(memory.read_slice(size + 1, &mut []), EINVAL));
        must(fails(memory.atomic_u32(1), EINVAL));
        let number = memory.atomic_u32(0)?;
        must(number.load(Relaxed) == 0);
        number.store(u32::from_ne_bytes(*b"text"), Relaxed);
        must(memory.read_slice(0, &mut bytes).is_ok() && &bytes == b"text");
    }
    Ok(())
}

fn streaming(device: &Device) -> Result {
    for direction in DIRECTIONS {
        must(fails(Streaming::new(device, 0, direction), EINVAL));
        for size in HUGE {
            must(fails(Streaming::new(device, size, direction), ENOMEM));
        }
        for size in SIZES {
            let mut memory = Streaming::new(device, size, direction)?;
            must(memory.size() == size && is_in_reach(memory.address(), size));
            let mut bytes = [1; 4];
            for at in [0, size / 2 - 1, size - 4] {
                must(memory.read(at, &mut bytes).is_ok() && bytes == [0; 4]);
                let written = memory.write(at, b"some");
                must(memory.read(at, &mut bytes).is_ok());
                if direction == Direction::FromDevice {
                    must(fails(written, EPERM) && bytes == [0; 4]);
                } else {
                    must(written.is_ok() && &bytes == b"some");
                    must(memory.write(at, &[0; 4]).is_ok());
                }
            }
            for at in [size - 3, size, size + 1, usize::MAX - 3, usize::MAX] {
                must(fails(memory.read(at, &mut bytes), EINVAL));
                must(memory.write(at, &bytes).is_err());
            }
            must(memory.read(size, &mut []).is_ok());
            must(fails(memory.read(size + 1, &mut []), EINVAL));
        }
    }
    Ok(())
}

/// What the driver has for the device until the end.
struct Kept<'bound> {
    coherent: Coherent<'bound>,
    streaming: Streaming<'bound>,
}

const TEXT: &[u8; 4] = b"kept";

impl<'bound> Kept<'bound> {
    fn new(device: &'bound Device) -> Result<Self> {
        addresses(device);
        coherent(device)?;
        streaming(device)?;
        let kept = Self {
            coherent: Coherent::new(device, 10_000)?,
            streaming: Streaming::new(device, 10_000, Direction::Both)?,
        };
        kept.coherent.write_slice(9_996, TEXT)?;
        if forget.get() {
            core::mem::forget(Coherent::new(device, 4096)?);
            core::mem::forget(Streaming::new(device, 4096, Direction::FromDevice)?);
        }
        pr_info!("bound, wrong: {}\n", ERRORS.load(Relaxed));
        Ok(kept)
    }
}

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        let mut bytes = [0; 4];
        must(self.coherent.read_slice(9_996, &mut bytes).is_ok() && &bytes == TEXT);
        must(self.streaming.write(9_996, TEXT).is_ok());
        must(self.streaming.read(9_996, &mut bytes).is_ok() && &bytes == TEXT);
        pr_info!("unbound, wrong: {}\n", ERRORS.load(Relaxed));
    }
}

struct Keeper;

#[vtable]
impl Driver for Keeper {
    type Private<'bound> = Kept<'bound>;

    fn probe<'bound>(
        &'bound self,
        device: &'bound Device,
    ) -> impl PinInit<Kept<'bound>, Error> + 'bound {
        Kept::new(device)
    }
}

struct Dmas {
    _driver: Registration<Keeper>,
    _device: OwnDevice,
}

impl kernel::Module for Dmas {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self {
            _driver: Registration::new(c"dmas", Keeper)?,
            _device: OwnDevice::new(c"dmas", &[])?,
        })
    }
}
