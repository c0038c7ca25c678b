/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The ring profile: layout and state, see doc/ring.md, whose names are used here.
 *
 * Two memories, one made by each side and writable by that side alone: what a side publishes (its
 * records, how far it has read the other's, what it waits for) lies in its own. Everything a side
 * needs to know of itself it keeps privately and never reads back.
 */

#include "fork.h"
#include "spin.h"
#include <nipc/header.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Offsets in a memory, doc/ring.md §2. */
enum {
        NIPC__RING_MAGIC_AT = 0,
        NIPC__RING_VERSION_AT = 8,
        NIPC__RING_HEADER_BYTES_AT = 12,
        NIPC__RING_RING_BYTES_AT = 16,
        NIPC__RING_STATIC_BYTES = 20,

        NIPC__RING_WAIT_AT = 64,
        NIPC__RING_N_RUNG_AT = 68,
        NIPC__RING_CPU_AT = 72,
        NIPC__RING_CONSUMED_AT = 128,
};

#define NIPC__RING_MAGIC   UINT64_C(0x31474e524350494e) /* "NIPCRNG1" in little-endian order */
#define NIPC__RING_VERSION 1u
#define NIPC__RING_CELL    64u

#define NIPC__RING_WORD_BYTES 8u

/* A payload that fits the first cell of its record, behind its word and header. */
#define NIPC__RING_SMALL_BYTES (NIPC__RING_CELL - NIPC__RING_WORD_BYTES - NIPC_HEADER_SIZE)

/* What a side waits for: the low bits of its wait word. */
#define NIPC__RING_DATA   1u
#define NIPC__RING_SPACE  2u
#define NIPC__RING_CLOSED 4u /* it waits for nothing any more */
#define NIPC__RING_WHY    7u
#define NIPC__RING_SEQ    8u /* one wait more */

struct nipc__ring {
        /* Read with each message. */
        uint8_t *tx;           /* our records, mapped twice in a row; pages of ours alone */
        uint64_t tx_pos;       /* where the next one begins */
        uint64_t tx_limit;     /* how far it may reach, by what the peer said last */
        uint64_t wanted_cells; /* what there was no room for; 0: there was, last time */
        uint32_t tx_mask;      /* size of the ring less one */
        uint32_t rx_mask;
        const uint8_t *rx; /* the peer's records, mapped twice in a row, read only */
        uint64_t rx_pos;   /* where the next one begins */
        uint64_t rx_told;  /* how far the peer knows that we have read */
        const _Atomic uint32_t *peer_wait;
        uint32_t last_rung;  /* the peer's wait word that we rang for */
        bool is_waiting;     /* our wait word says so */
        bool is_polled;      /* by the caller himself: our wait word must always say so */
        bool has_spun;       /* in vain, a moment ago */
        uint32_t n_unbroken; /* records that were read without waiting in between */
        uint32_t n_lonely;   /* waits in a row for one record each; up to MIN_LONELY */
        struct nipc__spinner spinner;
        uint32_t patience;        /* before the first look at an answer, see look_in_time() */
        uint32_t n_blind;         /* receives that began so since one began with a look */
        bool is_odd_look;         /* the next of those comes after one more */
        uint64_t tx_pos_received; /* tx_pos when we received last */
        uint32_t rx_small_bytes;  /* a plain message of so many comes by the short way */
        uint64_t rx_kind;         /* and begins with this, see ring_receive() */
        uint8_t rx_small[NIPC__RING_SMALL_BYTES]; /* where its payload is lent from */

        /* The rest now and then. */
        const _Atomic uint64_t *peer_consumed;
        const _Atomic uint32_t *peer_n_rung;
        _Atomic uint32_t *own_wait;
        const _Atomic uint32_t *peer_cpu;
        _Atomic uint32_t *own_n_rung;
        _Atomic uint32_t *own_cpu;
        _Atomic uint64_t *own_consumed;
        uint64_t rx_quarter; /* of the ring: told when so much was read */
        uint32_t wait_seq;   /* our wait word without the reasons */
        int poll_fd;         /* for a caller who polls: the link and the bell; -1: nobody does */
        int bell_fd;
        bool bell_rings;
        uint32_t n_rung;
        uint32_t n_drained; /* of the peer's doorbells */
        uint32_t rx_packet_size;
        uint32_t rx_max_bytes; /* of a record: all of the ring but its word and the next one's cell
                                */
        uint32_t tx_whole_bytes;
        uint32_t tx_packet_size;

        uint8_t *own_map;
        uint8_t *peer_map;
        size_t own_map_bytes;
        size_t peer_map_bytes;
        struct nipc__fork_mark made_by;
        int fd; /* of our memory, until it was handed over */
};

struct nipc_session;

/*
 * Makes our memory, for messages of up to max_payload_bytes, which fit as a whole unless the ring
 * would be larger than max_ring_bytes. *ret_step: what failed. Returns 0 or a negative errno.
 */
int nipc__ring_new(uint32_t max_payload_bytes, uint32_t max_ring_bytes, uint32_t spin_cap_ns,
                   struct nipc__ring **ret_ring, const char **ret_step);

/* What that memory takes. */
uint64_t nipc__ring_get_memory_bytes(uint32_t max_payload_bytes, uint32_t max_ring_bytes);

/* Maps the peer's memory. Takes the descriptor in any case. Returns as nipc__ring_new(). */
int nipc__ring_attach(struct nipc__ring *ring, int peer_fd, const char **ret_step);

/* Takes NULL. The peer sees that we are gone. Returns NULL. */
struct nipc__ring *nipc__ring_free(struct nipc__ring *ring);
