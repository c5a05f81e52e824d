// SPDX-License-Identifier: GPL-2.0
/* Each operation of the accelerator against the CPU, and the limits of descriptors. */

#include "accel.h"

#define SIZE 0x100000

FIXTURE(operation) {
	int fd;
	unsigned char *a, *b;
};

FIXTURE_SETUP(operation)
{
	self->fd = accel_open(0);
	ASSERT_LE(0, self->fd);
	self->a = map_fresh(SIZE);
	self->b = map_fresh(SIZE);
	ASSERT_NE(NULL, self->a);
	ASSERT_NE(NULL, self->b);
	for (size_t i = 0; i < SIZE; i++)
		self->a[i] = i * 2654435761u >> 13;
}

FIXTURE_TEARDOWN(operation)
{
	close(self->fd);
}

TEST_F(operation, copy_any_alignment_and_length)
{
	const size_t page = page_size();
	static const size_t lengths[] = { 1, 7, 8, 63, 64, 65, 4095, 4096, 4097, 65536, 65537 };

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		for (size_t shift = 0; shift < 16; shift += 5) {
			unsigned char *src = self->a + page - 3 + shift;
			unsigned char *dst = self->b + 3 * page - 5;
			struct job job = copy_job(dst, src, lengths[i]);

			dst[-1] = dst[lengths[i]] = 0xee;
			ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_run(self->fd, &job));
			EXPECT_EQ(lengths[i], job.done.bytes);
			EXPECT_EQ(0, memcmp(dst, src, lengths[i]));
			EXPECT_EQ(0xee, dst[-1]);
			EXPECT_EQ(0xee, dst[lengths[i]]);
		}
	}
}

TEST_F(operation, copy_of_all)
{
	struct job job = copy_job(self->b, self->a, SIZE);

	ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_run(self->fd, &job));
	EXPECT_EQ(SIZE, job.done.bytes);
	EXPECT_EQ(0, memcmp(self->a, self->b, SIZE));
}

TEST_F(operation, copy_overlap_is_refused)
{
	struct job up = copy_job(self->a + 1, self->a, 64);
	struct job down = copy_job(self->a, self->a + 63, 64);
	struct job same = copy_job(self->a, self->a, 64);
	struct job beside = copy_job(self->a, self->a + 64, 64);

	EXPECT_EQ(MOCK_ACCEL_BAD_DESCRIPTOR, accel_run(self->fd, &up));
	EXPECT_EQ(MOCK_ACCEL_BAD_DESCRIPTOR, accel_run(self->fd, &down));
	EXPECT_EQ(MOCK_ACCEL_BAD_DESCRIPTOR, accel_run(self->fd, &same));
	EXPECT_EQ(0, up.done.bytes);
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_run(self->fd, &beside));
}

TEST_F(operation, fill_repeats_eight_bytes)
{
	const uint64_t pattern = 0x0123456789abcdef;
	const size_t length = 3 * page_size() + 5;
	struct job job = fill_job(self->b + 3, pattern, length);

	ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_run(self->fd, &job));
	EXPECT_EQ(length, job.done.bytes);
	for (size_t i = 0; i < length; i++)
		ASSERT_EQ(((unsigned char *)&pattern)[i % 8], self->b[3 + i]);
	EXPECT_EQ(0, self->b[2]);
	EXPECT_EQ(0, self->b[3 + length]);
}

TEST_F(operation, compare_finds_the_first_difference)
{
	static const size_t offsets[] = { SIZE - 1, 70000, 32768, 32767, 4096, 1, 0 };
	struct job job = compare_job(self->a, self->b, SIZE);

	memcpy(self->b, self->a, SIZE);
	ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_run(self->fd, &job));
	EXPECT_EQ(SIZE, job.done.result);
	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		self->b[offsets[i]] ^= 0x80;
		ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_run(self->fd, &job));
		EXPECT_EQ(offsets[i], job.done.result);
		EXPECT_EQ(offsets[i], job.done.bytes);
	}
}

