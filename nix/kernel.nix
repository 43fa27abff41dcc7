# SPDX-License-Identifier: GPL-2.0-only
#
# The pinned kernel, configured as allnoconfig plus `fragments`.
{
  stdenv,
  fetchurl,
  linuxManualConfig,
  bison,
  flex,
  perl,
  bc,
  fragments,
}:
let
  pins = import ./pins.nix;
  inherit (pins.linux) version;
  src = fetchurl { inherit (pins.linux) url hash; };

  configfile = stdenv.mkDerivation {
    pname = "linux-config";
    inherit version src fragments;
    inherit (kernel) patches postPatch;
    makeFlags = kernel.commonMakeFlags;
    nativeBuildInputs = [
      bison
      flex
      perl
      bc
    ]
    ++ kernel.moduleBuildDependencies;

    # A line that Kconfig drops is an option that silently is not there.
    buildPhase = ''
      cat $fragments >fragment
      make $makeFlags KCONFIG_ALLCONFIG=fragment allnoconfig
      grep -vE '^(#|$)' fragment | grep -vFxf .config >dropped || true
      if [ -s dropped ]; then
        echo "These lines of $fragments did not survive into .config:" >&2
        cat dropped >&2
        if grep -Fxq CONFIG_RUST=y dropped; then
          echo "What make rustavailable says:" >&2
          make $makeFlags rustavailable >&2 || true
        fi
        exit 1
      fi
    '';
    installPhase = "cp .config $out";
  };

  kernel = linuxManualConfig {
    inherit version src configfile;
    modDirVersion = version;
    config = {
      CONFIG_MODULES = "y";
      CONFIG_RUST = "y";
    };
  };
in
{
  # In a set, so that its `override` is the builder's own, which NixOS uses.
  inherit kernel;
}
