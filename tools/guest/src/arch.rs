// SPDX-License-Identifier: GPL-2.0-only

//! What differs from architecture to architecture: a file for each, which the
//! build script chooses.

include!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/src/arch/",
    env!("LKMPG_ARCH"),
    ".rs"
));
