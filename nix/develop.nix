# SPDX-License-Identifier: GPL-2.0-only
#
# The development shell. It wants the kernel, but neither the modules nor
# anything else of this repository to build.
{
  runCommand,
  linkFarm,
  mkShell,
  gnumake,
  gdb,
  python3,
  kernel,
  modules,
  moduleMakeFlags,
}:
let
  # The kernel's Rust sources, of which a build tree need not keep any.
  source = runCommand "linux-rust-source" { inherit (kernel) src; } ''
    mkdir $out
    tar -xf $src -C $out --strip-components=1 --wildcards '*.rs'
  '';

  # What the Makefile of a module outside of this repository takes from a copy of it:
  # modules/ without the chapters.
  lkmpg = linkFarm "lkmpg-rs" {
    modules = builtins.path {
      name = "modules";
      path = ../modules;
      filter =
        path: type:
        type != "directory"
        || dirOf path != toString ../modules
        || builtins.pathExists (path + "/lib.rs");
    };
  };

  environment = {
    KDIR = "${kernel.dev}/lib/modules/${kernel.modDirVersion}/build";
    KMAKEFLAGS = toString (moduleMakeFlags kernel);
    KERNEL_SOURCE = source;
  };
in
{
  shell = mkShell (
    environment
    // {
      name = "lkmpg-shell";
      packages = [
        gnumake
        gdb
        python3
        # The compiler that the kernel is built with: KMAKEFLAGS names it, PATH does not.
        kernel.stdenv.cc
      ]
      ++ kernel.moduleBuildDependencies;
      LKMPG = lkmpg;
      shellHook = ''
        # Without git, which a project need not have.
        top=$PWD project=
        while [ -n "$top" ] && [ -z "$project" ]; do
          [ ! -e "$top/modules/rust-project.py" ] || project=$top/modules
          ! grep -qs LKMPG "$top/Makefile" || project=$top
          top=''${top%/*}
        done
        [ -z "$project" ] || make -C "$project" rust-analyzer >/dev/null 2>&1 ||
          echo "no rust-project.json for rust-analyzer; see: make -C '$project' rust-analyzer" >&2
        unset top project
      '';
    }
  );

  # What the shell promises an editor: no module has an error, and definitions
  # are found in lkm, the kernel and core.
  check =
    runCommand "rust-analyzer"
      (
        environment
        // {
          nativeBuildInputs = [ python3 ] ++ kernel.moduleBuildDependencies;
        }
      )
      ''
        cp -r --no-preserve=mode ${modules.sources} modules
        export HOME=$NIX_BUILD_TOP
        make -C modules rust-analyzer
        rust-analyzer diagnostics modules
        goto() {
          python3 ${../tests/develop/goto-definition.py} modules "$@"
        }
        goto 04-hello-world/hello-1/hello-1.rs '^impl kernel::(Module)' $KERNEL_SOURCE/rust/kernel/lib.rs
        goto 07-proc/procfs1/procfs1.rs '(procfs)::' /modules/lkm/procfs.rs
        goto lkm/procfs.rs 'use core::\{?[^;]*?(PhantomPinned)' /core/src/marker.rs
        touch $out
      '';
}
