// SPDX-License-Identifier: GPL-2.0-only

//! Test only: an overlay of the device tree, which its own devices' driver drops.

use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    },
};
use lkm::{
    devicetree::{
        Matches,
        Overlay, //
    },
    platform::{
        Device,
        Driver,
        Registration, //
    },
    sync::{
        new_irq_spinlock,
        IrqSpinLock, //
    },
};

module! {
    type: Overlays,
    name: "overlays",
    authors: ["lkmpg-rs"],
    description: "Test only: an overlay of the device tree",
    license: "GPL",
}

lkm::params! {
    in_probe: bool { default: false, mode: 0o644, description: "Whether probe drops the overlay" },
    in_drop: bool { default: false, mode: 0o644, description: "Whether what follows does" },
    forget: bool { default: false, mode: 0, description: "Whether init loses the overlay" },
    fail: bool { default: false, mode: 0, description: "Whether init fails then" },
    later: bool { default: false, mode: 0, description: "Whether a later overlay goes last" },
    bad: bool { default: false, mode: 0, description: "Whether init tries what cannot be added" },
}

lkm::of_overlay! {
    static NODES = overlays_nodes;
}
lkm::of_overlay! {
    static LATER = overlays_later;
}
lkm::of_overlay! {
    static NOWHERE = overlays_nowhere;
}
lkm::of_overlay! {
    static TWICE = overlays_twice;
}

lkm::of_table! {
    static MATCHES = [c"lkmpg,overlays"];
}

type Place = Arc<IrqSpinLock<Option<Overlay>>>;

fn take(place: &Place) {
    let overlay = place.lock().take();
    drop(overlay);
}

/// How many devices the driver has.
static BOUND: Atomic<u32> = Atomic::new(0);

struct Owner {
    place: Place,
}

struct Owned<'bound> {
    owner: &'bound Owner,
}

impl Owner {
    fn own(&self, device: &Device) -> Result<Owned<'_>> {
        if device.node_name().is_none() {
            return Err(ENODEV);
        }
        let errno = errno(Overlay::apply(&NODES));
        pr_info!("an overlay in a method: errno {}\n", errno);
        if in_probe.get() {
            take(&self.place);
        }
        BOUND.fetch_add(1, Relaxed);
        Ok(Owned { owner: self })
    }
}

impl Drop for Owned<'_> {
    fn drop(&mut self) {
        if in_drop.get() {
            take(&self.owner.place);
        }
        // BOUND counts from 1 on.
        let left = BOUND.fetch_add(u32::MAX, Relaxed) - 1;
        pr_info!("{} devices are left\n", left);
    }
}

#[vtable]
impl Driver for Owner {
    type Private<'bound> = Owned<'bound>;

    fn matches() -> Option<Matches> {
        Some(MATCHES.matches())
    }

    fn probe<'bound>(
        &'bound self,
        device: &'bound Device,
    ) -> impl PinInit<Owned<'bound>, Error> + 'bound {
        self.own(device)
    }
}

/// The number of the error, or 0.
fn errno(result: Result<Overlay>) -> i32 {
    result.map_or_else(|error| -error.to_errno(), |_| 0)
}

struct Overlays {
    _later: Option<Overlay>,
    place: Place,
    _driver: Registration<Owner>,
}

impl kernel::Module for Overlays {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let place: Place = Arc::pin_init(new_irq_spinlock!(None), GFP_KERNEL)?;
        let owner = Owner {
            place: place.clone(),
        };
        let driver = Registration::new(c"overlays", owner)?;
        let overlay = Overlay::apply(&NODES)?;
        if bad.get() {
            for blob in [&NOWHERE, &TWICE] {
                pr_info!("a bad overlay: errno {}\n", errno(Overlay::apply(blob)));
            }
        }
        let on_top = match later.get() {
            true => Some(Overlay::apply(&LATER)?),
            false => None,
        };
        if on_top.is_some() {
            // Too early.
            drop(overlay);
        } else if forget.get() {
            core::mem::forget(overlay);
        } else if !fail.get() {
            *place.lock() = Some(overlay);
        }
        if fail.get() {
            return Err(ENODEV);
        }
        Ok(Self {
            _later: on_top,
            place,
            _driver: driver,
        })
    }
}

impl Drop for Overlays {
    fn drop(&mut self) {
        take(&self.place);
    }
}
