// SPDX-License-Identifier: GPL-2.0
/*
 * Four programs at once make and remove instances and devices of the mock SMMU, write
 * anything to their files, and read all there is: none waits for ever, and what they
 * leave can be removed.
 */

#include "configfs_fixture.h"
#include "random.h"

#define WORKERS 4
#define INSTANCES 2
#define DEVICES 3
/* Far more than any operation takes, also on a slow machine. */
#define STUCK_MS 45000
/* A slow machine does fewer of the operations. */
#define BUDGET_MS 30000

/* What a worker is doing, for whoever waits for it. */
struct progress {
	char doing[160];
	uint64_t done;
};

struct worker {
	uint64_t random;
	struct progress *progress;
	/* A file that stays open while directories come and go. */
	int held;
};

static const char *const instance_files[] = {
	"sid_bits", "ssid_bits", "cmdq_bits", "evtq_bits", "priq_bits", "httu", "gran16k",
	"gran64k", "ats", "pri", "ril", "cache_invalid", "stall_model", "stall_max",
	"merge_events", "strict", "evict_one_in", "asid16", "term_model", "page_hints",
	"walk_cache", "oas_bits", "online",
};

static const char *const device_files[] = {
	"pasid_bits", "sid", "group", "ats", "pri", "stall", "translated", "reserved", "direct",
	"max_outstanding", "max_retries", "timeout_ms", "sleep_after", "driver", "id", "device",
	"online",
};

static const char *const view_files[] = {
	"regs", "ste", "cd", "cmdq", "evtq", "priq", "tlb", "atc", "stats", "strict",
};

static const char *const values[] = {
	"", "\n", " ", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "15", "16", "19",
	"20", "31", "32", "33", "42", "48", "52", "63", "64", "100", "0x77", "255", "256", "65535",
	"65536", "0x7fffffff", "0x80000000", "0xffffffff", "0x100000000", "0x7fffffffffffffff",
	"0xffffffffffffffff", "0x10000000000000000", "-1", "auto", "none", "pair", "other",
	"kst_member", "mock_accel", "mock_uacce", "a/b", "\xff", "y", "n", "on", "off",
};

static const char *const regions[] = {
	"0x1000+0x2000", "0x1000+0x2000 0x9000+1", "0+1", "0+0xffffffffffffffff",
	"0x1000+0xffffffffffffefff", "0xfffffffffffff000+0xfff", "0x100000000+0x100000000000",
	"0xffff000000000000+0x1000", "1+1 2+1 3+1 4+1", "1+1 2+1 3+1 4+1 5+1",
	"0x40000000+0x10000000", "0x1000+0x1000 0x1800+0x1000",
};

static uint64_t below(struct worker *w, uint64_t limit)
{
	return random_next(&w->random) % limit;
}

static const char *any(struct worker *w, const char *const *list, size_t count)
{
	return list[below(w, count)];
}

/* Something that @file may be meant for, most of the time. */
static const char *value(struct worker *w, const char *file)
{
	if (!below(w, 8))
		return any(w, values, ARRAY_SIZE(values));
	if (!strcmp(file, "reserved") || !strcmp(file, "direct"))
		return any(w, regions, ARRAY_SIZE(regions));
	/* A number, whose range the file says; small ones are often allowed. */
	return values[3 + below(w, below(w, 2) ? 4 : ARRAY_SIZE(values) - 3)];
}

static void doing(struct worker *w, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(w->progress->doing, sizeof(w->progress->doing), format, args);
	va_end(args);
}

static void set(struct worker *w, const char *dir, const char *file, const char *text)
{
	doing(w, "write '%s' to %s/%s", text, dir, file);
	config_set(dir, file, text);
}

static void get(struct worker *w, const char *dir, const char *file)
{
	static char text[1 << 20];

	doing(w, "read %s/%s", dir, file);
	config_get(dir, file, text, sizeof(text));
}

/* Makes a directory, writes to some of its files, and plugs it in. */
static void make(struct worker *w, const char *dir, const char *const *files, size_t count)
{
	doing(w, "mkdir %s", dir);
	config_mkdir(dir);
	for (uint64_t i = below(w, 6); i; i--) {
		const char *file = files[below(w, count)];

		set(w, dir, file, value(w, file));
	}
	set(w, dir, "online", "1");
}

static void unmake(struct worker *w, const char *dir)
{
	doing(w, "rmdir %s", dir);
	config_rmdir(dir);
}

/* Opens a file to use it some operations later, or uses the one that is open. */
static void hold(struct worker *w, const char *dir, const char *file)
{
	char path[192], text[4096];

	if (w->held < 0) {
		snprintf(path, sizeof(path), "%s/%s", dir, file);
		doing(w, "open %s", path);
		w->held = open(path, O_RDWR | O_CLOEXEC);
		return;
	}
	doing(w, "use and close what was opened before");
	if (below(w, 2)) {
		snprintf(text, sizeof(text), "%s", any(w, values, ARRAY_SIZE(values)));
		if (write(w->held, text, strlen(text)) < 0)
			errno = 0;
	} else if (read(w->held, text, sizeof(text)) < 0) {
		errno = 0;
	}
	close(w->held);
	w->held = -1;
}

