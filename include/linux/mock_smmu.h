/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For drivers of devices behind a mock SMMU: how the device does DMA.
 *
 * Every access goes the way of a real device's: translated by the SMMU (or by
 * the device's own translation cache), with a page request where a page is
 * missing. The functions are exported in the symbol namespace "MOCK_SMMU".
 */
#ifndef __LINUX_MOCK_SMMU_H
#define __LINUX_MOCK_SMMU_H

#include <linux/types.h>

struct device;

/**
 * struct mock_smmu_region - addresses that are special for a device
 * @start: the first address
 * @len: number of bytes; 0 for no region
 * @direct: firmware has the device use it, so that it must be mapped one to
 *	one (IOMMU_RESV_DIRECT), and has 256 MB at most; otherwise accesses to
 *	it do not reach the SMMU on a real bus (IOMMU_RESV_RESERVED)
 *
 * The mock only reports regions: it treats accesses to them like all others.
 */
struct mock_smmu_region {
	u64 start;
	u64 len;
	bool direct;
};

/* How many of them a device can have */
#define MOCK_SMMU_MAX_REGIONS	4

/**
 * struct mock_smmu_device - what a device is to be like
 * @name: of the platform device; a platform driver of this name binds it
 * @id: number of the platform device, after its name
 * @pasid_bits: bits of a PASID; 0 for a device without PASIDs
 * @ats: ATS and PRI: it can wait for missing pages. A device with PASIDs has
 *	them in any case, unless it stalls
 * @no_pri: it has no page requests, but @ats
 * @stall: its accesses wait for missing pages inside the SMMU
 * @group: devices with the same number share an IOMMU group; 0 is a group of
 *	its own
 * @translated: the DMA API maps memory for it in the SMMU; otherwise it gets
 *	physical addresses
 * @awake: no bond of it sleeps while it is not used (Documentation/idle-bond.rst)
 * @regions: reserved regions
 */
struct mock_smmu_device {
	const char *name;
	int id;
	unsigned int pasid_bits;
	bool ats;
	bool no_pri;
	bool stall;
	unsigned int group;
	bool translated;
	bool awake;
	struct mock_smmu_region regions[MOCK_SMMU_MAX_REGIONS];
};

/**
 * mock_smmu_device_create() - plugs in a device behind the mock SMMU
 * @config: what it is like
 *
 * May sleep. The device is in its IOMMU group, and bound if there is a driver,
 * when this returns. Not to be called from a driver's probe or remove.
 *
 * Return: the device, valid until mock_smmu_device_destroy(); or an ERR_PTR:
 * -EEXIST if there is a device of that name and number, -EINVAL for too many
 * PASID bits or a region that wraps, -ERANGE for one that is too long or that the
 * SMMU cannot map, -ENODEV if there is no mock SMMU, -ENOMEM.
 */
struct device *mock_smmu_device_create(const struct mock_smmu_device *config);

/**
 * mock_smmu_device_destroy() - unplugs a device
 * @dev: the device
 *
 * May sleep. Not to be called from a driver's probe or remove.
 */
void mock_smmu_device_destroy(struct device *dev);

/* The master port of a device behind a mock SMMU. */
struct mock_smmu_port;

/*
 * In place of a PASID: the access has none. It goes to physical addresses, to
 * what the DMA API or iommu_map() mapped, or to the address space of a bond
 * without PASID.
 */
#define MOCK_SMMU_NO_SSID	0xffffffffU

/**
 * mock_smmu_port_get() - the port of a device
 * @dev: a device that is bound to its driver
 *
 * May sleep. The port stays valid until mock_smmu_port_put(); after the device
 * is removed its accesses fail with -ESHUTDOWN.
 *
 * Return: the port, or ERR_PTR(-ENODEV) if @dev is not behind a mock SMMU.
 */
struct mock_smmu_port *mock_smmu_port_get(struct device *dev);

/**
 * mock_smmu_port_put() - gives back what mock_smmu_port_get() gave
 * @port: the port; nothing may use it any more
 */
void mock_smmu_port_put(struct mock_smmu_port *port);

