// SPDX-License-Identifier: GPL-2.0-only

//! A text of another module goes with that.

use kernel::prelude::*;

lkm::interface! {
    pub(crate) trait Collector {
        fn keep(&self, text: &'static str) -> Result<()>;
        //~ must outlive `'static`
    }
}
