/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Words in shared memory made visible to poll: a peer of NetIPC v1 wakes by futex and by nothing
 * else, and no descriptor covers a futex. So there is a thread, one per 127 words, that waits for
 * them in the kernel (futex_waitv) and rings a bell, an eventfd, for each that changed while
 * somebody had armed it. It sleeps as long as nothing changes, blocks all signals but those of its
 * own faults, and ends with the last word it watches.
 *
 * Threading: a word belongs to the thread of its session; different ones are independent.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct nipc__watched;

/* Begins to watch, starting a thread if need be; nothing is armed. Returns 0 or a negative errno.
 */
int nipc__watch_new(const _Atomic uint32_t *word, struct nipc__watched **ret_watched);

/* Ends it: the word is not touched any more. Takes NULL. Returns NULL. */
struct nipc__watched *nipc__watch_free(struct nipc__watched *watched);

/* The bell: readable once it rang, until it is silenced. Borrowed. */
int nipc__watch_get_fd(const struct nipc__watched *watched);

/* Rings the bell, once, as soon as the word differs from `seen`. */
void nipc__watch_arm(struct nipc__watched *watched, uint32_t seen);
void nipc__watch_disarm(struct nipc__watched *watched);

void nipc__watch_ring(struct nipc__watched *watched);
void nipc__watch_silence(struct nipc__watched *watched);
