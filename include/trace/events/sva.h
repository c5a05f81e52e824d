/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Trace events of shared virtual addressing: events/sva/ in tracefs.
 *
 * The name of an event is also part of names in C. So the event of
 * sva_device_init() is not just "init": the kernel has a trace_init().
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM sva

#if !defined(_TRACE_SVA_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_SVA_H

#include <linux/device.h>
#include <linux/iommu.h>
#include <linux/tracepoint.h>

TRACE_DEFINE_ENUM(IOMMU_PAGE_RESP_SUCCESS);
TRACE_DEFINE_ENUM(IOMMU_PAGE_RESP_INVALID);
TRACE_DEFINE_ENUM(IOMMU_PAGE_RESP_FAILURE);

#define show_sva_bond_state(state)				\
	__print_symbolic(state,					\
			 { 1, "making" },			\
			 { 2, "live" },				\
			 { 3, "stopping" },			\
			 { 4, "ended" })

/* IOMMU_SVA_FEAT_* */
#define show_sva_features(features)				\
	__print_flags(features, "+",				\
		      { 1 << 0, "pasid" },			\
		      { 1 << 1, "iopf" },			\
		      { 1 << 4, "shared_addresses" },		\
		      { 1U << 31, "mapped" })

#define show_sva_access(access)					\
	__print_flags(access, "",				\
		      { IOMMU_FAULT_PERM_READ, "r" },		\
		      { IOMMU_FAULT_PERM_WRITE, "w" },		\
		      { IOMMU_FAULT_PERM_EXEC, "x" },		\
		      { IOMMU_FAULT_PERM_PRIV, "p" })

#define show_sva_response(code)					\
	__print_symbolic(code,					\
			 { IOMMU_PAGE_RESP_SUCCESS, "success" }, \
			 { IOMMU_PAGE_RESP_INVALID, "invalid" }, \
			 { IOMMU_PAGE_RESP_FAILURE, "failure" })

#define show_sva_reason(reason)					\
	__print_symbolic(reason,				\
			 { 1, "not_mapped" },			\
			 { 2, "no_right" },			\
			 { 3, "process_gone" },			\
			 { 4, "page_never_came" },		\
			 { 5, "too_many_wait" },		\
			 { 6, "no_memory" },			\
			 { 7, "no_page" },			\
			 { 8, "no_page_requests" },		\
			 { 9, "bond_ends" })

/* A device has been initialised; PASIDs go up to @max_pasid. */
TRACE_EVENT(device_init,

	TP_PROTO(struct device *dev, u32 features, u32 max_pasid),

	TP_ARGS(dev, features, max_pasid),

	TP_STRUCT__entry(
		__string(dev, dev_name(dev))
		__field(u32, features)
		__field(u32, max_pasid)
	),

	TP_fast_assign(
		__assign_str(dev);
		__entry->features = features;
		__entry->max_pasid = max_pasid;
	),

	TP_printk("dev=%s features=%s max_pasid=%u", __get_str(dev),
		  show_sva_features(__entry->features), __entry->max_pasid)
);

/* A device has been shut down: its bonds have ended before. */
TRACE_EVENT(device_shutdown,

	TP_PROTO(struct device *dev),

	TP_ARGS(dev),

	TP_STRUCT__entry(
		__string(dev, dev_name(dev))
	),

	TP_fast_assign(
		__assign_str(dev);
	),

	TP_printk("dev=%s", __get_str(dev))
);

/*
 * A bond comes into @state: "making" before it is attached, "stopping" before its driver
 * is called, "ended" after the detach and before its PASID can be had again.
 */
TRACE_EVENT(bond_state,

	TP_PROTO(struct device *dev, u32 pasid, s32 tgid, u32 state),

	TP_ARGS(dev, pasid, tgid, state),

	TP_STRUCT__entry(
		__string(dev, dev_name(dev))
		__field(u32, pasid)
		__field(s32, tgid)
		__field(u32, state)
	),

	TP_fast_assign(
		__assign_str(dev);
		__entry->pasid = pasid;
		__entry->tgid = tgid;
		__entry->state = state;
	),

	TP_printk("dev=%s pasid=%u tgid=%d state=%s", __get_str(dev), __entry->pasid,
		  __entry->tgid, show_sva_bond_state(__entry->state))
);

/* @tgid is the process that bound first; @refs what the bond counts afterwards. */
DECLARE_EVENT_CLASS(sva_bond,

	TP_PROTO(struct device *dev, u32 pasid, s32 tgid, u32 flags, u64 refs),

	TP_ARGS(dev, pasid, tgid, flags, refs),

	TP_STRUCT__entry(
		__string(dev, dev_name(dev))
		__field(u32, pasid)
		__field(s32, tgid)
		__field(u32, flags)
		__field(u64, refs)
	),

	TP_fast_assign(
		__assign_str(dev);
		__entry->pasid = pasid;
		__entry->tgid = tgid;
		__entry->flags = flags;
		__entry->refs = refs;
	),

	TP_printk("dev=%s pasid=%u tgid=%d flags=%s refs=%llu", __get_str(dev),
		  __entry->pasid, __entry->tgid, show_sva_features(__entry->flags),
		  __entry->refs)
);

