# SPDX-License-Identifier: GPL-2.0-only
#
# The development shell. It wants the kernel, but neither the modules nor
# anything else of this repository to build.
{
  runCommand,
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
      shellHook = ''
        top=$PWD
        while [ -n "$top" ] && [ ! -e "$top/modules/rust-project.py" ]; do
          top=''${top%/*}
        done
        if [ -n "$top" ]; then
          make -C "$top/modules" rust-analyzer >/dev/null 2>&1 ||
            echo "no modules/rust-project.json for rust-analyzer; see: make -C modules rust-analyzer" >&2
        fi
        unset top
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
