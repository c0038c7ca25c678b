/* SPDX-License-Identifier: MIT */

/*
 * The SHM_HYBRID plane (transport-posix §3): one message at a time in each direction, in a region
 * of memory, announced by a counter and a futex. The link carries nothing; its end is the peer's
 * end.
 *
 * Invariants: a request and its response take turns, so an area is written only when the peer is
 * known to have read what was in it. Nothing that the peer can write is read twice. The peer is
 * woken with every message, for NetIPC v1 has no word that says whether it sleeps.
 *
 * A sleeper in a call of ours waits for the futex and looks at the link now and then; whoever polls
 * has its futex watched (watch.h).
 */

#include "shm.h"
#include "futex.h"
#include "header-words.h"
#include "link-fast.h"
#include "stdaux.h"
#include "transport-private.h"
#include "watch.h"
#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

/* How late the end of the peer, or being cancelled, is noticed in a sleep. */
#define SLICE_NS UINT64_C(10000000)

/* How long a region that is not there yet is waited for, and how often it is looked for. */
#define ATTACH_TOTAL_MS 100u
#define ATTACH_PAUSE_MS 5

/* Looks of a caller at a session that a poller watches, for one at its link. */
#define MISSES_PER_LOOK 64u

static inline bool has_message(const struct nipc__shm *shm)
{
        /* Pairs with the release in publish() of the peer. Both wrap around together. */
        return atomic_load_explicit(shm->rx_seq, memory_order_acquire) >= shm->rx_next;
}

static bool has_data(const void *arg)
{
        return has_message(arg);
}

static int fail_broken(struct nipc_session *session)
{
        static const struct nipc_fault fault = {NIPC_PROTO_E_BAD_LAYOUT, 0,
                                                "the region must not be shortened"};

        return nipc__session_fail_fault(session, NIPC_FAILURE_RECEIVE, -EBADMSG, &fault);
}

static inline bool is_broken(const struct nipc__shm *shm)
{
        return NIPC__UNLIKELY(nipc__fault_is_broken(shm->region.fault));
}

static int check_region(struct nipc_session *session)
{
        return nipc__shm_region_check(&session->shm->region) < 0 ? fail_broken(session) : 0;
}

/* ---- sending -------------------------------------------------------------------------------- */

/* Publishes the message of `size` bytes that lies in our area, and gives the turn away. */
static inline int publish(struct nipc_session *session, uint32_t size)
{
        struct nipc__shm *shm = session->shm;

        /*
         * Each pairs with an acquire of the peer: of the message, of what it waits for. Nobody else
         * writes these words, so that a store adds one as well as an addition does; and three
         * stores go out together, where the peer, which looks at their line all the time, would
         * take it away before each addition.
         */
        atomic_store_explicit(shm->tx_len, size, memory_order_release);
        atomic_store_explicit(shm->tx_seq, ++shm->tx_last_seq, memory_order_release);
        atomic_store_explicit(shm->tx_signal, ++shm->tx_last_signal, memory_order_release);
        if (is_broken(shm))
                return fail_broken(session);
        shm->may_send = false;
        nipc__futex_wake(shm->tx_signal);
        return 0;
}

static int shm_send_now(struct nipc_session *session, const struct nipc_header *header,
                        const void *payload, size_t payload_size)
{
        struct nipc__shm *shm = session->shm;

        if (NIPC__UNLIKELY(!shm->may_send))
                return -EBUSY;
        nipc__header_write_with(header, shm->tx, (uint32_t)payload_size);
        memcpy(shm->tx + NIPC_HEADER_SIZE, payload, payload_size);
        return publish(session, NIPC_HEADER_SIZE + (uint32_t)payload_size);
}

/* What was built in the session's own buffer. */
static int shm_send(struct nipc_session *session, uint64_t deadline_ns)
{
        const struct nipc__outgoing *out = &session->out;

        return shm_send_now(session, &out->header, out->payload, out->header.payload_len);
}

static int shm_reserve(struct nipc_session *session, size_t capacity, void **ret_payload)
{
        const struct nipc__shm *shm = session->shm;

        /* The peer still reads what lies there: built elsewhere, for when it is our turn. */
        if (NIPC__UNLIKELY(!shm->may_send || capacity > shm->tx_capacity - NIPC_HEADER_SIZE))
                return nipc__session_reserve_buffer(session, capacity, ret_payload);
        nipc__session_lend(session, capacity);
        *ret_payload = shm->tx + NIPC_HEADER_SIZE;
        return 0;
}

