// SPDX-License-Identifier: GPL-2.0
/* Defines the trace events, and the functions through which Rust reaches them. */

#define CREATE_TRACE_POINTS
#define CREATE_RUST_TRACE_POINTS
#include <trace/events/sva.h>

/* KUnit suites look at it: no program can have a device with reserved regions. */
EXPORT_TRACEPOINT_SYMBOL_GPL(carve);