/**
 * mock_smmu_read() - has the device read memory
 * @port: the device's port
 * @ssid: PASID, or %MOCK_SMMU_NO_SSID
 * @addr: address in the address space of @ssid
 * @buf: where the data goes
 * @len: number of bytes
 * @fault_addr: where to put the first address that could not be read; may be
 *	NULL
 *
 * May sleep, as all accesses: until a missing page is there.
 *
 * Return: 0; -EFAULT if nothing may be read there; -EIO if the SMMU aborted
 * the access or page requests do not work; -ETIMEDOUT without a response;
 * -EAGAIN if pages promised never came; -ESHUTDOWN when the port is stopped;
 * -EINTR after a signal.
 */
int mock_smmu_read(struct mock_smmu_port *port, u32 ssid, u64 addr, void *buf,
		   size_t len, u64 *fault_addr);

/**
 * mock_smmu_write() - has the device write memory
 * @port: the device's port
 * @ssid: PASID, or %MOCK_SMMU_NO_SSID
 * @addr: address in the address space of @ssid
 * @buf: the data
 * @len: number of bytes
 * @fault_addr: as for mock_smmu_read()
 *
 * Return: as mock_smmu_read().
 */
int mock_smmu_write(struct mock_smmu_port *port, u32 ssid, u64 addr,
		    const void *buf, size_t len, u64 *fault_addr);

/**
 * mock_smmu_fetch_add() - has the device add to a word, atomically
 * @port: the device's port
 * @ssid: PASID, or %MOCK_SMMU_NO_SSID
 * @addr: address of a naturally aligned 64-bit word
 * @add: what to add
 * @old: where the value before goes
 *
 * Return: as mock_smmu_read(); -EINVAL if @addr is not aligned.
 */
int mock_smmu_fetch_add(struct mock_smmu_port *port, u32 ssid, u64 addr,
			u64 add, u64 *old);

/**
 * mock_smmu_prefetch() - has the device ask for translations ahead of use
 * @port: the device's port
 * @ssid: PASID, or %MOCK_SMMU_NO_SSID
 * @addr: first address
 * @len: number of bytes
 * @write: whether the pages will be written
 *
 * A device without ATS only gives a hint, which may have the pages there when
 * they are used, and returns at once.
 *
 * Return: as mock_smmu_read().
 */
int mock_smmu_prefetch(struct mock_smmu_port *port, u32 ssid, u64 addr,
		       size_t len, bool write);

/**
 * mock_smmu_stop() - makes accesses under way and later ones fail
 * @port: the device's port
 *
 * Does not sleep.
 */
void mock_smmu_stop(struct mock_smmu_port *port);

/**
 * mock_smmu_start() - lets a stopped port go on
 * @port: the device's port
 *
 * Does not sleep.
 */
void mock_smmu_start(struct mock_smmu_port *port);

/**
 * enum mock_smmu_op - what a request has the device do
 * @MOCK_SMMU_READ: read memory
 * @MOCK_SMMU_WRITE: write memory
 * @MOCK_SMMU_FETCH_ADD: add to a word, atomically
 * @MOCK_SMMU_SWAP: replace a word, atomically
 * @MOCK_SMMU_COMPARE_EXCHANGE: replace a word if it is what is expected,
 *	atomically
 * @MOCK_SMMU_PREFETCH_READ: get translations ahead of reads
 * @MOCK_SMMU_PREFETCH_WRITE: get translations ahead of writes
 */
enum mock_smmu_op {
	MOCK_SMMU_READ,
	MOCK_SMMU_WRITE,
	MOCK_SMMU_FETCH_ADD,
	MOCK_SMMU_SWAP,
	MOCK_SMMU_COMPARE_EXCHANGE,
	MOCK_SMMU_PREFETCH_READ,
	MOCK_SMMU_PREFETCH_WRITE,
};

/**
 * struct mock_smmu_request - an access of any kind
 * @op: what to do
 * @ssid: PASID, or %MOCK_SMMU_NO_SSID
 * @privileged: the access is privileged
 * @exec: it is an instruction fetch; for reads only
 * @addr: address in the address space of @ssid; for an atomic operation, of a
 *	naturally aligned 64-bit word
 * @buf: READ, WRITE: the data
 * @len: READ, WRITE, PREFETCH: number of bytes
 * @operand: atomic operations: what to add, or to put in place
 * @expected: COMPARE_EXCHANGE: only if this is there
 * @old: atomic operations: what was there, when the request is done
 * @error: 0 or what mock_smmu_read() would return, when the request is done
 * @fault_addr: the first address that could not be accessed, if @error is set
 * @complete: for mock_smmu_submit(): called when the request is done, in a
 *	context that may sleep; from then on the request is the caller's again
 * @context: the caller's
 */
