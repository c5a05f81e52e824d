# SPDX-License-Identifier: GPL-2.0
#
# A Rust crate with bindings of its own and C helpers.
#
# A Kbuild file sets before it includes this one, and crate.mk:
#   crate       the crate's name
#   crate-objs  has $(obj)/helpers.o, so that the helpers are exported too
#
# From bindings/bindings_helper.h with bindings/bindgen_parameters, and from helpers.c,
# come bindings/bindings_generated.rs and bindings/helpers_generated.rs.

# Helpers exist for Rust only: no header declares them.
CFLAGS_helpers.o += -Wno-missing-prototypes -Wno-missing-declarations

$(obj)/$(crate).o: $(obj)/bindings/bindings_generated.rs $(obj)/bindings/helpers_generated.rs

always-y += bindings/bindings_generated.rs bindings/helpers_generated.rs

bindgen_c_flags = $(filter-out $(CC_FLAGS_LTO), $(c_flags)) -w -fno-builtin -D__BINDGEN__ -DMODULE

quiet_cmd_sva_bindgen = BINDGEN $@
      cmd_sva_bindgen = \
	$(BINDGEN) $< $(bindgen_params) --rust-target 1.85 --use-core \
		--with-derive-default --ctypes-prefix ffi --no-debug '.*' \
		--enable-function-attribute-detection \
		-o $@ -- $(bindgen_c_flags); \
	sed -Ei $(bindgen_rename) $@

$(obj)/bindings/bindings_generated.rs: private bindgen_params = \
	$(shell grep -Ev '^\#|^$$' $(src)/bindings/bindgen_parameters)
$(obj)/bindings/bindings_generated.rs: private bindgen_rename = \
	's/pub const RUST_CONST_HELPER_([a-zA-Z0-9_]*)/pub const \1/g'
$(obj)/bindings/bindings_generated.rs: $(src)/bindings/bindings_helper.h \
		$(src)/bindings/bindgen_parameters FORCE
	$(call if_changed_dep,sva_bindgen)

$(obj)/bindings/helpers_generated.rs: private bindgen_params = \
	--blocklist-type '.*' --allowlist-var '' --allowlist-function 'rust_helper_.*'
$(obj)/bindings/helpers_generated.rs: private bindgen_rename = \
	's/pub fn rust_helper_([a-zA-Z0-9_]*)/\#[link_name="rust_helper_\1"]\n    pub fn \1/g'
$(obj)/bindings/helpers_generated.rs: $(src)/helpers.c FORCE
	$(call if_changed_dep,sva_bindgen)
