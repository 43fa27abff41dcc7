# SPDX-License-Identifier: GPL-2.0-only
#
# VM tests of examples, which are folders by name.
{
  lib,
  runCommand,
  testers,
  linuxPackagesFor,
  examples,
  kernel,
  kernel-debug,
  kernel-debug-6_18,
  kernel-distribution,
  kernel-gcc,
  kernel-nixos,
  lkmpg,
  modules,
  modulesFor,
  vmWith,
}:
# `lkmpg-guest` is the program that has their tests.
{ folders, lkmpg-guest }:
let
  built = modules.buildAll folders;

  # The modules called `names`, those that they need and that their tests load, and those of
  # these. The CLI asks for the same.
  withNeeded =
    names:
    let
      of =
        name:
        let
          needs = examples.needs folders.${name};
        in
        needs.modules ++ needs.beside;
      all = lib.unique (names ++ lib.concatMap of names);
    in
    if all == names then names else withNeeded all;

  # The tests of `modules` in VMs of `kernel`. The output has the log that one
  # sees on a terminal, and the results as JUnit. Emulated, so that the result
  # does not depend on what the machine's KVM can do.
  vmTest =
    {
      name,
      kernel,
      modules,
      options ? "",
    }:
    runCommand name { nativeBuildInputs = [ lkmpg ]; } ''
      mkdir $out
      lkmpg test ${options} --vm ${vmWith { inherit kernel lkmpg-guest; }} --modules ${modules} \
        --accel tcg --junit $out/junit.xml 2>&1 | tee $out/log
    '';

  # For NixOS, modules built for the kernel that it boots.
  nixosModules = (modulesFor kernel-nixos).buildAll folders;
  installed = "/run/booted-system/kernel-modules/lib/modules/${kernel-nixos.modDirVersion}/extra";

  # What is done with the module called `name`: a function of the test script,
  # so that scripts do not see each other's variables. The example's own lines
  # find the kernel's log empty. They ask `dmesg`, not the console: NixOS writes
  # the log there, too, and when it likes.
  script =
    name:
    let
      own = folders.${name} + "/vm-test.py";
      lines = lib.optionalString (builtins.pathExists own) (builtins.readFile own);
      function = "test_" + builtins.replaceStrings [ "-" ] [ "_" ] name;
    in
    ''
      def ${function}() -> None:
          print(machine.succeed("lkmpg-guest test --modules ${installed} ${name}", timeout=600))
          machine.succeed("dmesg -c >/dev/null")
      ${builtins.replaceStrings [ "\n" ] [ "\n    " ] ("\n" + lines)}

      with subtest("${name}"):
          ${function}()
    '';

  nixosTest =
    name: names:
    let
      all = withNeeded names;
      needs = map (name: examples.needs folders.${name}) all;
      words = builtins.filter (word: word != "") (map (need: need.cmdline) needs);
      most = builtins.foldl' (a: b: if a > b then a else b);
    in
    testers.runNixOSTest {
      inherit name;
      nodes.machine =
        { lib, ... }:
        {
          boot = {
            kernelPackages = linuxPackagesFor kernel-nixos;
            kernelParams = words;
            extraModulePackages = map (name: nixosModules.${name}) all;
            # All that the VM needs is built in; a module that is named and
            # not there fails the initrd's build.
            kernelModules = lib.mkForce [ ];
            initrd = {
              includeDefaultModules = false;
              kernelModules = lib.mkForce [ ];
              availableKernelModules = lib.mkForce [ ];
              systemd.tpm2.enable = false;
            };
          };
          systemd.tpm2.enable = false;
          # The check `nixos-options` looks at the kernel's whole configuration.
          system.requiredKernelConfig = lib.mkForce [ ];
          # There is no netfilter.
          networking.firewall.enable = false;
          virtualisation = {
            diskImage = null;
            graphics = false;
            memorySize = most 1024 (map (need: need.memory) needs);
            cores = most 1 (map (need: need.cpus) needs);
            qemu.options = map (device: "-device ${device}") (
              lib.unique (lib.concatMap (need: need.devices) needs)
            );
          };
          environment.systemPackages = [ lkmpg-guest ];
        };
      testScript = ''
        machine.wait_for_unit("multi-user.target")
      ''
      + lib.concatMapStrings script names;
    };

  nixosTests = lib.mapAttrs (name: _: nixosTest name [ name ]) folders;
in
{
  # A VM for each module, restored from one that boots; each module three times;
  # and each module as a test of its own.
  test = vmTest {
    name = "vm-test";
    inherit kernel;
    modules = modules.join built;
  };
  repeated = vmTest {
    name = "vm-test-repeated";
    inherit kernel;
    modules = modules.join built;
    options = "--repeat 3";
  };
  tests = lib.mapAttrs (
    name: _:
    vmTest {
      name = "vm-test-${name}";
      inherit kernel;
      modules = modules.join (lib.genAttrs (withNeeded [ name ]) (name: built.${name}));
      options = name;
    }
  ) built;

  # All of them on the kernel that finds more, where they take minutes, most of
  # which are waits.
  debugTest = vmTest {
    name = "vm-test-debug";
    kernel = kernel-debug;
    modules = modules.join ((modulesFor kernel-debug).buildAll folders);
    options = "--kernel debug";
  };

  ltsDebugTest = vmTest {
    name = "vm-test-debug-6_18";
    kernel = kernel-debug-6_18;
    modules = modules.join ((modulesFor kernel-debug-6_18).buildAll folders);
    options = "--kernel debug";
  };

  # On the kernel with long-term support, which NixOS boots, too.
  ltsTest = vmTest {
    name = "vm-test-6_18";
    kernel = kernel-nixos;
    modules = modules.join ((modulesFor kernel-nixos).buildAll folders);
    options = "--kernel 6.18";
  };

  # On a kernel as distributions have it, whose modules have versions of symbols and type
  # information.
  distributionTest =
    let
      built = modulesFor kernel-distribution;
      modules = built.join (built.buildAll folders);
    in
    vmTest {
      name = "vm-test-distribution";
      kernel = kernel-distribution;
      modules = built.withVersions modules;
    };

  # On one without debug information: GNU ld leaves out what a module does not use.
  gccTest = vmTest {
    name = "vm-test-gcc";
    kernel = kernel-gcc;
    modules = modules.join ((modulesFor kernel-gcc).buildAll folders);
  };

  # NixOS with a module, for each; and with all of them in turn, which boots
  # only once.
  inherit nixosTests;
  nixosTest = nixosTest "lkmpg" (builtins.attrNames folders);

  # What NixOS asks of a kernel. Its modules do so themselves, but of what is known of
  # the configuration before there is one, and not of every kernel.
  nixosOptions = runCommand "nixos-options" { asked = ./kernel/nixos-asks.config; } ''
    grep -vE '^(#|$)' $asked | grep -vFxf ${kernel-nixos.configfile} >missing || true
    if [ -s missing ]; then
      echo "NixOS asks for these, and the configuration of kernel-nixos does not have them:" >&2
      cat missing >&2
      exit 1
    fi
    touch $out
  '';
}
