# SPDX-License-Identifier: GPL-2.0-only
{
  outputs =
    _:
    let
      system = "x86_64-linux";
      debian = import ../../../nix/debian/pkgs.nix { inherit system; };
      inherit (debian) runCommand;

      # A package that cannot be built.
      package = name: runCommand name { } "echo ${name} is a stand-in >&2; exit 1";

      lib = debian.lib // {
        composeExtensions =
          first: second: final: prev:
          let
            once = first final prev;
          in
          once // second final (prev // once);
        getLib = package: package.lib or package;
        remove = element: builtins.filter (one: one != element);
        removeSuffix =
          suffix: text: builtins.substring 0 (builtins.stringLength text - builtins.stringLength suffix) text;
      };

      # What comes out of a callPackage can be overridden.
      overridable =
        result:
        if builtins.isAttrs result then
          result
          // {
            override = _: throw "a stand-in cannot be overridden";
            overrideDerivation = _: throw "a stand-in cannot be overridden";
          }
        else
          result;

      cc = package "clang-wrapper" // {
        cc = package "clang-unwrapped";
        override = { bintools }: builtins.seq bintools.outPath cc;
      };

      linuxManualConfig =
        arguments:
        {
          pname ? "linux",
          version,
          modDirVersion,
          src,
          configfile,
          config,
          extraMakeFlags ? [ ],
          # What NixOS gives it besides.
          features ? { },
          kernelPatches ? [ ],
          randstructSeed ? "",
        }@args:
        let
          kernel = debian.linuxManualConfig {
            inherit
              pname
              version
              modDirVersion
              src
              configfile
              config
              extraMakeFlags
              ;
          };
        in
        kernel
        // {
          override = change: linuxManualConfig arguments (args // change args);
          inherit (arguments) stdenv;
          # A tool that knows the configuration: what makes that must not need it.
          moduleBuildDependencies = [
            (runCommand "setup-module-compression" { inherit configfile modDirVersion; } "exit 1")
            arguments.rustc-unwrapped
            arguments.rust-bindgen-unwrapped
          ];
          commonMakeFlags = kernel.commonMakeFlags ++ [
            "CC=${arguments.stdenv.cc.cc}/bin/clang"
            "RUST_LIB_SRC=${arguments.rustPlatform.rustLibSrc}"
          ];
        };

      # What it was called with can be overridden again.
      kernelBuilder = arguments: {
        __functor = _: linuxManualConfig arguments;
        override = change: kernelBuilder (arguments // change);
      };

      packages =
        final:
        builtins.removeAttrs debian [
          "craneLib"
          "fetchSource"
          "toolchain"
        ]
        // builtins.mapAttrs (name: _: package name) (
          lib.genAttrs [
            "bc"
            "bison"
            "deadnix"
            "flex"
            "gdb"
            "gnumake"
            "nixfmt"
            "nixfmt-tree"
            "openssl"
            "perl"
            "python3"
            "shellcheck"
            "statix"
          ] (_: null)
        )
        // {
          inherit lib;
          standIns = { inherit (debian) craneLib; };
          newScope =
            extra: file: overrides:
            overridable (debian.newScope (final // extra) file overrides);
          overrideCC = stdenv: newCC: stdenv // { cc = newCC; };
          gccStdenv = debian.stdenv // {
            cc.cc = package "gcc-unwrapped";
          };
          llvmPackages_19 = {
            stdenv = debian.stdenv // {
              inherit cc;
            };
            bintools = package "bintools";
            clang = cc;
          };
          linuxManualConfig = {
            override =
              {
                stdenv,
                rustc-unwrapped,
                rust-bindgen-unwrapped,
                rustPlatform,
              }@args:
              kernelBuilder args;
          };
          fetchurl = { url, hash }: runCommand (baseNameOf url) { outputHash = hash; } "exit 1";
          fetchCrate =
            {
              pname,
              version,
              hash,
            }:
            runCommand "${pname}-${version}" { outputHash = hash; } "exit 1";
          testers.runNixOSTest =
            args:
            let
              node = args.nodes.machine { inherit lib; };
              kernel = node.boot.kernelPackages.kernel.override (_: {
                features = { };
                kernelPatches = [ ];
                randstructSeed = "";
              });
              # NixOS asks for them at evaluation, and sees what the recipe gives as `config`.
              lacking = builtins.filter (option: kernel.config.${"CONFIG_" + option} or "n" != "y") (
                node.system.requiredKernelConfig or [
                  "BINFMT_ELF"
                  "TMPFS"
                ]
              );
              test =
                attributes:
                debian.testers.runNixOSTest args
                // attributes
                // {
                  driverInteractive = package "nixos-test-driver";
                  overrideTestDerivation = change: test (attributes // change attributes);
                };
            in
            if lacking != [ ] then
              throw "NixOS asks for options that kernel.config does not have: ${toString lacking}"
            else
              builtins.seq kernel.outPath (test {
                requiredSystemFeatures = [
                  "nixos-test"
                  "kvm"
                ];
              });
          mkShell = args: debian.mkShell args // { inherit (args) packages; };
        };

      packagesWith =
        overlays:
        let
          extend = overlay: packagesWith (overlays ++ [ overlay ]);
          final = builtins.foldl' (prev: overlay: prev // overlay final prev) (
            packages final // { inherit extend; }
          ) overlays;
        in
        final;
    in
    {
      inherit lib;
      legacyPackages.${system} = packagesWith [ ];
    };
}
