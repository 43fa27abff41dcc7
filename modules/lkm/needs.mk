# SPDX-License-Identifier: GPL-2.0-only
#
# $(call needs,FOLDER,KEY): the words of a list in an example's needs.toml, such as
# config = ["DEBUG_FS", "INET"].
needs = $(if $(wildcard $(1)/needs.toml),$(shell sed 's/#.*//' $(1)/needs.toml | tr '\n"' '  ' | \
	sed -n 's/^\(.* \)\{0,1\}$(2) *= *\[\([^]]*\)\].*/\2/p' | tr ',' ' '))
