/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the peers written in C share: the lines of tools/nipc/subject-peer.h, the loop that asks,
 * paces and counts, and the 40 bytes of a message. A peer is a file of its own that says how it
 * opens, asks and serves; nothing of how it is measured.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PEER_HEADER_SIZE  32u
#define PEER_MESSAGE_SIZE (PEER_HEADER_SIZE + 8u)

/* Calls return 0, or -1: an error or an answer that is not right, see peer_fail(). */
struct peer {
        /* Calls peer_ready() once it can be asked, then serves until it is killed. */
        int (*serve)(const char *dir);
        int (*open)(const char *dir);
        /* One round trip: the answer is value + 1. */
        int (*ping)(uint64_t value);
        /* Half of one, several in flight, answers in order. NULL: not with this. */
        int (*send)(uint64_t value);
        int (*receive)(uint64_t value);
};

int peer_main(int argc, char **argv, const struct peer *peer);

void peer_ready(void);

/* Remembers why; returns -1. */
int peer_fail(const char *reason);
int peer_fail_answer(void);

static inline void peer_put(void *message, uint64_t value)
{
        memset(message, 0, PEER_HEADER_SIZE);
        memcpy((char *)message + PEER_HEADER_SIZE, &value, sizeof(value));
}

static inline uint64_t peer_get(const void *message)
{
        uint64_t value;

        memcpy(&value, (const char *)message + PEER_HEADER_SIZE, sizeof(value));
        return value;
}
