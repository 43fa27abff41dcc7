# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0-only
#
# usage: run.sh BUSYBOX ROOT PROGRAM [ARG...]
#
# Runs a program of the root file system ROOT on this machine: /usr, /etc and
# the links to them are ROOT's, all else is what it was. Of this machine's /usr
# there is only where people keep sources: /usr/src, /usr/local/src, and what
# Debian's kernel headers are made of. Nothing of it is seen outside, and it is
# gone when the program ends.
set -eu

# Only root may mount; others are root in a name space of their own.
options=-m
"$1" unshare -m "$1" true 2>/dev/null || options='-U -r -m'
# shellcheck disable=SC2086 # a list
"$1" unshare $options "$1" true 2>/dev/null || {
  echo "lkmpg: $3 needs a mount name space, and $(id -un) may make none here; root may" >&2
  exit 3
}

# shellcheck disable=SC2086,SC2016 # options is a list; expanded inside
exec "$1" unshare $options "$1" sh -c '
  set -eu
  busybox=$1 root=$2 program=$3 new=$2/tmp
  shift 3
  "$busybox" mount -t tmpfs -o mode=755 none "$new"

  fill() { # FOLDER PATH...: puts there which of these it has not yet
    folder=$new/$1
    shift
    "$busybox" mkdir -p "$folder"
    for from; do
      to=$folder/${from##*/}
      [ ! -e "$to" ] && [ ! -L "$to" ] || continue
      if [ -L "$from" ]; then
        "$busybox" cp -P "$from" "$to"
      elif [ -d "$from" ]; then
        "$busybox" mkdir "$to"
        # busybox stops reading a name at #.
        "$busybox" mount -o rbind "$from" "$to" 2>/dev/null ||
          (cd "$from" && "$busybox" mount -o rbind . "$to")
      elif [ "${from#"$root"}" != "$from" ]; then
        "$busybox" cp "$from" "$to"
      fi
    done
  }

  # The inner ones first: what is there already is left as it is.
  fill usr/local /usr/local/src
  fill usr/src "$root"/usr/src/* /usr/src/*
  fill usr/lib "$root"/usr/lib/* /usr/lib/modules /usr/lib/linux-*
  fill usr "$root"/usr/*
  fill "" "$root"/etc "$root"/bin "$root"/sbin "$root"/lib* /*

  same() { [ "$("$busybox" stat -c %d:%i "$1")" = "$("$busybox" stat -c %d:%i "$2" 2>/dev/null)" ]; }
  [ "$PWD" = / ] || same "$PWD" "$new$PWD" || {
    top=${PWD#/}
    echo "lkmpg: $program cannot be run in $PWD: it has a /${top%%/*} of its own;" \
      "use another folder (/usr/src and /usr/local/src will do)" >&2
    exit 3
  }
  PATH=/usr/sbin:/usr/bin exec "$busybox" chroot "$new" "$busybox" sh -c "cd \"\$1\" && shift && exec \"\$@\"" sh "$PWD" "$program" "$@"
' sh "$@"
