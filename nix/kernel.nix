# SPDX-License-Identifier: GPL-2.0-only
#
# A pinned kernel, `linux` in pins.nix, configured as allnoconfig plus `fragments`.
{
  stdenv,
  runCommand,
  fetchSource,
  linuxManualConfig,
  bison,
  flex,
  perl,
  bc,
  linux ? (import ./pins.nix).linux,
  pname,
  fragments,
}:
let
  pin = (import ./pins.nix).kernels.${linux};
  inherit (pin) version;
  patches = [
    "faster"
    "dl-server"
  ]
  ++ {
    "6.18" = [
      "execmem"
      "vdso"
    ];
  }.${linux} or [ ];
  apply = name: "patch -d source -p1 <${./kernel + "/${linux}/${name}.patch"}\n";

  # Unpacked once for all kernels, and without what none of them compiles, which
  # is half of it; what Kconfig and make read there stays.
  src = runCommand "linux-${version}.tar" { src = fetchSource pin; } ''
    mkdir source
    top=linux-${version}
    tar -xf $src -C source --strip-components=1 --anchored --wildcards-match-slash \
      --exclude=$top'/Documentation/*.*' --exclude=$top'/arch/*/boot/dts/*.dts*' \
      --exclude=$top'/drivers/gpu/*.[ch]' --exclude=$top'/drivers/media/*.[ch]' \
      --exclude=$top'/drivers/net/ethernet/*.[ch]' --exclude=$top'/drivers/net/wireless/*.[ch]' \
      --exclude=$top'/drivers/staging/*.[ch]' --exclude=$top'/sound/*.[ch]' \
      --exclude=$top'/tools/perf/*' --exclude=$top'/tools/testing/*'
    ${builtins.concatStringsSep "" (map apply patches)}tar -cf $out --sort=name --mtime=@1 --owner=0 --group=0 --numeric-owner source
  '';

  configfile = stdenv.mkDerivation {
    pname = "${pname}-config";
    inherit version src fragments;
    inherit (builder) patches postPatch;
    makeFlags = builder.commonMakeFlags;
    nativeBuildInputs = [
      bison
      flex
      perl
      bc
    ]
    ++ builder.moduleBuildDependencies;

    # A line that Kconfig drops is an option that silently is not there.
    buildPhase = ''
      cat $fragments >fragment
      make $makeFlags KCONFIG_ALLCONFIG=fragment allnoconfig
      grep -vE '^(#|$)' fragment | grep -vFxf .config >dropped || true
      if [ -s dropped ]; then
        echo "These lines of $fragments did not survive into .config:" >&2
        cat dropped >&2
        if grep -Fxq CONFIG_RUST=y dropped; then
          echo "What make rustavailable says:" >&2
          make $makeFlags rustavailable >&2 || true
        fi
        exit 1
      fi
    '';
    installPhase = "cp .config $out";
  };

  kernelWith =
    configfile:
    linuxManualConfig {
      inherit
        pname
        version
        src
        configfile
        ;
      modDirVersion = version;
      # clang compiles a tenth faster when it does not look for what to warn of.
      extraMakeFlags = [ "KCFLAGS=-w" ];
      config = {
        CONFIG_MODULES = "y";
        CONFIG_RUST = "y";
      };
    };

  # What the builder does to the sources, and its flags and tools. The tools know the
  # configuration, so this one is of any file that is there: it is never built.
  builder = kernelWith ./kernel/base.config;
in
{
  # In a set, so that its `override` is the builder's own, which NixOS uses.
  kernel = kernelWith configfile;
}