static int shm_commit(struct nipc_session *session, const struct nipc_header *header,
                      size_t payload_size)
{
        struct nipc__shm *shm = session->shm;

        if (NIPC__UNLIKELY(!shm->may_send))
                return -EBUSY;
        nipc__header_write_with(header, shm->tx, (uint32_t)payload_size);
        return publish(session, NIPC_HEADER_SIZE + (uint32_t)payload_size);
}

/* ---- receiving ------------------------------------------------------------------------------ */

static __attribute__((noinline)) int fail_message(struct nipc_session *session, uint64_t seq,
                                                  const uint64_t words[NIPC__HEADER_WORDS])
{
        static const struct nipc_fault bad_seq = {
                NIPC_PROTO_E_BAD_LAYOUT, NIPC__SHM_REQUEST_SEQ_AT,
                "the counter of messages must rise by 1, and not before the last one was taken"};
        static const struct nipc_fault bad_len = {
                NIPC_PROTO_E_BAD_LAYOUT, NIPC__SHM_REQUEST_LEN_AT,
                "a message in a region is 32 bytes long at least, and fits its area"};
        const struct nipc_fault *fault = &bad_len;
        struct nipc_fault bad_header;

        if (is_broken(session->shm))
                return fail_broken(session);
        if (seq != session->shm->rx_next) {
                fault = &bad_seq;
        } else if (words) {
                nipc__header_get_fault(words, &bad_header);
                fault = &bad_header;
        }
        return nipc__session_fail_fault(session, NIPC_FAILURE_RECEIVE, -EBADMSG, fault);
}

/* The message that is there. Returns 0 or an error. */
static inline int take_message(struct nipc_session *session, struct nipc_message *ret_message)
{
        struct nipc__shm *shm = session->shm;
        struct nipc_header *header = &ret_message->header;
        struct nipc__buffer *rx = nipc__session_rx(session);
        uint64_t words[NIPC__HEADER_WORDS], seq;
        uint32_t len;
        int r;

        /*
         * Both pair with the release in publish() of the peer. One that counts ahead of its turn
         * would be answered for ever, and its end never heard of.
         */
        seq = atomic_load_explicit(shm->rx_seq, memory_order_acquire);
        len = atomic_load_explicit(shm->rx_len, memory_order_acquire);
        if (NIPC__UNLIKELY(seq != shm->rx_next || len < NIPC_HEADER_SIZE || len > shm->rx_capacity))
                return fail_message(session, seq, NULL);
        nipc__header_read_once(words, shm->rx);
        if (NIPC__UNLIKELY(
                    !nipc__header_from_words(words[0], words[1], words[2], words[3], header) ||
                    header->payload_len != len - NIPC_HEADER_SIZE))
                return fail_message(session, seq, words);
        if (NIPC__UNLIKELY(rx->capacity < len)) {
                r = nipc__session_make_room(session, rx, len);
                if (r < 0)
                        return r;
        }
        shm->rx_next++;
        shm->may_send = true;
        r = nipc__session_check_inbound(session, header);
        if (NIPC__UNLIKELY(r < 0)) {
                ret_message->payload = "";
                ret_message->payload_size = 0;
                return r;
        }
        memcpy(rx->bytes + NIPC_HEADER_SIZE, shm->rx + NIPC_HEADER_SIZE, header->payload_len);
        if (is_broken(shm))
                return fail_broken(session);
        r = nipc__session_finish(session, header, rx->bytes + NIPC_HEADER_SIZE, ret_message);
        return NIPC__MIN(r, 0);
}

/* ---- waiting -------------------------------------------------------------------------------- */

/* Whether the peer is still there. What it sends over the link has no meaning. */
static int look_at_link(struct nipc_session *session)
{
        uint32_t n_packets = 0;

        return nipc__link_drain(session, &n_packets, UINT32_MAX);
}

/* The value of the futex before it was looked whether there is a message. */
static inline uint32_t read_signal(const struct nipc__shm *shm)
{
        /* Before has_message(): pairs with the release in publish() of the peer. */
        return atomic_load_explicit(shm->rx_signal, memory_order_acquire);
}

/* For a caller who polls: his descriptor is readable, or is going to be. */
static void arm_bell(struct nipc__shm *shm)
{
        uint32_t seen = read_signal(shm);

        if (has_message(shm))
                nipc__watch_ring(shm->watched);
        else
                nipc__watch_arm(shm->watched, seen);
}

