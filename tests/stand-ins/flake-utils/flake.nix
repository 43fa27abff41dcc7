# SPDX-License-Identifier: GPL-2.0-only
{
  outputs = _: {
    lib.eachSystem =
      systems: outputsFor:
      let
        names = builtins.concatMap (system: builtins.attrNames (outputsFor system)) systems;
        bySystem =
          name:
          builtins.listToAttrs (
            map (system: {
              name = system;
              value = (outputsFor system).${name};
            }) systems
          );
      in
      builtins.listToAttrs (
        map (name: {
          inherit name;
          value = bySystem name;
        }) names
      );
  };
}
