# SPDX-License-Identifier: GPL-2.0-only
#
# busybox, static: the user space of the VM. `stdenv` links statically.
{ stdenv, fetchurl }:
let
  pins = import ./pins.nix;
in
stdenv.mkDerivation {
  pname = "busybox";
  inherit (pins.busybox) version;
  src = fetchurl { inherit (pins.busybox) url hash; };

  # tc wants kernel headers that are gone.
  configurePhase = ''
    make defconfig
    sed -i -e 's/^# CONFIG_STATIC is not set/CONFIG_STATIC=y/' -e 's/^CONFIG_TC=y/# CONFIG_TC is not set/' .config
    { yes "" || true; } | make oldconfig >/dev/null
  '';
  makeFlags = [
    "CC=${stdenv.cc.targetPrefix}cc"
    "KCONFIG_NOTIMESTAMP=1"
    "SKIP_STRIP=n"
  ];
  installPhase = ''
    make $makeFlags CONFIG_PREFIX=$out install
    rm -f $out/linuxrc
  '';
}
