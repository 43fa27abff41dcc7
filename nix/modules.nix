# SPDX-License-Identifier: GPL-2.0-only
#
# The modules: `lkm` compiled once, then one derivation per room, found by
# looking. A room sees its own folder, the build files and the compiled `lkm`.
{
  lib,
  stdenv,
  symlinkJoin,
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
        # Stripped modules would not be those that plain make gives.
        dontStrip = true;
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

  # `src` is a folder that holds `name`.rs: one of modules/, or anybody's.
  buildRustModule =
    {
      name,
      src,
      passthru ? { },
    }:
    build {
      pname = name;
      inherit lkm passthru;
      room =
        if builtins.pathExists (src + "/${name}.rs") then
          src
        else
          throw "there is no ${name}.rs in ${toString src}: a module is a folder with a file of its name";
      postConfigure = "cp -r --no-preserve=mode,timestamps $room ${name}";
      installPhase = ''
        install -D -m 644 -t $out/lib/modules/${kernel.modDirVersion}/extra ${name}.ko
      '';
    };

  # The rooms in the folder `dir`: their folders by name.
  find =
    dir:
    let
      isRoom =
        name: type:
        type == "directory" && name != "lkm" && builtins.pathExists (dir + "/${name}/${name}.rs");
    in
    builtins.mapAttrs (name: _: dir + "/${name}") (lib.filterAttrs isRoom (builtins.readDir dir));

  # Their modules by name; and one output for many.
  buildAll = builtins.mapAttrs (name: src: buildRustModule { inherit name src; });
  join =
    modules:
    symlinkJoin {
      name = "lkmpg-modules";
      paths = builtins.attrValues modules;
    };

  # Everything under modules/, for the checks that want it whole.
  sources = builtins.path {
    name = "modules";
    path = ../modules;
    filter =
      path: type:
      type == "directory" || builtins.match ".*\\.(rs|h|c|toml|py)|.*/(Kbuild|Makefile)" path != null;
  };
  wholeTree = "cp -r --no-preserve=mode ${sources} modules && cd modules";

  examples = buildAll (find ../modules);

in
{
  inherit
    buildAll
    buildRustModule
    find
    join
    lkm
    sources
    ;

  # What one gets without Nix, `make -C modules KDIR=...`, is the same.
  make-modules = build {
    pname = "make-modules";
    configurePhase = wholeTree;
    installPhase = ''
      for room in ${toString (builtins.attrNames examples)}; do
        cmp $room.ko ${join examples}/lib/modules/${kernel.modDirVersion}/extra/$room.ko
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

  # The documentation of lkm, in which rustdoc finds nothing to complain about.
  doc-lkm = build {
    pname = "doc-lkm";
    lkm = ../modules/lkm;
    buildFlags = [ "doc" ];
    installPhase = "cp -r lkm/doc $out";
  };

  # `unsafe` is in lkm, or makes safe what a header of C beside it declares;
  # clippy wants a SAFETY comment for each.
  safe-rooms = stdenv.mkDerivation {
    name = "safe-rooms";
    src = sources;
    buildPhase = ''
      for file in $(grep -rlE --include='*.rs' '\<unsafe +(\{|fn|impl|extern|trait)' .); do
        case $file in
          ./lkm/*) ;;
          *) [ -e "''${file%.rs}.h" ] || { echo "$file has unsafe, and no ''${file%.rs}.h beside it" >&2; exit 1; } ;;
        esac
        grep -q SAFETY "$file" || { echo "$file has unsafe and no SAFETY comment" >&2; exit 1; }
      done
    '';
    installPhase = "touch $out";
  };

  # Modules as the kernel formats them (modules/.rustfmt.toml), their tests as
  # the crate that they are compiled into.
  fmt-modules = stdenv.mkDerivation {
    name = "fmt-modules";
    src = sources;
    nativeBuildInputs = kernel.moduleBuildDependencies;
    buildPhase = ''
      set -- . ${../tests/lkm} ${../tests/fixtures}
      find "$@" -name '*.rs' ! -name test.rs \
        -exec rustfmt --check --color never --config-path . {} +
      find "$@" -name test.rs -exec rustfmt --check --color never --edition 2024 {} +
    '';
    installPhase = "touch $out";
  };
}
