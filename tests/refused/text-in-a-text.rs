// SPDX-License-Identifier: GPL-2.0-only

//! What is printed to a text cannot print to the same text.

use kernel::fmt;
use lkm::seq_file::{
    seq_print,
    SeqFile, //
};

struct Both<'a>(&'a mut SeqFile);

impl fmt::Display for Both<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("first")
    }
}

pub fn misuse(text: &mut SeqFile) {
    seq_print!(text, "{}", Both(text)); //~ cannot borrow `*text` as mutable more than once at a time
}
