// SPDX-License-Identifier: GPL-2.0-only

//! The file stays in the queue when the operation has returned.

use kernel::prelude::*;
use lkm::file::{
    FasyncQueue,
    Opened,
    Operations, //
};

pub struct Own;

#[vtable]
impl Operations for Own {
    type Private = ();

    fn fasync<'a>(&'a self, _file: &'a Opened<Self>) -> &'a FasyncQueue {
        &FasyncQueue::new() //~ cannot return reference to temporary value
    }
}
