# SPDX-License-Identifier: GPL-2.0-only
#
# The modules: `lkm` compiled once, then one derivation per room, found by
# looking. A room sees its own folder, the build files and the compiled `lkm`.
{
  lib,
  stdenv,
  symlinkJoin,
  rustfmt,
  kernel,
}:
let
  build =
    args:
    stdenv.mkDerivation (
      {
        version = kernel.modDirVersion;
        nativeBuildInputs = kernel.moduleBuildDependencies;
        makeFlags = kernel.commonMakeFlags ++ [
          "KDIR=${kernel.dev}/lib/modules/${kernel.modDirVersion}/build"
        ];
        dontUnpack = true;
        # Times are kept, so that make finds lkm compiled.
        configurePhase = ''
          mkdir modules && cd modules
          cp ${../modules/Makefile} Makefile
          cp ${../modules/Kbuild} Kbuild
          cp -r --preserve=timestamps --no-preserve=mode $lkm lkm
          runHook postConfigure
        '';
      }
      // args
    );

  lkm = build {
    pname = "lkm";
    lkm = ../modules/lkm;
    installPhase = "cp -r --preserve=timestamps lkm $out";
  };

  # `room` is a folder that holds `name`.rs: one of modules/, or anybody's.
  buildRustModule =
    name: room:
    build {
      pname = name;
      inherit lkm room;
      postConfigure = "cp -r --no-preserve=mode,timestamps $room ${name}";
      installPhase = ''
        install -D -m 644 -t $out/lib/modules/${kernel.modDirVersion}/extra ${name}.ko
      '';
    };

  # The rooms in the folder `dir`.
  roomsIn =
    dir:
    let
      isRoom =
        name: type:
        type == "directory" && name != "lkm" && builtins.pathExists (dir + "/${name}/${name}.rs");
    in
    builtins.mapAttrs (name: _: buildRustModule name (dir + "/${name}")) (
      lib.filterAttrs isRoom (builtins.readDir dir)
    );

  modules = roomsIn ../modules;

  # Everything under modules/, for the checks that want it whole.
  sources = builtins.path {
    name = "modules";
    path = ../modules;
    filter = path: type: type == "directory" || builtins.match ".*\\.(rs|h|c|toml)|.*/(Kbuild|Makefile)" path != null;
  };
  wholeTree = "cp -r --no-preserve=mode ${sources} modules && cd modules";

  all = symlinkJoin {
    name = "lkmpg-modules";
    paths = builtins.attrValues modules;
  };
in
{
  inherit
    all
    buildRustModule
    lkm
    modules
    roomsIn
    ;

  # What one gets without Nix, `make -C modules KDIR=...`, is the same.
  make-modules = build {
    pname = "make-modules";
    configurePhase = wholeTree;
    installPhase = ''
      for room in ${toString (builtins.attrNames modules)}; do
        cmp $room.ko ${all}/lib/modules/${kernel.modDirVersion}/extra/$room.ko
      done
      touch $out
    '';
  };

  clippy-modules = build {
    pname = "clippy-modules";
    configurePhase = "${wholeTree} && cp -r --no-preserve=mode ${../tests/lkm}/* .";
    buildFlags = [
      "CLIPPY=1"
      "W=e"
    ];
    installPhase = "touch $out";
  };

  # All `unsafe` is in lkm.
  safe-rooms = stdenv.mkDerivation {
    name = "safe-rooms";
    src = sources;
    buildPhase = ''
      rm -r lkm
      ! grep -rnE --include='*.rs' '\<unsafe +(\{|fn|impl|extern|trait)' .
    '';
    installPhase = "touch $out";
  };

  # Modules as the kernel formats them (modules/.rustfmt.toml), their tests as
  # the crate that they are compiled into.
  fmt-modules = stdenv.mkDerivation {
    name = "fmt-modules";
    src = sources;
    nativeBuildInputs = [ rustfmt ];
    buildPhase = ''
      set -- . ${../tests/lkm} ${../tests/fixtures}
      find "$@" -name '*.rs' ! -name test.rs \
        -exec rustfmt --check --color never --config-path . {} +
      find "$@" -name test.rs -exec rustfmt --check --color never --edition 2024 {} +
    '';
    installPhase = "touch $out";
  };
}