static uint32_t crc32_of(uint32_t crc, const unsigned char *p, size_t length)
{
	crc = ~crc;
	while (length--) {
		crc ^= *p++;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return ~crc;
}

TEST_F(operation, crc32_as_the_cpu_computes_it)
{
	const size_t length = 200003;
	struct job check = crc32_job("123456789", 9, 0);
	struct job whole = crc32_job(self->a + 1, length, 0);
	struct job first = crc32_job(self->a + 1, 777, 0);
	struct job rest;

	ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_run(self->fd, &check));
	EXPECT_EQ(0xcbf43926, check.done.result);
	ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_run(self->fd, &whole));
	EXPECT_EQ(crc32_of(0, self->a + 1, length), whole.done.result);
	EXPECT_EQ(length, whole.done.bytes);

	ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_run(self->fd, &first));
	rest = crc32_job(self->a + 778, length - 777, first.done.result);
	ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_run(self->fd, &rest));
	EXPECT_EQ(whole.done.result, rest.done.result);

	rest.desc.operand = 1ull << 32;
	EXPECT_EQ(MOCK_ACCEL_BAD_DESCRIPTOR, accel_run(self->fd, &rest));
}

/* Links the nodes of the two buffers in an order that jumps about. */
static struct node *make_list(unsigned char *memory, size_t count, uint64_t *sum)
{
	struct node *nodes = (struct node *)memory, *next = NULL;

	*sum = 0;
	for (size_t i = 0; i < count; i++) {
		struct node *node = &nodes[i * 7919 % count];

		node->next = next;
		node->value = ~0ull - i * i;
		*sum += node->value;
		next = node;
	}
	return next;
}

TEST_F(operation, chase_sums_a_list)
{
	const size_t count = 10000;
	uint64_t sum;
	struct node *first = make_list(self->a, count, &sum);
	struct job job = chase_job(first, count);
	struct job empty = chase_job(NULL, 1);

	ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_run(self->fd, &job));
	EXPECT_EQ(sum, job.done.result);
	EXPECT_EQ(16 * count, job.done.bytes);
	ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_run(self->fd, &empty));
	EXPECT_EQ(0, empty.done.result);
}

TEST_F(operation, chase_of_other_layouts)
{
	static const struct {
		uint32_t next, value;
	} layouts[] = { { 8, 0 }, { 0, 256 }, { MOCK_ACCEL_MAX_OFFSET, 16 }, { 3, 11 } };

	for (size_t i = 0; i < ARRAY_SIZE(layouts); i++) {
		unsigned char *second = self->a + 20000;
		uint64_t values[] = { 40, 2 }, end = 0;
		struct job job = chase_job((struct node *)self->a, 2);

		memcpy(self->a + layouts[i].next, &second, 8);
		memcpy(self->a + layouts[i].value, &values[0], 8);
		memcpy(second + layouts[i].next, &end, 8);
		memcpy(second + layouts[i].value, &values[1], 8);
		job.desc.next_offset = layouts[i].next;
		job.desc.value_offset = layouts[i].value;
		ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_run(self->fd, &job));
		EXPECT_EQ(42, job.done.result);
	}
}

TEST_F(operation, chase_ends_at_its_limit)
{
	uint64_t sum;
	struct job job = chase_job(make_list(self->a, 100, &sum), 99);
	struct node ring = { &ring, 1 };
	struct job endless = chase_job(&ring, 1000);
	struct job none = chase_job(&ring, 0);
	struct job far = chase_job(&ring, 1);

	EXPECT_EQ(MOCK_ACCEL_LIMIT, accel_run(self->fd, &job));
	EXPECT_EQ(99 * 16, job.done.bytes);
	EXPECT_EQ(0, job.done.result);
	EXPECT_EQ(MOCK_ACCEL_LIMIT, accel_run(self->fd, &endless));
	EXPECT_EQ(MOCK_ACCEL_BAD_DESCRIPTOR, accel_run(self->fd, &none));
	far.desc.value_offset = MOCK_ACCEL_MAX_OFFSET + 1;
	EXPECT_EQ(MOCK_ACCEL_BAD_DESCRIPTOR, accel_run(self->fd, &far));
}

