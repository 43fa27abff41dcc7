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

      cc = {
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
          moduleBuildDependencies = [
            arguments.rustc-unwrapped
            arguments.rust-bindgen-unwrapped
          ];
          commonMakeFlags = kernel.commonMakeFlags ++ [
            "CC=${arguments.stdenv.cc.cc}/bin/clang"
            "RUST_LIB_SRC=${arguments.rustPlatform.rustLibSrc}"
          ];
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
              linuxManualConfig args;
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
            in
            builtins.seq kernel.outPath (
              debian.testers.runNixOSTest args // { driverInteractive = package "nixos-test-driver"; }
            );
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
