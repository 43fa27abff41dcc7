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
  openssl,
  python3,
  kernel,
  headers-gcc,
  headers-gcc-6_18,
  headers-lto,
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

  # A module's folder, without what others need of it: its tests, its programs and its page.
  exampleIn =
    src:
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
    let
      # Modules whose symbols it uses are compiled, too: kbuild links them with each other.
      needed = examples.neededBy src;
      copy =
        other:
        "cp -r --no-preserve=mode,timestamps ${exampleIn needed.${other}} ${chapter}/${other}\n";
    in
    build {
      pname = name;
      inherit lkm passthru;
      example =
        if builtins.pathExists (src + "/${name}.rs") then
          exampleIn src
        else
          throw "there is no ${name}.rs in ${toString src}: a module is a folder with a file of its name";
      postConfigure = ''
        mv lkm/.module-common.o lkm/..module-common.o.cmd .
        mkdir ${chapter}
        cp -r --no-preserve=mode,timestamps $example ${chapter}/${name}
      ''
      + builtins.concatStringsSep "" (map copy (builtins.attrNames needed));
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

  # `modules`, when each has what a kernel with MODVERSIONS and DEBUG_INFO_BTF wants. There is
  # only type information where the kernel's is.
  withVersions =
    modules:
    runCommand "modules-with-versions" { inherit modules; } ''
      sections=__version_ext_names
      [ ! -e ${kernel.dev}/lib/modules/${kernel.modDirVersion}/build/vmlinux ] || sections+=' .BTF'
      for module in $modules/lib/modules/*/extra/*.ko; do
        for section in $sections; do
          grep -qaF $section $module || { echo "$module has no $section" >&2; exit 1; }
        done
      done
      ln -s $modules $out
    '';

  # Everything under modules/, for the checks that want it whole.
  sources = builtins.path {
    name = "modules";
    path = ../modules;
    filter =
      path: type:
      type == "directory"
      || builtins.match ".*\\.(rs|h|c|dtso|awk|mk|sh|toml|py)|.*/(Kbuild|Makefile)" path != null;
  };
  wholeTree = "cp -r --no-preserve=mode ${sources} modules && cd modules";

  folders = examples.onlyFor machine.architecture (examples.find ../modules);
  names = builtins.attrNames folders;
  modules = buildAll folders;

  testsOfLkm = builtins.attrNames (
    examples.onlyFor machine.architecture (examples.inChapter ../tests/lkm)
  );

  # All modules for `headers`. Nothing is written beside the sources. Some are left out: headers
  # lack a file that branches are made from, and the compiler of device trees. `install` is done
  # at last.
  forHeaders =
    name: headers: install:
    build {
      pname = name;
      version = headers.modDirVersion;
      nativeBuildInputs = [ openssl ] ++ headers.moduleBuildDependencies;
      makeFlags = moduleMakeFlags headers ++ [
        "KDIR=${headers}"
        "MO=../out"
      ];
      configurePhase = ''
        ${wholeTree}
        cp -r --no-preserve=mode ${../tests/lkm} tests-of-lkm
        find . -type f -exec md5sum {} + | sort >../sources
      '';
      buildPhase = ''
        make -j$NIX_BUILD_CORES $makeFlags 2>&1 | tee ../log
      '';
      installPhase = ''
        find . -type f -exec md5sum {} + | sort | cmp - ../sources
        grep "left out" ../log >../left
        for name in rust_tracepoint static_key; do
          grep -x " *$name is left out: this kernel lacks rust/kernel/generated_arch_static_branch_asm.rs" ../left
        done
        for name in devicetree-overlay overlays; do
          grep -x " *$name is left out: this kernel lacks scripts/dtc/dtc" ../left
        done
        [ $(wc -l <../left) = 4 ]
        for name in ${toString (names ++ testsOfLkm)}; do
          case $name in
            rust_tracepoint | static_key | devicetree-overlay | overlays) ;;
            *) ls ../out/$name.ko ;;
          esac
        done
        ${install}
        touch $out
      '';
    };

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
    withVersions
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
      for option in DEBUG_FS INET INPUT; do
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
        if [ $name = hello-2 ] || grep -qE 'DEBUG_FS|INET|INPUT' $needs 2>/dev/null; then
          test $(grep -cE "^ *$name is left out: this kernel lacks (CONFIG_|one of pdp11)" left) = 1
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

  # GCC has built most kernels, and their packages of headers have no sources in Rust.
  headers-gcc = forHeaders "headers-gcc" headers-gcc "";
  headers-gcc-6_18 = forHeaders "headers-gcc-6_18" headers-gcc-6_18 "";
  # Where the kernel's key is, modules are signed when they are installed.
  headers-lto = forHeaders "headers-lto" headers-lto ''
    cp -r --no-preserve=ownership ${headers-lto} ../kernel
    chmod -R u+w ../kernel
    mkdir -p ../kernel/certs
    openssl req -new -x509 -nodes -batch -subj /CN=lkmpg -newkey rsa:2048 \
      -keyout ../kernel/certs/signing_key.pem -out key
    cat key >>../kernel/certs/signing_key.pem
    openssl x509 -in key -outform DER -out ../kernel/certs/signing_key.x509
    make $makeFlags KDIR=../kernel DEPMOD=true INSTALL_MOD_PATH=$PWD/../installed modules_install
    for module in ../out/*.ko; do
      tail -c 28 $(find ../installed -name $(basename $module)) | grep -aFx "~Module signature appended~"
    done
  '';

  # Goals of one make do not disturb each other: kbuild runs once for all modules, and what
  # is one after the other stays so. What cannot be made is an error.
  make-goals = build {
    pname = "make-goals";
    nativeBuildInputs = [ python3 ] ++ kernel.moduleBuildDependencies;
    configurePhase = ''
      ${wholeTree}
      for chapter in [0-9]*; do
        case $chapter in 04-* | 07-* | 24-* | 42-*) ;; *) rm -r $chapter ;; esac
      done
      cp Makefile ../Makefile
      export HOME=$NIX_BUILD_TOP
    '';
    buildPhase = ''
      runs() { # NUMBER GOAL...: kbuild runs so many times
        local number=$1
        shift
        make -j4 $makeFlags "$@" >log 2>&1 || { cat log && exit 1; }
        cat log
        [ $(grep -c " M=$PWD " log) = $number ]
        if grep "jobserver unavailable" log; then exit 1; fi
        cmp Makefile ../Makefile
      }
      fails() { # REASON GOAL...
        local reason=$1
        shift
        if make $makeFlags "$@" >log 2>&1; then cat log && exit 1; fi
        cat log
        grep -q -- "$reason" log
      }
      # A make of before 4.4 knows pipes only, and closes them to what it takes for no make.
      runs 1 --jobserver-style=pipe hello-1.ko procfs1.ko
      [ $(grep -c 'RUSTC .*lkm/lkm.o' log) = 1 ]
      ls hello-1.ko procfs1.ko

      runs 2 clean hello-2.ko
      ls hello-2.ko
      [ ! -e hello-1.ko ]

      # A module is linked with those that it needs.
      runs 2 clean vkbd.ko
      ls vinput.ko vkbd.ko
      [ ! -e hello-2.ko ]

      runs 4 modules hello-1.ko rust-analyzer
      ls hello-1.ko startstop.ko c_interop.ko rust-project.json

      # A folder for the output is found from here, not from the kernel's tree.
      runs 1 clean
      runs 1 MO=../out c_interop.ko
      runs 2 MO=../out rust-analyzer
      ls ../out/c_interop.ko
      grep '"BINDINGS": "'$NIX_BUILD_TOP'/out/lkm/bindings_generated.rs"' ../out/rust-project.json
      [ ! -e lkm/bindings_generated.rs ]
      # This file is no crate, though kbuild knows an object of its name.
      if grep '"cool"' ../out/rust-project.json; then exit 1; fi

      # A kernel that was built outside its sources.
      tar -xf ${kernel.src} -C ..
      runs 1 KDIR=../source O=${kernel.dev}/lib/modules/${kernel.modDirVersion}/build hello-3.ko
      ls hello-3.ko

      fails "No rule to make target.*nosuch" hello-1.ko nosuch.ko
      rm -f rust-project.json
      echo '#include <nosuch.h>' >>42-c-interop/c_interop/cool.h
      fails nosuch.h rust-analyzer
      [ ! -e rust-project.json ]
    '';
    installPhase = "touch $out";
  };

  # What a build lacks is said in a sentence, and make's own line that it stops is all that
  # follows.
  preflight = build {
    pname = "preflight";
    lkm = ../modules/lkm;
    postConfigure = ''
      tree=${kernel.dev}/lib/modules/${kernel.modDirVersion}/build
      cp -rs --no-preserve=mode $tree ../kernel
      mkdir chapter
    '';
    buildPhase = ''
      say() { # SENTENCE VARIABLE...
        local sentence=$1
        shift
        if make $makeFlags KDIR=../kernel "$@" >log 2>&1; then cat log && exit 1; fi
        cat log
        head -n 1 log | grep -F -- "$sentence"
        [ $(wc -l <log) = 2 ]
      }
      change() { # FILE SED-COMMAND: of the file as it was
        rm ../kernel/$1
        sed "$2" $tree/$1 >../kernel/$1
      }
      option() { # NAME VALUE: the kernel has it so
        change include/config/auto.conf "s/^CONFIG_$1=.*/CONFIG_$1=$2/"
      }
      without() { # NAME: the kernel has it not
        change include/config/auto.conf "/^CONFIG_$1=/d"
      }
      make $makeFlags KDIR=../kernel preflight
      grep -Fx "supported='${toString (builtins.attrNames (import ./pins.nix).kernels)}'" lkm/preflight.sh
      HOME=$(cd .. && pwd) make $makeFlags KDIR='~/kernel' preflight

      say "There is no folder nowhere" KDIR=nowhere
      say "make cannot take the path 'no where': " KDIR='no where'
      say "make cannot take the path '/no&where': " MO='/no&where'
      say "chapter has no Makefile" KDIR=chapter
      say "./include/config/auto.conf is missing" KDIR=.
      say "../kernel/nowhere/include/config/auto.conf is missing" O=nowhere

      without RUST
      say "a kernel without CONFIG_RUST"
      option RUSTC_VERSION_TEXT "rustc 1.0.0 (of old)"
      say "was built by rustc 1.0.0 (of old), and "
      grep -F "'rustup toolchain install 1.0.0'" log
      option RUSTC_VERSION_TEXT "rustc 1.0.0 (of old) (a distribution's)"
      say "was built by rustc 1.0.0 (of old) (a distribution's), and "
      if grep -F rustup log; then exit 1; fi
      option BINDGEN_VERSION_TEXT "bindgen 0.1.2"
      say "was built with bindgen 0.1.2, and "
      without CC_IS_CLANG
      say ", and make would take "
      without NONE
      say "nowhere/rustc is not there" RUSTC=nowhere/rustc
      say "nowhere/bindgen is not there" BINDGEN=nowhere/bindgen
      say "(not found): leave out CC=nowhere/clang" CC=nowhere/clang
      say "(not found): install clang " LLVM=nowhere/
      makeFlags= say ", and make would take gcc ("

      change include/config/kernel.release 's/.*/6.1.0-9-amd64/'
      say "is of Linux 6.1.0-9-amd64, and lkm is for Linux "
      change include/config/kernel.release 's/$/-1-amd64/'
      make $makeFlags KDIR=../kernel preflight

      example() { # CHAPTER NAME
        mkdir -p "$1/$2"
        touch "$1/$2/$2.rs"
      }
      longest=a123456789-123456789_123456789-123456789_123456789-1234
      example chapter $longest
      make $makeFlags KDIR=../kernel preflight
      for name in 'a b' my.mod ünï 1st -x ''${longest}5; do
        example chapter "$name"
        say "'$name' cannot be an example's name: it may have ASCII letters, digits, '-' and '_', begins with a letter, and has at most 55 characters"
        rm -r "chapter/$name"
      done
      example 'my chapter' hello
      say "'my chapter' cannot be a chapter's name: it may have "
      rm -r 'my chapter'

      for goal in rust-analyzer:Makefile doctest:kernel/generated_arch_static_branch_asm.rs; do
        file=rust/''${goal#*:}
        goal=''${goal%:*}
        make $makeFlags KDIR=../kernel preflight
        mv ../kernel/$file ../file
        say "../kernel has no $file, so it is good for modules, but not for 'make $goal'" $goal
        make $makeFlags KDIR=../kernel preflight
        mv ../file ../kernel/$file
      done

      rm -r ../kernel/rust
      say "../kernel has no rust/libcore.rmeta, "
      # For these it is good enough.
      make KDIR=../kernel RUSTC=nowhere/rustc clean
      make KDIR=../kernel RUSTC=nowhere/rustc help
    '';
    installPhase = "touch $out";
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
        # Its C code.
        if [ -e ${../tests/refused}/$name.h ]; then
          cp ${../tests/refused}/$name.h refused/$name/
          echo "\$(eval \$(call bindings,\$(here),$name,$name.h))" >refused/$name/Kbuild
        fi
        echo "RUSTFLAGS_refused/$name/$(echo $name | tr - _).o += -Amissing_docs" >>Kbuild
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
      "MO=../out"
    ];
    postBuild = ''
      if grep -rnE '^ *//[/!] *```.*(ignore|no_run)' lkm --include='*.rs'; then
        echo "these examples are not compiled" >&2
        exit 1
      fi
    '';
    installPhase = "cp -r ../out/lkm/doc $out";
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

  # All `unsafe` is in lkm, where clippy wants a SAFETY comment for each. Nor does an example
  # choose its symbols and sections, which needs no such word. What shows that the kernel crate
  # is wrong does so without any, too.
  safe-examples = stdenv.mkDerivation {
    name = "safe-examples";
    src = sources;
    buildPhase = ''
      rm -r lkm
      cp -r ${../tests/lkm} tests-of-lkm
      cp -r ${../tests/fixtures}/kernel-crate-* .
      words='\<(unsafe|no_mangle|export_name|link_name|link_section|naked|global_asm)\>'
      grep -qE "$words" <<<'unsafe{}'
      if grep -rnE --include='*.rs' "$words" .; then exit 1; fi
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
