# SPDX-License-Identifier: GPL-2.0-only
#
# The few names of nixpkgs that the recipes use, with nixpkgs' arguments and
# output layout, made from the .debs that lock.tsv pins. Builds run in Nix's
# sandbox, chrooted into a root file system unpacked from those.
{ system }:
let
  inherit (builtins)
    concatStringsSep
    elemAt
    functionArgs
    intersectAttrs
    isFunction
    readFile
    removeAttrs
    replaceStrings
    ;

  pins = import ../pins.nix;

  # The lines of lock.tsv but its first, by section; or of the lock that `fetch`
  # has made for this machine, which pure evaluation does not see.
  lock =
    let
      own = builtins.getEnv "LKMPG_DEBIAN_LOCK";
      text = readFile (if own == "" then ./lock.tsv else own);
      split = separator: text: builtins.filter builtins.isString (builtins.split separator text);
      lines = builtins.filter (line: line != "") (split "\n" text);
      entry =
        line:
        let
          field = elemAt (split "\t" line);
        in
        {
          section = field 0;
          name = field 1;
          version = field 2;
          path = field 3;
          sha256 = field 5;
        };
    in
    builtins.groupBy (entry: entry.section) (map entry (builtins.tail lines));

  # A file that `fetch` puts into the store, under a name that Nix allows: its
  # builder only runs when that was not done. `hash` is a hexadecimal or SRI sha256.
  fetched =
    name: hash:
    derivation {
      name = replaceStrings [ ":" "~" ] [ "-" "-" ] name;
      inherit system;
      builder = "/bin/sh";
      args = [
        "-c"
        "echo \"$name is not in the Nix store; run: ./lkmpg fetch\" >&2; exit 1"
      ];
      outputHashMode = "flat";
      outputHashAlgo = "sha256";
      outputHash = hash;
    };

  unpacked =
    name: packages:
    derivation {
      inherit name system;
      builder = "/bin/sh";
      args = [ ./unpack.sh ];
      # As apt calls them: a file in the archive lacks the version's epoch.
      debs = map (
        p: fetched "${p.name}_${p.version}_${builtins.head (builtins.match ".*_(.*)" p.path)}" p.sha256
      ) packages;
    };

  toolchain = unpacked "debian-toolchain" lock.toolchain;
  qemuRoot = unpacked "debian-qemu" lock.qemu;

  mkDerivation =
    attrs:
    let
      given = removeAttrs attrs [
        "depsBuildBuild"
        "hardeningDisable"
        "meta"
        "passthru"
        "strictDeps"
      ];
      drv = derivation (
        given
        // {
          inherit system;
          name = attrs.name or "${attrs.pname}-${attrs.version}";
          builder = "/bin/sh";
          args = [ ./enter.sh ];
          root = toolchain;
          setup = ./setup.sh;
          nativeBuildInputs = builtins.filter (input: input != null) (attrs.nativeBuildInputs or [ ]);
        }
      );
    in
    drv
    // (attrs.passthru or { })
    // {
      meta = attrs.meta or { };
      pname = attrs.pname or attrs.name;
      version = attrs.version or "";
    };

  callPackageWith =
    scope: file: overrides:
    let
      function = if isFunction file then file else import file;
    in
    function (intersectAttrs (functionArgs function) scope // overrides);

  lib = {
    inherit (builtins) concatMap mapAttrs;
    cleanSourceWith =
      {
        name,
        src,
        filter,
      }:
      builtins.path {
        inherit name filter;
        path = src;
      };
    concatMapStrings = f: list: concatStringsSep "" (map f list);
    filterAttrs =
      keep: set:
      removeAttrs set (builtins.filter (name: !keep name set.${name}) (builtins.attrNames set));
    genAttrs =
      names: f:
      builtins.listToAttrs (
        map (name: {
          inherit name;
          value = f name;
        }) names
      );
    makeScope =
      newScope: f:
      let
        self = f self // {
          callPackage = newScope self;
        };
      in
      self;
    # There is nothing that could be forced: a node is one set of options.
    mkForce = value: value;
    mapAttrs' = f: set: builtins.listToAttrs (map (name: f name set.${name}) (builtins.attrNames set));
    unique = builtins.foldl' (seen: one: if builtins.elem one seen then seen else seen ++ [ one ]) [ ];
    nameValuePair = name: value: { inherit name value; };
    optionalString = condition: text: if condition then text else "";
  };

  pkgs = tools // {
    inherit lib system;
    newScope = extra: callPackageWith (pkgs // extra);

    stdenv = {
      inherit mkDerivation;
      cc = {
        targetPrefix = "";
        isClang = false;
      };
      hostPlatform = {
        inherit system;
        # Statically linked with glibc: the Debian toolchain has no musl.
        rust.rustcTarget = "x86_64-unknown-linux-gnu";
        linux-kernel.target = "bzImage";
      };
    };
    gccStdenv = pkgs.stdenv;
    pkgsStatic = pkgs;
    buildPackages = pkgs;

    # Debian's tarball, or upstream's where the lock has no such source.
    fetchSource =
      pin:
      let
        file = baseNameOf pin.debian.url;
        sources = map (source: baseNameOf source.path) (lock.sources or [ ]);
        from = if builtins.elem file sources then pin.debian else pin.upstream;
      in
      fetched (baseNameOf from.url) from.hash;

    runCommand =
      name: attrs: text:
      mkDerivation (
        attrs
        // {
          inherit name;
          dontUnpack = true;
          buildPhase = text;
          dontInstall = true;
        }
      );

    writeText =
      name: text:
      pkgs.runCommand name {
        inherit text;
        passAsFile = [ "text" ];
      } "cp $textPath $out";

    linkFarm =
      name: entries:
      pkgs.runCommand name { } (
        concatStringsSep "\n" (
          [ "mkdir -p $out" ]
          ++ map (entry: "mkdir -p $(dirname $out/${entry}); ln -s ${entries.${entry}} $out/${entry}") (
            builtins.attrNames entries
          )
        )
      );

    symlinkJoin =
      { name, paths }:
      pkgs.runCommand name { inherit paths; } ''
        mkdir $out
        for path in $paths; do
          cp -rsf --no-preserve=mode $path/* $out/
        done
      '';

    linuxManualConfig =
      let
        builder = arguments: {
          __functor = _: import ./linux.nix arguments;
          override = change: builder (arguments // change);
        };
      in
      builder { inherit mkDerivation pins; };
    linuxPackagesFor = kernel: { inherit kernel; };

    makeInitrdNG =
      {
        name ? "initrd",
        compressor ? "gzip",
        contents,
      }:
      pkgs.runCommand name { inherit compressor; } ''
        mkdir -p root/run root/tmp root/var/empty
        ln -s ../run root/var/run
        ${concatStringsSep "\n" (
          map (entry: ''
            cp -r --parents ${entry.source} root
            mkdir -p root/$(dirname ${entry.target})
            ln -s ${entry.source} root/${entry.target}
          '') contents
        )}
        find root -type d -exec chmod 755 {} +
        find root -exec touch -h -d @1 {} +
        mkdir $out
        (cd root && find . -print0 | LC_ALL=C sort -z | cpio -o -H newc -R +0:+0 --reproducible --quiet --null) |
          case $compressor in gzip) gzip -9n ;; *) $compressor ;; esac >$out/initrd
      '';

    craneLib = import ./crane.nix { inherit fetched mkDerivation pkgs; };

    busybox = pkgs.newScope { } ../busybox.nix { };
    inherit (pkgs.newScope { } ./shell.nix { }) mkShell bash;
    testers = pkgs.newScope { } ./testers { };

    # The wrapper runs on the host and in the sandbox alike: it needs /bin/sh.
    qemu = pkgs.runCommand "qemu" { inherit qemuRoot; } ''
      mkdir -p $out/bin
      cat >$out/bin/qemu-system-x86_64 <<EOF
      #!/bin/sh
      export QEMU_MODULE_DIR=$qemuRoot/usr/lib/x86_64-linux-gnu/qemu
      exec $qemuRoot/usr/lib64/ld-linux-x86-64.so.2 --library-path $qemuRoot/usr/lib/x86_64-linux-gnu \\
        --argv0 qemu-system-x86_64 $qemuRoot/usr/bin/qemu-system-x86_64 \\
        -L $qemuRoot/usr/share/qemu -L $qemuRoot/usr/share/seabios "\$@"
      EOF
      chmod +x $out/bin/qemu-system-x86_64
    '';

    deadnix =
      let
        crates = pkgs.craneLib.vendorCargoDeps { cargoLock = ./deadnix/Cargo.lock; };
        version = "1.3.1";
      in
      pkgs.craneLib.buildPackage {
        pname = "deadnix";
        inherit version;
        src = "${crates}/deadnix-${version}";
        cargoVendorDir = crates;
        # Its own lock may name other versions than the pinned ones.
        preConfigure = "rm -f Cargo.lock";
        cargoExtraArgs = "";
        cargoArtifacts = null;
        doCheck = false;
      };

    # Not of nixpkgs: for `fetch`, and for a look inside.
    inherit toolchain;
  };

  # Tools that recipes ask for by name and that every build here has anyway.
  tools = lib.genAttrs [
    "bc"
    "bison"
    "flex"
    "gdb"
    "gnumake"
    "openssl"
    "perl"
    "python3"
    "shellcheck"
  ] (_: null);
in
pkgs
