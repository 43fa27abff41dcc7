// SPDX-License-Identifier: GPL-2.0-only

//! The devices for `devicetree`: nodes that this adds to the device tree.
//!
//! Book: 30.4 Device Tree Source Example

use kernel::prelude::*;
use lkm::devicetree::Overlay;

module! {
    type: DeviceTreeOverlay,
    name: "devicetree-overlay",
    authors: ["lkmpg-rs"],
    description: "Adds devices to the device tree",
    license: "GPL",
}

lkm::params! {
    nodes: &CStr { default: c"good", mode: 0o444, description: "Which nodes: good, plain or bad" },
}

// What is in the files dt-overlay.dtso, dt-plain.dtso and dt-bad.dtso. The kernel's `dtc` turns
// them into bytes when the module is built: see the file Kbuild.
lkm::of_overlay! {
    static GOOD = dt_overlay;
}
lkm::of_overlay! {
    static PLAIN = dt_plain;
}
lkm::of_overlay! {
    static BAD = dt_bad;
}

struct DeviceTreeOverlay {
    _overlay: Overlay,
}

impl kernel::Module for DeviceTreeOverlay {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let blob = nodes.with(|name| match name.to_bytes() {
            b"good" => Ok(&GOOD),
            b"plain" => Ok(&PLAIN),
            b"bad" => Ok(&BAD),
            _ => Err(EINVAL),
        })?;
        Ok(Self {
            _overlay: Overlay::apply(blob)?,
        })
    }
}
