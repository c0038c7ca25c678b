/* SPDX-License-Identifier: MIT */
#pragma once

/* A strict reader of the Prometheus text format 0.0.4, and sessions that ask one thing. */

#include <nipc/metrics.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Judges a whole text: HELP and TYPE once before the samples of a name, names and labels as they
 * may be, escapes, values, no series twice, buckets that grow up to _count. Returns NULL, or what
 * is wrong with it.
 */
const char *util_prometheus_check(const char *text, size_t size);

/* The value of the series that is spelt exactly like this; -1 if there is none. */
double util_prometheus_get(const char *text, size_t size, const char *series);

/* Opens a session of one profile and asks once. Returns the status of the answer, or -1. */
int util_ask(const char *service, uint32_t profile, uint16_t code, const void *payload,
             size_t size);

struct nipc_server_metrics util_metrics(const struct nipc_server *server);
