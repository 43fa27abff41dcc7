#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# rustdoc runs this in place of rustc, with an example of the documentation on
# standard input. It is compiled by itself, for rustdoc to see whether it should
# have been; those that should are kept in $OUT/NAME.rs, to become one module.
# RUSTC is the compiler with the flags of modules.
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

sed 's/^fn main() {/pub fn main() {/' >"$tmp/example.rs"
# Called by its file, whose path is whole when make MO=... is used.
name=$(sed -n 's/.* fn _doctest_main_[^(]*lkm_\([a-z0-9_]*\)().*/\1/p' "$tmp/example.rs")
[ -n "$name" ] || { echo "an example with a main function of its own" >&2 && exit 1; }

# Where the kernel's macros look for it.
cat >"$tmp/crate.rs" <<END
#![allow(missing_docs)]
const __LOG_PREFIX: &[u8] = b"$name\\0";
#[path = "$tmp/example.rs"]
pub mod example;
END
$RUSTC --crate-name "$name" --crate-type rlib --emit=obj -o "$tmp/out" "$tmp/crate.rs"

# Not those that are to fail.
case " $* " in
  *" --emit=metadata "*) mv "$tmp/example.rs" "$OUT/$name.rs" ;;
esac