/* A bind succeeded: the first makes the bond. */
DEFINE_EVENT(sva_bond, bind,

	TP_PROTO(struct device *dev, u32 pasid, s32 tgid, u32 flags, u64 refs),

	TP_ARGS(dev, pasid, tgid, flags, refs)
);

/* With 0 @refs the bond has ended, however: unbind, exit of the process, shutdown. */
DEFINE_EVENT(sva_bond, unbind,

	TP_PROTO(struct device *dev, u32 pasid, s32 tgid, u32 flags, u64 refs),

	TP_ARGS(dev, pasid, tgid, flags, refs)
);

/* A device asks for a page; @grpid is the index of the group that the request is in. */
TRACE_EVENT(page_request,

	TP_PROTO(struct device *dev, u32 pasid, u32 grpid, u64 addr, u32 access),

	TP_ARGS(dev, pasid, grpid, addr, access),

	TP_STRUCT__entry(
		__string(dev, dev_name(dev))
		__field(u32, pasid)
		__field(u32, grpid)
		__field(u64, addr)
		__field(u32, access)
	),

	TP_fast_assign(
		__assign_str(dev);
		__entry->pasid = pasid;
		__entry->grpid = grpid;
		__entry->addr = addr;
		__entry->access = access;
	),

	TP_printk("dev=%s pasid=%u grpid=%u addr=%#llx access=%s", __get_str(dev),
		  __entry->pasid, __entry->grpid, __entry->addr,
		  show_sva_access(__entry->access))
);

/*
 * A group of @requests page requests is answered, @latency nanoseconds after it
 * arrived: 0 if that was before the event was enabled.
 */
TRACE_EVENT(page_response,

	TP_PROTO(struct device *dev, u32 pasid, u32 grpid, u32 code, u64 requests, u64 latency),

	TP_ARGS(dev, pasid, grpid, code, requests, latency),

	TP_STRUCT__entry(
		__string(dev, dev_name(dev))
		__field(u32, pasid)
		__field(u32, grpid)
		__field(u32, code)
		__field(u64, requests)
		__field(u64, latency)
	),

	TP_fast_assign(
		__assign_str(dev);
		__entry->pasid = pasid;
		__entry->grpid = grpid;
		__entry->code = code;
		__entry->requests = requests;
		__entry->latency = latency;
	),

	TP_printk("dev=%s pasid=%u grpid=%u code=%s requests=%llu latency=%llu",
		  __get_str(dev), __entry->pasid, __entry->grpid,
		  show_sva_response(__entry->code), __entry->requests, __entry->latency)
);

/* A group is about to be answered "invalid": its first request that was refused, and why. */
TRACE_EVENT(refusal,

	TP_PROTO(struct device *dev, u32 pasid, u32 grpid, u64 addr, u32 access, u32 reason),

	TP_ARGS(dev, pasid, grpid, addr, access, reason),

	TP_STRUCT__entry(
		__string(dev, dev_name(dev))
		__field(u32, pasid)
		__field(u32, grpid)
		__field(u64, addr)
		__field(u32, access)
		__field(u32, reason)
	),

	TP_fast_assign(
		__assign_str(dev);
		__entry->pasid = pasid;
		__entry->grpid = grpid;
		__entry->addr = addr;
		__entry->access = access;
		__entry->reason = reason;
	),

	TP_printk("dev=%s pasid=%u grpid=%u addr=%#llx access=%s reason=%s",
		  __get_str(dev), __entry->pasid, __entry->grpid, __entry->addr,
		  show_sva_access(__entry->access), show_sva_reason(__entry->reason))
);

/* A driver is about to be told that a process which it bound has exited. */
TRACE_EVENT(mm_exit,

	TP_PROTO(struct device *dev, u32 pasid, s32 tgid),

	TP_ARGS(dev, pasid, tgid),

	TP_STRUCT__entry(
		__string(dev, dev_name(dev))
		__field(u32, pasid)
		__field(s32, tgid)
	),

	TP_fast_assign(
		__assign_str(dev);
		__entry->pasid = pasid;
		__entry->tgid = tgid;
	),

	TP_printk("dev=%s pasid=%u tgid=%d", __get_str(dev), __entry->pasid, __entry->tgid)
);

/* A reserved range is taken from a process, or given back; it ends before @end. */
TRACE_EVENT(carve,

	TP_PROTO(u64 start, u64 end, bool taken),

	TP_ARGS(start, end, taken),

	TP_STRUCT__entry(
		__field(u64, start)
		__field(u64, end)
		__field(bool, taken)
	),

	TP_fast_assign(
		__entry->start = start;
		__entry->end = end;
		__entry->taken = taken;
	),

	TP_printk("start=%#llx end=%#llx %s", __entry->start, __entry->end,
		  __entry->taken ? "taken" : "given back")
);

#endif /* _TRACE_SVA_H */

/* Read again, to define what has been declared. */
#include <trace/define_trace.h>
