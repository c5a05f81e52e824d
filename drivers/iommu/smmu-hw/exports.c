// SPDX-License-Identifier: GPL-2.0
/* Exports the crate's symbols to the Rust drivers that are compiled against it. */

#include <linux/export.h>
#include <linux/mock_smmu.h>
#include <linux/module.h>

#define EXPORT_SYMBOL_RUST_GPL(sym) extern int sym; EXPORT_SYMBOL_GPL(sym)

#include "exports_generated.h"

/* The C interface. */
EXPORT_SYMBOL_NS_GPL(mock_smmu_device_create, "MOCK_SMMU");
EXPORT_SYMBOL_NS_GPL(mock_smmu_device_destroy, "MOCK_SMMU");
EXPORT_SYMBOL_NS_GPL(mock_smmu_port_get, "MOCK_SMMU");
EXPORT_SYMBOL_NS_GPL(mock_smmu_port_put, "MOCK_SMMU");
EXPORT_SYMBOL_NS_GPL(mock_smmu_read, "MOCK_SMMU");
EXPORT_SYMBOL_NS_GPL(mock_smmu_write, "MOCK_SMMU");
EXPORT_SYMBOL_NS_GPL(mock_smmu_fetch_add, "MOCK_SMMU");
EXPORT_SYMBOL_NS_GPL(mock_smmu_prefetch, "MOCK_SMMU");
EXPORT_SYMBOL_NS_GPL(mock_smmu_stop, "MOCK_SMMU");
EXPORT_SYMBOL_NS_GPL(mock_smmu_start, "MOCK_SMMU");
EXPORT_SYMBOL_NS_GPL(mock_smmu_access, "MOCK_SMMU");
EXPORT_SYMBOL_NS_GPL(mock_smmu_submit, "MOCK_SMMU");
EXPORT_SYMBOL_NS_GPL(mock_smmu_drain, "MOCK_SMMU");
EXPORT_SYMBOL_NS_GPL(mock_smmu_entry, "MOCK_SMMU");
EXPORT_SYMBOL_NS_GPL(mock_smmu_set_limits, "MOCK_SMMU");
EXPORT_SYMBOL_NS_GPL(mock_smmu_set_lies, "MOCK_SMMU");

MODULE_VERSION(SVA_VERSION);
