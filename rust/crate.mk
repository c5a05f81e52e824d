# SPDX-License-Identifier: GPL-2.0
#
# A Rust crate that other modules use.
#
# A Kbuild file sets, before it includes this one:
#   crate        the crate's name, which is the stem of its root file
#   crate-module the module that carries it; it needs <crate>.o and exports.o
#
# Consumers find the metadata with -L and name it with --extern. Symbols are
# exported as the kernel exports those of its own crates: every public one, GPL.

RUSTFLAGS_$(crate).o += --emit=metadata=$(obj)/lib$(crate).rmeta

obj-m += $(crate-module).o

clean-files += lib$(crate).rmeta exports_generated.h

quiet_cmd_sva_exports = EXPORTS $@
      cmd_sva_exports = \
	$(NM) -p --defined-only $(filter %.o,$^) | \
	awk '$$2 ~ /^[TRDB]$$/ && $$3 ~ /^(_R|rust_helper_)/ && \
	     $$3 !~ /(__pfx|__cfi|__odr_asan|5tests|13___module_init|17module_parameters)/ \
	     { printf "EXPORT_SYMBOL_RUST_GPL(%s);\n", $$3 }' > $@

$(obj)/exports_generated.h: $(obj)/$(crate).o $(crate-objs) FORCE
	$(call if_changed,sva_exports)

$(obj)/exports.o: $(obj)/exports_generated.h

targets += exports_generated.h
