/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * How messages go through a region on Windows (transport-windows §3), in both directions, as one
 * side sees it. Bytes and words only: what a message is, and when it is whose turn, is known in
 * shm.c.
 *
 * Sender: bytes, length, counter, and then a look at the flag of a receiver that sleeps. Receiver:
 * sets that flag, and then looks at the counter once more. Both with sequential consistency: one of
 * the two sees the other.
 *
 * The length and the counter are read before the bytes are copied and once more afterwards: a
 * sender that does not wait for its turn is found out, as NetIPC v1 asks for on this system alone.
 */

#include "shm-region.h"
#include "stdaux.h"
#include <errno.h>
#include <stdatomic.h>

/*
 * Of SHM_BUSYWAIT. How long it is what its name says, chosen to be longer than what a client's peer
 * works at most in the middle of an exchange, and how often other handles are looked at meanwhile:
 * that is a system call.
 */
#define NIPC__SHM_BUSY_NS UINT64_C(20000000)
#define NIPC__SHM_LOOK_NS UINT64_C(1000000)

struct nipc__shm_channel {
        uint8_t *tx;
        const uint8_t *rx;
        _Atomic uint32_t *tx_len;
        _Atomic uint64_t *tx_seq;
        const _Atomic uint32_t *tx_waiting; /* the peer sleeps, or is about to */
        const _Atomic uint32_t *rx_len;
        const _Atomic uint64_t *rx_seq;
        _Atomic uint32_t *rx_waiting;
        _Atomic uint32_t *own_closed;
        const _Atomic uint32_t *peer_closed;
        void *tx_event; /* NULL: SHM_BUSYWAIT, nobody is ever woken */
        void *rx_event;
        uint64_t tx_last; /* the counter as we wrote it last: it is not read back */
        uint64_t rx_next; /* what it says when the next message is there */
        uint32_t tx_capacity;
        uint32_t rx_capacity;
        uint32_t looks_per_yield; /* 1: there is one CPU */
};

/* The region must outlive the channel. */
void nipc__shm_channel_init(struct nipc__shm_channel *channel,
                            const struct nipc__shm_region *region, bool is_server);

/* Tells the peer that nothing will come any more, and that nobody reads. */
void nipc__shm_channel_close(struct nipc__shm_channel *channel);

/* SetEvent; out of line, for the system's header stays out of this one. */
void nipc__shm_channel_wake(void *event);

/*
 * Sleeps until there is a message, the peer has closed its side, one of n_others handles (7 at
 * most) is signalled, or the deadline has passed (NIPC_DEADLINE_NEVER: for ever).
 *
 * Where nobody wakes us that is a loop: busy at first, as the profile says, then a look a
 * millisecond, for an idle session must not cost a CPU.
 *
 * Returns 0 for a message, which goes before all else, 1 + i for the handle at i, -EAGAIN when
 * rx_event was signalled for another reason (a message taken long ago, or something else that has
 * it for its event), -ECONNRESET when the peer is closed, -ETIMEDOUT, or -EIO.
 */
int nipc__shm_channel_wait(struct nipc__shm_channel *channel, void *const *others,
                           unsigned n_others, uint64_t deadline_ns);

static inline bool nipc__shm_channel_has_message(const struct nipc__shm_channel *channel)
{
        /* Pairs with the exchange in publish of the peer. Both wrap around together. */
        return atomic_load_explicit(channel->rx_seq, memory_order_acquire) >= channel->rx_next;
}

static inline bool nipc__shm_channel_is_peer_closed(const struct nipc__shm_channel *channel)
{
        /* Pairs with the store in close of the peer. */
        return atomic_load_explicit(channel->peer_closed, memory_order_acquire) != 0;
}

/* Publishes the `size` bytes, 1 to tx_capacity, that lie at tx. */
static inline void nipc__shm_channel_publish(struct nipc__shm_channel *channel, uint32_t size)
{
        atomic_store_explicit(channel->tx_len, size, memory_order_relaxed);
        /*
         * Releases length and bytes to whoever sees the counter, and is complete before the flag is
         * read: pairs with the exchange of the flag in nipc__shm_channel_wait() of the peer.
         */
        atomic_exchange_explicit(channel->tx_seq, ++channel->tx_last, memory_order_seq_cst);
        if (channel->tx_event &&
            atomic_load_explicit(channel->tx_waiting, memory_order_seq_cst) != 0)
                nipc__shm_channel_wake(channel->tx_event);
}

/*
 * The length of the message that is there. Returns 0, or -EBADMSG for a counter ahead of its turn
 * or a length that cannot be.
 */
static inline int nipc__shm_channel_begin(const struct nipc__shm_channel *channel,
                                          uint32_t *ret_len)
{
        uint32_t len;

        /* Pairs as in has_message. */
        if (atomic_load_explicit(channel->rx_seq, memory_order_acquire) != channel->rx_next)
                return -EBADMSG;
        len = atomic_load_explicit(channel->rx_len, memory_order_acquire);
        if (len == 0 || len > channel->rx_capacity)
                return -EBADMSG;
        *ret_len = len;
        return 0;
}

/* It has been copied. Returns 0, or -EBADMSG if it was not left alone meanwhile. */
static inline int nipc__shm_channel_end(struct nipc__shm_channel *channel, uint32_t len)
{
        /* What was copied was read before what follows. */
        atomic_thread_fence(memory_order_acquire);
        if (atomic_load_explicit(channel->rx_len, memory_order_relaxed) != len ||
            atomic_load_explicit(channel->rx_seq, memory_order_relaxed) != channel->rx_next)
                return -EBADMSG;
        channel->rx_next++;
        return 0;
}
