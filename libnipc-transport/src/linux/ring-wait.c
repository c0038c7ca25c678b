/* SPDX-License-Identifier: MIT */

/*
 * How a side of a ring waits, and is waited for (doc/ring.md §4): doorbells, room, spinning and
 * sleeping, and what pollers want to know. Nothing here is on the way of a message that both sides
 * are awake for, but the spinning itself.
 *
 * Invariants: what was told or rung for last (rx_told, tx_limit, last_rung) is kept privately and
 * only ever moves forward; is_waiting says whether our wait word has reasons in it.
 */

#include "header-words.h"
#include "link-fast.h"
#include "ring-words.h"
#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* Waits that ended without anything to show for it, for one look at the clock. */
#define CLOCK_EVERY 16u

/* Looks of a caller at a session that a poller watches, for one at its link. */
#define MISSES_PER_LOOK 64u

/* For the spinner: the same, of the word itself. */
static bool is_published(const void *word)
{
        return atomic_load_explicit((const _Atomic uint64_t *)word, LOAD_AFTER_FENCE) != 0;
}

/* ---- doorbells ------------------------------------------------------------------------------ */

static int peer_is_gone(const struct nipc_session *session)
{
        return nipc__session_cancelled_or(session, -ECONNRESET);
}

/* The peer waits for what was just published. `wait`: what its wait word said. */
NIPC__COLD int nipc__ring_doorbell(struct nipc_session *session, uint32_t wait)
{
        struct nipc__ring *ring = session->ring;
        ssize_t n;

        if (wait & NIPC__RING_CLOSED)
                return peer_is_gone(session);
        if (wait == ring->last_rung)
                return 0;
        /* Before it is sent: pairs with the load in owes_doorbell() of the peer. */
        atomic_store_explicit(ring->own_n_rung, ++ring->n_rung, memory_order_release);
        do {
                n = send(session->link.fd, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
        } while (n < 0 && errno == EINTR);
        if (n >= 0 || errno == EAGAIN) { /* full of doorbells that it has not heard yet */
                ring->last_rung = wait;
                return 0;
        }
        if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN)
                return peer_is_gone(session);
        /* It was published, and the peer will not know: nothing less than the end of the session.
         */
        return nipc__session_fail(session, NIPC_FAILURE_SEND, -EIO, errno);
}

/* Tells the peer how far we have read: pairs with the waiter in sleep_for(), and
 * nipc__ring_look_for_space().
 */
NIPC__COLD void nipc__ring_tell(struct nipc_session *session)
{
        struct nipc__ring *ring = session->ring;
        uint32_t wait;

        ring->rx_told = ring->rx_pos;
        announce_64(ring->own_consumed, ring->rx_pos); /* our reads of the records come before */
        wait = atomic_load_explicit(ring->peer_wait, LOAD_AFTER_FENCE);
        if (wait & NIPC__RING_SPACE)
                (void)nipc__ring_doorbell(session,
                                          wait); /* if it is gone, that shows soon enough */
}

void nipc__ring_get_queued(const struct nipc_session *session, size_t *ret_used,
                           size_t *ret_capacity)
{
        const struct nipc__ring *ring = session->ring;
        const uint64_t size = (uint64_t)ring->tx_mask + 1 - NIPC__RING_CELL;
        /* Written in nipc__ring_tell() of the peer; relaxed, nothing is reused for it. */
        const uint64_t used =
                ring->tx_pos - atomic_load_explicit(ring->peer_consumed, memory_order_relaxed);

        /* What a peer that lies says is judged where it matters; here it is a number. */
        *ret_used = (size_t)NIPC__MIN(used, size);
        *ret_capacity = (size_t)size;
}

/* Says what we wait for, to publish() and nipc__ring_tell() of the peer. The caller looks once more
 * after it.
 */
static void start_waiting(struct nipc__ring *ring, uint32_t why)
{
        ring->wait_seq += NIPC__RING_SEQ;
        ring->is_waiting = true;
        /* A hint for the peer's spinner, read in peer_cpu(). */
        atomic_store_explicit(ring->own_cpu, nipc__spin_own_cpu(), memory_order_relaxed);
        announce_32(ring->own_wait, ring->wait_seq | why);
}

static uint32_t peer_cpu(const struct nipc__ring *ring)
{
        return atomic_load_explicit(ring->peer_cpu, memory_order_relaxed); /* a hint */
}

