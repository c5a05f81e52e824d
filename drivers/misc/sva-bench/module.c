// SPDX-License-Identifier: GPL-2.0
/*
 * The module: /sys/kernel/debug/sva_bench/run takes the name of a part, runs it,
 * and returns an error if it failed. Figures go to the kernel's log. After the name
 * may come what alone is to be measured: "in_tree" or "ours", "mock" or "null".
 */

#include <linux/debugfs.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "bench.h"

static struct dentry *dir;
/* One part at a time: they share their samples. */
static DEFINE_MUTEX(running);

/* What alone is measured. */
static char only_peer[8], only_hardware[8];

/* Whether to measure @peer on @hardware. */
bool bench_wants(const struct bench_peer *peer, enum bench_hardware hardware)
{
	static const char *const name[] = { [BENCH_MOCK] = "mock", [BENCH_NULL] = "null" };

	return (!*only_peer || !strcmp(only_peer, peer->name)) &&
	       (!*only_hardware || !strcmp(only_hardware, name[hardware]));
}

static const struct part {
	const char *name;
	int (*run)(void);
} parts[] = {
	{ "bind", bench_bind },
	{ "request", bench_request },
	{ "folios", bench_folios },
	{ "pages", bench_pages },
	{ "stream", bench_stream },
	{ "prefetch", bench_prefetch },
	{ "bonds", bench_bonds },
	{ "memory", bench_memory },
	{ "munmap", bench_unmap },
	{ "parallel", bench_parallel },
};

struct job {
	const struct part *part;
	struct completion done;
	int ret;
};

static int run_job(void *data)
{
	struct job *job = data;

	bench_calibrate();
	job->ret = job->part->run();
	complete(&job->done);
	return 0;
}

static int run_part(const struct part *part)
{
	struct job job = {
		.part = part,
		.done = COMPLETION_INITIALIZER_ONSTACK(job.done),
	};
	struct task_struct *task;

	/* A kernel thread can use one address space after the other. */
	task = kthread_run(run_job, &job, "sva_bench");
	if (IS_ERR(task))
		return PTR_ERR(task);
	wait_for_completion(&job.done);
	if (job.ret)
		pr_err("bench: %s failed: %d\n", part->name, job.ret);
	return job.ret;
}

/* Runs what @words ask for. */
static int run_words(const char *words)
{
	char name[16];
	int i;

	*only_peer = '\0';
	*only_hardware = '\0';
	if (sscanf(words, "%15s %7s %7s", name, only_peer, only_hardware) < 1)
		return -EINVAL;
	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		if (!strcmp(name, parts[i].name))
			return run_part(&parts[i]);
	}
	return -EINVAL;
}

static ssize_t run_write(struct file *file, const char __user *from, size_t len, loff_t *pos)
{
	char words[32] = { };
	int ret;

	if (len >= sizeof(words) || copy_from_user(words, from, len))
		return -EINVAL;
	mutex_lock(&running);
	ret = run_words(words);
	mutex_unlock(&running);
	return ret ?: len;
}

static const struct file_operations run_fops = {
	.owner = THIS_MODULE,
	.write = run_write,
};

static int __init bench_init(void)
{
	int ret = bench_devices_init();

	if (ret)
		return ret;
	dir = debugfs_create_dir("sva_bench", NULL);
	debugfs_create_file("run", 0200, dir, NULL, &run_fops);
	debugfs_create_file("hold", 0200, dir, NULL, &bench_hold_fops);
	return 0;
}

static void __exit bench_exit(void)
{
	debugfs_remove(dir);
	bench_devices_exit();
}

module_init(bench_init);
module_exit(bench_exit);

MODULE_DESCRIPTION("Costs of shared virtual addressing, beside Linux's own");
MODULE_LICENSE("GPL");
MODULE_VERSION(SVA_VERSION);
MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");
MODULE_IMPORT_NS("MOCK_SMMU");
MODULE_IMPORT_NS("SVA");
