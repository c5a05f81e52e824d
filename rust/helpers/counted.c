// SPDX-License-Identifier: GPL-2.0
/* Counts of users that are found without the lock of what is counted. */

#include <linux/hash.h>
#include <linux/mm_types.h>
#include <linux/rculist_bl.h>

#include "../bindings/counted.h"

/*
 * The tables of struct sva_counted, by (device, mm) and by (device, number). Each
 * chain has a lock of its own. Enough chains for 100,000 users to find them short.
 */
#define SVA_COUNTED_BITS	15

static struct hlist_bl_head sva_counted_by_mm[1 << SVA_COUNTED_BITS];
static struct hlist_bl_head sva_counted_by_number[1 << SVA_COUNTED_BITS];

static struct hlist_bl_head *sva_counted_chain(struct hlist_bl_head *table, unsigned long device,
					       unsigned long what)
{
	return &table[hash_64(device ^ (what * GOLDEN_RATIO_64), SVA_COUNTED_BITS)];
}

/* One more user of what has that key, if its process has not exited. Any context. */
bool rust_helper_sva_counted_get(const struct sva_counted_key *key, u32 *number)
{
	struct hlist_bl_head *chain = sva_counted_chain(sva_counted_by_mm, key->device,
							(unsigned long)key->mm);
	struct sva_counted *counted;
	struct hlist_bl_node *node;
	bool found = false;

	hlist_bl_lock(chain);
	hlist_bl_for_each_entry(counted, node, chain, by_mm) {
		if (counted->key.device != key->device || counted->key.mm != key->mm ||
		    counted->key.owner != key->owner || counted->key.flags != key->flags)
			continue;
		if (atomic_read(&key->mm->mm_users)) {
			atomic_inc(&counted->users);
			*number = counted->number;
			found = true;
		}
		break;
	}
	hlist_bl_unlock(chain);
	return found;
}

/* One user less of what has that number, unless it is the last. Any context. */
bool rust_helper_sva_counted_put(unsigned long device, u32 number)
{
	struct hlist_bl_head *chain = sva_counted_chain(sva_counted_by_number, device, number);
	struct sva_counted *counted;
	struct hlist_bl_node *node;
	bool put = false;

	hlist_bl_lock(chain);
	hlist_bl_for_each_entry(counted, node, chain, by_number) {
		if (counted->key.device == device && counted->number == number) {
			put = atomic_add_unless(&counted->users, -1, 1);
			break;
		}
	}
	hlist_bl_unlock(chain);
	return put;
}

/* Puts it into the tables, if it is not there. Any context. */
void rust_helper_sva_counted_link(struct sva_counted *counted)
{
	struct hlist_bl_head *by_mm = sva_counted_chain(sva_counted_by_mm, counted->key.device,
							(unsigned long)counted->key.mm);
	struct hlist_bl_head *by_number = sva_counted_chain(sva_counted_by_number,
							    counted->key.device, counted->number);

	/* Always in this order. */
	hlist_bl_lock(by_mm);
	hlist_bl_lock(by_number);
	if (hlist_bl_unhashed(&counted->by_mm)) {
		hlist_bl_add_head(&counted->by_mm, by_mm);
		hlist_bl_add_head(&counted->by_number, by_number);
	}
	hlist_bl_unlock(by_number);
	hlist_bl_unlock(by_mm);
}

/*
 * Takes it out of the tables, if it is there: nobody else counts any more. Any context.
 *
 * The first look needs no lock: who links at the same time may as well come later.
 */
void rust_helper_sva_counted_unlink(struct sva_counted *counted)
{
	struct hlist_bl_head *by_mm = sva_counted_chain(sva_counted_by_mm, counted->key.device,
							(unsigned long)counted->key.mm);
	struct hlist_bl_head *by_number = sva_counted_chain(sva_counted_by_number,
							    counted->key.device, counted->number);

	if (!READ_ONCE(counted->by_mm.pprev))
		return;
	hlist_bl_lock(by_mm);
	hlist_bl_lock(by_number);
	if (!hlist_bl_unhashed(&counted->by_mm)) {
		hlist_bl_del_init(&counted->by_mm);
		hlist_bl_del_init(&counted->by_number);
	}
	hlist_bl_unlock(by_number);
	hlist_bl_unlock(by_mm);
}

void rust_helper_sva_counted_inc(struct sva_counted *counted)
{
	atomic_inc(&counted->users);
}

int rust_helper_sva_counted_dec(struct sva_counted *counted)
{
	return atomic_dec_return(&counted->users);
}

int rust_helper_sva_counted_users(const struct sva_counted *counted)
{
	return atomic_read(&counted->users);
}
