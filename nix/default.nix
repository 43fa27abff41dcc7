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
      inherit (self) machine;
      kernelWith =
        fragments:
        (self.callPackage ./kernel.nix {
          fragments = [ ./kernel/base.config ] ++ machine.kernel.fragments ++ fragments;
        }).kernel;
    in
    {
      machine = import (./machines + "/${pkgs.stdenv.hostPlatform.system}.nix");

      kernel = kernelWith [ ];
      kernel-nixos = kernelWith ([ ./kernel/nixos.config ] ++ machine.nixos.fragments);
      kernel-gdb = kernelWith [ ./kernel/gdb.config ];
      kernel-debug = kernelWith [ ./kernel/debug.config ];

      busybox = self.callPackage ./busybox.nix { inherit (pkgs.pkgsStatic) stdenv; };
      initramfs = self.callPackage ./initramfs.nix { };
      tools = self.callPackage ./tools.nix { };
      inherit (self.tools) lkmpg;
      lkmpg-guest = self.tools.guest folders;

      examples = self.callPackage ./examples.nix { };
      modulesFor = kernel: self.callPackage ./modules.nix { inherit kernel; };
      modules = self.modulesFor self.kernel;
      vmTest = self.callPackage ./vm-test.nix { };
      develop = self.callPackage ./develop.nix { };

      # What the CLI boots: a folder with machine.json.
      vmWith =
        {
          kernel ? self.kernel,
          initramfs ? self.initramfs,
          extra ? { },
        }:
        pkgs.linkFarm "lkmpg-vm" {
          "machine.json" = pkgs.writeText "machine.json" (
            builtins.toJSON (
              {
                inherit (machine)
                  accelerators
                  architecture
                  console
                  cpus
                  events
                  machine
                  memory
                  smp
                  ;
                qemu = "${pkgs.qemu}/bin/${machine.qemu}";
                kernel = "${kernel.dev}/${machine.kernel.file}";
                initrd = "${initramfs}/initrd";
                cmdline = "panic=-1";
              }
              // extra
            )
          );
        };
      vm = self.vmWith { };
    }
  );

  inherit (scope) callPackage vmTest;
  hereOnly = scope.examples.onlyFor scope.machine.architecture;

  # The examples' folders, and all their modules.
  folders = hereOnly (scope.examples.find ../modules);
  modules = scope.modules.buildAll folders;

  # Modules that show what lkm does beyond what the examples need of it, with
  # tests like theirs; and modules that fail, each in a way that the harness
  # must report.
  lkmTests = hereOnly (scope.examples.inChapter ../tests/lkm);
  fixtures = hereOnly (scope.examples.inChapter ../tests/fixtures);

  # Modules for the kernel that finds more.
  debugModules = scope.modulesFor scope.kernel-debug;
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
    inherit (scope.modules) lkm sizes;
    inherit (scope.tools) cli-tests;
    modules = scope.modules.join modules;
    initramfs = callPackage ./initramfs.nix { extraModules = builtins.attrValues modules; };
    echo-bench = callPackage ./echo-bench.nix {
      inherit (modules) rust_echo_server rust_echo_threads;
    };
    default = scope.lkmpg;
  };

  checks =
    (vmTest folders).vmTests
    // (vmTest lkmTests).vmTests
    // (callPackage ./lint.nix { }).checks
    // {
      vm-test-debug = (vmTest (folders // lkmTests)).debugTest;
      nixos-vm-test = (vmTest folders).nixosTest;
      rust-analyzer = scope.develop.check;
      harness = scope.tools.harness {
        inherit (scope) vm;
        inherit debugVm;
        modules = builtins.attrValues (scope.modules.buildAll fixtures);
        debugModules = builtins.attrValues (debugModules.buildAll fixtures);
      };
    };

  devShells.default = scope.develop.shell;

  # Kernels that take minutes to build and tests that boot NixOS: here nobody
  # builds them who did not ask for them.
  legacyPackages = {
    inherit (scope) kernel-nixos kernel-debug;
    debug = debugModules.buildAll folders // {
      vm = debugVm;
    };
    gdb = (scope.modulesFor scope.kernel-gdb).buildAll folders // {
      vm = scope.vmWith {
        kernel = scope.kernel-gdb;
        extra.gdbinit = callPackage ./gdbinit.nix { };
      };
    };
    nixos-vm-tests = (vmTest folders).nixosTests;
  };

  # For modules outside this repository: `src` is a folder like those in
  # a chapter, with NAME.rs and, as it likes, test.rs, vm-test.py, Kbuild and
  # needs.toml.
  buildRustModule =
    { name, src }:
    let
      tests = vmTest { ${name} = src; };
    in
    scope.modules.buildRustModule {
      inherit name src;
      passthru.tests = tests.vmTests // {
        nixos-vm-test = tests.nixosTest;
      };
    };
}
