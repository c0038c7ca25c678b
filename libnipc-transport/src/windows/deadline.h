/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdint.h>

/*
 * The time-out of a wait function for a deadline: INFINITE for NIPC_DEADLINE_NEVER, 0 only when it
 * has passed. A wait that long may be over a tick early: ask the clock again.
 */
uint32_t nipc__deadline_to_wait_ms(uint64_t deadline_ns);
