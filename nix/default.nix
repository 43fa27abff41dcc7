# SPDX-License-Identifier: GPL-2.0-only
#
# Everything that this repository builds, from a package set that has nixpkgs'
# names: nixpkgs with the pins of flake.nix, or nix/debian/pkgs.nix.
{ pkgs }:
let
  inherit (pkgs) lib;

  scope = lib.makeScope pkgs.newScope (
    self:
    let
      tests = self.callPackage ./tests.nix { };
      rooms = self.callPackage ./modules.nix { };

      vmWith =
        initramfs:
        pkgs.linkFarm "lkmpg-vm" {
          kernel = "${self.kernel.dev}/vmlinux";
          initrd = "${initramfs}/initrd";
          qemu = "${pkgs.qemu}/bin/qemu-system-x86_64";
        };
    in
    {
      kernel = self.callPackage ./kernel.nix { };
      busybox = self.callPackage ./busybox.nix { inherit (pkgs.pkgsStatic) stdenv; };
      initramfs = self.callPackage ./initramfs.nix { };
      inherit (tests) lkmpg;
      lkmpg-guest = tests.guest ../modules;
      inherit (rooms) lkm modules;

      # What the CLI boots.
      vm = vmWith self.initramfs;

      inherit rooms tests vmWith;
    }
  );

  inherit (scope) callPackage rooms tests;

  # Modules that show what lkm does beyond what the examples need of it, with
  # tests like theirs.
  lkmTests = callPackage ./vm-test.nix {
    modules = rooms.roomsIn ../tests/lkm;
    vm = scope.vmWith (callPackage ./initramfs.nix { lkmpg-guest = tests.guest ../tests/lkm; });
  };
in
{
  packages = scope.modules // {
    inherit (scope)
      kernel
      busybox
      lkm
      lkmpg
      lkmpg-guest
      vm
      ;
    modules = rooms.all;
    initramfs = callPackage ./initramfs.nix { extraModules = builtins.attrValues scope.modules; };
    default = scope.lkmpg;
  };

  checks = callPackage ./vm-test.nix { } // callPackage ./lint.nix { } // lkmTests // {
    harness = tests.harness {
      inherit (scope) vm;
      # Modules that fail, each in a way that the harness must report.
      fixtures = builtins.attrValues (rooms.roomsIn ../tests/fixtures);
    };
  };
}
