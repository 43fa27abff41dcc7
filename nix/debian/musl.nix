# SPDX-License-Identifier: GPL-2.0-only
#
# The tools as nixpkgs compiles them, for musl, as far as clippy looks. Debian has no
# standard library for musl. It has the sources, but not the crates that they need:
# std/Cargo.lock names those. Nothing is linked, so no musl is needed either.
{ newScope, craneLib }:
let
  lock = ./std/Cargo.lock;
  installed = "/usr/lib/rustlib/src/rust/library/Cargo.lock";

  tools = newScope {
    pkgsStatic.stdenv.hostPlatform.rust.rustcTarget = "x86_64-unknown-linux-musl";
    craneLib = craneLib // {
      # They could not be linked.
      buildDepsOnly = _: null;
      cargoClippy =
        args:
        craneLib.cargoClippy (
          args
          // {
            pname = "${args.pname}-musl";
            cargoVendorDir = craneLib.vendorMultipleCargoDeps {
              cargoLockList = [
                ../../tools/Cargo.lock
                lock
              ];
            };
            preConfigure = ''
              cmp ${installed} ${lock} || {
                echo "The toolchain has another standard library. Copy its lock, and fetch its crates:" >&2
                echo "cp $root${installed} nix/debian/std/Cargo.lock && ./lkmpg fetch" >&2
                exit 1
              }
            '';
            # Building the standard library is not stable yet.
            RUSTC_BOOTSTRAP = 1;
            cargoExtraArgs = "--locked -Z build-std=std";
          }
        );
    };
  } ../tools.nix { };
in
tools.clippy
