/* SPDX-License-Identifier: MIT */
#pragma once

/* What a bad peer of the ring profile does, one thing each, and what its victim is to say. */

#include "util-ring-peer.h"

struct ring_attack {
        const char *name;
        /* kind: of the messages this peer sends. One with id 1 is expected. */
        void (*play)(struct ring_peer *peer, uint16_t kind);
        int error;        /* of the victim's receive, or its send */
        bool is_for_send; /* shows when the victim sends more than the ring holds */
        bool reads;       /* what the victim sends meanwhile */
};

extern const struct ring_attack ring_attacks[];
extern const size_t n_ring_attacks;

/* Writes, rings and claims whatever comes, so many times; never out of its own memory. */
void ring_attack_at_random(struct ring_peer *peer, uint16_t kind, uint64_t *random, unsigned n);
