# SPDX-License-Identifier: GPL-2.0-only
#
# What is known of examples before anything is built. An example is a folder
# NAME with NAME.rs in it; `modules/` has them in chapters.
{ lib }:
let
  folders =
    dir: builtins.attrNames (lib.filterAttrs (_: type: type == "directory") (builtins.readDir dir));

  # The examples in the chapter `dir`: their folders by name.
  inChapter =
    dir:
    let
      isExample = name: builtins.pathExists (dir + "/${name}/${name}.rs");
      names = builtins.filter isExample (folders dir);
    in
    lib.genAttrs names (name: dir + "/${name}");

  # What an example may say that it needs, and what holds when it does not.
  defaults = {
    # Options of the kernel, without CONFIG_.
    config = [ ];
    architectures = null;
    # Values of QEMU's -device.
    devices = [ ];
    # Words for the kernel's command line.
    cmdline = "";
    # MiB, and how many; the machine's own when that is more.
    memory = 0;
    cpus = 0;
    # How many times as big as its twin in C it may be.
    size_limit = 1.75;
  };

  needs =
    src:
    let
      file = src + "/needs.toml";
      given = builtins.fromTOML (builtins.readFile file);
      unknown = builtins.attrNames (removeAttrs given (builtins.attrNames defaults));
    in
    if !builtins.pathExists file then
      defaults
    else if unknown != [ ] then
      throw "${toString file}: there is no ${builtins.head unknown}; what there is: ${toString (builtins.attrNames defaults)}"
    else
      defaults // given;

  # All of `sets` in one. No name may be there twice.
  disjoint = builtins.foldl' (
    found: more:
    let
      twice = builtins.attrNames (builtins.intersectAttrs found more);
      name = builtins.head twice;
    in
    if twice == [ ] then
      found // more
    else
      throw "two examples are called ${name}: ${toString found.${name}} and ${toString more.${name}}"
  ) { };
in
{
  inherit disjoint inChapter needs;

  # The name of the chapter that an example is in: of a folder with a page.
  chapterOf =
    src:
    let
      dir = dirOf src;
    in
    if builtins.pathExists (dir + "/README.md") then baseNameOf dir else "chapter";

  # Those of all chapters in the folder `dir`; a folder with lib.rs is a crate.
  find =
    dir:
    let
      isChapter = name: !builtins.pathExists (dir + "/${name}/lib.rs");
    in
    disjoint (map (name: inChapter (dir + "/${name}")) (builtins.filter isChapter (folders dir)));

  # Those that the architecture can have.
  onlyFor =
    architecture:
    lib.filterAttrs (
      _: src:
      let
        inherit (needs src) architectures;
      in
      architectures == null || builtins.elem architecture architectures
    );
}
