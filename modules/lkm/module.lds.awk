# SPDX-License-Identifier: GPL-2.0-only
#
# Writes the linker script of a module, with which --gc-sections leaves out what
# the module does not use of lkm. Reads what `readelf -SW` says of its objects.
#
# Functions, constants and variables are in sections of their own, and those that
# nothing refers to are left out. The roots are all other sections, by whatever
# name: the kernel finds some of them without a reference. But .smp_locks only
# lists lock prefixes, which do no harm on one CPU, and would keep every C
# function that has one. Of the parameters, lkm's own is there when it is used, and
# comes first: what is still alive of the module ends before the kernel frees what
# parameters point to.

BEGIN {
	split("text bss data rodata", unused)
	print "ENTRY(init_module) EXTERN(cleanup_module) SECTIONS {"
	for (n = 1; n <= 4; n++)
		printf ".%s 0 : { *(.%s .%s.[0-9a-zA-Z_]* .%s..L*) }\n", \
			unused[n], unused[n], unused[n], unused[n]
	leave = "^([.]((init[.]|exit[.])?data|smp_locks|(text|bss|data|rodata)([.][0-9a-zA-Z_].*|[.][.]L.*)?)|__param)$"
}

/^File: / { file = $2 }

# "[ 1] NAME TYPE ADDRESS OFFSET SIZE ENTRY FLAGS ...", A for what is loaded.
sub(/^ *\[ *[0-9]+\] /, "") && $7 ~ /A/ && $1 !~ leave && !seen[$1]++ {
	printf "\"%s\" 0 : { KEEP(*(\"%s\")) }\n", $1, $1
}

/^__param / && file !~ /lkm\/lkm[.]o$/ { params = params sprintf(" KEEP(*%s(__param))", file) }

END { printf "__param 0 : { *lkm/lkm.o(__param)%s }\n}\n", params }
