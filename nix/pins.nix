# SPDX-License-Identifier: GPL-2.0-only
#
# Every version that this project pins, and nothing else. The Debian
# toolchain's packages are pinned in nix/debian/lock.tsv, crates in
# tools/Cargo.lock and nix/nixpkgs/bindgen/Cargo.lock, flake inputs in flake.lock.
{
  # The kernels that lkm is for, and the one that everything is built for when none is
  # asked for. Of each the tarball of Debian's source package, without the non-free
  # files, and upstream's own. Those could not be downloaded where this was written:
  # independent public files agree on their hashes.
  linux = "7.2";
  kernels = {
    "7.2" = {
      version = "7.2.6";
      debian = {
        url = "mirror://debian/pool/main/l/linux/linux_7.2.6.orig.tar.xz";
        hash = "sha256-GBnElO7aK+CP3KG01NjWaeWkIVOVWVUDUCrreNAZiCo=";
      };
      upstream = {
        url = "mirror://kernel/linux/kernel/v7.x/linux-7.2.6.tar.xz";
        hash = "sha256-A5rvhPKwmUrto/T8/D0C7J16m7uQIOomTEP0Rshg9gY=";
      };
    };
    # With long-term support.
    "6.18" = {
      version = "6.18.15";
      debian = {
        url = "mirror://debian/pool/main/l/linux/linux_6.18.15.orig.tar.xz";
        hash = "sha256-/fTE1IfJWxekHLOAA/rvhmaeUypE/nAusxozkLamDMo=";
      };
      upstream = {
        url = "mirror://kernel/linux/kernel/v6.x/linux-6.18.15.tar.xz";
        hash = "sha256-fHFiFsPEE07Q3mkZVwHmd1d7vN05efMxwYKs0Gvy8XA=";
      };
    };
  };
  busybox = {
    version = "1.37.0";
    debian = {
      url = "mirror://debian/pool/main/b/busybox/busybox_1.37.0.orig.tar.bz2";
      hash = "sha256-MxHf8y50ZJn03w1d8E1+s5Y4LX4Qi7klDntRm4NwQ6Q=";
    };
    upstream = {
      url = "https://busybox.net/downloads/busybox-1.37.0.tar.bz2";
      hash = "sha256-MxHf8y50ZJn03w1d8E1+s5Y4LX4Qi7klDntRm4NwQ6Q=";
    };
  };
  # What Linux 7.2 documents as its minimum, and the LLVM that this rustc uses.
  rustc.version = "1.85.1";
  bindgen = {
    version = "0.71.1";
    # Of the unpacked crate bindgen-cli.
    hash = "sha256-RL9P0dPYWLlEGgGWZuIvyULJfH+c/B+3sySVadJQS3w=";
  };
  llvm.version = "19";
}
