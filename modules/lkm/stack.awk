# SPDX-License-Identifier: GPL-2.0-only
#
# Complains of functions that use more than 1 KiB of a kernel stack, which has 16 KiB for
# all that call each other. More than 4 KiB is an error: Rust code of the kernel does not
# probe its stack, and such a function could get beyond the page that guards it. Reads what
# `llvm-readelf --stack-sizes` says.

/^ *[0-9]+ +/ && $1 > 1024 {
	size = $1
	is_error = error || size > 4096
	sub(/^ *[0-9]+ +/, "")
	printf "%s: %s uses %d bytes of the stack: put what is big into a KBox or a KVec\n", \
		is_error ? "error" : "warning", $0, size
	bad = bad || is_error
}

END { exit bad }
