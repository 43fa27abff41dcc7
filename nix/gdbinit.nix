# SPDX-License-Identifier: GPL-2.0-only
#
# Commands for gdb: the kernel with its symbols, and the lx- commands that it
# brings. To connect and to load modules' symbols is left to who knows them.
{ writeText, kernel-gdb }:
let
  scripts = "${kernel-gdb.dev}/lib/modules/${kernel-gdb.modDirVersion}/build/scripts/gdb";
in
writeText "gdbinit" ''
  file ${kernel-gdb.dev}/vmlinux
  python import sys; sys.path.insert(0, "${scripts}")
  source ${scripts}/vmlinux-gdb.py
''
