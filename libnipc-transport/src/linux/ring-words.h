/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The words that the two sides of a ring share, and in which order they are touched
 * (doc/ring.md §3, §4, §6); and what sending and receiving (ring.c) have of waiting (ring-wait.c).
 */

#include "ring.h"
#include "stdaux.h"
#include "transport-private.h"

/*
 * Store, full fence, load: what the two sides do to each other, each in its own order. The one
 * publishes, then looks whether the other waits; the other says that it waits, then looks whether
 * there is something. Whichever fence comes first, the other side's load sees the store before it:
 * never do both miss each other. The stores are in announce_*(), the loads right behind the calls.
 *
 * ThreadSanitizer does not know fences: there an exchange, which is one on every processor, and
 * loads with the same order do.
 */
#ifdef NIPC__THREAD_SANITIZER
#define LOAD_AFTER_FENCE memory_order_seq_cst

static inline void announce_32(_Atomic uint32_t *word, uint32_t value)
{
        atomic_exchange(word, value);
}

static inline void announce_64(_Atomic uint64_t *word, uint64_t value)
{
        atomic_exchange(word, value);
}
#else
#define LOAD_AFTER_FENCE memory_order_acquire

static inline void announce_32(_Atomic uint32_t *word, uint32_t value)
{
        atomic_store_explicit(word, value, memory_order_release);
        atomic_thread_fence(memory_order_seq_cst);
}

/*
 * Not one exchange, which would be the same in fewer words: the peer, which looks at the line all
 * the time, would take it away between the stores of the record and the exchange.
 */
static inline void announce_64(_Atomic uint64_t *word, uint64_t value)
{
        atomic_store_explicit(word, value, memory_order_release);
        atomic_thread_fence(memory_order_seq_cst);
}
#endif

/* What a record of so many bytes takes of the ring. */
static inline uint64_t record_cells(size_t size)
{
        return (NIPC__RING_WORD_BYTES + (uint64_t)size + NIPC__RING_CELL - 1) &
               ~(uint64_t)(NIPC__RING_CELL - 1);
}

static inline _Atomic uint64_t *tx_word(const struct nipc__ring *ring, uint64_t pos)
{
        return (void *)(ring->tx + (pos & ring->tx_mask));
}

static inline const _Atomic uint64_t *rx_word(const struct nipc__ring *ring)
{
        return (const void *)(ring->rx + (ring->rx_pos & ring->rx_mask));
}

/* The word of the next record to read; 0: not published yet. Pairs with publish() of the peer. */
static inline uint64_t peek(const struct nipc__ring *ring)
{
        return atomic_load_explicit(rx_word(ring), LOAD_AFTER_FENCE);
}

static inline bool has_data(const struct nipc__ring *ring)
{
        return peek(ring) != 0;
}

/* ---- ring-wait.c ---------------------------------------------------------------------------- */

/* The peer waits for what was just published. `wait`: what its wait word said. */
int nipc__ring_doorbell(struct nipc_session *session, uint32_t wait);

/* Tells the peer how far we have read: pairs with the waiter in sleep_for(). */
void nipc__ring_tell(struct nipc_session *session);

/* Asks how far the peer has read. 1: there is room for so many bytes; 0: not yet; or an error. */
int nipc__ring_look_for_space(struct nipc_session *session, uint64_t cells);

/*
 * Wait for the next record, or for so many bytes of room: look, spin, sleep, as the deadline says.
 * Return 0 or an error of <nipc/session.h>.
 */
int nipc__ring_wait_for_data(struct nipc_session *session, uint64_t deadline_ns);
int nipc__ring_wait_for_space(struct nipc_session *session, uint64_t cells, uint64_t deadline_ns);

int nipc__ring_wait(struct nipc_session *session, uint64_t deadline_ns);
int nipc__ring_get_fd(struct nipc_session *session);
uint32_t nipc__ring_look(struct nipc_session *session, uint32_t events);
uint32_t nipc__ring_arm(struct nipc_session *session, uint32_t events);
bool nipc__ring_hear(struct nipc_session *session, bool is_more);
void nipc__ring_disarm(struct nipc_session *session);

/* ---- ring.c --------------------------------------------------------------------------------- */

/* The size of the next record of session->out, header included. */
uint32_t nipc__ring_next_record(const struct nipc_session *session);
