// SPDX-License-Identifier: GPL-2.0-only

//! A module whose machine has all that a `needs.toml` can ask for.

use kernel::prelude::*;

module! {
    type: Needs,
    name: "needs",
    authors: ["lkmpg-rs"],
    description: "A module that needs more than others",
    license: "GPL",
}

struct Needs;

impl kernel::Module for Needs {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Needs)
    }
}