/* One sleep of at most `until_ns`. Returns 0 when there may be something, or an error. */
static int sleep_once(struct nipc_session *session, uint64_t until_ns, uint64_t *look_ns)
{
        struct nipc__shm *shm = session->shm;
        uint32_t seen = read_signal(shm);
        uint64_t now_ns;
        int r, k;

        if (has_message(shm))
                return 0;
        r = check_region(session);
        if (r < 0)
                return r;
        now_ns = nipc_clock_now_ns();
        if (now_ns >= until_ns)
                return -ETIMEDOUT;
        k = nipc__futex_wait(shm->rx_signal, seen, NIPC__MIN(SLICE_NS, until_ns - now_ns));
        if (has_message(shm))
                return 0;
        if (k == -EFAULT)
                return fail_broken(session);
        r = nipc__session_cancelled_or(session, 0);
        if (r < 0)
                return r;
        /* By the clock: a storm of signals must not keep us from it. */
        now_ns = nipc_clock_now_ns();
        if (k == -ETIMEDOUT || now_ns >= *look_ns) {
                *look_ns = now_ns + SLICE_NS;
                return look_at_link(session);
        }
        return 0;
}

static int sleep_for(struct nipc_session *session, uint64_t deadline_ns)
{
        struct nipc__shm *shm = session->shm;
        const bool lingers = deadline_ns == NIPC_DEADLINE_LINGER;
        uint64_t look_ns = nipc_clock_now_ns() + SLICE_NS;
        int r;

        if (lingers)
                deadline_ns = look_ns - SLICE_NS + NIPC__LINGER_NS;
        if (shm->watched)
                nipc__watch_disarm(shm->watched);
        do {
                r = sleep_once(session, deadline_ns, &look_ns);
        } while (r == 0 && !has_message(shm));
        /* What was said before the end counts. */
        if (r < 0 && r != -ECANCELED && has_message(shm))
                r = session->error;
        if (shm->is_polled)
                arm_bell(shm);
        return lingers && r == -ETIMEDOUT ? -EAGAIN : r;
}

/* There was nothing, and the caller does not want to wait. */
static int look_again(struct nipc_session *session)
{
        struct nipc__shm *shm = session->shm;
        int r;

        /* Of a session that it watches the poller knows whether there is something to say. */
        if (session->watch.active && !session->watch.has_link_event && !shm->is_polled &&
            ++session->watch.n_misses % MISSES_PER_LOOK)
                return -EAGAIN;
        if (shm->is_polled) {
                nipc__watch_silence(shm->watched);
                arm_bell(shm);
        }
        r = look_at_link(session);
        if (has_message(shm))
                return 0;
        if (r == 0)
                r = check_region(session);
        return r < 0 ? r : -EAGAIN;
}

static int wait_for_message(struct nipc_session *session, uint64_t deadline_ns)
{
        struct nipc__shm *shm = session->shm;
        int r;

        if (deadline_ns == NIPC_DEADLINE_NOW)
                return look_again(session);
        if ((!shm->has_spun || deadline_ns == NIPC_DEADLINE_SPIN) &&
            nipc__spin(&shm->spinner, has_data, shm, NIPC__SPIN_UNKNOWN_CPU)) {
                shm->has_spun = false;
                return 0;
        }
        shm->has_spun = deadline_ns == NIPC_DEADLINE_SPIN;
        if (shm->has_spun)
                return -EAGAIN;
        r = sleep_for(session, deadline_ns);
        nipc__session_end_wait(session);
        return r;
}

static int shm_receive(struct nipc_session *session, uint64_t deadline_ns,
                       struct nipc_message *ret_message)
{
        int r = 0;

        if (!has_message(session->shm))
                r = wait_for_message(session, deadline_ns);
        if (NIPC__LIKELY(r == 0))
                r = take_message(session, ret_message);
        return NIPC__LIKELY(r == 0) ? 0 : nipc__session_result(session, NIPC_FAILURE_RECEIVE, r);
}

static int shm_wait(struct nipc_session *session, uint64_t deadline_ns)
{
        int r = has_message(session->shm) ? 0 : wait_for_message(session, deadline_ns);

        return r == -ECONNRESET ? 0 : r; /* the end is something to receive */
}

/* ---- being waited for ----------------------------------------------------------------------- */

/* The poller looks at this beside the link. */
static int shm_get_bell(struct nipc_session *session)
{
        struct nipc__shm *shm = session->shm;
        int r;

        if (!shm->watched) {
                r = nipc__watch_new(shm->rx_signal, &shm->watched);
                if (r < 0)
                        return r;
        }
        return nipc__watch_get_fd(shm->watched);
}

