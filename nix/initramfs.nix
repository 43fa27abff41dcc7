# SPDX-License-Identifier: GPL-2.0-only
#
# The VM's whole user space: busybox, its init's two files, the program that
# tests modules, with its links, which are the examples' programs, and in
# /lib/modules the modules named (the CLI adds those that it is asked for by
# itself).
{
  runCommand,
  makeInitrdNG,
  busybox,
  lkmpg-guest,
  machine,
  extraModules ? [ ],
}:
let
  root = runCommand "initramfs-root" { inherit extraModules; } ''
    mkdir -p $out/etc/init.d $out/lib/modules
    cp -r --no-preserve=mode,ownership ${busybox}/bin ${busybox}/sbin $out/
    for program in ${lkmpg-guest}/bin/*; do
      name=$(basename $program)
      if [ -e $out/bin/$name ] || [ -e $out/sbin/$name ]; then
        echo "an example has a program called $name, and so has busybox" >&2
        exit 1
      fi
      cp -P $program $out/bin/
    done
    chmod 755 $out/bin/busybox $out/bin/lkmpg-guest
    ln -s bin/busybox $out/init
    {
      echo ::sysinit:/etc/init.d/rcS
      echo ${machine.console.tty}::once:/bin/lkmpg-guest
      echo ::ctrlaltdel:/sbin/reboot
    } >$out/etc/inittab
    cp ${./initramfs/rcS} $out/etc/init.d/rcS
    echo root:x:0:0:root:/root:/bin/sh >$out/etc/passwd
    for module in $extraModules; do
      cp $module/lib/modules/*/extra/*.ko $out/lib/modules/
    done
  '';
in
makeInitrdNG {
  name = "lkmpg-initramfs";
  # Not compressed: unpacking costs more time than reading.
  compressor = "cat";
  contents =
    map
      (path: {
        source = "${root}/${path}";
        target = "/${path}";
      })
      [
        "bin"
        "sbin"
        "etc"
        "lib"
        "init"
      ];
}
