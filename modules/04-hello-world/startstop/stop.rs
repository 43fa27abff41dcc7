// SPDX-License-Identifier: GPL-2.0-only

//! How the module ends.

use super::StartStop;
use kernel::prelude::*;

impl Drop for StartStop {
    fn drop(&mut self) {
        pr_info!("Short is the life of a kernel module\n");
    }
}