static int add_fd(int epoll_fd, int fd)
{
        struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.fd = fd};

        return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int shm_get_fd(struct nipc_session *session)
{
        struct nipc__shm *shm = session->shm;
        int bell_fd, fd, r;

        if (shm->poll_fd >= 0)
                return shm->poll_fd;
        bell_fd = shm_get_bell(session);
        if (bell_fd < 0)
                return bell_fd;
        fd = epoll_create1(EPOLL_CLOEXEC);
        if (fd < 0)
                return -errno;
        r = add_fd(fd, bell_fd);
        if (r == 0)
                r = add_fd(fd, session->link.fd);
        if (r < 0) {
                close(fd);
                return r;
        }
        shm->poll_fd = fd;
        shm->is_polled = true;
        arm_bell(shm);
        return fd;
}

static uint32_t shm_look(struct nipc_session *session, uint32_t events)
{
        /* Sending never waits for more than one's turn. */
        uint32_t there = events & NIPC_EVENT_OUT;

        if (session->watch.has_link_event)
                return events;
        if ((events & NIPC_EVENT_IN) && has_message(session->shm))
                there |= NIPC_EVENT_IN;
        return there;
}

static uint32_t shm_arm(struct nipc_session *session, uint32_t events)
{
        struct nipc__shm *shm = session->shm;
        uint32_t seen = read_signal(shm);
        uint32_t there = shm_look(session, events);

        if (there)
                return there;
        if (nipc__shm_region_check(&shm->region) < 0) {
                session->watch.has_link_event = true; /* whoever is told will hear why */
                return events;
        }
        if (events & NIPC_EVENT_IN)
                nipc__watch_arm(shm->watched, seen);
        return 0;
}

static void shm_disarm(struct nipc_session *session)
{
        if (!session->shm->is_polled)
                nipc__watch_disarm(session->shm->watched);
}

static bool shm_hear(struct nipc_session *session, bool is_more)
{
        (void)is_more; /* its news do not come over the link */
        return look_at_link(session) < 0;
}

const struct nipc__plane_ops nipc__shm_ops = {
        .profile = NIPC_PROFILE_SHM_HYBRID,
        .send = shm_send,
        .receive = shm_receive,
        .wait = shm_wait,
        .get_fd = shm_get_fd,
        .send_now = shm_send_now,
        .reserve = shm_reserve,
        .commit = shm_commit,
        .look = shm_look,
        .arm = shm_arm,
        .disarm = shm_disarm,
        .hear = shm_hear,
        .get_bell = shm_get_bell,
};

/* ---- beginning and end ---------------------------------------------------------------------- */

uint32_t nipc__shm_get_max_payload_bytes(const struct nipc__shm *shm)
{
        return shm->tx_capacity - NIPC_HEADER_SIZE;
}

static struct nipc__shm *shm_new(uint32_t spin_cap_ns)
{
        struct nipc__shm *shm = calloc(1, sizeof(*shm));

        if (!shm)
                return NULL;
        shm->region.fd = shm->poll_fd = -1;
        nipc__spinner_init(&shm->spinner, spin_cap_ns);
        return shm;
}

static void set_sides(struct nipc__shm *shm, bool is_server)
{
        const struct nipc__shm_region *region = &shm->region;
        uint8_t *map = region->map, *request = map + region->request_offset,
                *response = map + region->response_offset;

        shm->tx = is_server ? response : request;
        shm->rx = is_server ? request : response;
        shm->tx_capacity = is_server ? region->response_capacity : region->request_capacity;
        shm->rx_capacity = is_server ? region->request_capacity : region->response_capacity;
        shm->tx_seq =
                (void *)(map + (is_server ? NIPC__SHM_RESPONSE_SEQ_AT : NIPC__SHM_REQUEST_SEQ_AT));
        shm->rx_seq =
                (void *)(map + (is_server ? NIPC__SHM_REQUEST_SEQ_AT : NIPC__SHM_RESPONSE_SEQ_AT));
        shm->tx_len =
                (void *)(map + (is_server ? NIPC__SHM_RESPONSE_LEN_AT : NIPC__SHM_REQUEST_LEN_AT));
        shm->rx_len =
                (void *)(map + (is_server ? NIPC__SHM_REQUEST_LEN_AT : NIPC__SHM_RESPONSE_LEN_AT));
        shm->tx_signal = (void *)(map + (is_server ? NIPC__SHM_RESPONSE_SIGNAL_AT
                                                   : NIPC__SHM_REQUEST_SIGNAL_AT));
        shm->rx_signal = (void *)(map + (is_server ? NIPC__SHM_REQUEST_SIGNAL_AT
                                                   : NIPC__SHM_RESPONSE_SIGNAL_AT));
        /* Nobody writes the other's counter: what it says now is where we begin. */
        shm->rx_next = atomic_load_explicit(shm->rx_seq, memory_order_acquire) + 1;
        shm->tx_last_seq = atomic_load_explicit(shm->tx_seq, memory_order_relaxed);
        shm->tx_last_signal = atomic_load_explicit(shm->tx_signal, memory_order_relaxed);
        shm->may_send = !is_server;
}