static void operate(struct worker *w)
{
	unsigned int instance = below(w, INSTANCES), device = below(w, DEVICES);
	char smmu[64], dev[96], view[64];
	const char *file;

	snprintf(smmu, sizeof(smmu), MOCK_CONFIG "/kstf%u", instance);
	snprintf(dev, sizeof(dev), "%s/dev%u", below(w, 8) ? smmu : LOADED, device);
	snprintf(view, sizeof(view), MOCK_DEBUG "/kstf%u", instance);

	switch (below(w, 20)) {
	case 0 ... 1:
		return make(w, smmu, instance_files, ARRAY_SIZE(instance_files));
	case 2 ... 3:
		return make(w, dev, device_files, ARRAY_SIZE(device_files));
	case 4:
		return unmake(w, smmu);
	case 5:
		return unmake(w, dev);
	case 6 ... 7:
		return set(w, smmu, "online", below(w, 4) ? "1" : "0");
	case 8 ... 9:
		return set(w, dev, "online", below(w, 4) ? "1" : "0");
	case 10:
		file = any(w, instance_files, ARRAY_SIZE(instance_files));
		return set(w, smmu, file, value(w, file));
	case 11 ... 12:
		file = any(w, device_files, ARRAY_SIZE(device_files));
		return set(w, dev, file, value(w, file));
	case 13:
		return get(w, smmu, any(w, instance_files, ARRAY_SIZE(instance_files)));
	case 14:
		return get(w, dev, any(w, device_files, ARRAY_SIZE(device_files)));
	case 15 ... 16:
		return get(w, view, any(w, view_files, ARRAY_SIZE(view_files)));
	case 17:
		return set(w, view, "strict",
			   below(w, 2) ? "scan" : any(w, values, ARRAY_SIZE(values)));
	case 18:
		return hold(w, smmu, any(w, instance_files, ARRAY_SIZE(instance_files)));
	default:
		return hold(w, dev, any(w, device_files, ARRAY_SIZE(device_files)));
	}
}

static void work(struct progress *progress, uint64_t seed, uint64_t operations)
{
	struct worker w = { .random = seed, .progress = progress, .held = -1 };
	uint64_t end = now_ms() + BUDGET_MS;

	while (progress->done < operations && now_ms() < end) {
		operate(&w);
		__atomic_store_n(&progress->done, progress->done + 1, __ATOMIC_RELEASE);
	}
	if (w.held >= 0)
		close(w.held);
	_exit(0);
}

/* Whether process @pid ends while it still makes progress. */
static bool ends(pid_t pid, struct progress *progress)
{
	uint64_t seen = 0, end = now_ms() + STUCK_MS;
	int status;

	while (waitpid(pid, &status, WNOHANG) != pid) {
		uint64_t done = __atomic_load_n(&progress->done, __ATOMIC_ACQUIRE);

		if (done != seen)
			end = now_ms() + STUCK_MS;
		seen = done;
		if (now_ms() > end)
			return false;
		usleep(1000);
	}
	return WIFEXITED(status) && !WEXITSTATUS(status);
}

static uint64_t given(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

TEST_F_TIMEOUT(configfs, four_at_once_do_anything, 100)
{
	uint64_t seed = given("FUZZ_SEED", 1), operations = given("FUZZ_OPERATIONS", 2000);
	struct progress *progress;
	pid_t pids[WORKERS];
	char dir[96];

	printf("# FUZZ_SEED=%#llx FUZZ_OPERATIONS=%llu\n", (unsigned long long)seed,
	       (unsigned long long)operations);
	progress = mmap(NULL, WORKERS * sizeof(*progress), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, progress);

	for (int i = 0; i < WORKERS; i++) {
		pids[i] = fork();
		ASSERT_LE(0, pids[i]);
		if (!pids[i])
			work(&progress[i], seed * 0x9e3779b97f4a7c15 + i + 1, operations);
	}
	for (int i = 0; i < WORKERS; i++) {
		ASSERT_TRUE(ends(pids[i], &progress[i])) {
			for (int j = 0; j < WORKERS; j++)
				TH_LOG("worker %d after %llu operations: %s", j,
				       (unsigned long long)progress[j].done, progress[j].doing);
		}
	}
	for (int i = 0; i < WORKERS; i++)
		printf("# worker %d: %llu operations\n", i, (unsigned long long)progress[i].done);
	munmap(progress, WORKERS * sizeof(*progress));

	for (int device = 0; device < DEVICES; device++) {
		for (int i = 0; i <= INSTANCES; i++) {
			if (i < INSTANCES)
				snprintf(dir, sizeof(dir), MOCK_CONFIG "/kstf%d/dev%d", i, device);
			else
				snprintf(dir, sizeof(dir), LOADED "/dev%d", device);
			if (!access(dir, F_OK))
				EXPECT_EQ(0, config_rmdir(dir));
		}
	}
	for (int i = 0; i < INSTANCES; i++) {
		snprintf(dir, sizeof(dir), MOCK_CONFIG "/kstf%d", i);
		if (!access(dir, F_OK))
			EXPECT_EQ(0, config_rmdir(dir));
		snprintf(dir, sizeof(dir), MOCK_DEBUG "/kstf%d", i);
		EXPECT_NE(0, access(dir, F_OK));
	}

	/* All is as before. */
	ASSERT_EQ(0, config_make(OWN, "online", "1", NULL));
	ASSERT_EQ(0, config_make(BEHIND, "online", "1", NULL));
	EXPECT_TRUE(works(BEHIND));
	ASSERT_EQ(0, config_make(FIRST, "online", "1", NULL));
	EXPECT_TRUE(works(FIRST));
}

TEST_HARNESS_MAIN
