// SPDX-License-Identifier: GPL-2.0-only

//! A table has room for 127 bytes of a name.

lkm::of_table! {
    static MATCHES = [ //~ the name is too long
        c"acme,lllllllllllllllllllllllllllllllllllllllllllllllllllllllllll\
          llllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllll",
    ];
}

pub fn misuse() -> lkm::devicetree::Matches {
    MATCHES.matches()
}
