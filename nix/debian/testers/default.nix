# SPDX-License-Identifier: GPL-2.0-only
#
# nixpkgs' `testers.runNixOSTest` without NixOS: the node's kernel, modules and
# packages with busybox around them, in a QEMU with the devices that NixOS
# gives it, and a driver with the methods that our test scripts use.
{
  lib,
  stdenv,
  runCommand,
  symlinkJoin,
  makeInitrdNG,
  writeText,
  busybox,
  qemu,
}:
let
  inherit (stdenv) hostPlatform;
  machine = import (../../machines + "/${hostPlatform.system}.nix");
in
{
  runNixOSTest =
    {
      name,
      nodes,
      testScript,
    }:
    let
      node = nodes.machine { inherit lib; };
      inherit (node.boot.kernelPackages) kernel;
      virtualisation = {
        memorySize = 1024;
        cores = 1;
        qemu.options = [ ];
      }
      // node.virtualisation or { };

      # What the driver boots: as NixOS has it, with the serial console first.
      vm = {
        qemu = "${qemu}/bin/${machine.qemu}";
        kernel = "${kernel}/${hostPlatform.linux-kernel.target}";
        initrd = "${initrd}/initrd";
        inherit (machine) console;
        inherit (machine.nixos) arguments;
        cmdline = toString ([ machine.nixos.cmdline ] ++ node.boot.kernelParams or [ ]);
        inherit (virtualisation) cores;
        memory = virtualisation.memorySize;
        options = virtualisation.qemu.options;
      };

      kernelModules = symlinkJoin {
        name = "kernel-modules";
        paths = node.boot.extraModulePackages;
      };

      root = runCommand "test-root" { } ''
        mkdir -p $out/etc $out/lib
        cp -r --no-preserve=mode,ownership ${busybox}/bin ${busybox}/sbin $out/
        cp ${./init} $out/init
        chmod 755 $out/bin/busybox $out/init
        echo root:x:0:0:root:/root:/bin/sh >$out/etc/passwd
        echo ${machine.console.tty} >$out/etc/serial
        echo 'export PATH=${
          builtins.concatStringsSep ":" (map (p: "${p}/bin") node.environment.systemPackages)
        }:/bin:/sbin' >$out/etc/set-environment
        echo ${kernelModules} >$out/etc/kernel-modules
        ln -s /run/booted-system/kernel-modules/lib/modules $out/lib/modules
      '';
      initrd = makeInitrdNG {
        name = "test-initrd";
        contents =
          map
            (file: {
              source = "${root}/${file}";
              target = "/${file}";
            })
            [
              "bin"
              "sbin"
              "etc"
              "lib"
              "init"
            ];
      };
    in
    # The VM sees the store that its builder sees.
    runCommand "vm-test-run-${name}"
      {
        closure = [
          root
          kernelModules
        ]
        ++ node.environment.systemPackages;
      }
      ''
        mkdir $out
        python3 ${./driver.py} ${writeText "vm.json" (builtins.toJSON vm)} \
          ${writeText "test-script.py" testScript} 2>&1 | tee $out/log
      '';
}
