// SPDX-License-Identifier: GPL-2.0-only

//! What the code is patched for is the static that is named, not what it leads to.

use core::ops::Deref;
use lkm::static_key::{
    static_branch_unlikely,
    StaticKey, //
};

static KEY: StaticKey = StaticKey::new();

struct Leads;

impl Deref for Leads {
    type Target = StaticKey;

    fn deref(&self) -> &StaticKey {
        &KEY
    }
}

static LEADS: Leads = Leads;

pub fn misuse() -> bool {
    static_branch_unlikely!(LEADS) //~ mismatched types
}
