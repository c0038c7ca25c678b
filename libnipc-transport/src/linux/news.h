/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Whether a descriptor became readable, found out by a look into memory: for a poller that memory
 * keeps busy and that would otherwise have to ask the kernel again and again whether there is
 * anything else to do.
 *
 * The kernel's asynchronous I/O has a poll request whose completion it writes into a ring in our
 * memory. Where that is not to be had nothing is lost but the look: has_news() then says no.
 */

#include <stdbool.h>
#include <stdint.h>

struct nipc__news {
        unsigned long context; /* aio_context_t, which is the address of the ring; 0: none */
        bool is_armed;
};

/* Returns 0 or a negative errno: then there is no such thing here, or not now. */
int nipc__news_open(struct nipc__news *news);
void nipc__news_close(struct nipc__news *news);

/* Asks for news of fd, unless that is asked for already. Returns 0 or a negative errno. */
int nipc__news_arm(struct nipc__news *news, int fd);

/* Whether it became readable since it was asked for. Any number of times; no system call. */
bool nipc__news_has(const struct nipc__news *news);

/* Takes note of what has() said; ask again with arm(). */
void nipc__news_take(struct nipc__news *news);
