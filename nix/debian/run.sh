# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-only
#
# usage: run.sh BUSYBOX ROOT PROGRAM [ARG...]
#
# Runs a program of the root file system ROOT on this machine: /usr, /etc and
# the links to them are ROOT's, all else is what it was. Nothing of it is seen
# outside, and it is gone when the program ends.
set -eu

# Only root may mount; others are root in a name space of their own.
options='-U -r -m'
! "$1" unshare -m "$1" true 2>/dev/null || options=-m

# shellcheck disable=SC2086,SC2016 # options is a list; expanded inside
exec "$1" unshare $options "$1" sh -c '
  set -eu
  busybox=$1 root=$2 program=$3 new=$2/tmp
  shift 3
  "$busybox" mount -t tmpfs -o mode=755 none "$new"
  for path in "$root"/* /*; do
    name=${path##*/}
    [ ! -e "$new/$name" ] && [ ! -L "$new/$name" ] || continue
    case $name in
      usr | etc | bin | sbin | lib*) from=$root/$name ;;
      *) from=/$name ;;
    esac
    if [ -L "$from" ]; then
      "$busybox" cp -P "$from" "$new/$name"
    elif [ -d "$from" ]; then
      "$busybox" mkdir "$new/$name"
      "$busybox" mount -o rbind "$from" "$new/$name"
    fi
  done
  PATH=/usr/sbin:/usr/bin exec "$busybox" chroot "$new" "$busybox" sh -c "cd \"\$1\" && shift && exec \"\$@\"" sh "$PWD" "$program" "$@"
' sh "$@"
