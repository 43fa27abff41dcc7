# SPDX-License-Identifier: GPL-2.0-only
#
# nixpkgs' `linuxManualConfig` as far as nix/kernel.nix uses it. `stdenv` only says which
# compiler it is; without one, clang, as nix/nixpkgs/pinned.nix has it. Outputs:
# `out` (bzImage, System.map) and `dev` (vmlinux, and in
# lib/modules/VERSION/build what out-of-tree modules in C and Rust need).
{
  mkDerivation,
  pins,
  stdenv ? {
    cc.isClang = true;
  },
}:
{
  pname ? "linux",
  version,
  modDirVersion ? version,
  src,
  configfile,
  # What nixpkgs' builder must know before there is a .config.
  config ? { },
  extraMakeFlags ? [ ],
}:
let
  forClang = flags: if stdenv.cc.isClang then flags else [ ];
  commonMakeFlags = [
    "ARCH=x86"
  ]
  ++ forClang [ "LLVM=-${pins.llvm.version}" ]
  ++ [
    "KBUILD_BUILD_TIMESTAMP=@1"
    "KBUILD_BUILD_VERSION=1"
    "KBUILD_BUILD_USER=lkmpg"
    "KBUILD_BUILD_HOST=lkmpg"
  ]
  ++ extraMakeFlags;
in
mkDerivation {
  inherit pname version src;
  outputs = [
    "out"
    "dev"
  ];
  makeFlags = commonMakeFlags;
  configurePhase = ''
    cp ${configfile} .config
    make $makeFlags olddefconfig
    cmp .config ${configfile}
  '';
  CLANG = "clang-${pins.llvm.version}";
  buildFlags = forClang [ "CC=${./clang-pch}" ] ++ [
    "bzImage"
    "modules"
    "scripts_gdb"
  ];
  installPhase = ''
    mkdir -p $out
    cp arch/x86/boot/bzImage System.map .config $out/
    mv $out/.config $out/config

    build=$dev/lib/modules/${modDirVersion}/build
    mkdir -p $build
    cp vmlinux $dev/
    test "$(cat include/config/kernel.release)" = ${modDirVersion}

    # The build tree: headers, build scripts and their programs, the Rust
    # crates' metadata and macros; no sources or objects of the kernel's own.
    find Makefile Kbuild .config Module.symvers System.map include scripts rust \
      arch/x86/Makefile* arch/x86/include \
      -type f ! -name '*.o' ! -name '*.a' ! -name '.*.cmd' -print0 |
      cpio --null -pdm --quiet $build
    install -D tools/objtool/objtool $build/tools/objtool/objtool
    # For the type information of modules.
    if grep -q ^CONFIG_DEBUG_INFO_BTF_MODULES=y .config; then
      install -D -t $build/tools/bpf/resolve_btfids tools/bpf/resolve_btfids/resolve_btfids
      ln -s ../../../../vmlinux $build/
    fi
    ln -s build $dev/lib/modules/${modDirVersion}/source
  '';
  passthru = {
    inherit
      modDirVersion
      commonMakeFlags
      config
      configfile
      ;
    moduleBuildDependencies = [ ];
    # Every build has the compiler.
    stdenv.cc = null;
    # What nixpkgs' builder does to the sources before it builds.
    patches = [ ];
    postPatch = "";
  };
}
