# SPDX-License-Identifier: GPL-2.0-only
#
# Checks of the sources themselves and of the build without Nix.
{
  runCommand,
  shellcheck,
  deadnix,
  rooms,
  tests,
}:
{
  inherit (tests) clippy fmt;
  inherit (rooms)
    clippy-modules
    fmt-modules
    make-modules
    safe-rooms
    ;

  deadnix = runCommand "deadnix" { nativeBuildInputs = [ deadnix ]; } ''
    deadnix --fail ${./.}
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
          ./initramfs/rcS
          ./debian/apt-root
          ./debian/enter.sh
          ./debian/fetch
          ./debian/setup.sh
          ./debian/unpack.sh
          ./debian/update-lock
        ];
      }
      ''
        # Sourced files are checked by themselves; Nix sets builders' variables.
        shellcheck --exclude=SC1091,SC2154 $scripts
        touch $out
      '';
}
