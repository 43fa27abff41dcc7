# SPDX-License-Identifier: GPL-2.0-only
#
# Writes the linker script of a module, with which --gc-sections leaves out what
# the module does not use of lkm. Reads what `readelf -SW` says of its objects.
#
# Functions, constants and variables are in sections of their own, and those that
# nothing refers to are left out. The roots are all other sections, by whatever
# name: the kernel finds some of them without a reference. But .smp_locks only
# lists lock prefixes, which do no harm on one CPU, and would keep every C
# function that has one. Data of init and exit is left out, too. It is a root with
# CONFIG_X86_KERNEL_IBT (ibt=y), where a function that no data has the address of
# cannot be called by it.
#
# The names lkm_init and lkm_exit are for who must not get to the functions that are
# put in the place of init_module() and cleanup_module(): lkm/entry.rs.

BEGIN {
	split("text bss data rodata", unused)
	print "lkm_init = init_module; lkm_exit = cleanup_module;"
	print "ENTRY(init_module) EXTERN(cleanup_module) SECTIONS {"
	for (n = 1; n <= 4; n++)
		printf ".%s 0 : { *(.%s .%s.[0-9a-zA-Z_]* .%s..L*) }\n", \
			unused[n], unused[n], unused[n], unused[n]
	leave = "^([.](" (ibt ? "" : "(init|exit)[.]data|") "smp_locks|(text|bss|data|rodata)([.][0-9a-zA-Z_].*|[.][.]L.*)?))$"
}

# "[ 1] NAME TYPE ADDRESS OFFSET SIZE ENTRY FLAGS ...", A for what is loaded.
sub(/^ *\[ *[0-9]+\] /, "") && $7 ~ /A/ && $1 !~ leave && !seen[$1]++ {
	printf "\"%s\" 0 : { KEEP(*(\"%s\")) }\n", $1, $1
}

END { print "/DISCARD/ : { *(.stack_sizes) }\n}" }
