// SPDX-License-Identifier: GPL-2.0-only

//! A process that polls goes on waiting in the queue when the operation has returned.

use kernel::prelude::*;
use lkm::{
    file::{
        Opened,
        Operations,
        PollTable, //
    },
    sync::new_wait_queue, //
};

pub struct Own;

#[vtable]
impl Operations for Own {
    type Private = ();

    fn poll<'a>(&'a self, _file: &'a Opened<Self>, table: &PollTable<'a>) -> u32 {
        if let Ok(queue) = KBox::pin_init(new_wait_queue!(), GFP_KERNEL) {
            table.wait(&queue); //~ `queue` does not live long enough
        }
        0
    }
}
