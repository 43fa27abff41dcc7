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
      kernelWith =
        fragments:
        (self.callPackage ./kernel.nix { fragments = [ ./kernel/base.config ] ++ fragments; }).kernel;
    in
    {
      kernel = kernelWith [ ];
      kernel-nixos = kernelWith [ ./kernel/nixos.config ];
      kernel-gdb = kernelWith [ ./kernel/gdb.config ];
      kernel-debug = kernelWith [ ./kernel/debug.config ];

      busybox = self.callPackage ./busybox.nix { inherit (pkgs.pkgsStatic) stdenv; };
      initramfs = self.callPackage ./initramfs.nix { };
      programs = self.callPackage ./tests.nix { };
      inherit (self.programs) lkmpg;
      lkmpg-guest = self.programs.guest examples;

      roomsFor = kernel: self.callPackage ./modules.nix { inherit kernel; };
      rooms = self.roomsFor self.kernel;
      vmTest = self.callPackage ./vm-test.nix { };
      develop = self.callPackage ./develop.nix { };

      # What the CLI boots.
      vmWith =
        {
          kernel ? self.kernel,
          initramfs ? self.initramfs,
          extra ? { },
        }:
        pkgs.linkFarm "lkmpg-vm" (
          {
            kernel = "${kernel.dev}/vmlinux";
            initrd = "${initramfs}/initrd";
            qemu = "${pkgs.qemu}/bin/qemu-system-x86_64";
          }
          // extra
        );
      vm = self.vmWith { };
    }
  );

  inherit (scope) callPackage rooms vmTest;

  examples = rooms.find ../modules;
  modules = rooms.buildAll examples;

  # Modules that show what lkm does beyond what the examples need of it, with
  # tests like theirs; and modules that fail, each in a way that the harness
  # must report.
  lkmTests = rooms.find ../tests/lkm;
  fixtures = rooms.find ../tests/fixtures;

  # Modules for the kernel that finds more.
  debugRooms = scope.roomsFor scope.kernel-debug;
  debugVm = scope.vmWith { kernel = scope.kernel-debug; };
in
{
  packages = modules // {
    inherit (scope)
      kernel
      busybox
      lkmpg
      lkmpg-guest
      vm
      ;
    inherit (rooms) lkm sizes;
    modules = rooms.join modules;
    initramfs = callPackage ./initramfs.nix { extraModules = builtins.attrValues modules; };
    echo-bench = callPackage ./echo-bench.nix {
      inherit (modules) rust_echo_server rust_echo_threads;
    };
    default = scope.lkmpg;
  };

  checks =
    (vmTest examples).vmTests
    // (vmTest lkmTests).vmTests
    // (callPackage ./lint.nix { }).checks
    // {
      vm-test-debug = (vmTest (examples // lkmTests)).debugTest;
      nixos-vm-test = (vmTest examples).nixosTest;
      rust-analyzer = scope.develop.check;
      harness = scope.programs.harness {
        inherit (scope) vm;
        inherit debugVm;
        modules = builtins.attrValues (rooms.buildAll fixtures);
        debugModules = builtins.attrValues (debugRooms.buildAll fixtures);
      };
    };

  devShells.default = scope.develop.shell;

  # Kernels that take minutes to build and tests that boot NixOS: here nobody
  # builds them who did not ask for them.
  legacyPackages = {
    inherit (scope) kernel-nixos kernel-debug;
    debug = debugRooms.buildAll examples // {
      vm = debugVm;
    };
    gdb = (scope.roomsFor scope.kernel-gdb).buildAll examples // {
      vm = scope.vmWith {
        kernel = scope.kernel-gdb;
        extra.gdbinit = callPackage ./gdbinit.nix { };
      };
    };
    nixos-vm-tests = (vmTest examples).nixosTests;
  };

  # For modules outside this repository: `src` is a folder like those in
  # modules/, with NAME.rs and, as it likes, test.rs, vm-test.py and Kbuild.
  buildRustModule =
    { name, src }:
    let
      tests = vmTest { ${name} = src; };
    in
    rooms.buildRustModule {
      inherit name src;
      passthru.tests = tests.vmTests // {
        nixos-vm-test = tests.nixosTest;
      };
    };
}