struct mock_smmu_request {
	enum mock_smmu_op op;
	u32 ssid;
	bool privileged;
	bool exec;
	u64 addr;
	void *buf;
	size_t len;
	u64 operand;
	u64 expected;
	u64 old;
	int error;
	u64 fault_addr;
	void (*complete)(struct mock_smmu_request *request);
	void *context;
};

/**
 * mock_smmu_access() - has the device make an access, and waits for its end
 * @port: the device's port
 * @request: what to do; its @complete is not called
 *
 * May sleep.
 *
 * Return: what @request's @error says; -EINVAL also for an unknown @op.
 */
int mock_smmu_access(struct mock_smmu_port *port, struct mock_smmu_request *request);

/**
 * mock_smmu_submit() - has the device make an access, and returns at once
 * @port: the device's port
 * @request: what to do; it, and its @buf, must stay until @complete is called
 *
 * Requests are not ordered. Sleeps for memory only. mock_smmu_drain() must be
 * called before the driver leaves.
 *
 * Return: 0; -EINVAL for an unknown @op or without @complete, -ENOMEM. On
 * failure @complete is not called.
 */
int mock_smmu_submit(struct mock_smmu_port *port, struct mock_smmu_request *request);

/**
 * mock_smmu_drain() - waits for the end of all requests that were submitted
 * @port: the device's port
 *
 * Also those that were submitted through another struct mock_smmu_port of the
 * device. Sleeps; after mock_smmu_stop() it is quick. Not to be called from a
 * request's complete().
 */
void mock_smmu_drain(struct mock_smmu_port *port);

/**
 * mock_smmu_entry() - looks at what the SMMU's tables hold for a device, for tests
 * @port: the device's port
 * @ssid: of which SubstreamID to tell the context descriptor; MOCK_SMMU_NO_SSID
 *	for the stream table entry
 * @words: where its eight words go, as they are in memory
 *
 * Does not sleep.
 *
 * Return: 0, or -ENOENT if the tables have none.
 */
int mock_smmu_entry(struct mock_smmu_port *port, u32 ssid, u64 *words);

/**
 * struct mock_smmu_limits - how much a device has under way, how patient it is
 * @max_outstanding: page requests that wait for a response, at least 1
 * @max_retries: how often a page is asked for that is promised and stays missing
 * @timeout_ms: how long to wait for a response
 */
struct mock_smmu_limits {
	u16 max_outstanding;
	u16 max_retries;
	u32 timeout_ms;
};

/**
 * mock_smmu_set_limits() - sets the limits of a device
 * @port: the device's port
 * @limits: for accesses that begin from now on
 *
 * Does not sleep.
 *
 * Return: 0; -EINVAL if no page request may be outstanding.
 */
int mock_smmu_set_limits(struct mock_smmu_port *port, const struct mock_smmu_limits *limits);

/**
 * struct mock_smmu_lies - how a device breaks the rules of PCIe and SMMUv3
 * @foreign_ssid: if @use_foreign_ssid, used for all accesses that have a PASID
 * @use_foreign_ssid: see @foreign_ssid
 * @no_last: never mark a page request as the last of its group
 * @repeat: send each page request twice
 * @one_group: use one page request group index for everything
 * @unsupported: make accesses of a kind that the SMMU does not know
 * @unstoppable: ignore mock_smmu_stop()
 * @flood: groups to send in addition to each that is needed
 * @late_ms: look at responses so late
 * @ack_ms: acknowledge invalidations so late
 */
struct mock_smmu_lies {
	u32 foreign_ssid;
	bool use_foreign_ssid;
	bool no_last;
	bool repeat;
	bool one_group;
	bool unsupported;
	bool unstoppable;
	u16 flood;
	u32 late_ms;
	u32 ack_ms;
};

/**
 * mock_smmu_set_lies() - has a device break the rules, for tests
 * @port: the device's port
 * @lies: how, from now on; all zero for not at all
 *
 * Sleeps.
 *
 * Return: 0, -ENOMEM.
 */
int mock_smmu_set_lies(struct mock_smmu_port *port, const struct mock_smmu_lies *lies);

#endif /* __LINUX_MOCK_SMMU_H */
