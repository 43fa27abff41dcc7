# SPDX-License-Identifier: GPL-2.0-only
#
# What is known of examples before anything is built. An example is a folder
# NAME with NAME.rs in it; `modules/` has them in chapters.
{ lib }:
let
  folders =
    dir: builtins.attrNames (lib.filterAttrs (_: type: type == "directory") (builtins.readDir dir));

  # `name`, when an example can be called that.
  checkName =
    name:
    if builtins.match "[A-Za-z][A-Za-z0-9_-]{0,54}" name != null then
      name
    else
      throw "'${name}' cannot be an example's name: it may have ASCII letters, digits, '-' and '_', begins with a letter, and has at most 55 characters";

  # The examples in the chapter `dir`: their folders by name.
  inChapter =
    dir:
    let
      isExample = name: builtins.pathExists (dir + "/${name}/${name}.rs");
      names = builtins.filter isExample (folders dir);
    in
    lib.genAttrs (map checkName names) (name: dir + "/${name}");

  # What an example may say that it needs, and what holds when it does not.
  defaults = {
    # Options of the kernel, without CONFIG_.
    config = [ ];
    # Files of the built kernel.
    kernel_files = [ ];
    architectures = null;
    # Modules whose symbols it uses, in folders beside it.
    modules = [ ];
    # Values of QEMU's -device.
    devices = [ ];
    # Words for the kernel's command line.
    cmdline = "";
    # MiB, and how many; the machine's own when that is more.
    memory = 0;
    cpus = 0;
    # Whether it changes code that other CPUs run.
    patches_code = false;
    # Modules that its setup or its tests load, too.
    beside = [ ];
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

  # The folders of the modules that the one in `src` needs, and of those that these need, by
  # name.
  neededBy =
    src:
    let
      folderOf =
        name:
        let
          folder = dirOf src + "/${checkName name}";
        in
        if builtins.pathExists (folder + "/${name}.rs") then
          folder
        else
          throw "${toString src} needs the module ${name}, and there is no ${toString folder}/${name}.rs";
      add =
        found: name:
        found // neededBy (folderOf name) // { ${name} = folderOf name; };
    in
    builtins.foldl' add { } (needs src).modules;

  # All of `sets` in one. No module may be there twice: in its name the kernel takes
  # '-' for '_'.
  disjoint =
    sets:
    let
      one = name: src: { inherit name src; };
      all = lib.concatMap (set: builtins.attrValues (builtins.mapAttrs one set)) sets;
      modules = builtins.groupBy (it: builtins.replaceStrings [ "-" ] [ "_" ] it.name) all;
      isTwice = module: builtins.length modules.${module} > 1;
      twice = builtins.filter isTwice (builtins.attrNames modules);
      places = map (it: toString it.src) modules.${builtins.head twice};
    in
    if twice == [ ] then
      builtins.foldl' (found: more: found // more) { } sets
    else
      throw "two examples are the module ${builtins.head twice}: ${builtins.concatStringsSep " and " places}";

  # `examples`, if none has the name of one of the flake's `outputs`.
  besides =
    outputs: examples:
    let
      taken = builtins.attrNames (builtins.intersectAttrs outputs examples);
    in
    if taken == [ ] then
      examples
    else
      throw "'${builtins.head taken}' cannot be an example's name: the flake has an output of that name";
in
{
  inherit
    besides
    checkName
    disjoint
    inChapter
    neededBy
    needs
    ;

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
