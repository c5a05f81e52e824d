// SPDX-License-Identifier: GPL-2.0
/*
 * Functions of the kernel that are inline or macros, for Rust to call.
 *
 * The infix "sva_" keeps our names apart from the kernel's own helpers.
 */

#include "helpers/carve.c"
#include "helpers/configfs.c"
#include "helpers/cpu.c"
#include "helpers/fault.c"
#include "helpers/firmware.c"
#include "helpers/iommu.c"
#include "helpers/memory.c"
#include "helpers/mm.c"
#include "helpers/pci.c"
#include "helpers/pin.c"
#include "helpers/point.c"
#include "helpers/touch.c"
#include "helpers/wake.c"