TEST_F(operation, atomic_add_returns_the_old_value)
{
	uint64_t counter = ~0ull - 1;
	struct job job = add_job(&counter, 3);

	ASSERT_EQ(MOCK_ACCEL_SUCCESS, accel_run(self->fd, &job));
	EXPECT_EQ(~0ull - 1, job.done.result);
	EXPECT_EQ(8, job.done.bytes);
	EXPECT_EQ(1, counter);

	job.desc.dst += 4;
	EXPECT_EQ(MOCK_ACCEL_BAD_DESCRIPTOR, accel_run(self->fd, &job));
	job.desc.dst -= 4;
	job.desc.length = 4;
	EXPECT_EQ(MOCK_ACCEL_BAD_DESCRIPTOR, accel_run(self->fd, &job));
}

TEST_F(operation, atomic_add_against_the_cpu)
{
	enum { ADDS = 500 };
	uint64_t counter = 0, mine = 0;
	struct job job = add_job(&counter, 1);

	for (int i = 0; i < ADDS; i++) {
		struct mock_accel_completion done;
		int64_t number = accel_submit(self->fd, &job);

		ASSERT_LT(0, number);
		do {
			__atomic_fetch_add(&counter, 1, __ATOMIC_RELAXED);
			mine++;
		} while (!__atomic_load_n(&job.done.status, __ATOMIC_ACQUIRE));
		ASSERT_EQ(0, accel_wait(self->fd, number, &done));
	}
	EXPECT_EQ(mine + ADDS, counter);
}

TEST_F(operation, nothing_to_do_touches_nothing)
{
	struct job copy = copy_job((void *)8, (void *)8, 0);
	struct job fill = fill_job(NULL, 1, 0);
	struct job compare = compare_job(NULL, NULL, 0);
	struct job crc32 = crc32_job(NULL, 0, 0x1234);

	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_run(self->fd, &copy));
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_run(self->fd, &fill));
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_run(self->fd, &compare));
	EXPECT_EQ(0, compare.done.result);
	EXPECT_EQ(MOCK_ACCEL_SUCCESS, accel_run(self->fd, &crc32));
	EXPECT_EQ(0x1234, crc32.done.result);
}

TEST_F(operation, huge_lengths_are_refused)
{
	struct mock_accel_info info;

	ASSERT_EQ(0, accel_query(self->fd, &info));
	for (int opcode = MOCK_ACCEL_OP_COPY; opcode <= MOCK_ACCEL_OP_CHASE; opcode++) {
		struct job job = copy_job((void *)(1ull << 46), self->a, 0);

		job.desc.opcode = opcode;
		job.desc.value_offset = 8;
		job.desc.length = ~0ull;
		EXPECT_EQ(MOCK_ACCEL_BAD_DESCRIPTOR, accel_run(self->fd, &job));
		job.desc.length = 1 + (opcode == MOCK_ACCEL_OP_CHASE ? info.max_nodes :
									info.max_length);
		EXPECT_EQ(MOCK_ACCEL_BAD_DESCRIPTOR, accel_run(self->fd, &job));
		EXPECT_EQ(0, job.done.bytes);
	}
}

TEST_F(operation, ranges_do_not_wrap)
{
	struct job fill = fill_job((void *)-8ull, 1, 16);
	struct job crc32 = crc32_job((void *)-1ull, 1, 0);

	EXPECT_EQ(MOCK_ACCEL_BAD_DESCRIPTOR, accel_run(self->fd, &fill));
	EXPECT_EQ(MOCK_ACCEL_BAD_DESCRIPTOR, accel_run(self->fd, &crc32));
}

TEST_F(operation, unknown_opcodes_and_reserved_fields)
{
	static const uint32_t opcodes[] = { 0, 7, 63, 64, ~0u };
	struct job job = fill_job(self->b, 1, 8);

	for (size_t i = 0; i < ARRAY_SIZE(opcodes); i++) {
		job.desc.opcode = opcodes[i];
		EXPECT_EQ(MOCK_ACCEL_BAD_OPCODE, accel_run(self->fd, &job));
	}
	job = fill_job(self->b, 1, 8);
	job.desc.reserved = 1;
	EXPECT_EQ(MOCK_ACCEL_BAD_DESCRIPTOR, accel_run(self->fd, &job));
	job = fill_job(self->b, 1, 8);
	job.desc.reserved2 = 1;
	EXPECT_EQ(MOCK_ACCEL_BAD_DESCRIPTOR, accel_run(self->fd, &job));
	EXPECT_EQ(0, self->b[0]);
}

TEST_HARNESS_MAIN
