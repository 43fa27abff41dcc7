# SPDX-License-Identifier: GPL-2.0-only
#
# busybox, static: the user space of the VM. `stdenv` links statically.
{
  stdenv,
  buildPackages,
  fetchSource,
}:
let
  pins = import ./pins.nix;
in
stdenv.mkDerivation {
  pname = "busybox";
  inherit (pins.busybox) version;
  src = fetchSource pins.busybox;

  # tc wants kernel headers that are gone. All is in /bin and /sbin.
  configurePhase = ''
    make defconfig
    sed -i -e 's/^# CONFIG_STATIC is not set/CONFIG_STATIC=y/' -e 's/^CONFIG_TC=y/# CONFIG_TC is not set/' \
      -e 's/^# CONFIG_INSTALL_NO_USR is not set/CONFIG_INSTALL_NO_USR=y/' .config
    { yes "" || true; } | make oldconfig >/dev/null
  '';
  # What nixpkgs disables for its own: not all formats are constants, for example.
  hardeningDisable = [
    "format"
    "fortify"
  ];
  depsBuildBuild = [ buildPackages.stdenv.cc ];
  enableParallelBuilding = true;
  makeFlags = [
    "CROSS_COMPILE=${stdenv.cc.targetPrefix}"
    "KCONFIG_NOTIMESTAMP=1"
    "SKIP_STRIP=n"
  ];
  dontMoveSbin = true;
  installPhase = ''
    make $makeFlags CONFIG_PREFIX=$out install
    rm -f $out/linuxrc
  '';
}