/* Makes the descriptor of a caller who polls readable, by ourselves. */
static void ring_own_bell(struct nipc__ring *ring)
{
        static const uint64_t one = 1;

        if (ring->bell_fd >= 0 && !ring->bell_rings)
                ring->bell_rings = write(ring->bell_fd, &one, sizeof(one)) == sizeof(one);
}

static void silence_own_bell(struct nipc__ring *ring)
{
        uint64_t count;

        if (ring->bell_rings)
                ring->bell_rings = read(ring->bell_fd, &count, sizeof(count)) != sizeof(count);
}

/*
 * A caller who polls hears of whatever there is to do: of a record, and of room if some was wanted
 * in vain. What is there already nobody will ring for.
 */
static void start_being_polled(struct nipc_session *session)
{
        struct nipc__ring *ring = session->ring;

        start_waiting(ring, NIPC__RING_DATA | (ring->wanted_cells ? NIPC__RING_SPACE : 0));
        if (has_data(ring) ||
            (ring->wanted_cells && nipc__ring_look_for_space(session, ring->wanted_cells)))
                ring_own_bell(ring);
}

static void stop_waiting(struct nipc_session *session)
{
        struct nipc__ring *ring = session->ring;

        if (ring->is_polled) {
                start_being_polled(session);
                return;
        }
        if (!ring->is_waiting)
                return;
        ring->is_waiting = false;
        /* A peer that still sees the old word rings in vain, no more. */
        atomic_store_explicit(ring->own_wait, ring->wait_seq, memory_order_relaxed);
}

static bool owes_doorbell(const struct nipc__ring *ring)
{
        return atomic_load_explicit(ring->peer_n_rung, memory_order_acquire) != ring->n_drained;
}

/* Takes doorbells off the link. Returns 0, or what the link says of its end. */
static int drain(struct nipc_session *session)
{
        return nipc__link_drain(session, &session->ring->n_drained, UINT32_MAX);
}

/* ---- space ---------------------------------------------------------------------------------- */

/* Asks how far the peer has read. 1: there is room for so many bytes; 0: not yet; or an error. */
NIPC__COLD int nipc__ring_look_for_space(struct nipc_session *session, uint64_t cells)
{
        static const struct nipc_fault fault = {NIPC_PROTO_E_BAD_LAYOUT, NIPC__RING_CONSUMED_AT,
                                                "consumed must grow, up to what was published"};
        struct nipc__ring *ring = session->ring;
        const uint64_t size = (uint64_t)ring->tx_mask + 1 - NIPC__RING_CELL;
        /* Pairs with nipc__ring_tell(): what was read is not written over before. */
        uint64_t consumed = atomic_load_explicit(ring->peer_consumed, LOAD_AFTER_FENCE);

        if (NIPC__UNLIKELY(consumed > ring->tx_pos || consumed + size < ring->tx_limit ||
                           consumed % NIPC__RING_CELL))
                return nipc__session_fail_fault(session, NIPC_FAILURE_SEND, -EBADMSG, &fault);
        ring->tx_limit = consumed + size;
        return ring->tx_pos + cells <= ring->tx_limit;
}

static bool has_news_of_space(const void *arg)
{
        const struct nipc__ring *ring = arg;

        return atomic_load_explicit(ring->peer_consumed, memory_order_acquire) + ring->tx_mask + 1 -
                       NIPC__RING_CELL !=
               ring->tx_limit;
}

/* ---- sleeping ------------------------------------------------------------------------------- */

static int is_there(struct nipc_session *session, uint32_t why, uint64_t cells)
{
        return why == NIPC__RING_DATA ? has_data(session->ring)
                                      : nipc__ring_look_for_space(session, cells);
}

/*
 * Waits in the kernel: for a doorbell, the end of the peer, cancellation or the deadline, all of
 * which end the same receive. What the peer published before its end counts.
 */
static NIPC__COLD int sleep_for(struct nipc_session *session, uint32_t why, uint64_t cells,
                                uint64_t deadline_ns)
{
        struct nipc__ring *ring = session->ring;
        uint8_t byte;
        struct iovec iov = {&byte, sizeof(byte)};
        ssize_t n = 0;
        unsigned i;
        int r;

        if (ring->rx_told != ring->rx_pos)
                nipc__ring_tell(session);
        for (i = 1;; i++) {
                start_waiting(ring, ring->is_polled ? why | NIPC__RING_DATA : why);
                r = is_there(session, why, cells);
                if (r != 0)
                        break;
                n = nipc__link_receive(session, &iov, 1, deadline_ns);
                ring->n_drained += n > 0;
                r = is_there(session, why, cells);
                if (r != 0 || n < 0)
                        break;
                if (i % CLOCK_EVERY)
                        continue;
                /* It rings and rings and there is nothing. */
                n = deadline_ns == NIPC_DEADLINE_LINGER  ? -EAGAIN
                    : deadline_ns <= nipc_clock_now_ns() ? -ETIMEDOUT
                                                         : 0;
                if (n < 0)
                        break;
        }
        stop_waiting(session);
        if (r != 0)
                return NIPC__MIN(r, 0);
        return (int)n;
}

