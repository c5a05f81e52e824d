/* SPDX-License-Identifier: GPL-2.0 */
/* What bindgen reads. */

#include <linux/fault-inject.h>
#include <linux/mock_smmu_compare.h>
