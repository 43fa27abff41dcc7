# SPDX-License-Identifier: GPL-2.0-only
#
# The Cargo workspace in tools/: the CLI, its tests and the program that runs in
# the VM, linked statically so that they run anywhere.
{
  lib,
  runCommand,
  craneLib,
  pkgsStatic,
}:
let
  sources =
    keep:
    lib.cleanSourceWith {
      name = "tools";
      src = ../tools;
      filter = path: _: baseNameOf path != "target" && keep path;
    };

  common = {
    pname = "lkmpg";
    version = "0.1.0";
    # crane reads the manifests while it evaluates, from ../tools itself.
    src = sources (_: true);
    cargoVendorDir = craneLib.vendorCargoDeps { cargoLock = ../tools/Cargo.lock; };
    strictDeps = true;
    # Only `cargoArtifacts` is for others to go on from.
    doInstallCargoArtifacts = false;

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
        # Tests are run by `harness`.
        doCheck = false;
        # As one of the workspace: on its own its dependencies would have other
        # features than those that are compiled already.
        cargoExtraArgs = "--locked --workspace --bin ${pname}";
        meta.mainProgram = pname;
      }
    );

  # For programs that do not change when the CLI's tests do: with them all VMs
  # would have to be tested again.
  withoutCliTests = {
    src = sources (path: builtins.match ".*/cli-tests/src" path == null);
    preConfigure = "mkdir cli-tests/src && echo 'fn main() {}' >cli-tests/src/main.rs";
  };

  cargoArtifacts = craneLib.buildDepsOnly common;

  # The tests of `examples`, folders by name, and their programs for user space,
  # compiled into lkmpg-guest, which is run by each program's name.
  guest =
    examples:
    let
      userSpaceOf =
        example:
        builtins.path {
          name = "example";
          path = example;
          filter =
            path: _:
            builtins.elem (baseNameOf path) [
              "commands.rs"
              "test.rs"
              "user"
            ]
            || baseNameOf (dirOf path) == "user";
        };
      copy = name: "cp -r ${userSpaceOf examples.${name}} $out/${name}";
    in
    program "lkmpg-guest" (
      withoutCliTests
      // {
        LKMPG_EXAMPLES = runCommand "examples" { } ''
          mkdir $out
          ${builtins.concatStringsSep "\n" (map copy (builtins.attrNames examples))}
        '';
        # Which tests there are, so that the CLI can tell; and the links.
        postInstall = ''
          mkdir -p $out/share/lkmpg
          $out/bin/lkmpg-guest list >$out/share/lkmpg/tests.json
          for program in $LKMPG_EXAMPLES/*/user/*.rs; do
            [ ! -e $program ] || ln -s lkmpg-guest $out/bin/$(basename $program .rs)
          done
        '';
      }
    );
in
{
  inherit guest;
  lkmpg = program "lkmpg" withoutCliTests;
  # A program, not a check: it builds with Nix and boots VMs itself.
  cli-tests = program "cli-tests" { };

  clippy = craneLib.cargoClippy (
    common
    // {
      inherit cargoArtifacts;
      LKMPG_EXAMPLES = "${../modules}:${../tests/lkm}";
      cargoClippyExtraArgs = "--workspace --all-targets -- -D warnings";
    }
  );
  fmt = craneLib.cargoFmt (common // { cargoExtraArgs = "--all"; });

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
        LKMPG_EXAMPLES = "";
        cargoTestExtraArgs = "--workspace -- --include-ignored";
        LKMPG_TEST_VM = vm;
        LKMPG_TEST_MODULES = modules;
        LKMPG_TEST_DEBUG_VM = debugVm;
        LKMPG_TEST_DEBUG_MODULES = debugModules;
      }
    );
}
