/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Many nipc clients of one process: a session each, one request in flight each, all watched by one
 * poller, so that what limits is the server or this one thread, and neither a thread per client.
 */

#include "histogram.h"
#include "subject.h"

#include <nipc/session.h>

/* Lives from open to close. */
struct crowd;

/* options: borrowed for the call. Returns 0 or a negative errno. ret_crowd: owned. */
int crowd_open(const struct subject_options *options, struct crowd **ret_crowd);

/* Takes NULL. */
void crowd_close(struct crowd *crowd);

/* One of them, to be looked at: the first whose profile is not the one asked for, or any. */
const struct nipc_session *crowd_get_session(const struct crowd *crowd);

/* As crowd() of struct subject. */
int crowd_run(struct crowd *crowd, uint64_t end_ns, struct histogram *latency);
