# SPDX-License-Identifier: GPL-2.0-only
#
# The Cargo workspace in tests/: the CLI and the program that runs in the VM,
# linked statically so that they run anywhere.
{
  lib,
  runCommand,
  craneLib,
  pkgsStatic,
}:
let
  without =
    names: path: _:
    !builtins.elem (baseNameOf path) names;

  common = {
    pname = "lkmpg";
    version = "0.1.0";
    # crane reads the manifests while it evaluates, from ../tests itself.
    src = lib.cleanSourceWith {
      name = "tests";
      src = ../tests;
      filter = without [
        "target"
        "fixtures"
        "lkm"
      ];
    };
    cargoVendorDir = craneLib.vendorCargoDeps { cargoLock = ../tests/Cargo.lock; };
    strictDeps = true;
    doCheck = false;

    CARGO_BUILD_TARGET = pkgsStatic.stdenv.hostPlatform.rust.rustcTarget;
    CARGO_BUILD_RUSTFLAGS = "-C target-feature=+crt-static";
  };

  program =
    pname: args:
    craneLib.buildPackage (
      common
      // args
      // {
        inherit pname cargoArtifacts;
        # As one of the workspace: on its own its dependencies would have other
        # features than those that are compiled already.
        cargoExtraArgs = "--locked --workspace --bin ${pname}";
        meta.mainProgram = pname;
      }
    );

  cargoArtifacts = craneLib.buildDepsOnly common;

  # The tests of `rooms`, folders by name, and their programs for user space,
  # compiled into lkmpg-guest, which is run by each program's name.
  guest =
    rooms:
    let
      userSpaceOf =
        room:
        builtins.path {
          name = "room";
          path = room;
          filter =
            path: _:
            builtins.elem (baseNameOf path) [
              "test.rs"
              "user"
            ]
            || baseNameOf (dirOf path) == "user";
        };
      copy = name: "cp -r ${userSpaceOf rooms.${name}} $out/${name}";
    in
    program "lkmpg-guest" {
      LKMPG_ROOMS = runCommand "rooms" { } ''
        mkdir $out
        ${builtins.concatStringsSep "\n" (map copy (builtins.attrNames rooms))}
      '';
      postInstall = ''
        for program in $LKMPG_ROOMS/*/user/*.rs; do
          [ ! -e $program ] || ln -s lkmpg-guest $out/bin/$(basename $program .rs)
        done
      '';
    };
in
{
  inherit guest;
  lkmpg = program "lkmpg" { };

  clippy = craneLib.cargoClippy (
    common
    // {
      inherit cargoArtifacts;
      LKMPG_ROOMS = "${../modules}:${../tests/lkm}";
      cargoClippyExtraArgs = "--workspace --all-targets -- -D warnings";
    }
  );
  fmt = craneLib.cargoFmt common;

  # The tests of the tests, and what the ignored ones boot: VMs of the base and
  # the debug kernel, and modules for each.
  harness =
    {
      vm,
      modules,
      debugVm,
      debugModules,
    }:
    craneLib.cargoTest (
      common
      // {
        inherit cargoArtifacts;
        LKMPG_ROOMS = "";
        cargoTestExtraArgs = "--workspace -- --include-ignored";
        LKMPG_TEST_VM = vm;
        LKMPG_TEST_MODULES = modules;
        LKMPG_TEST_DEBUG_VM = debugVm;
        LKMPG_TEST_DEBUG_MODULES = debugModules;
      }
    );
}
