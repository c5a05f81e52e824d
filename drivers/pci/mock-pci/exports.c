// SPDX-License-Identifier: GPL-2.0
/* Exports the C interface. */

#include <linux/export.h>
#include <linux/mock_pci.h>
#include <linux/module.h>

#define EXPORT_SYMBOL_RUST_GPL(sym) extern int sym; EXPORT_SYMBOL_GPL(sym)

#include "exports_generated.h"

EXPORT_SYMBOL_NS_GPL(mock_pci_host_create, "MOCK_PCI");
EXPORT_SYMBOL_NS_GPL(mock_pci_host_destroy, "MOCK_PCI");
EXPORT_SYMBOL_NS_GPL(mock_pci_host_rescan, "MOCK_PCI");
EXPORT_SYMBOL_NS_GPL(mock_pci_plug, "MOCK_PCI");
EXPORT_SYMBOL_NS_GPL(mock_pci_unplug, "MOCK_PCI");
EXPORT_SYMBOL_NS_GPL(mock_pci_get_device, "MOCK_PCI");

MODULE_VERSION(SVA_VERSION);
