# SPDX-License-Identifier: GPL-2.0-only
#
# The modules: `lkm` compiled once, then one derivation per example, which sees
# its own folder, the build files and the compiled `lkm`.
{
  lib,
  stdenv,
  runCommand,
  symlinkJoin,
  writeText,
  kernel,
  examples,
  machine,
  moduleMakeFlags,
}:
let
  build =
    args:
    stdenv.mkDerivation (
      {
        version = kernel.modDirVersion;
        nativeBuildInputs = kernel.moduleBuildDependencies;
        makeFlags = moduleMakeFlags kernel ++ [
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

  # And what kbuild compiles anew for each module, though it is the same for all: it
  # makes that for an empty one.
  lkm = build {
    pname = "lkm";
    lkm = ../modules/lkm;
    postConfigure = ''
      echo 'obj-m += empty.o' >>Kbuild
      printf '#include <linux/module.h>\nMODULE_DESCRIPTION("");\nMODULE_LICENSE("GPL");\n' >empty.c
    '';
    installPhase = ''
      cp -r --preserve=timestamps lkm $out
      cp --preserve=timestamps .module-common.o ..module-common.o.cmd $out
    '';
  };

  # `src` is a folder that holds `name`.rs: an example, or anybody's. Where it lies
  # in `chapter` is seen in the module: a panic says where it was.
  buildRustModule =
    {
      name,
      src,
      chapter ? "chapter",
      passthru ? { },
    }:
    build {
      pname = name;
      inherit lkm passthru;
      # Without what others need of it: its tests, its programs and its page.
      example =
        if builtins.pathExists (src + "/${name}.rs") then
          builtins.path {
            name = "example";
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
      postConfigure = ''
        mv lkm/.module-common.o lkm/..module-common.o.cmd .
        mkdir ${chapter}
        cp -r --no-preserve=mode,timestamps $example ${chapter}/${name}
      '';
      installPhase = ''
        install -D -m 644 -t $out/lib/modules/${kernel.modDirVersion}/extra ${name}.ko
        needs=${chapter}/${name}/needs.toml
        [ ! -e $needs ] || install -D -m 644 $needs $out/share/lkmpg/${name}.toml
      '';
    };

  # Modules by name; and one output for many.
  buildAll = builtins.mapAttrs (
    name: src:
    buildRustModule {
      inherit name src;
      chapter = examples.chapterOf src;
    }
  );
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
      type == "directory" || builtins.match ".*\\.(rs|h|c|awk|toml|py)|.*/(Kbuild|Makefile)" path != null;
  };
  wholeTree = "cp -r --no-preserve=mode ${sources} modules && cd modules";

  folders = examples.onlyFor machine.architecture (examples.find ../modules);
  names = builtins.attrNames folders;
  modules = buildAll folders;

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
      installed ${join modules}/lib/modules/${kernel.modDirVersion}/extra rust
      installed ${inC} c
    '';
    installPhase = ''
      printf 'example\tbytes\tc_bytes\tratio\n' >$out
      for name in ${toString names}; do
        size=$(stat -c %s rust/$name.ko)
        if [ -e c/$name.ko ]; then
          c=$(stat -c %s c/$name.ko)
          printf '%s\t%s\t%s\t%s\n' $name $size $c $(awk "BEGIN { printf \"%.2f\", $size / $c }")
        else
          printf '%s\t%s\t\t\n' $name $size
        fi
      done >>$out
    '';
  };
in
{
  inherit
    buildAll
    buildRustModule
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
      for name in ${toString names}; do
        cmp $name.ko ${join modules}/lib/modules/${kernel.modDirVersion}/extra/$name.ko
      done
      touch $out
    '';
  };

  # A kernel without what some examples need, and one for another machine: they are
  # left out, which make says, and the rest builds.
  lacking-options = build {
    pname = "lacking-options";
    configurePhase = ''
      ${wholeTree}
      cp -r --no-preserve=ownership ${kernel.dev}/lib/modules/${kernel.modDirVersion}/build ../kernel
      chmod -R u+w ../kernel
      printf 'architectures = [\n  "pdp11", # none\n]\n' >04-hello-world/hello-2/needs.toml
      echo 'architectures = ["pdp11", "${machine.architecture}"]' >04-hello-world/hello-3/needs.toml
      for option in DEBUG_FS INET; do
        sed -i -E "/CONFIG_$option(=| |$)/d" ../kernel/include/config/auto.conf \
          ../kernel/include/generated/autoconf.h ../kernel/include/generated/rustc_cfg
        rm -f ../kernel/include/config/$option
      done
      makeFlags="$makeFlags KDIR=$PWD/../kernel"
    '';
    buildPhase = ''
      make $makeFlags >log 2>&1 || { cat log && exit 1; }
      grep "left out" log | sort >left
      cat left
    '';
    installPhase = ''
      for name in ${toString names}; do
        needs=$(echo */$name/needs.toml)
        if [ $name = hello-2 ] || grep -qE 'DEBUG_FS|INET' $needs 2>/dev/null; then
          test $(grep -cE "^ *$name is left out: this kernel is not built with (CONFIG_|one of pdp11)" left) = 1
          test ! -e $name.ko
        else
          test -e $name.ko
        fi
      done
      if make $makeFlags hello-debugfs.ko >log 2>&1; then exit 1; fi
      grep "left out" log >left
      grep "hello-debugfs is left out" left
      test $(wc -l <left) = 1
      touch $out
    '';
  };

  clippy-modules = build {
    pname = "clippy-modules";
    configurePhase = "${wholeTree} && cp -r --no-preserve=mode ${../tests/lkm} tests-of-lkm";
    buildFlags = [
      "CLIPPY=1"
      "W=e"
    ];
    installPhase = "touch $out";
  };

  # What lkm forbids does not compile, and the compiler says why: what is after //~ in
  # a file in tests/refused.
  refused = build {
    pname = "refused";
    inherit lkm;
    postConfigure = ''
      mv lkm/.module-common.o lkm/..module-common.o.cmd .
      for file in ${../tests/refused}/*.rs; do
        name=$(basename $file .rs)
        mkdir -p refused/$name logs
        cp $file refused/$name/
        echo "RUSTFLAGS_refused/$name/$name.o += -Amissing_docs" >>Kbuild
      done
    '';
    buildPhase = ''
      for name in $(ls refused); do
        if make $makeFlags W=e $name.ko >logs/$name 2>&1; then
          echo "$name compiles"
          bad=1
        fi
        sed -n 's|.*//~ ||p' refused/$name/$name.rs >reasons
        [ -s reasons ]
        # The compiler shows these lines, too. No pipe into `grep -q`: it stops reading at
        # the first match, and a writer that goes on makes the pipe fail.
        grep -v '//~' logs/$name >errors || true
        while IFS= read -r reason; do
          grep -qF -- "$reason" errors || {
            echo "$name: no error like this: $reason"
            cat logs/$name
            bad=1
          }
        done <reasons
      done
      [ -z "''${bad-}" ]
    '';
    installPhase = "touch $out";
  };

  # The documentation of lkm: rustdoc has no complaint, the examples compile, and
  # there is none that need not.
  doc-lkm = build {
    pname = "doc-lkm";
    lkm = ../modules/lkm;
    buildFlags = [
      "doc"
      "doctest"
    ];
    postBuild = ''
      if grep -rnE '^ *//[/!] *```.*(ignore|no_run)' lkm --include='*.rs'; then
        echo "these examples are not compiled" >&2
        exit 1
      fi
    '';
    installPhase = "cp -r lkm/doc $out";
  };

  # No module is much bigger than the same in C: as much as its needs.toml says.
  sizes-check =
    runCommand "sizes-check"
      {
        inherit sizes;
        limits = writeText "limits" (
          lib.concatMapStrings (
            name: "${name}\t${builtins.toJSON (examples.needs folders.${name}).size_limit}\n"
          ) names
        );
      }
      ''
        cat $sizes
        awk -F '\t' '
          FNR == NR { limit[$1] = $2; next }
          FNR > 1 && $3 && $2 > limit[$1] * $3 { print $1 " is too big: the limit is " limit[$1]; bad = 1 }
          END { exit bad }
        ' $limits $sizes
        touch $out
      '';

  # All `unsafe` is in lkm, where clippy wants a SAFETY comment for each, but for the
  # one line that is the lesson of c_interop. Nor does an example choose its symbols and
  # sections, which needs no such word.
  safe-examples = stdenv.mkDerivation {
    name = "safe-examples";
    src = sources;
    buildPhase = ''
      rm -r lkm
      cp -r ${../tests/lkm} tests-of-lkm
      lesson='^\./42-c-interop/c_interop/cool\.rs:[0-9]+: *unsafe extern "C" \{$'
      words='\<(unsafe|no_mangle|export_name|link_name|link_section|naked|global_asm)\>'
      grep -qE "$words" <<<'unsafe{}'
      grep -rnE --include='*.rs' "$words" . >found || true
      if grep -vE "$lesson" found; then exit 1; fi
      [ $(grep -cE "$lesson" found) = 1 ]
      grep -B 4 -E 'unsafe extern' 42-c-interop/c_interop/cool.rs >lesson
      grep -q '// SAFETY: ' lesson
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
      set -- . ${../tests/lkm} ${../tests/fixtures} ${../tests/refused}
      find "$@" -name '*.rs' ! -name test.rs ! -path '*/user/*' \
        -exec rustfmt --check --color never --config-path . {} +
      find "$@" -name '*.rs' '(' -name test.rs -o -path '*/user/*' ')' \
        -exec rustfmt --check --color never --edition 2024 {} +
    '';
    installPhase = "touch $out";
  };
}
