/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * SIGINT and SIGTERM as a wish to end: what the command waits for is cancelled, pauses end early.
 * For commands that work in the main thread without a main loop.
 */

#include <stdbool.h>
#include <stdint.h>

/* From now on a signal calls `cancel` (async-signal-safe, or NULL) and is remembered. Returns 0 or
 * a negative errno. */
int interrupt_init(void (*cancel)(void *data), void *data);

/* Whether a signal came. */
bool interrupt_is_set(void);

/* Pauses for that long, or until a signal comes. Returns false when one did. */
bool interrupt_pause_us(int64_t microseconds);

/* Gives the signals their default meaning again. */
void interrupt_deinit(void);
