# SPDX-License-Identifier: GPL-2.0
#
# doc_examples.awk FILE...: makes a KUnit suite of the Rust examples in documentation.
#
# In Rust files an example is a fenced block without a language in a doc comment, in
# other files one of the language "rust". Each becomes the body of a test that has a
# device, an address space and so on: see context.rs.

function begin()
{
	name = FILENAME
	sub(/.*\//, "", name)
	gsub(/[^A-Za-z0-9]/, "_", name)
	printf "\n#[test]\nfn %s_%d() -> Result {\n", tolower(name), FNR
	print "super::run(|dev, mm, engine, queue| {"
	inside = 1
}

function end()
{
	print "Ok(())\n})\n}"
	inside = 0
}

BEGIN {
	print "#[kunit_tests(sva_doc_examples)]"
	print "#[allow(dead_code, unused_imports, unused_variables, clippy::all)]"
	print "mod tests {"
	print "use super::{Engine, Queue};"
	print "use kernel::prelude::*;"
}

{
	line = $0
	rust = FILENAME ~ /\.rs$/
	if (rust && !sub(/^[ \t]*\/\/[\/!] ?/, "", line))
		next
}

line ~ /^```/ {
	if (inside)
		end()
	else if (other)
		other = 0
	else if (line == (rust ? "```" : "```rust"))
		begin()
	else
		other = 1
	next
}

inside { print line }

END { print "}" }
