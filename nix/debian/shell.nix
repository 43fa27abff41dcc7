# SPDX-License-Identifier: GPL-2.0-only
#
# nixpkgs' `mkShell` over the toolchain: its development tools are on PATH as
# programs of this machine, in front of what the machine has itself.
{
  runCommand,
  system,
  toolchain,
  busybox,
}:
let
  inherit (import ../pins.nix) llvm;

  # `nix develop` wants a builder called bash, and one to type in.
  bash = runCommand "bash" { inherit toolchain; } ''
    mkdir -p $out/bin
    cat >$out/bin/bash <<EOF
    #!/bin/sh
    exec $toolchain/usr/lib64/ld-linux-x86-64.so.2 --library-path $toolchain/usr/lib/x86_64-linux-gnu \\
      --argv0 bash $toolchain/usr/bin/bash "\$@"
    EOF
    chmod +x $out/bin/bash
  '';

  programs =
    runCommand "debian-programs"
      {
        inherit toolchain busybox;
        run = ./run.sh;
      }
      ''
        mkdir -p $out/bin
        cd $toolchain/usr/bin
        for program in make gcc cc clang-* ld.lld* llvm-* rust* cargo* clippy-driver bindgen gdb \
          bc bison flex mdbook perl python3 shellcheck; do
          cat >$out/bin/$program <<EOF
        #!/bin/sh
        exec $busybox/bin/busybox sh $run $busybox/bin/busybox $toolchain /usr/bin/$program "\$@"
        EOF
        done
        chmod +x $out/bin/*
        ln -s clang-${llvm.version} $out/bin/clang
      '';
in
{
  inherit bash;

  # As that of nixpkgs, it builds a file that sets the environment; a shell reads it.
  mkShell =
    args:
    let
      variables =
        removeAttrs args [
          "name"
          "packages"
          "shellHook"
        ]
        // {
          # Where editors on this machine find it, too.
          RUST_LIB_SRC = "${toolchain}/usr/lib/rustlib/src/rust/library";
        };
    in
    derivation (
      variables
      // {
        name = args.name or "nix-shell";
        inherit system;
        builder = "${bash}/bin/bash";
        args = [
          "-c"
          ''
            {
              echo 'case $- in *i*) [ ! -e ~/.bashrc ] || . ~/.bashrc ;; esac'
              for name in ${toString (builtins.attrNames variables)}; do
                printf 'export %s=%q\n' "$name" "''${!name}"
              done
              echo "export PATH=$PATH:"'$PATH'
              echo "$shellHook"
            } >$out
          ''
        ];
        # nix develop looks for it.
        outputs = [ "out" ];
        PATH = "${programs}/bin";
        shellHook = args.shellHook or "";
      }
    );
}
