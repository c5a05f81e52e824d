// SPDX-License-Identifier: GPL-2.0
/* The port of a device behind the mock SMMU, as a driver in C uses it, on shared memory. */

#include <linux/mman.h>

#include "fixture.h"

struct port_case {
	struct device *dev;
	struct sva_test_mm *space;
	struct mock_smmu_port *port;
	struct completion done;
	int pasid;
};

static void set_up(struct kunit *test, struct port_case *c)
{
	c->dev = sva_test_device(test, NULL);
	c->space = sva_test_mm(test);
	init_completion(&c->done);
	KUNIT_ASSERT_EQ(test, 0, iommu_sva_bind_device(c->dev, c->space->mm, &c->pasid,
						       SVA_TEST_FLAGS, NULL));
	c->port = mock_smmu_port_get(c->dev);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, c->port);
}

static void tear_down(struct kunit *test, struct port_case *c)
{
	mock_smmu_port_put(c->port);
	KUNIT_EXPECT_EQ(test, 0, iommu_sva_unbind_device(c->dev, c->pasid));
}

static struct mock_smmu_request word(struct port_case *c, enum mock_smmu_op op, u64 operand)
{
	return (struct mock_smmu_request){
		.op = op,
		.ssid = c->pasid,
		.addr = c->space->addr,
		.operand = operand,
	};
}

static void port_atomics(struct kunit *test)
{
	struct mock_smmu_request request;
	struct port_case c;
	u64 value;

	set_up(test, &c);
	KUNIT_EXPECT_EQ(test, 0, put_user(5ULL, (u64 __user *)c.space->addr));
	request = word(&c, MOCK_SMMU_FETCH_ADD, 3);
	KUNIT_EXPECT_EQ(test, 0, mock_smmu_access(c.port, &request));
	KUNIT_EXPECT_EQ(test, 5, request.old);
	request = word(&c, MOCK_SMMU_SWAP, 20);
	KUNIT_EXPECT_EQ(test, 0, mock_smmu_access(c.port, &request));
	KUNIT_EXPECT_EQ(test, 8, request.old);
	request = word(&c, MOCK_SMMU_COMPARE_EXCHANGE, 30);
	request.expected = 19;
	KUNIT_EXPECT_EQ(test, 0, mock_smmu_access(c.port, &request));
	KUNIT_EXPECT_EQ(test, 20, request.old);
	request.expected = 20;
	KUNIT_EXPECT_EQ(test, 0, mock_smmu_access(c.port, &request));
	KUNIT_EXPECT_EQ(test, 0, get_user(value, (u64 __user *)c.space->addr));
	KUNIT_EXPECT_EQ(test, 30, value);

	request.addr++;
	KUNIT_EXPECT_EQ(test, -EINVAL, mock_smmu_access(c.port, &request));
	request.op = 99;
	KUNIT_EXPECT_EQ(test, -EINVAL, mock_smmu_access(c.port, &request));
	tear_down(test, &c);
}

/* Memory of a process is neither a privileged device's nor executable as it comes. */
static void port_attributes(struct kunit *test)
{
	struct mock_smmu_request request;
	struct port_case c;
	u64 value;

	set_up(test, &c);
	request = word(&c, MOCK_SMMU_READ, 0);
	request.buf = &value;
	request.len = sizeof(value);
	KUNIT_EXPECT_EQ(test, 0, mock_smmu_access(c.port, &request));
	request.exec = true;
	KUNIT_EXPECT_EQ(test, -EFAULT, mock_smmu_access(c.port, &request));
	KUNIT_EXPECT_EQ(test, c.space->addr, request.fault_addr);

	request.addr = vm_mmap(NULL, 0, PAGE_SIZE, PROT_READ | PROT_EXEC,
			       MAP_PRIVATE | MAP_ANONYMOUS, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE((unsigned long)request.addr));
	KUNIT_EXPECT_EQ(test, 0, mock_smmu_access(c.port, &request));
	tear_down(test, &c);
}

static void complete_case(struct mock_smmu_request *request)
{
	struct port_case *c = request->context;

	complete(&c->done);
}

static void port_submit(struct kunit *test)
{
	struct mock_smmu_request request;
	struct port_case c;
	u64 value;

	set_up(test, &c);
	request = word(&c, MOCK_SMMU_FETCH_ADD, 7);
	KUNIT_EXPECT_EQ(test, -EINVAL, mock_smmu_submit(c.port, &request));
	request.complete = complete_case;
	request.context = &c;
	KUNIT_ASSERT_EQ(test, 0, mock_smmu_submit(c.port, &request));
	wait_for_completion(&c.done);
	KUNIT_EXPECT_EQ(test, 0, request.error);
	KUNIT_EXPECT_EQ(test, 0, request.old);
	KUNIT_EXPECT_EQ(test, 0, get_user(value, (u64 __user *)c.space->addr));
	KUNIT_EXPECT_EQ(test, 7, value);

	/* After a stop it ends with an error, and the drain has nothing to wait for. */
	mock_smmu_stop(c.port);
	KUNIT_ASSERT_EQ(test, 0, mock_smmu_submit(c.port, &request));
	mock_smmu_drain(c.port);
	KUNIT_EXPECT_TRUE(test, completion_done(&c.done));
	KUNIT_EXPECT_EQ(test, -ESHUTDOWN, request.error);
	mock_smmu_start(c.port);
	tear_down(test, &c);
}

static void port_limits(struct kunit *test)
{
	struct mock_smmu_limits limits = { .max_retries = 16, .timeout_ms = 10000 };
	struct port_case c;
	void *buffer;

	set_up(test, &c);
	KUNIT_EXPECT_EQ(test, -EINVAL, mock_smmu_set_limits(c.port, &limits));
	limits.max_outstanding = 1;
	KUNIT_EXPECT_EQ(test, 0, mock_smmu_set_limits(c.port, &limits));
	buffer = kunit_kzalloc(test, c.space->len, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, buffer);
	KUNIT_EXPECT_EQ(test, 0, mock_smmu_write(c.port, c.pasid, c.space->addr, buffer,
						 c.space->len, NULL));
	tear_down(test, &c);
}

/* A device that uses another PASID than it was told reaches nothing with it. */
static void port_lies(struct kunit *test)
{
	struct mock_smmu_lies lies = { .use_foreign_ssid = true };
	struct port_case c;
	u64 value;

	set_up(test, &c);
	lies.foreign_ssid = c.pasid + 1;
	KUNIT_EXPECT_EQ(test, 0, mock_smmu_set_lies(c.port, &lies));
	KUNIT_EXPECT_NE(test, 0, sva_test_read(c.dev, c.pasid, c.space->addr, &value));
	lies = (struct mock_smmu_lies){};
	KUNIT_EXPECT_EQ(test, 0, mock_smmu_set_lies(c.port, &lies));
	KUNIT_EXPECT_EQ(test, 0, sva_test_read(c.dev, c.pasid, c.space->addr, &value));
	tear_down(test, &c);
}

static struct kunit_case sva_port_cases[] = {
	KUNIT_CASE(port_atomics),
	KUNIT_CASE(port_attributes),
	KUNIT_CASE(port_submit),
	KUNIT_CASE(port_limits),
	KUNIT_CASE(port_lies),
	{}
};

struct kunit_suite sva_port_suite = {
	.name = "sva_port",
	.test_cases = sva_port_cases,
};
