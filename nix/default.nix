# SPDX-License-Identifier: GPL-2.0-only
#
# Everything that this repository builds, from a package set that has nixpkgs'
# names: nixpkgs with the pins of flake.nix, or nix/debian/pkgs.nix. `packages` is what
# that set adds to the outputs.
{ pkgs, packages }:
let
  inherit (pkgs) lib;

  scope = lib.makeScope pkgs.newScope (
    self:
    let
      inherit (self) machine;
      # Nix builds first what comes first by name. The tests on the debug kernel
      # take longest, so it is the second, after the one that all else needs.
      kernelBy =
        builder: pname: fragments:
        (self.callPackage ./kernel.nix (
          builder
          // {
            inherit pname;
            fragments = [ ./kernel/base.config ] ++ machine.kernel.fragments ++ fragments;
          }
        )).kernel;
      kernelWith = kernelBy { };
      # As most distributions build theirs.
      gcc.linuxManualConfig = pkgs.linuxManualConfig.override { stdenv = pkgs.gccStdenv; };
      lts.linux = "6.18";
      headersOf = symbols: of: self.callPackage ./headers.nix { inherit symbols of; };
    in
    {
      machine = import (./machines + "/${pkgs.stdenv.hostPlatform.system}.nix");

      kernel = kernelWith "linux" [ ];
      kernel-gdb = kernelWith "linux-gdb" [ ./kernel/gdb.config ];
      kernel-debug = kernelWith "linux-debug" [ ./kernel/debug.config ];
      # The one that NixOS takes when none is asked for. All tests on 6.18 are on this one.
      kernel-nixos = kernelBy lts "linux-nixos" (
        [ ./kernel/nixos.config ] ++ machine.nixos.fragments
      );
      kernel-debug-6_18 = kernelBy lts "linux-debug-6.18" [ ./kernel/debug.config ];
      kernel-gcc = kernelBy gcc "linux-gcc" [ ];
      kernel-distribution = kernelBy gcc "linux-distribution" [ ./kernel/distribution.config ];

      # Of kernels that need not be built.
      headers-gcc = headersOf self.kernel self.kernel-gcc;
      headers-gcc-6_18 = headersOf null (kernelBy (gcc // lts) "linux-gcc-6.18" [ ]);
      headers-lto = headersOf null (kernelWith "linux-lto" [ ./kernel/lto.config ]);

      # For modules: the kernel is built without warnings, they are not.
      moduleMakeFlags = kernel: kernel.commonMakeFlags ++ [ "KCFLAGS=" ];

      busybox = self.callPackage ./busybox.nix { inherit (pkgs.pkgsStatic) stdenv; };
      initramfsWith = self.callPackage ./initramfs.nix;
      tools = self.callPackage ./tools.nix { };
      inherit (self.tools) lkmpg;
      lkmpg-guest = self.tools.guest all;

      examples = self.callPackage ./examples.nix { };
      modulesFor = kernel: self.callPackage ./modules.nix { inherit kernel; };
      modules = self.modulesFor self.kernel;
      vmTest = self.callPackage ./vm-test.nix { };
      develop = self.callPackage ./develop.nix { };

      # What the CLI boots: a folder with machine.json.
      vmWith =
        {
          kernel ? self.kernel,
          lkmpg-guest ? self.lkmpg-guest,
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
                  files
                  machine
                  memory
                  smp
                  ;
                qemu = "${pkgs.qemu}/bin/${machine.qemu}";
                kernel = "${kernel.dev}/${machine.kernel.file}";
                initrd = "${self.initramfsWith { inherit lkmpg-guest; }}/initrd";
                tests = "${lkmpg-guest}/share/lkmpg/tests.json";
                cmdline = "panic=-1";
              }
              // extra
            )
          );
        };
      vm = self.vmWith { };
    }
  );

  inherit (scope) callPackage;
  vmTest =
    folders:
    scope.vmTest {
      inherit folders;
      inherit (scope) lkmpg-guest;
    };
  hereOnly =
    found: scope.examples.besides outputs (scope.examples.onlyFor scope.machine.architecture found);

  # The examples' folders, and all their modules.
  folders = hereOnly (scope.examples.find ../modules);
  modules = scope.modules.buildAll folders;

  # Modules that show what lkm does beyond what the examples need of it, with
  # tests like theirs; and modules that fail, each in a way that the harness
  # must report.
  lkmTests = hereOnly (scope.examples.inChapter ../tests/lkm);
  fixtures = hereOnly (scope.examples.inChapter ../tests/fixtures);

  # What is to pass.
  passing = scope.examples.disjoint [
    folders
    lkmTests
  ];

  # All modules: one program in the VM has the tests of all of them.
  all = scope.examples.disjoint [
    passing
    fixtures
  ];

  # What the CLI takes for a kernel: the VM and all modules.
  setFor =
    kernel: extra:
    (scope.modulesFor kernel).buildAll all // { vm = scope.vmWith { inherit kernel extra; }; };
  base = setFor scope.kernel { };
  debug = setFor scope.kernel-debug { };
  linux_6_18 = setFor scope.kernel-nixos { };
  gdb = setFor scope.kernel-gdb { gdbinit = callPackage ./gdbinit.nix { }; };

  # What the flake builds besides the modules, by name.
  outputs = packages // {
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
    initramfs = scope.initramfsWith { extraModules = builtins.attrValues modules; };
    echo-bench = callPackage ./echo-bench.nix {
      inherit (modules) rust_echo_server rust_echo_threads;
    };
    default = scope.lkmpg;
  };