/* There was nothing, and the caller does not want to wait. */
static NIPC__COLD int look_again(struct nipc_session *session)
{
        struct nipc__ring *ring = session->ring;
        int r;

        /*
         * Of a session that it watches the poller knows whether the link has something to say; but
         * who never asks the poller shall hear of the end, too.
         */
        if (session->watch.active && !session->watch.has_link_event && !ring->is_polled &&
            ++session->watch.n_misses % MISSES_PER_LOOK)
                return -EAGAIN;
        silence_own_bell(ring);
        r = drain(session);
        if (r == 0 && ring->is_polled)
                start_being_polled(session);
        if (has_data(ring))
                return 0;
        if (ring->rx_told != ring->rx_pos)
                nipc__ring_tell(session);
        return r < 0 ? r : -EAGAIN;
}

static int spin_or_sleep(struct nipc_session *session, uint64_t deadline_ns)
{
        struct nipc__ring *ring = session->ring;

        if ((!ring->has_spun || deadline_ns == NIPC_DEADLINE_SPIN) &&
            nipc__spin(&ring->spinner, is_published, (const void *)(uintptr_t)rx_word(ring),
                       peer_cpu(ring))) {
                ring->has_spun = false;
                return 0;
        }
        ring->has_spun = deadline_ns == NIPC_DEADLINE_SPIN;
        if (ring->has_spun)
                return -EAGAIN;
        return sleep_for(session, NIPC__RING_DATA, 0, deadline_ns);
}

int nipc__ring_wait_for_data(struct nipc_session *session, uint64_t deadline_ns)
{
        struct nipc__ring *ring = session->ring;
        int r;

        if (deadline_ns == NIPC_DEADLINE_NOW)
                return look_again(session);
        if (ring->is_waiting && !ring->is_polled)
                stop_waiting(session); /* we look ourselves now: no need to ring */
        r = spin_or_sleep(session, deadline_ns);
        nipc__session_end_wait(session);
        return r;
}

/* There is no room, and the caller does not want to wait. */
static NIPC__COLD int look_again_for_space(struct nipc_session *session, uint64_t cells)
{
        struct nipc__ring *ring = session->ring;
        int r;

        if (!ring->is_polled && session->watch.active && !session->watch.has_link_event &&
            ++session->watch.n_misses % MISSES_PER_LOOK)
                return -EAGAIN;
        silence_own_bell(ring);
        r = drain(session);
        if (r < 0)
                return r;
        if (!ring->is_polled)
                return -EAGAIN;
        start_being_polled(session);
        r = nipc__ring_look_for_space(session, cells);
        return r < 0 ? r : r ? 0 : -EAGAIN;
}

static NIPC__COLD int spin_or_sleep_for_space(struct nipc_session *session, uint64_t cells,
                                              uint64_t deadline_ns)
{
        struct nipc__ring *ring = session->ring;
        int r;

        for (;;) {
                r = nipc__ring_look_for_space(session, cells);
                if (r != 0)
                        return NIPC__MIN(r, 0);
                ring->wanted_cells = cells;
                if (deadline_ns == NIPC_DEADLINE_NOW)
                        return look_again_for_space(session, cells);
                if (!nipc__spin(&ring->spinner, has_news_of_space, ring, peer_cpu(ring)))
                        break;
        }
        r = sleep_for(session, NIPC__RING_SPACE, cells, deadline_ns);
        nipc__session_end_wait(session);
        return r;
}

int nipc__ring_wait_for_space(struct nipc_session *session, uint64_t cells, uint64_t deadline_ns)
{
        if (NIPC__LIKELY(session->ring->tx_pos + cells <= session->ring->tx_limit))
                return 0;
        return spin_or_sleep_for_space(session, cells, deadline_ns);
}

/* ---- waiting, and being waited for ---------------------------------------------------------- */

