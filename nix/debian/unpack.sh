# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Builder: unpacks $debs into the root file system $out. There is nothing but
# busybox yet, and maintainer scripts do not run: what is needed of their work
# follows the unpacking.
set -eu

mkdir -p "$out" && cd "$out"

# The directory links of base-files first, all others go through them.
echo "$debs" | tr ' ' '\n' | grep -e '-base-files_' | xargs -n 1 -I '{}' dpkg-deb -x '{}' .
echo "$debs" | tr ' ' '\n' | grep -v -e '-base-files_' |
  xargs -P "$NIX_BUILD_CORES" -I '{}' dpkg-deb -x '{}' .

# Alternatives.
[ -e usr/bin/gawk ] && ln -s gawk usr/bin/awk
[ -e usr/bin/gcc ] && ln -s gcc usr/bin/cc

# What no build reads, half of the whole.
rm -rf usr/share/doc usr/share/man usr/share/locale usr/share/info
rm -f usr/lib/llvm-*/lib/*.a
for d in usr/src/rustc-*/*; do
  [ "${d##*/}" = library ] || rm -rf "$d"
done

# Where enter.sh mounts the build's own.
mkdir -p nix proc dev build tmp
