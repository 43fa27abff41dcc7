# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Builder: runs $setup with bash inside the root file system $root. The outer
# world is Nix's sandbox: busybox, the store and a build directory.
set -eu

# shellcheck disable=SC2016 # expanded inside
exec unshare -U -r -m /bin/sh -c '
  set -eu
  for d in nix proc dev tmp; do
    mount -o rbind "/$d" "$root/$d"
  done
  mount -o rbind "$NIX_BUILD_TOP" "$root/build"
  export NIX_BUILD_TOP=/build TMPDIR=/build TMP=/build TEMP=/build HOME=/build
  exec chroot "$root" /usr/bin/bash "$setup"
'