int nipc__ring_wait(struct nipc_session *session, uint64_t deadline_ns)
{
        int r = has_data(session->ring) ? 0 : nipc__ring_wait_for_data(session, deadline_ns);

        return r == -ECONNRESET ? 0 : r; /* the end is something to receive */
}

static int add_fd(int epoll_fd, int fd)
{
        struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.fd = fd};

        return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/* The link, and a bell of our own beside it for what nobody else rings for. */
static int make_poll_fd(struct nipc_session *session)
{
        struct nipc__ring *ring = session->ring;
        int r;

        ring->bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        ring->poll_fd = epoll_create1(EPOLL_CLOEXEC);
        r = ring->bell_fd < 0 || ring->poll_fd < 0 ? -errno : add_fd(ring->poll_fd, ring->bell_fd);
        if (r == 0)
                r = add_fd(ring->poll_fd, session->link.fd);
        if (r == 0)
                return 0;
        if (ring->bell_fd >= 0)
                close(ring->bell_fd);
        if (ring->poll_fd >= 0)
                close(ring->poll_fd);
        ring->bell_fd = ring->poll_fd = -1;
        return r;
}

/*
 * What is checked once here is not checked with each message. Responses to a client have to be
 * those to its requests, which only ring_call() knows without asking.
 */
static void begin_short_ways(struct nipc_session *session)
{
        struct nipc__ring *ring = session->ring;
        const bool is_server = session->role == NIPC__ROLE_SERVER;
        const bool takes_items = session->rx_limits.max_items > 0;

        ring->rx_small_bytes =
                NIPC__MIN(session->rx_limits.max_payload_bytes, NIPC__RING_SMALL_BYTES);
        ring->rx_kind = is_server && takes_items ? nipc__header_kind_and_flags(NIPC_KIND_REQUEST)
                                                 : NIPC__HEADER_NO_KIND;
        session->call_limit =
                !is_server && takes_items
                        ? NIPC__MIN(session->tx_max_payload_bytes, NIPC__RING_SMALL_BYTES) + 1
                        : 0;
}

uint32_t nipc__ring_begin(struct nipc_session *session)
{
        /* He has the link's descriptor, and will be rung for; he may ask for the better one. */
        session->ring->is_polled = session->is_link_polled;
        begin_short_ways(session);
        return session->ring->tx_whole_bytes;
}

int nipc__ring_get_fd(struct nipc_session *session)
{
        struct nipc__ring *ring = session->ring;
        int r;

        if (ring->poll_fd < 0) {
                r = make_poll_fd(session);
                if (r < 0)
                        return r;
                ring->is_polled = true;
                start_being_polled(session);
        }
        return ring->poll_fd;
}

uint32_t nipc__ring_look(struct nipc_session *session, uint32_t events)
{
        const uint64_t wanted = session->ring->wanted_cells;
        uint32_t there = 0;

        if (session->watch.has_link_event)
                return events;
        if ((events & NIPC_EVENT_IN) && has_data(session->ring))
                there |= NIPC_EVENT_IN;
        if ((events & NIPC_EVENT_OUT) && (!wanted || nipc__ring_look_for_space(session, wanted)))
                there |= NIPC_EVENT_OUT;
        return there;
}

uint32_t nipc__ring_arm(struct nipc_session *session, uint32_t events)
{
        struct nipc__ring *ring = session->ring;
        uint32_t there;

        if (owes_doorbell(ring) && drain(session) < 0)
                session->watch.has_link_event = true; /* the session will say so when asked */
        if (ring->rx_told != ring->rx_pos)
                nipc__ring_tell(session);
        start_waiting(ring, (events & NIPC_EVENT_IN ? NIPC__RING_DATA : 0) |
                                    (events & NIPC_EVENT_OUT ? NIPC__RING_SPACE : 0));
        there = nipc__ring_look(session, events);
        if (there)
                stop_waiting(session);
        return there;
}

/* Doorbells are counted: no need to ask for one more than there are, and hear that there is none.
 */
bool nipc__ring_hear(struct nipc_session *session, bool is_more)
{
        struct nipc__ring *ring = session->ring;
        /* Pairs with the store in nipc__ring_doorbell(). */
        uint32_t n_owed =
                atomic_load_explicit(ring->peer_n_rung, memory_order_acquire) - ring->n_drained;

        if (is_more || !n_owed)
                n_owed = UINT32_MAX;
        return nipc__link_drain(session, &ring->n_drained, n_owed) < 0;
}

void nipc__ring_disarm(struct nipc_session *session)
{
        stop_waiting(session);
}
