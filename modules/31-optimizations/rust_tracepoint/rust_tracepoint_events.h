/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The events of this module, in /sys/kernel/tracing/events/rust_tracepoint. C reads this
 * several times, and makes something else of it each time.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM rust_tracepoint

#if !defined(RUST_TRACEPOINT_EVENTS_H) || defined(TRACE_HEADER_MULTI_READ)
#define RUST_TRACEPOINT_EVENTS_H

#include <linux/tracepoint.h>

TRACE_EVENT(rust_tracepoint_round,
	/* What it is called with. */
	TP_PROTO(u32 number, u64 sum),
	TP_ARGS(number, sum),
	/* What is kept of it, and how. */
	TP_STRUCT__entry(
		__field(u32, number)
		__field(u64, sum)
	),
	TP_fast_assign(
		__entry->number = number;
		__entry->sum = sum;
	),
	/* How that is printed when somebody reads it. */
	TP_printk("number=%u sum=%llu", __entry->number, __entry->sum)
);

#endif

#undef TRACE_INCLUDE_PATH
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_PATH .
#define TRACE_INCLUDE_FILE rust_tracepoint_events
#include <trace/define_trace.h>
