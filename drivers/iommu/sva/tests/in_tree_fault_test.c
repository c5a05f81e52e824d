// SPDX-License-Identifier: GPL-2.0
/* Page requests of Linux's own bonds: whether an IOMMU's driver leaves them to who serves them. */

#include <linux/iommu.h>
#include <linux/workqueue.h>

#define SVA_TEST_LINUX_NAMES
#include "fixture.h"

/* A page request that is being served for as long as the test says. */
struct serving {
	struct work_struct work;
	struct iopf_group *group;
	/* With a reference of ours: the group's own goes when it is freed. */
	struct iommu_fault_param *param;
	struct completion begun, go_on;
};

static struct serving *serving;

/* Who serves a request holds it until it has answered it. */
static bool is_held(struct serving *s)
{
	bool queued = rcu_access_pointer(s->param->dev->iommu->fault_param);

	/* Ours, the device's while it has a queue, and the request's. */
	return refcount_read(&s->param->users) > 1 + queued;
}

static void serve(struct work_struct *work)
{
	struct serving *s = container_of(work, struct serving, work);

	complete(&s->begun);
	wait_for_completion(&s->go_on);
	/* It may be another's memory by now, and then is left alone. */
	if (!is_held(s))
		return;
	iopf_group_response(s->group, IOMMU_PAGE_RESP_INVALID);
	iopf_free_group(s->group);
}

/* In place of the core's own handler, which has the same queue do the same. */
static int serve_later(struct iopf_group *group)
{
	serving->group = group;
	serving->param = group->fault_param;
	refcount_inc(&serving->param->users);
	return queue_work(group->fault_param->queue->wq, &serving->work) ? 0 : -EBUSY;
}

struct job {
	struct work_struct work;
	struct device *dev;
	struct iommu_sva *bond;
	int pasid;
	unsigned long addr;
	struct completion done;
};

static void access(struct work_struct *work)
{
	struct job *job = container_of(work, struct job, work);

	sva_test_write(job->dev, job->pasid, job->addr, 1);
}

static void unbind(struct work_struct *work)
{
	struct job *job = container_of(work, struct job, work);

	iommu_sva_unbind_device(job->bond);
	complete(&job->done);
}

static void start(struct job *job, work_func_t func)
{
	init_completion(&job->done);
	INIT_WORK_ONSTACK(&job->work, func);
	queue_work(system_dfl_wq, &job->work);
}

static void end(struct work_struct *work)
{
	flush_work(work);
	destroy_work_on_stack(work);
}

/*
 * What is being served while its bond ends: the end waits for it, as iopf_queue_flush_dev()
 * does, or it would be freed under who serves it.
 */
static void unbind_leaves_requests_to_who_serves_them(struct kunit *test)
{
	struct mock_smmu_device config = { .pasid_bits = 10, .stall = true };
	struct device *dev = sva_test_device(test, &config);
	struct sva_test_mm *space = sva_test_mm(test);
	struct iommu_sva *bond = iommu_sva_bind_device(dev, space->mm);
	struct job accessing, unbinding;
	struct serving s = {};

	KUNIT_ASSERT_FALSE(test, IS_ERR(bond));
	init_completion(&s.begun);
	init_completion(&s.go_on);
	INIT_WORK_ONSTACK(&s.work, serve);
	serving = &s;
	bond->handle.domain->iopf_handler = serve_later;

	accessing = (struct job){
		.dev = dev, .pasid = iommu_sva_get_pasid(bond), .addr = space->addr,
	};
	start(&accessing, access);
	wait_for_completion(&s.begun);
	KUNIT_EXPECT_TRUE(test, is_held(&s));

	unbinding = (struct job){ .bond = bond };
	start(&unbinding, unbind);
	/* It may end, or wait; the request stays in any case. */
	wait_for_completion_timeout(&unbinding.done, HZ / 2);
	KUNIT_EXPECT_TRUE_MSG(test, is_held(&s), "freed while it is served");

	complete(&s.go_on);
	end(&s.work);
	end(&unbinding.work);
	end(&accessing.work);
	serving = NULL;
	if (refcount_dec_and_test(&s.param->users))
		kfree_rcu(s.param, rcu);
}

static struct kunit_case sva_in_tree_fault_cases[] = {
	KUNIT_CASE(unbind_leaves_requests_to_who_serves_them),
	{}
};

struct kunit_suite sva_in_tree_fault_suite = {
	.name = "sva_in_tree_fault",
	.test_cases = sva_in_tree_fault_cases,
};
