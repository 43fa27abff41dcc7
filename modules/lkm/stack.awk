# SPDX-License-Identifier: GPL-2.0-only
#
# Complains of functions that use more than 1 KiB of a kernel stack, which has 16 KiB for
# all that call each other. Reads what `llvm-readelf --stack-sizes` says.

/^ *[0-9]+ +/ && $1 > 1024 {
	size = $1
	sub(/^ *[0-9]+ +/, "")
	printf "%s: %s uses %d bytes of the stack: put what is big into a KBox or a KVec\n", \
		error ? "error" : "warning", $0, size
	bad = 1
}

END { exit bad && error }
