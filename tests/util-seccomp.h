/* SPDX-License-Identifier: MIT */
#pragma once

/* Filters of system calls, written by hand: what containers and service managers do to programs. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UTIL_SECCOMP_MAX_CALLS 8u

/* What becomes of the calls: fails with this errno, or kills the process. */
#define UTIL_SECCOMP_KILL 0u

/*
 * Filters calls by number from now on, in this process and whatever it runs: for a child between
 * fork and exec. Async-signal-safe. Returns false where there are no filters.
 */
bool util_seccomp_install(const int *calls, size_t n_calls, uint32_t error);

/* Whether a child of ours can be filtered. */
bool util_seccomp_is_there(void);
