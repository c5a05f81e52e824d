// SPDX-License-Identifier: GPL-2.0
/*
 * Two devices in one IOMMU group, one for a process to drive, one that other processes have bonds
 * with (O1): what the one gets at the other does too. So a group is the one's or the other's, for
 * who comes first.
 */

#include "vfio.h"
#include "driver.h"

#define MEMBER LOADED "/ksv2"
#define GROUP "group", "ksv"
#define SECRET 0x5ec2e75ec2e75ec2ULL

FIXTURE(owner) {
	uint64_t *memory;
};

FIXTURE_VARIANT(owner) {
	int (*use)(struct vfio_user *user, const char *dir);
};

FIXTURE_VARIANT_ADD(owner, by_device) {
	.use = vfio_use,
};

FIXTURE_VARIANT_ADD(owner, by_group) {
	.use = vfio_use_by_group,
};

FIXTURE_SETUP(owner)
{
	self->memory = map_fresh(page_size());
	ASSERT_NE(NULL, self->memory);
	ASSERT_EQ(0, config_make(DEVICE, "driver", "mock_vfio", GROUP, "online", "1", NULL));
}

FIXTURE_TEARDOWN(owner)
{
	if (!access(MEMBER, F_OK))
		EXPECT_EQ(0, config_rmdir(MEMBER));
	remove_devices(_metadata);
}

/* The process drives DEVICE, with a page of its own. */
static int drive(struct vfio_user *user, int (*use)(struct vfio_user *, const char *), void *memory)
{
	int ret = use(user, DEVICE);

	if (!ret)
		ret = ioas_map(user->iommufd, user->ioas, memory, page_size(), IOVA);
	if (!ret && use == vfio_use)
		ret = vfio_attach(user->device, RID, user->ioas);
	return ret;
}

/* Whether it cannot. Linux says so itself, by one name or the other. */
static bool cannot_drive(int (*use)(struct vfio_user *, const char *))
{
	struct vfio_user user;
	int ret = use(&user, DEVICE);

	vfio_leave(&user);
	return ret == -EBUSY || ret == -EPERM;
}

