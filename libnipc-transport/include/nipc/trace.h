/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Records of lanes that a timeline is made of: what `nipc lane export` understands and turns into
 * the JSON of Chrome's trace viewer, which Perfetto opens. Plain structs and inline functions over
 * <nipc/lane.h>; a lane may carry other records among them, which are not exported.
 *
 * A name is said once, in a record of its own, under a number: the address of a function, say. It
 * counts for all lanes of the file, also for events before it. An event whose number was never
 * named is shown by its number, in hexadecimal.
 *
 * How to use: nipc_trace_put_name() for each name, once; nipc_trace_put() for each event, with
 * nipc_clock_now_ns() or another clock that all lanes of the pool share. Results are those of
 * nipc_lane_put(). What a flight recorder (NIPC_LANE_DETAIL) must not lose, its names, goes to a
 * lane of another pool, or is written again after each mark.
 *
 * Threading: as nipc_lane_put(). nipc_trace_put() is async-signal-safe.
 */

#include <nipc/lane.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Types of records. */
#define NIPC_TRACE_EVENT   0xfe00u /* struct nipc_trace_event, and what its kind says */
#define NIPC_TRACE_NAME    0xfe01u /* struct nipc_trace_name, then the text */
#define NIPC_TRACE_THREAD  0xfe02u /* the same, the number is a thread's: what it is called */
#define NIPC_TRACE_PROCESS 0xfe03u /* the same, the number is the process's */

#define NIPC_TRACE_MAX_NAME_BYTES 1024u /* longer ones are cut by nipc_trace_put_name() */

enum nipc_trace_kind {
        NIPC_TRACE_BEGIN = 'B',    /* a call begins; they nest, per thread */
        NIPC_TRACE_END = 'E',      /* the last one that began ends; the name may be 0 */
        NIPC_TRACE_COMPLETE = 'X', /* both in one: it began at time_ns and took so many ns: value */
        NIPC_TRACE_INSTANT = 'i',
        NIPC_TRACE_COUNTER = 'C', /* is now: value, signed */
};

/*
 * In the byte order of the machine. Behind it come, first, a value of 8 bytes for COMPLETE and
 * COUNTER, and second, if `name` is 0, the name itself, in UTF-8, up to the end of the record.
 */
struct nipc_trace_event {
        uint64_t time_ns;
        uint64_t name; /* the number of one, or 0 */
        uint32_t tid;  /* 0: that of the lane */
        uint32_t kind; /* enum nipc_trace_kind; others are not exported, and counted */
};

struct nipc_trace_value_event {
        struct nipc_trace_event event;
        int64_t value;
};

struct nipc_trace_name {
        uint64_t number; /* not 0 */
        /* the text, in UTF-8, up to the end of the record */
};

/* An event of the lane's own thread, without a value: BEGIN, END, INSTANT. */
static inline int nipc_trace_put(struct nipc_lane *lane, uint32_t kind, uint64_t name,
                                 uint64_t time_ns)
{
        const struct nipc_trace_event event = {time_ns, name, 0, kind};

        return nipc_lane_put(lane, NIPC_TRACE_EVENT, &event, sizeof(event));
}

/* The same with one: COMPLETE, COUNTER. */
static inline int nipc_trace_put_value(struct nipc_lane *lane, uint32_t kind, uint64_t name,
                                       uint64_t time_ns, int64_t value)
{
        const struct nipc_trace_value_event event = {{time_ns, name, 0, kind}, value};

        return nipc_lane_put(lane, NIPC_TRACE_EVENT, &event, sizeof(event));
}

/* type: NIPC_TRACE_NAME, NIPC_TRACE_THREAD, NIPC_TRACE_PROCESS. name: cut where it is too long. */
static inline int nipc_trace_put_name(struct nipc_lane *lane, uint32_t type, uint64_t number,
                                      const char *name)
{
        struct {
                struct nipc_trace_name head;
                char text[NIPC_TRACE_MAX_NAME_BYTES];
        } record;
        size_t size = strlen(name);

        if (size > sizeof(record.text))
                size = sizeof(record.text);
        record.head.number = number;
        memcpy(record.text, name, size);
        return nipc_lane_put(lane, type, &record, (uint32_t)(sizeof(record.head) + size));
}

#ifdef __cplusplus
}
#endif
