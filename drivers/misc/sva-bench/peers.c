// SPDX-License-Identifier: GPL-2.0
/* The two implementations: Linux's own, and ours. */

#include "bench.h"

static int in_tree_bind(struct bench_bond *bond)
{
	bond->handle = iommu_sva_bind_device(bond->dev, bond->mm);
	return PTR_ERR_OR_ZERO(bond->handle);
}

static void in_tree_unbind(struct bench_bond *bond)
{
	iommu_sva_unbind_device(bond->handle);
}

static u32 in_tree_pasid(struct bench_bond *bond)
{
	return iommu_sva_get_pasid(bond->handle);
}

/* Called when a process exits, if anything is to be. */
static sva_exit_t ours_exit;

static void exited(struct device *dev, u32 pasid, void *drvdata)
{
}

/* Whether bonds of ours hear of exits from now on. */
void bench_watch_exits(bool watch)
{
	ours_exit = watch ? exited : NULL;
}

static int ours_bind(struct bench_bond *bond)
{
	bond->ours = sva_bind(bond->dev, bond->mm, IOMMU_SVA_FEAT_PASID | IOMMU_SVA_FEAT_IOPF,
			      ours_exit, NULL);
	return PTR_ERR_OR_ZERO(bond->ours);
}

static void ours_unbind(struct bench_bond *bond)
{
	sva_unbind(bond->ours);
}

static u32 ours_pasid(struct bench_bond *bond)
{
	return sva_bond_pasid(bond->ours);
}

const struct bench_peer bench_in_tree = {
	.name = "in_tree",
	.bind = in_tree_bind,
	.unbind = in_tree_unbind,
	.pasid = in_tree_pasid,
};

const struct bench_peer bench_ours = {
	.name = "ours",
	.bind = ours_bind,
	.unbind = ours_unbind,
	.pasid = ours_pasid,
};

const struct bench_peer *const bench_peers[2] = { &bench_in_tree, &bench_ours };
