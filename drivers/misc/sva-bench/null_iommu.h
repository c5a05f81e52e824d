/* SPDX-License-Identifier: GPL-2.0 */
/* Page requests of devices behind the IOMMU that does nothing. */
#ifndef SVA_BENCH_NULL_IOMMU_H
#define SVA_BENCH_NULL_IOMMU_H

#include <linux/completion.h>
#include <linux/iommu.h>

#include "bench.h"

/* A device behind it. */
struct bench_null_port {
	struct completion answered;
	/* How its last request was answered; 0 is success. */
	int code;
};

/* A request for a page, to read and write, that is not the last of its group. */
static inline struct iopf_fault bench_null_fault(u32 pasid, unsigned long addr)
{
	return (struct iopf_fault) {
		.fault.type = IOMMU_FAULT_PAGE_REQ,
		.fault.prm = {
			.pasid = pasid,
			.addr = addr,
			.perm = IOMMU_FAULT_PERM_READ | IOMMU_FAULT_PERM_WRITE,
			.flags = IOMMU_FAULT_PAGE_REQUEST_PASID_VALID |
				 IOMMU_FAULT_PAGE_RESPONSE_NEEDS_PASID,
		},
	};
}

/* Has @dev report @pages pages from @fault on, as one group, and waits for the answer. */
static __always_inline void bench_null_report(struct device *dev, struct iopf_fault *fault,
					      unsigned int pages)
{
	struct bench_null_port *port = dev_iommu_priv_get(dev);
	struct iommu_fault_page_request *request = &fault->fault.prm;

	for (; pages > 1; pages--) {
		iommu_report_device_fault(dev, fault);
		request->addr += PAGE_SIZE;
	}
	request->flags |= IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE;
	iommu_report_device_fault(dev, fault);
	wait_for_completion(&port->answered);
}

/**
 * bench_null_request() - has a device ask for pages, as one group
 * @dev: the device
 * @pasid: of the address space
 * @addr: the first page
 * @pages: how many
 *
 * Inlined, so that a profile tells apart what is measured.
 *
 * Return: what it cost from the first report until the reporting thread, which
 * waits for the response, can go on.
 */
static __always_inline u64 bench_null_request(struct device *dev, u32 pasid, unsigned long addr,
					      unsigned int pages)
{
	struct iopf_fault fault = bench_null_fault(pasid, addr);
	u64 begin = bench_now();

	bench_null_report(dev, &fault, pages);
	return bench_now() - begin;
}

/* How the last request of @dev was answered; 0 is success. */
static inline int bench_null_response(struct device *dev)
{
	struct bench_null_port *port = dev_iommu_priv_get(dev);

	return port->code;
}

#endif /* SVA_BENCH_NULL_IOMMU_H */
