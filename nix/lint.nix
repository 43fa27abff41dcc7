# SPDX-License-Identifier: GPL-2.0-only
#
# Checks of the sources themselves and of the build without Nix.
{
  runCommand,
  shellcheck,
  deadnix,
  kernel-nixos,
  modules,
  modulesFor,
  tools,
}:
{
  checks = {
    inherit (tools) clippy fmt;
    inherit (modules)
      clippy-modules
      doc-lkm
      fmt-modules
      headers-gcc
      lacking-options
      make-goals
      make-modules
      preflight
      refused
      safe-examples
      ;
    refused-6_18 = (modulesFor kernel-nixos).refused;
    sizes = modules.sizes-check;

    deadnix = runCommand "deadnix" { nativeBuildInputs = [ deadnix ]; } ''
      deadnix --fail ${./.} ${../flake.nix} ${../template}
      # Those have arguments only to say which there are.
      deadnix --fail --no-lambda-pattern-names ${../tests/stand-ins}
      touch $out
    '';

    shellcheck =
      runCommand "shellcheck"
        {
          nativeBuildInputs = [ shellcheck ];
          scripts = [
            ../lkmpg
            ../.ci/run
            ../.ci/cli
            ../.ci/flake
            ../modules/lkm/doctest.sh
            ../modules/lkm/preflight.sh
            ../bench/times
            ./initramfs/rcS
            ./debian/apt-root
            ./debian/clang-pch
            ./debian/enter.sh
            ./debian/fetch
            ./debian/run.sh
            ./debian/setup.sh
            ./debian/testers/init
            ./debian/unpack.sh
            ./debian/update-lock
          ];
        }
        ''
          # Sourced files are checked by themselves; Nix sets builders' variables.
          shellcheck --exclude=SC1091,SC2154 $scripts
          touch $out
        '';
  };
}
