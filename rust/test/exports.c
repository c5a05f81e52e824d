// SPDX-License-Identifier: GPL-2.0
/* Exports the crate's symbols to the modules that are compiled against it. */

#include <linux/export.h>
#include <linux/module.h>

#define EXPORT_SYMBOL_RUST_GPL(sym) extern int sym; EXPORT_SYMBOL_GPL(sym)

#include "exports_generated.h"

MODULE_DESCRIPTION("What tests of shared virtual addressing need of the kernel");
MODULE_LICENSE("GPL");
MODULE_VERSION(SVA_VERSION);
#if IS_ENABLED(CONFIG_KUNIT)
MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");
#endif
