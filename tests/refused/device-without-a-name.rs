// SPDX-License-Identifier: GPL-2.0-only

//! An entry without a name is the end of a table.

lkm::of_table! {
    static MATCHES = [c"acme,lamp", c""]; //~ it needs a name
}

pub fn misuse() -> lkm::devicetree::Matches {
    MATCHES.matches()
}
