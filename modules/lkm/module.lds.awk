# SPDX-License-Identifier: GPL-2.0-only
#
# Writes the linker script of a module, with which --gc-sections leaves out what
# the module does not use of lkm. Reads what `readelf -SW` says of its objects.
#
# Functions, constants and variables are in sections of their own, and those that
# nothing refers to are left out. The roots are all other sections, by whatever
# name: the kernel finds some of them without a reference. But .smp_locks only
# lists lock prefixes, which do no harm on one CPU, and would keep every C
# function that has one.

BEGIN {
	split("text bss data rodata", unused)
	print "ENTRY(init_module) EXTERN(cleanup_module) SECTIONS {"
	for (n = 1; n <= 4; n++)
		printf ".%s 0 : { *(.%s .%s.[0-9a-zA-Z_]* .%s..L*) }\n", \
			unused[n], unused[n], unused[n], unused[n]
	leave = "^[.]((init[.]|exit[.])?data|smp_locks|(text|bss|data|rodata)([.][0-9a-zA-Z_].*|[.][.]L.*)?)$"
}

# "[ 1] NAME TYPE ADDRESS OFFSET SIZE ENTRY FLAGS ...", A for what is loaded.
sub(/^ *\[ *[0-9]+\] /, "") && $7 ~ /A/ && $1 !~ leave && !seen[$1]++ {
	printf "\"%s\" 0 : { KEEP(*(\"%s\")) }\n", $1, $1
}

END { print "}" }
