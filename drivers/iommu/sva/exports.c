// SPDX-License-Identifier: GPL-2.0
/* Exports the C interface, and the crate's symbols to drivers in Rust. */

#include <linux/export.h>
#include <linux/module.h>
#define SVA_SEED_NAMES
#include <linux/sva_seed.h>

EXPORT_SYMBOL_NS_GPL(sva_device_init, "SVA");
EXPORT_SYMBOL_NS_GPL(sva_device_init_within, "SVA");
EXPORT_SYMBOL_NS_GPL(sva_device_shutdown, "SVA");
EXPORT_SYMBOL_NS_GPL(sva_bind, "SVA");
EXPORT_SYMBOL_NS_GPL(sva_bind_members, "SVA");
EXPORT_SYMBOL_NS_GPL(sva_bind_ops, "SVA");
EXPORT_SYMBOL_NS_GPL(sva_bind_members_ops, "SVA");
EXPORT_SYMBOL_NS_GPL(sva_unbind, "SVA");
EXPORT_SYMBOL_NS_GPL(sva_bond_pasid, "SVA");
EXPORT_SYMBOL_NS_GPL(sva_bond_pin, "SVA");
EXPORT_SYMBOL_NS_GPL(sva_bond_unpin, "SVA");
EXPORT_SYMBOL_NS_GPL(sva_bond_mode, "SVA");
EXPORT_SYMBOL_NS_GPL(sva_bond_range, "SVA");
EXPORT_SYMBOL_NS_GPL(sva_range_end, "SVA");
EXPORT_SYMBOL_NS_GPL(sva_bond_why_not, "SVA");
EXPORT_SYMBOL_NS_GPL(sva_start, "SVA");
EXPORT_SYMBOL_NS_GPL(sva_bond_is_callers, "SVA");
EXPORT_SYMBOL_NS_GPL(sva_copy_to, "SVA");
EXPORT_SYMBOL_NS_GPL(sva_copy_from, "SVA");
EXPORT_SYMBOL_NS_GPL(sva_prefetch, "SVA");
EXPORT_SYMBOL_NS_GPL(sva_find, "SVA");

/* The names of 2018. */
EXPORT_SYMBOL_NS_GPL(sva_bind_device, "SVA");
EXPORT_SYMBOL_NS_GPL(sva_unbind_device, "SVA");
EXPORT_SYMBOL_NS_GPL(sva_unbind_device_all, "SVA");
EXPORT_SYMBOL_NS_GPL(sva_pin_range, "SVA");
EXPORT_SYMBOL_NS_GPL(sva_unpin_range, "SVA");
EXPORT_SYMBOL_NS_GPL(sva_bind_group, "SVA");
EXPORT_SYMBOL_NS_GPL(sva_unbind_group, "SVA");
EXPORT_SYMBOL_NS_GPL(sva_pasid, "SVA");
EXPORT_SYMBOL_NS_GPL(sva_register_mm_exit_handler, "SVA");
EXPORT_SYMBOL_NS_GPL(sva_unregister_mm_exit_handler, "SVA");

#define EXPORT_SYMBOL_RUST_GPL(sym) extern int sym; EXPORT_SYMBOL_GPL(sym)

#include "exports_generated.h"

MODULE_VERSION(SVA_VERSION);
