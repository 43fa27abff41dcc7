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
    in
    {
      kernel = self.callPackage ./kernel.nix { };
      busybox = self.callPackage ./busybox.nix { inherit (pkgs.pkgsStatic) stdenv; };
      initramfs = self.callPackage ./initramfs.nix { };
      inherit (tests) lkmpg lkmpg-guest;
      inherit (rooms) lkm modules;

      # What the CLI boots.
      vm = pkgs.linkFarm "lkmpg-vm" {
        kernel = "${self.kernel.dev}/vmlinux";
        initrd = "${self.initramfs}/initrd";
        qemu = "${pkgs.qemu}/bin/qemu-system-x86_64";
      };

      inherit rooms tests;
    }
  );

  # Modules that only the tests of the harness load.
  fixtures = builtins.mapAttrs (
    name: _: scope.rooms.buildRustModule name (../tests/fixtures + "/${name}")
  ) (builtins.readDir ../tests/fixtures);
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
    modules = scope.rooms.all;
    initramfs = scope.callPackage ./initramfs.nix { extraModules = builtins.attrValues scope.modules; };
    default = scope.lkmpg;
  };

  checks = scope.callPackage ./vm-test.nix { } // scope.callPackage ./lint.nix { } // {
    harness = scope.tests.harness {
      inherit (scope) vm;
      fixtures = builtins.attrValues fixtures;
    };
  };
}
