# SPDX-License-Identifier: GPL-2.0-only
#
# The modules: `lkm` compiled once, then one derivation per room, found by
# looking. A room sees its own folder, the build files and the compiled `lkm`.
{
  lib,
  stdenv,
  runCommand,
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
      # Without what others need of it: its tests, its programs and its page.
      room =
        if builtins.pathExists (src + "/${name}.rs") then
          builtins.path {
            name = "room";
            path = src;
            filter =
              path: _:
              !builtins.elem (baseNameOf path) [
                "test.rs"
                "user"
                "vm-test.py"
              ]
              && builtins.match ".*\\.md" path == null;
          }
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

  # The same modules in C, as far as there is something to compare.
  inC = build {
    pname = "modules-in-c";
    configurePhase = ''
      cp -r --no-preserve=mode ${
        builtins.path {
          name = "bench";
          path = ../bench;
          filter = path: type: type == "directory" || builtins.match ".*\\.c|.*/Kbuild" path != null;
        }
      } modules && cd modules
      cp ${../modules/Makefile} Makefile
    '';
    installPhase = "install -D -m 644 -t $out *.ko";
  };

  # How many bytes each module has when it is installed without debug
  # information, and its fellow in C.
  sizes = build {
    pname = "sizes";
    configurePhase = "cp ${../modules/Makefile} Makefile";
    buildPhase = ''
      installed() { # FROM TO: stripped as kbuild does it
        cp -L --no-preserve=mode $1/*.ko .
        ls *.ko | sed 's/ko$/o/' >modules.order
        make $makeFlags modules_install DEPMOD=true INSTALL_MOD_STRIP=1 INSTALL_MOD_PATH=$PWD/$2 INSTALL_MOD_DIR=extra
        rm *.ko
        mv $2/lib/modules/${kernel.modDirVersion}/extra/* $2/
      }
      installed ${join examples}/lib/modules/${kernel.modDirVersion}/extra rust
      installed ${inC} c
    '';
    installPhase = ''
      printf 'room\tbytes\tc_bytes\tratio\n' >$out
      for room in ${toString (builtins.attrNames examples)}; do
        size=$(stat -c %s rust/$room.ko)
        if [ -e c/$room.ko ]; then
          c=$(stat -c %s c/$room.ko)
          printf '%s\t%s\t%s\t%s\n' $room $size $c $(awk "BEGIN { printf \"%.2f\", $size / $c }")
        else
          printf '%s\t%s\t\t\n' $room $size
        fi
      done >>$out
    '';
  };
in
{
  inherit
    buildAll
    buildRustModule
    find
    inC
    join
    lkm
    sizes
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

  # No module is more than half as big again as the same in C, but for two that
  # keep the unload rule for a file with operations of their own.
  sizes-check = runCommand "sizes-check" { inherit sizes; } ''
    cat $sizes
    awk -F '\t' '
      { most = $1 ~ /^hello-(sysfs|debugfs-file)$/ ? 2.25 : 1.5 }
      NR > 1 && $3 && $2 > most * $3 { print $1 " is too big"; bad = 1 }
      END { exit bad }
    ' $sizes
    touch $out
  '';

  # All `unsafe` is in lkm; clippy wants a SAFETY comment for each.
  safe-rooms = stdenv.mkDerivation {
    name = "safe-rooms";
    src = sources;
    buildPhase = ''
      rm -r lkm
      ! grep -rnE --include='*.rs' '\<unsafe +(\{|fn|impl|extern|trait)' .
    '';
    installPhase = "touch $out";
  };

  # Modules as the kernel formats them (modules/.rustfmt.toml), their tests and
  # programs as the crate that they are compiled into.
  fmt-modules = stdenv.mkDerivation {
    name = "fmt-modules";
    src = sources;
    nativeBuildInputs = kernel.moduleBuildDependencies;
    buildPhase = ''
      set -- . ${../tests/lkm} ${../tests/fixtures}
      find "$@" -name '*.rs' ! -name test.rs ! -path '*/user/*' \
        -exec rustfmt --check --color never --config-path . {} +
      find "$@" -name '*.rs' '(' -name test.rs -o -path '*/user/*' ')' \
        -exec rustfmt --check --color never --edition 2024 {} +
    '';
    installPhase = "touch $out";
  };
}
