# SPDX-License-Identifier: GPL-2.0-only
#
# Writes the module that consists of the examples called $1.
BEGIN {
	print "// SPDX-License-Identifier: GPL-2.0-only\n"
	print "//! The examples in the documentation of lkm.\n"
	print "#![allow(unreachable_pub)]\n\nuse kernel::prelude::*;\n"
}
{
	printf "#[path = \"kept/%s.rs\"]\nmod %s;\n", $1, $1
	calls = calls "\n        " $1 "::main();"
}
END {
	print "\nmodule! {\n    type: Examples,\n    name: \"lkm-doctests\",\n    authors: [\"lkmpg-rs\"],"
	print "    description: \"The examples in the documentation of lkm\",\n    license: \"GPL\",\n}\n"
	print "struct Examples;\n\nimpl kernel::Module for Examples {"
	print "    fn init(_module: &'static ThisModule) -> Result<Self> {" calls "\n        Ok(Self)\n    }\n}"
}