int nipc__shm_prepare(struct nipc_session *session, uint64_t session_id, const char **ret_step)
{
        struct nipc__shm *shm;
        int r;

        /* Without it nobody could poll for the session. */
        *ret_step = "futex_waitv";
        r = nipc__futex_probe_waitv();
        if (r < 0)
                return r;
        *ret_step = "memory";
        shm = shm_new(NIPC__SPIN_SERVER_NS);
        if (!shm)
                return -ENOMEM;
        r = nipc__shm_region_create(session->shm_place, session_id,
                                    session->policy.max_request_payload_bytes,
                                    session->policy.max_response_payload_bytes, &shm->region,
                                    ret_step);
        if (r < 0) {
                nipc__shm_free(shm);
                return r;
        }
        set_sides(shm, true);
        *ret_step = "watching for the client";
        r = nipc__watch_new(shm->rx_signal, &shm->watched);
        if (r < 0) {
                nipc__shm_free(shm);
                return r;
        }
        session->shm = shm;
        return 0;
}

/* Waits a little for a server that is late. 0: look again; else that ends it. */
static int pause_attach(struct nipc_session *session, uint64_t until_ns)
{
        struct pollfd pollfd = {.fd = session->link.fd, .events = POLLRDHUP};
        int timeout_ms = NIPC__MIN(ATTACH_PAUSE_MS, nipc__deadline_to_poll_ms(until_ns));
        int n = poll(&pollfd, 1, timeout_ms), r;

        r = nipc__session_cancelled_or(session, 0);
        if (r < 0)
                return r;
        return n > 0 ? -ECONNRESET : 0;
}

/* Until the region is there. *ret_is_session: the session ended meanwhile, or its time is over. */
static int attach_until(struct nipc_session *session, uint64_t session_id, struct nipc__shm *shm,
                        const char **ret_step, bool *ret_is_session)
{
        const struct nipc_session_config *config = session->opening.config;
        const uint64_t deadline_ns = session->opening.deadline_ns;
        const uint64_t give_up_ns = nipc_deadline_after_ms(ATTACH_TOTAL_MS);
        bool is_early;
        int r, k;

        for (;;) {
                r = nipc__shm_region_attach(config->run_dir, config->service, session_id,
                                            &shm->region, ret_step, &is_early);
                if (r == 0 || !is_early || deadline_ns == NIPC_DEADLINE_NOW)
                        return r;
                k = pause_attach(session, NIPC__MIN(give_up_ns, deadline_ns));
                if (k == 0 && nipc_clock_now_ns() >= deadline_ns)
                        k = -ETIMEDOUT;
                if (k < 0) {
                        *ret_is_session = true;
                        return k;
                }
                if (nipc_clock_now_ns() >= give_up_ns)
                        return r;
        }
}

int nipc__shm_attach(struct nipc_session *session, uint64_t session_id, const char **ret_step)
{
        struct nipc__shm *shm = shm_new(NIPC__SPIN_CLIENT_NS);
        bool is_session = false;
        int r;

        *ret_step = "memory";
        if (!shm)
                return -ENOMEM;
        r = attach_until(session, session_id, shm, ret_step, &is_session);
        if (is_session)
                *ret_step = NULL;
        if (r < 0) {
                nipc__shm_free(shm);
                return r;
        }
        set_sides(shm, false);
        session->shm = shm;
        return 0;
}

struct nipc__shm *nipc__shm_free(struct nipc__shm *shm)
{
        if (!shm)
                return NULL;
        if (shm->poll_fd >= 0)
                close(shm->poll_fd);
        nipc__watch_free(shm->watched); /* before the memory goes */
        if (shm->region.map)
                nipc__shm_region_release(&shm->region);
        free(shm);
        return NULL;
}
