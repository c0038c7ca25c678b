/* SPDX-License-Identifier: MIT */
#pragma once

/* What a bad peer of SHM_HYBRID does, one thing each, and what its victim is to say. */

#include "util-raw.h"
#include "util-shm-peer.h"
#include <stdatomic.h>

struct shm_attack {
        const char *name;
        /* kind: of the messages this peer sends. One with id 1 is expected. */
        void (*play)(struct shm_peer *peer, uint16_t kind);
        /*
         * Of the victim's receive. 0: nothing happened, the peer goes on. -ETIMEDOUT: nothing
         * happened, and the peer cannot go on.
         */
        int error;
};

extern const struct shm_attack shm_attacks[];
extern const size_t n_shm_attacks;

/* A good message of `payload_len` bytes into the area of this peer, not announced. */
void shm_attack_write(struct shm_peer *peer, uint16_t kind, uint32_t payload_len, uint64_t id);

/* So many times whatever comes: good messages mostly, or nearly good ones, words, lengths. */
void shm_attack_at_random(struct shm_peer *peer, uint16_t kind, uint64_t *random, unsigned n);

/* A thread that flips bits of what this peer sends, or else cuts the file short, until stopped. */
struct shm_meddler {
        struct shm_peer *peer; /* borrowed until stop */
        bool shortens;
        uint64_t random;
        atomic_bool stop; /* orders nothing: it stops a little later */
        pthread_t thread;
};

void shm_meddler_start(struct shm_meddler *meddler, struct shm_peer *peer, bool shortens,
                       uint64_t random);
void shm_meddler_stop(struct shm_meddler *meddler);
