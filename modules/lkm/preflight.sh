#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# usage: preflight.sh KDIR [VARIABLE=VALUE]...
#
# Says in a sentence what make would take many for: what is wrong with an example's name,
# with KDIR or with the compilers. It runs in the folder with the chapters, and gets the
# variables of make's command line.
set -eu
export LC_ALL=C

# The kernels that lkm is for.
supported='6.18 7.2'

fail() {
  echo "$*" >&2
  exit 1
}

for folder in */*/; do
  folder=${folder%/}
  chapter=${folder%/*}
  name=${folder#*/}
  [ -e "$folder/$name.rs" ] || continue
  [ ! -e "$chapter/lib.rs" ] || continue
  case $chapter in
    *[!A-Za-z0-9_.-]*)
      fail "'$chapter' cannot be a chapter's name: it may have ASCII letters, digits, '-', '_' and '.'"
      ;;
  esac
  good=y
  case $name in
    [!A-Za-z]* | *[!A-Za-z0-9_-]*) good= ;;
  esac
  [ ${#name} -le 55 ] || good= # MODULE_NAME_LEN - 1
  [ -n "$good" ] ||
    fail "'$name' cannot be an example's name: it may have ASCII letters, digits, '-' and '_', begins with a letter, and has at most 55 characters"
done

# As the kernel's Makefile has them: some can be set in the environment, too.
kdir=$1
shift
output=${KBUILD_OUTPUT-} llvm=${LLVM-} cross=${CROSS_COMPILE-}
cc='' rustc=rustc bindgen=bindgen
for word; do
  value=${word#*=}
  case $word in
    O=*) output=$value ;;
    LLVM=*) llvm=$value ;;
    CROSS_COMPILE=*) cross=$value ;;
    CC=*) cc=$value ;;
    RUSTC=*) rustc=$value ;;
    BINDGEN=*) bindgen=$value ;;
  esac
done
case $output in
  '') tree=$kdir ;;
  /*) tree=$output ;;
  *) tree=$kdir/$output ;;
esac

# The kernel.
config=$tree/include/config/auto.conf
[ -d "$kdir" ] || fail "There is no folder $kdir: KDIR=... names the folder in which a kernel was built, or its headers"
[ -e "$kdir/Makefile" ] || fail "$kdir has no Makefile: KDIR=... names the folder in which a kernel was built, or its headers"
[ -e "$config" ] || fail "$config is missing: KDIR=... names the folder in which a kernel was built, or its headers"

option() { # NAME: the value of CONFIG_NAME
  sed -n "s/^CONFIG_$1=//p" "$config" | tr -d '"'
}

release=$(cat "$tree/include/config/kernel.release" 2>/dev/null) || release='an unknown version'
known=
for version in $supported; do
  case $release in
    "$version" | "$version"[!0-9]*) known=y ;;
  esac
done
[ -n "$known" ] || fail "$tree is of Linux $release, and lkm is for Linux $supported: take a kernel of that version"
[ "$(option RUST)" = y ] || fail "$tree is of a kernel without CONFIG_RUST, which cannot have modules in Rust: build one with it"

target=
[ "$(option X86)" != y ] || target=scripts/target.json
for file in rust/libcore.rmeta rust/libkernel.rmeta include/generated/rustc_cfg $target; do
  [ -e "$tree/$file" ] ||
    fail "$tree has no $file, so it is good for modules in C only: take the folder in which that kernel was built, or install its headers for Rust (on Ubuntu: linux-lib-rust-$release)"
done

# The compilers.
[ -n "$cc" ] || case $llvm in
  '') cc=${cross}gcc ;;
  */) cc=${llvm}clang ;;
  -*) cc=clang$llvm ;;
  *) cc=clang ;;
esac
# shellcheck disable=SC2086 # a program with arguments
text=$($cc --version 2>/dev/null | sed 1q)
differ="$tree was built by $(option CC_VERSION_TEXT), and make would take $cc (${text:-not found})"
clang=$(option CLANG_VERSION)
clang=${clang%????}
case $(option CC_IS_CLANG),$text in
  y,*clang*) ;;
  y,*) fail "$differ: add LLVM=1, or LLVM=-$clang where it is called clang-$clang" ;;
  ,*clang* | ,)
    [ -z "$llvm" ] || fail "$differ: leave out LLVM=$llvm"
    fail "$differ: install GCC, or name it with CC=..."
    ;;
esac

text=$("$rustc" --version 2>/dev/null | tr -d '#')
wanted=$(option RUSTC_VERSION_TEXT)
[ "$text" = "$wanted" ] || {
  version=${wanted#rustc }
  fail "$tree was built by $wanted, and $rustc is ${text:-not there}: install that one, from where the kernel is or with 'rustup toolchain install ${version%% *}', or name it with RUSTC=..."
}

text=$("$bindgen" --version 2>/dev/null) || text=
wanted=$(option BINDGEN_VERSION_TEXT)
[ "$text" = "$wanted" ] ||
  fail "$tree was built with $wanted, and $bindgen is ${text:-not there}: install that one, from where the kernel is or with 'cargo install --locked bindgen-cli@${wanted#bindgen }', or name it with BINDGEN=..."
