// SPDX-License-Identifier: GPL-2.0
/*
 * The walker agrees with the kernel on random address spaces, after each random change;
 * and the device may do what the CPU may.
 */

#include "rights.h"
#include "walker.h"

/* Areas lie in slots of this many pages. */
#define SLOTS 12
#define SLOT_PAGES 64

enum change {
	CHANGE_ANON, CHANGE_SHARED, CHANGE_PRIVATE, CHANGE_HUGE, CHANGE_CODE, CHANGE_UNMAP,
	CHANGE_PROTECT, CHANGE_TOUCH, CHANGE_LOOK, CHANGE_DEVICE_FILL, CHANGE_DEVICE_READ,
	CHANGE_DONTNEED, CHANGE_FREE, CHANGE_COLD, CHANGE_GUARD, CHANGE_UNGUARD, CHANGE_MOVE,
	CHANGE_FORK, CHANGE_MIGRATE, CHANGE_COLLAPSE, CHANGES
};

static const char *const change_names[CHANGES] = {
	"map", "shared file", "private file", "huge", "code", "munmap", "mprotect", "write", "read",
	"device write", "device read", "dontneed", "free", "cold", "guard", "unguard", "mremap",
	"fork", "migrate", "collapse",
};

FIXTURE(random) {
	struct walker w;
	size_t page, slot;
	char *base;
	int file;
	uint64_t random;
	/* Pages compared after each kind of change, and how many of them were there. */
	uint64_t compared[CHANGES];
	uint64_t there[CHANGES];
	/* Accesses that both tried, and how many of them neither might do. */
	uint64_t tried, denied;
};

FIXTURE_SETUP(random)
{
	ASSERT_EQ(0, walker_open(&self->w));
	self->page = page_size();
	self->slot = SLOT_PAGES * self->page;
	self->base = map_aligned(SLOTS * self->slot, HUGE);
	ASSERT_NE(NULL, self->base);
	self->file = memfd_create("walker", MFD_CLOEXEC);
	ASSERT_LE(0, self->file);
	ASSERT_EQ(0, ftruncate(self->file, 2 * self->slot));
	ASSERT_EQ(0, allow_contiguous_folios());
	self->random = random_seed();
}

FIXTURE_TEARDOWN(random)
{
	EXPECT_EQ(0, walker_close(&self->w));
	close(self->file);
}

static uint64_t below(uint64_t *random, uint64_t limit)
{
	return random_next(random) % limit;
}

/* Accesses that the process may not make do not matter: the device makes them. */
static void device(int accel, char *p, size_t length, bool write)
{
	if (write)
		accel_fill(accel, p, 1, length);
	else
		accel_read(accel, p, length);
}

/* The process accesses by system calls, which give errors where it may not. */
static void process_writes(char *p, size_t length)
{
	int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);

	while (length && read(zero, p, page_size()) > 0) {
		p += page_size();
		length -= page_size();
	}
	close(zero);
}

static void process_reads(const char *p, size_t length)
{
	int sink = memfd_create("sink", MFD_CLOEXEC);

	while (length && pwrite(sink, p, page_size(), 0) > 0) {
		p += page_size();
		length -= page_size();
	}
	close(sink);
}

/*
 * Has both the CPU and the device access a page, whoever is first, the device by a pointer with a
 * tag or without; 1 if both may, 0 if neither, else negative.
 */
static int both(int accel, uint64_t *random, char *page)
{
	uint64_t *word = (uint64_t *)page + below(random, page_size() / sizeof(*word));
	const bool write = below(random, 2), device_first = below(random, 2);
	uint8_t tag = below(random, 2) ? below(random, 256) : 0;
	uint64_t *named = tags_are_ignored() ? tagged(word, tag) : word;
	int may = device_first ? device_may(accel, named, write, 1) : 0;
	bool cpu = cpu_may(word, write, 2);

	if (!device_first)
		may = device_may(accel, named, write, 1);
	if (may == cpu)
		return may;
	printf("# %s of %p: the CPU %s, the device %d%s\n", write ? "write" : "read", named,
	       cpu ? "may" : "may not", may, device_first ? ", which was first" : "");
	return -1;
}

static void remap(char *p, size_t length, int prot, int flags, int fd, off_t offset)
{
	/* What cannot be mapped is a hole: just as well. */
	mmap(p, length, prot, flags | MAP_FIXED, fd, offset);
}

static void another_process(struct walker *w, char *p, size_t length)
{
	int go[2];
	char byte;
	pid_t child;

	if (pipe(go))
		return;
	child = fork();
	if (!child) {
		close(go[1]);
		_exit(read(go[0], &byte, 1));
	}
	/* Shared while it lives. */
	walker_agrees(w, p, length);
	device(w->accel, p, length / 2, true);
	walker_agrees(w, p, length);
	close(go[0]);
	close(go[1]);
	child_status(child);
}

