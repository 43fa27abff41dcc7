#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# usage: preflight.sh KDIR [VARIABLE=VALUE]... [GOAL]...
#
# Says in a sentence what make would take many for: what is wrong with a path, with an
# example's name, with KDIR or with the compilers. It runs in the folder with the chapters,
# and gets the variables of make's command line, and goals that need more than modules do.
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
# The shell that runs make does so, too.
case $kdir in
  \~/*) kdir=$HOME${kdir#?} ;;
esac
output=${KBUILD_OUTPUT-} llvm=${LLVM-} cross=${CROSS_COMPILE-}
cc='' rustc=rustc bindgen=bindgen mo='' goals=
for word; do
  value=${word#*=}
  case $word in
    O=*) output=$value ;;
    MO=*) mo=$value ;;
    LLVM=*) llvm=$value ;;
    CROSS_COMPILE=*) cross=$value ;;
    CC=*) cc=$value ;;
    RUSTC=*) rustc=$value ;;
    BINDGEN=*) bindgen=$value ;;
    *=*) ;;
    *) goals="$goals $word" ;;
  esac
done

# Kbuild takes paths for words of make and of the shell.
for path in "$PWD" "$kdir" "$output" "$mo"; do
  plain=$(printf %s "$path" | tr -d "[:space:]:;#%&|<>(){}\"\`'\\\$*?[]")
  [ "$path" = "$plain" ] ||
    fail "make cannot take the path '$path': move it to one without spaces and without the characters : ; # % & | < > ( ) { } [ ] * ? \" \` ' \\ \$"
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

# Files of the sources.
need() { # GOAL FILE
  case "$goals " in
    *" $1 "*) ;;
    *) return 0 ;;
  esac
  # A folder for O= names the sources.
  sources=$(sed -n 's|^include \(/[^$]*\)/Makefile$|\1|p' "$kdir/Makefile")
  [ -e "$kdir/$2" ] || [ -e "$tree/$2" ] || [ -e "$sources/$2" ] ||
    fail "$kdir has no $2, so it is good for modules, but not for 'make $1': take the folder in which that kernel was built"
}
need rust-analyzer rust/Makefile
need doctest rust/kernel/generated_arch_static_branch_asm.rs

# The compilers.
name=$cc
[ -n "$cc" ] || case $llvm in
  '') name=${cross}gcc ;;
  */) name=${llvm}clang ;;
  -*) name=clang$llvm ;;
  *) name=clang ;;
esac
# shellcheck disable=SC2086 # a program with arguments
text=$($name --version 2>/dev/null | sed 1q)
differ="$tree was built by $(option CC_VERSION_TEXT), and make would take $name (${text:-not found})"
clang=$(option CLANG_VERSION)
clang=${clang%????}
case $(option CC_IS_CLANG),$text in
  y,*clang*) ;;
  y,*)
    [ -z "$cc" ] || fail "$differ: leave out CC=$cc, or name that one with CC=..."
    case $llvm in
      '') fail "$differ: add LLVM=1, or LLVM=-$clang where it is called clang-$clang" ;;
      -*) fail "$differ: install clang $clang" ;;
      *) fail "$differ: install clang $clang, or add LLVM=-$clang where it is called clang-$clang" ;;
    esac
    ;;
  ,*clang* | ,)
    [ -z "$llvm" ] || fail "$differ: leave out LLVM=$llvm"
    fail "$differ: install GCC, or name it with CC=..."
    ;;
esac

text=$("$rustc" --version 2>/dev/null | tr -d '#')
wanted=$(option RUSTC_VERSION_TEXT)
[ "$text" = "$wanted" ] || {
  version=${wanted#rustc }
  # Those of distributions say more than their version, its commit and date.
  case $wanted in
    *"("*"("*) rustup= ;;
    *) rustup=" or with 'rustup toolchain install ${version%% *}'" ;;
  esac
  fail "$tree was built by $wanted, and $rustc is ${text:-not there}: install that one, from where the kernel is$rustup, or name it with RUSTC=..."
}

# Some want a file even for this.
text=$("$bindgen" --version none.h 2>/dev/null) || text=
wanted=$(option BINDGEN_VERSION_TEXT)
[ "$text" = "$wanted" ] ||
  fail "$tree was built with $wanted, and $bindgen is ${text:-not there}: install that one, from where the kernel is or with 'cargo install --locked bindgen-cli@${wanted#bindgen }', or name it with BINDGEN=..."