/* How the accelerator that @dir is refuses its driver or this process; 0 if it does not. */
static int accel_refusal(const char *dir)
{
	char name[64];
	int ret = config_get(dir, "device", name, sizeof(name)), fd;

	if (ret)
		return ret;
	fd = accel_open(config_number(dir));
	if (fd == -ENOENT)
		return driver_bind(name);
	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

static bool works(const char *dir)
{
	int fd = accel_open(config_number(dir));
	uint64_t word = 0;
	bool done = fd >= 0 && accel_fill(fd, &word, 7, 8) == MOCK_ACCEL_SUCCESS && word == 7;

	if (fd >= 0)
		close(fd);
	return done;
}

/* Another process, which opens the accelerator OTHER and has a secret. */
struct victim {
	pid_t pid;
	int end;
	struct {
		int error;
		unsigned int pasid;
		uint64_t *secret;
	} told;
};

static void victim_main(int tell, int end)
{
	struct victim victim = { .told.secret = map_fresh(page_size()) };
	int fd = accel_open(config_number(OTHER));
	uint64_t word = 0;
	char byte;
	bool well;

	*victim.told.secret = SECRET;
	victim.told.error = fd < 0 ? fd : 0;
	victim.told.pasid = fd < 0 ? 0 : accel_pasid(fd);
	well = write(tell, &victim.told, sizeof(victim.told)) == sizeof(victim.told);
	/* Until the other end is closed. */
	well = well && !read(end, &byte, 1) && *victim.told.secret == SECRET;
	if (fd >= 0)
		well = well && accel_fill(fd, &word, 7, 8) == MOCK_ACCEL_SUCCESS && word == 7;
	_exit(!well);
}

static int victim_start(struct victim *victim)
{
	int tell[2], end[2];
	ssize_t len;

	if (pipe2(tell, O_CLOEXEC) || pipe2(end, O_CLOEXEC))
		return -errno;
	victim->pid = fork();
	if (!victim->pid) {
		close(end[1]);
		victim_main(tell[1], end[0]);
	}
	close(tell[1]);
	close(end[0]);
	victim->end = end[1];
	len = read(tell[0], &victim->told, sizeof(victim->told));
	close(tell[0]);
	return len == sizeof(victim->told) ? 0 : -EPIPE;
}

/* Whether it has its secret, and could use its accelerator if it had one. */
static bool victim_ends_well(struct victim *victim)
{
	close(victim->end);
	return child_status(victim->pid) == 0;
}

TEST_F(owner, o1_user_comes_first)
{
	struct vfio_user user;
	struct victim victim;
	uint64_t word = 0;

	ASSERT_EQ(0, drive(&user, variant->use, self->memory));
	ASSERT_EQ(0, config_make(OTHER, GROUP, "online", "1", NULL));
	ASSERT_EQ(config_group(DEVICE), config_group(OTHER));
	EXPECT_EQ(-EBUSY, accel_refusal(OTHER));

	ASSERT_EQ(0, victim_start(&victim));
	EXPECT_NE(0, victim.told.error);
	dma_read(user.device, victim.told.pasid, (uintptr_t)victim.told.secret, &word, 8);
	EXPECT_NE(SECRET, word);
	word = 0;
	EXPECT_NE(0, dma_write(user.device, victim.told.pasid, (uintptr_t)victim.told.secret,
			       &word, 8));
	EXPECT_TRUE(victim_ends_well(&victim));
	EXPECT_TRUE(reaches(user.device, RID, IOVA, self->memory));

	/* It lets go, and the other may. */
	vfio_leave(&user);
	EXPECT_EQ(0, accel_refusal(OTHER));
	EXPECT_TRUE(works(OTHER));
}

/* Bound to an iommufd, and nothing attached yet. */
TEST_F(owner, o1_user_comes_first_and_attaches_later)
{
	struct vfio_user user;

	ASSERT_EQ(0, variant->use(&user, DEVICE));
	ASSERT_EQ(0, config_make(OTHER, GROUP, "online", "1", NULL));
	EXPECT_EQ(-EBUSY, accel_refusal(OTHER));
	ASSERT_EQ(0, ioas_map(user.iommufd, user.ioas, self->memory, page_size(), IOVA));
	if (variant->use == vfio_use)
		ASSERT_EQ(0, vfio_attach(user.device, RID, user.ioas));
	EXPECT_EQ(-EBUSY, accel_refusal(OTHER));
	EXPECT_TRUE(reaches(user.device, RID, IOVA, self->memory));
	vfio_leave(&user);
	EXPECT_EQ(0, accel_refusal(OTHER));
	EXPECT_TRUE(works(OTHER));
}

TEST_F(owner, o1_process_comes_first)
{
	struct vfio_user user;
	struct victim victim;
	char name[64];

	ASSERT_EQ(0, config_make(OTHER, GROUP, "online", "1", NULL));
	ASSERT_EQ(0, config_get(OTHER, "device", name, sizeof(name)));
	ASSERT_EQ(0, victim_start(&victim));
	EXPECT_EQ(0, victim.told.error);
	EXPECT_TRUE(cannot_drive(variant->use));
	EXPECT_TRUE(victim_ends_well(&victim));

	/* Its driver lets go. */
	ASSERT_EQ(0, driver_unbind(name));
	EXPECT_EQ(0, drive(&user, variant->use, self->memory));
	EXPECT_TRUE(reaches(user.device, RID, IOVA, self->memory));
	vfio_leave(&user);
	EXPECT_EQ(0, driver_bind(name));
	EXPECT_TRUE(works(OTHER));
}

/* A driver has the group as long as it has a device of it, with bonds or without. */
TEST_F(owner, o1_driver_comes_first)
{
	ASSERT_EQ(0, config_make(OTHER, GROUP, "online", "1", NULL));
	EXPECT_TRUE(cannot_drive(variant->use));
	EXPECT_TRUE(works(OTHER));
	EXPECT_TRUE(cannot_drive(variant->use));
	ASSERT_EQ(0, config_set(OTHER, "online", "0"));
	EXPECT_FALSE(cannot_drive(variant->use));
}

/* Who is plugged into a group is on the side that has it, or on none. */
TEST_F(owner, o1_plugged_into_a_group_of_processes)
{
	struct victim victim;

	ASSERT_EQ(0, config_make(OTHER, GROUP, "online", "1", NULL));
	ASSERT_EQ(0, victim_start(&victim));
	EXPECT_EQ(0, victim.told.error);
	ASSERT_EQ(0, config_make(MEMBER, GROUP, "online", "1", NULL));
	EXPECT_TRUE(works(MEMBER));
	ASSERT_EQ(0, config_set(DEVICE, "online", "0"));
	ASSERT_EQ(0, config_set(DEVICE, "online", "1"));
	EXPECT_TRUE(cannot_drive(variant->use));

	/* One goes; the other has the group still, until it goes too. */
	ASSERT_EQ(0, config_set(MEMBER, "online", "0"));
	EXPECT_TRUE(cannot_drive(variant->use));
	ASSERT_EQ(0, config_set(MEMBER, "online", "1"));
	EXPECT_TRUE(works(MEMBER));
	EXPECT_TRUE(victim_ends_well(&victim));
	ASSERT_EQ(0, config_set(OTHER, "online", "0"));
	EXPECT_TRUE(cannot_drive(variant->use));
	EXPECT_TRUE(works(MEMBER));
	ASSERT_EQ(0, config_set(MEMBER, "online", "0"));
	EXPECT_FALSE(cannot_drive(variant->use));
}

TEST_F(owner, o1_plugged_into_a_group_of_a_user)
{
	struct vfio_user user;

	ASSERT_EQ(0, drive(&user, variant->use, self->memory));
	ASSERT_EQ(0, config_make(OTHER, GROUP, "online", "1", NULL));
	ASSERT_EQ(0, config_make(MEMBER, "driver", "mock_vfio", GROUP, "online", "1", NULL));
	EXPECT_EQ(-EBUSY, accel_refusal(OTHER));
	EXPECT_TRUE(reaches(user.device, RID, IOVA, self->memory));

	/* The accelerator goes and comes, and the user's device stays what it is. */
	ASSERT_EQ(0, config_set(OTHER, "online", "0"));
	ASSERT_EQ(0, config_set(OTHER, "online", "1"));
	EXPECT_EQ(-EBUSY, accel_refusal(OTHER));
	EXPECT_TRUE(reaches(user.device, RID, IOVA, self->memory));
	vfio_leave(&user);
	EXPECT_EQ(0, accel_refusal(OTHER));
	EXPECT_TRUE(works(OTHER));
}

TEST_HARNESS_MAIN