static void change(enum change which, struct walker *w, uint64_t *random, int file, char *base,
		   char *slot, char *p, size_t length)
{
	const size_t whole = SLOT_PAGES * page_size();
	const int prot = below(random, 8), rw = PROT_READ | PROT_WRITE;
	const off_t offset = below(random, SLOT_PAGES) * page_size();

	switch (which) {
	case CHANGE_ANON:
		remap(p, length, rw, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		break;
	case CHANGE_SHARED:
		remap(p, length, rw, MAP_SHARED, file, offset);
		break;
	case CHANGE_PRIVATE:
		remap(p, length, rw, MAP_PRIVATE, file, offset);
		break;
	case CHANGE_HUGE:
		remap(slot, whole, rw, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		madvise(slot, whole, MADV_HUGEPAGE);
		device(w->accel, slot, whole, true);
		break;
	case CHANGE_CODE:
		remap(p, length, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, offset);
		device(w->accel, p, length, false);
		break;
	case CHANGE_UNMAP:
		munmap(p, length);
		break;
	case CHANGE_PROTECT:
		mprotect(p, length, prot);
		break;
	case CHANGE_TOUCH:
		process_writes(p, length);
		break;
	case CHANGE_LOOK:
		process_reads(p, length);
		break;
	case CHANGE_DEVICE_FILL:
		mprotect(p, length, rw);
		device(w->accel, p, length, true);
		break;
	case CHANGE_DEVICE_READ:
		device(w->accel, p, length, false);
		break;
	case CHANGE_DONTNEED:
		madvise(p, length, MADV_DONTNEED);
		break;
	case CHANGE_FREE:
		madvise(p, length, MADV_FREE);
		break;
	case CHANGE_COLD:
		madvise(p, length, MADV_COLD);
		break;
	case CHANGE_GUARD:
		madvise(p, length, MADV_GUARD_INSTALL);
		break;
	case CHANGE_UNGUARD:
		madvise(p, length, MADV_GUARD_REMOVE);
		break;
	case CHANGE_MOVE:
		mremap(p, length, length, MREMAP_MAYMOVE | MREMAP_FIXED,
		       base + below(random, SLOTS) * whole + (p - slot));
		break;
	case CHANGE_FORK:
		another_process(w, p, length);
		break;
	case CHANGE_MIGRATE:
		madvise(p, page_size(), MADV_SOFT_OFFLINE);
		break;
	case CHANGE_COLLAPSE:
		remap(base, HUGE, rw, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		device(w->accel, base, HUGE / 2, true);
		madvise(base, HUGE, MADV_COLLAPSE);
		break;
	default:
		break;
	}
}

TEST_F_TIMEOUT(random, agrees_with_gup_after_each_change, 110)
{
	const int rounds = 15;

	for (int i = 0; i < rounds * CHANGES; i++) {
		enum change which = i % CHANGES;
		char *slot = self->base + below(&self->random, SLOTS) * self->slot;
		size_t first = below(&self->random, SLOT_PAGES);
		size_t pages = 1 + below(&self->random, SLOT_PAGES - first);
		unsigned long long pages_before = self->w.sum.pages;
		unsigned long long there_before = self->w.sum.readable;

		change(which, &self->w, &self->random, self->file, self->base, slot,
		       slot + first * self->page, pages * self->page);
		/* What was changed, and something else that should not have. */
		ASSERT_TRUE(walker_agrees(&self->w, slot, self->slot)) {
			TH_LOG("after change %d: %s", i, change_names[which]);
		}
		for (int j = 0; j < 4; j++) {
			int may = both(self->w.accel, &self->random,
				       slot + (first + below(&self->random, pages)) * self->page);

			ASSERT_LE(0, may) {
				TH_LOG("after change %d: %s", i, change_names[which]);
			}
			self->tried++;
			self->denied += !may;
		}
		slot = self->base + below(&self->random, SLOTS) * self->slot;
		ASSERT_TRUE(walker_agrees(&self->w, slot, self->slot)) {
			TH_LOG("elsewhere, after change %d: %s", i, change_names[which]);
		}
		ASSERT_EQ(0, self->w.sum.differ);
		self->compared[which] += self->w.sum.pages - pages_before;
		self->there[which] += self->w.sum.readable - there_before;
	}
	for (int i = 0; i < CHANGES; i++) {
		printf("# after %-12s %6llu pages compared, %6llu there\n", change_names[i],
		       (unsigned long long)self->compared[i], (unsigned long long)self->there[i]);
		EXPECT_LE(rounds * 4 * SLOT_PAGES, self->compared[i]);
		EXPECT_LT(0, self->there[i]);
	}
	printf("# %llu accesses by both, %llu of them denied to both\n",
	       (unsigned long long)self->tried, (unsigned long long)self->denied);
	EXPECT_LT(0, self->denied);
	EXPECT_LT(self->denied, self->tried);
	EXPECT_LT(0, self->w.sum.large);
	EXPECT_TRUE(walker_report(&self->w, "random", rounds * CHANGES * 4 * SLOT_PAGES));
}

TEST_HARNESS_MAIN
