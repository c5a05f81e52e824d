/* SPDX-License-Identifier: GPL-2.0 */
/* What counts users of a bond, without locks that others hold: see rust/counted.rs. */
#ifndef SVA_COUNTED_H
#define SVA_COUNTED_H

#include <linux/atomic.h>
#include <linux/list_bl.h>
#include <linux/types.h>

struct mm_struct;

/* Who may count: all of it must be the same. Only compared, never followed. */
struct sva_counted_key {
	unsigned long device;
	unsigned long owner;
	struct mm_struct *mm;
	u32 flags;
};

struct sva_counted {
	struct hlist_bl_node by_mm;
	struct hlist_bl_node by_number;
	struct sva_counted_key key;
	u32 number;
	/* At least 1 as long as this is in the tables. */
	atomic_t users;
};

#endif /* SVA_COUNTED_H */