in
{
  packages = modules // outputs;

  checks = (callPackage ./lint.nix { }).checks // {
    vm-test = (vmTest passing).test;
    vm-test-6_18 = (vmTest passing).ltsTest;
    vm-test-debug = (vmTest passing).debugTest;
    nixos-vm-test = (vmTest folders).nixosTest;
    nixos-options = (vmTest folders).nixosOptions;
    rust-analyzer = scope.develop.check;
    harness = scope.tools.harness {
      inherit (base) vm;
      debugVm = debug.vm;
      modules = builtins.attrValues (builtins.intersectAttrs fixtures base) ++ [
        base.i2c-sim
        base.needs
      ];
      debugModules =
        builtins.attrValues (builtins.intersectAttrs fixtures debug) ++ [ debug.i2c-sim ];
    };
  };

  devShells.default = scope.develop.shell;

  # Kernels that take minutes to build and tests that boot NixOS: here nobody
  # builds them who did not ask for them.
  legacyPackages = {
    inherit (scope) kernel-nixos kernel-debug;
    inherit
      base
      debug
      gdb
      linux_6_18
      ;
    vm-tests = (vmTest passing).tests;
    # Checks that take long and rarely fail.
    nightly = {
      gdb = scope.modules.join (removeAttrs gdb [ "vm" ]);
      inherit (scope.modules) headers-gcc-6_18 headers-lto;
      doc-lkm-6_18 = (scope.modulesFor scope.kernel-nixos).doc-lkm;
      vm-test-debug-6_18 = (vmTest passing).ltsDebugTest;
      vm-test-distribution = (vmTest passing).distributionTest;
      vm-test-gcc = (vmTest passing).gccTest;
      vm-test-repeated = (vmTest passing).repeated;
    };
    nixos-vm-tests = (vmTest folders).nixosTests;
  };

  # For modules outside this repository: `src` is a folder like those in
  # a chapter, with NAME.rs and, as it likes, test.rs, vm-test.py, Kbuild and
  # needs.toml. Modules that it needs are in folders beside it.
  buildRustModule =
    { name, src }:
    let
      folders = scope.examples.neededBy src // {
        ${scope.examples.checkName name} = src;
      };
      tests = scope.vmTest {
        inherit folders;
        lkmpg-guest = scope.tools.guest folders;
      };
    in
    scope.modules.buildRustModule {
      name = scope.examples.checkName name;
      inherit src;
      passthru.tests = {
        "vm-test-${name}" = tests.tests.${name};
        nixos-vm-test = tests.nixosTest;
      };
    };
}
