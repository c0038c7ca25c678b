/* SPDX-License-Identifier: MIT */

/*
 * The SHM_HYBRID and SHM_BUSYWAIT planes (transport-windows §3): one message at a time in each
 * direction, in a region of memory, announced by a counter. The link carries nothing; its end is
 * the peer's end, and to look whether it has come is a look into memory, for a read is under way.
 *
 * Invariants: a request and its response take turns, so an area is written only when the peer is
 * known to have read what was in it. Nothing that the peer can write is read twice, but for what
 * shows that it wrote out of turn.
 *
 * A sleeper in a call of ours waits for the region's event, the link and the cancel object at once.
 * SHM_BUSYWAIT has no event: there memory is looked at all the time at first, and every millisecond
 * later. A caller who polls has the event of the link, which the pool sets for the region's, or for
 * SHM_BUSYWAIT a timer.
 */

#include "shm.h"
#include "header-words.h"
#include "link-fast.h"
#include "pipe.h"
#include "stdaux.h"
#include "transport-private.h"
#include <errno.h>

#define LINGER_NS UINT64_C(1000000) /* as long as on a pipe */

/* How long a region that is not there yet is waited for, and how often it is looked for. */
#define ATTACH_TOTAL_MS 100u
#define ATTACH_PAUSE_NS UINT64_C(5000000)

/* Packets of the link that are taken at once; it has no business to carry any. */
#define MAX_DRAINED 16u

/* Names that are tried when a region of an earlier server is still there; chosen, not tuned. */
#define MAX_NAMES 16u

#define POLL_MS 1

static inline bool has_message(const struct nipc__shm *shm)
{
        return nipc__shm_channel_has_message(&shm->channel);
}

static bool has_data(const void *arg)
{
        return has_message(arg);
}

/* ---- sending -------------------------------------------------------------------------------- */

/* Publishes the message of `size` bytes that lies in our area, and gives the turn away. */
static inline int publish(struct nipc__shm *shm, uint32_t size)
{
        shm->may_send = false;
        nipc__shm_channel_publish(&shm->channel, size);
        return 0;
}

static int shm_send_now(struct nipc_session *session, const struct nipc_header *header,
                        const void *payload, size_t payload_size)
{
        struct nipc__shm *shm = session->shm;

        if (NIPC__UNLIKELY(!shm->may_send))
                return -EBUSY;
        nipc__header_write_with(header, shm->channel.tx, (uint32_t)payload_size);
        memcpy(shm->channel.tx + NIPC_HEADER_SIZE, payload, payload_size);
        return publish(shm, NIPC_HEADER_SIZE + (uint32_t)payload_size);
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
        if (NIPC__UNLIKELY(!shm->may_send ||
                           capacity > shm->channel.tx_capacity - NIPC_HEADER_SIZE))
                return nipc__session_reserve_buffer(session, capacity, ret_payload);
        nipc__session_lend(session, capacity);
        *ret_payload = shm->channel.tx + NIPC_HEADER_SIZE;
        return 0;
}

static int shm_commit(struct nipc_session *session, const struct nipc_header *header,
                      size_t payload_size)
{
        struct nipc__shm *shm = session->shm;

        if (NIPC__UNLIKELY(!shm->may_send))
                return -EBUSY;
        nipc__header_write_with(header, shm->channel.tx, (uint32_t)payload_size);
        return publish(shm, NIPC_HEADER_SIZE + (uint32_t)payload_size);
}

/* ---- receiving ------------------------------------------------------------------------------ */

/* words: of a header that is not good; NULL: it did not come to that. */
static NIPC__COLD int fail_message(struct nipc_session *session, bool is_out_of_turn,
                                   const uint64_t words[NIPC__HEADER_WORDS])
{
        static const struct nipc_fault bad_turn = {
                NIPC_PROTO_E_BAD_LAYOUT, NIPC__SHM_REQUEST_SEQ_AT,
                "a message in a region is left alone until it has been taken"};
        static const struct nipc_fault bad_len = {
                NIPC_PROTO_E_BAD_LAYOUT, NIPC__SHM_REQUEST_LEN_AT,
                "a message in a region is 32 bytes long at least, and fits its area"};
        const struct nipc_fault *fault = is_out_of_turn ? &bad_turn : &bad_len;
        struct nipc_fault bad_header;

        if (words) {
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
        uint64_t words[NIPC__HEADER_WORDS];
        uint32_t len;
        int r;

        if (NIPC__UNLIKELY(nipc__shm_channel_begin(&shm->channel, &len) < 0 ||
                           len < NIPC_HEADER_SIZE))
                return fail_message(session, false, NULL);
        nipc__header_read_once(words, shm->channel.rx);
        if (NIPC__UNLIKELY(
                    !nipc__header_from_words(words[0], words[1], words[2], words[3], header) ||
                    header->payload_len != len - NIPC_HEADER_SIZE))
                return fail_message(session, false, words);
        if (NIPC__UNLIKELY(rx->capacity < len)) {
                r = nipc__session_make_room(session, rx, len);
                if (r < 0)
                        return r;
        }
        shm->may_send = true;
        r = nipc__session_check_inbound(session, header);
        if (NIPC__LIKELY(r == 0))
                memcpy(rx->bytes + NIPC_HEADER_SIZE, shm->channel.rx + NIPC_HEADER_SIZE,
                       header->payload_len);
        if (NIPC__UNLIKELY(nipc__shm_channel_end(&shm->channel, len) < 0))
                return fail_message(session, true, NULL);
        if (NIPC__UNLIKELY(r < 0)) {
                ret_message->payload = "";
                ret_message->payload_size = 0;
                return r;
        }
        r = nipc__session_finish(session, header, rx->bytes + NIPC_HEADER_SIZE, ret_message);
        return NIPC__MIN(r, 0);
}

/* ---- waiting -------------------------------------------------------------------------------- */

/* Whether the peer is still there. What it sends over the link has no meaning. */
static int look_at_link(struct nipc_session *session)
{
        uint8_t byte;
        struct iovec iov = {&byte, sizeof(byte)};
        ssize_t n;

        for (unsigned i = 0; i < MAX_DRAINED; i++) {
                n = nipc__link_receive(session, &iov, 1, NIPC_DEADLINE_NOW);
                if (n == -EAGAIN)
                        return 0;
                if (n < 0)
                        return (int)n;
        }
        return 0; /* there may be more, and then its event says so */
}

/* 0: a message; -EAGAIN; or why there will be none. */
static int look(struct nipc_session *session)
{
        struct nipc__shm *shm = session->shm;
        int r;

        if (has_message(shm))
                return 0;
        r = look_at_link(session);
        if (r == 0 && nipc__shm_channel_is_peer_closed(&shm->channel))
                r = -ECONNRESET;
        if (r == 0)
                return -EAGAIN;
        /* What was said before the end counts. */
        return r != -ECANCELED && has_message(shm) ? 0 : r;
}

/* For SHM_HYBRID: the peer sets the event with its next message. */
static void arm(struct nipc__shm *shm)
{
        if (shm->channel.rx_event) /* pairs with the exchange in publish of the peer */
                atomic_exchange_explicit(shm->channel.rx_waiting, 1, memory_order_seq_cst);
}

/* For a caller who polls: the event of the link is set, or is going to be. */
static void show(struct nipc_session *session)
{
        struct nipc__shm *shm = session->shm;
        struct nipc__pipe *pipe = session->link.pipe;

        if (!shm->channel.rx_event) /* his timer goes on by itself */
                return;
        ResetEvent(pipe->read.hEvent);
        arm(shm);
        /* After what we are armed for; a read that has ended may have set it before. */
        if (nipc__shm_bell_begin(&shm->bell, shm->channel.rx_event) < 0 || has_message(shm) ||
            nipc__shm_channel_is_peer_closed(&shm->channel) || nipc__pipe_look(pipe))
                SetEvent(pipe->read.hEvent);
}

static int sleep_until(struct nipc_session *session, uint64_t deadline_ns)
{
        void *others[] = {session->link.pipe->read.hEvent,
                          session->cancel ? session->cancel->event : NULL};
        int r;

        for (;;) {
                r = look(session);
                if (r != -EAGAIN)
                        return r;
                r = nipc__shm_channel_wait(&session->shm->channel, others, session->cancel ? 2 : 1,
                                           deadline_ns);
                if (r <= 0 && r != -EAGAIN)
                        return r;
                r = nipc__session_cancelled_or(session, 0);
                if (r < 0)
                        return r;
                /* By the clock: a peer that wakes us for nothing must not keep us from it. */
                if (nipc_clock_now_ns() >= deadline_ns) {
                        r = look(session);
                        return r == -EAGAIN ? -ETIMEDOUT : r;
                }
        }
}

static int sleep_for(struct nipc_session *session, uint64_t deadline_ns)
{
        const bool lingers = deadline_ns == NIPC_DEADLINE_LINGER;
        struct nipc__shm *shm = session->shm;
        int r;

        if (lingers)
                deadline_ns = nipc_clock_now_ns() + LINGER_NS;
        nipc__shm_bell_end(&shm->bell); /* it would take our wakes */
        /* May be of a message that was taken. The link is looked at before we sleep. */
        if (shm->is_polled)
                ResetEvent(session->link.pipe->read.hEvent);
        r = sleep_until(session, deadline_ns);
        if (shm->is_polled)
                show(session);
        return lingers && r == -ETIMEDOUT ? -EAGAIN : r;
}

static int wait_for_message(struct nipc_session *session, uint64_t deadline_ns)
{
        struct nipc__shm *shm = session->shm;
        int r;

        if (deadline_ns == NIPC_DEADLINE_NOW) {
                if (shm->is_polled)
                        show(session);
                return look(session);
        }
        /* Without an event all of the wait is a spin, and it yields. */
        if ((deadline_ns == NIPC_DEADLINE_SPIN || (!shm->has_spun && shm->channel.rx_event)) &&
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

/* What nobody sets is looked for when a timer says so. */
static int get_timer(struct nipc__shm *shm)
{
        LARGE_INTEGER due = {.QuadPart = -10000 * POLL_MS}; /* in 100 ns, from now */

        if (shm->timer)
                return (int)(intptr_t)shm->timer;
        shm->timer = CreateWaitableTimerW(NULL, FALSE, NULL);
        if (!shm->timer)
                return -EMFILE;
        if (!SetWaitableTimer(shm->timer, &due, POLL_MS, NULL, NULL, FALSE)) {
                CloseHandle(shm->timer);
                shm->timer = NULL;
                return -EIO;
        }
        return (int)(intptr_t)shm->timer;
}

static int shm_get_fd(struct nipc_session *session)
{
        struct nipc__shm *shm = session->shm;
        int fd, r;

        if (!shm->channel.rx_event)
                return get_timer(shm);
        fd = nipc__link_get_fd(&session->link);
        if (fd < 0 || shm->is_polled)
                return fd;
        nipc__shm_bell_end(&shm->bell); /* of a poller */
        shm->bell.event = session->link.pipe->read.hEvent;
        r = nipc__shm_bell_begin(&shm->bell, shm->channel.rx_event);
        if (r < 0) {
                shm->bell.event = NULL;
                return r;
        }
        shm->is_polled = true;
        show(session);
        nipc__session_end_wait(session); /* a poller that waits for the same event must not */
        return fd;
}

static uint32_t shm_look(struct nipc_session *session, uint32_t events)
{
        struct nipc__shm *shm = session->shm;
        /* Sending never waits for more than one's turn. */
        uint32_t there = events & NIPC_EVENT_OUT;

        if (!session->watch.has_link_event && look_at_link(session) < 0)
                session->watch.has_link_event = true;
        if (session->watch.has_link_event)
                return events;
        if ((events & NIPC_EVENT_IN) &&
            (has_message(shm) || nipc__shm_channel_is_peer_closed(&shm->channel)))
                there |= NIPC_EVENT_IN;
        return there;
}

static void shm_disarm(struct nipc_session *session)
{
        struct nipc__shm *shm = session->shm;

        /* A wake too many does no harm. */
        if (!shm->is_polled)
                atomic_store_explicit(shm->channel.rx_waiting, 0, memory_order_relaxed);
}

static uint32_t shm_arm(struct nipc_session *session, uint32_t events)
{
        uint32_t there;

        if (events & NIPC_EVENT_IN)
                arm(session->shm);
        there = shm_look(session, events);
        if (there)
                shm_disarm(session);
        return there;
}

static int shm_get_bell(struct nipc_session *session)
{
        void *event = session->shm->channel.rx_event;

        return event ? (int)(intptr_t)event : -EOPNOTSUPP;
}

int nipc__shm_ring_at(struct nipc_session *session, void *port, void *key)
{
        struct nipc__shm *shm = session->shm;

        if (shm->bell.port == port && shm->bell.key == key && (!port || shm->bell.pool_wait))
                return 0;
        nipc__shm_bell_end(&shm->bell);
        shm->bell.port = port;
        shm->bell.key = key;
        return port || shm->is_polled ? nipc__shm_bell_begin(&shm->bell, shm->channel.rx_event) : 0;
}

#define SHM_OPS(which)                                                                          \
        {                                                                                       \
                .profile = (which), .send = shm_send, .receive = shm_receive, .wait = shm_wait, \
                .get_fd = shm_get_fd, .send_now = shm_send_now, .reserve = shm_reserve,         \
                .commit = shm_commit, .look = shm_look, .arm = shm_arm, .disarm = shm_disarm,   \
                .get_bell = shm_get_bell,                                                       \
        }

const struct nipc__plane_ops nipc__shm_hybrid_ops = SHM_OPS(NIPC_PROFILE_SHM_HYBRID);
const struct nipc__plane_ops nipc__shm_busywait_ops = SHM_OPS(NIPC_PROFILE_SHM_BUSYWAIT);

/* ---- beginning and end ---------------------------------------------------------------------- */

int nipc__shm_place_new(const char *run_dir, const char *service, uint64_t auth_token,
                        struct nipc__shm_place **ret_place)
{
        const size_t dir_size = strlen(run_dir) + 1, service_size = strlen(service) + 1;
        struct nipc__shm_place *place = malloc(sizeof(*place) + dir_size + service_size);

        if (!place)
                return -ENOMEM;
        atomic_init(&place->n_refs, 1);
        place->auth_token = auth_token;
        place->service = place->run_dir + dir_size;
        memcpy(place->run_dir, run_dir, dir_size);
        memcpy(place->service, service, service_size);
        *ret_place = place;
        return 0;
}

struct nipc__shm_place *nipc__shm_place_ref(struct nipc__shm_place *place)
{
        if (place) /* who takes one has one */
                atomic_fetch_add_explicit(&place->n_refs, 1, memory_order_relaxed);
        return place;
}

struct nipc__shm_place *nipc__shm_place_unref(struct nipc__shm_place *place)
{
        /* Pairs with itself: the last one sees what the others did. */
        if (place && atomic_fetch_sub_explicit(&place->n_refs, 1, memory_order_acq_rel) == 1)
                free(place);
        return NULL;
}

static struct nipc__shm *shm_new(void)
{
        struct nipc__shm *shm = calloc(1, sizeof(*shm));

        if (shm)
                nipc__shm_spinner_init(&shm->spinner);
        return shm;
}

int nipc__shm_prepare(struct nipc_session *session, uint32_t profile, uint64_t *session_id,
                      const char **ret_step)
{
        const struct nipc__shm_place *place = session->shm_place;
        struct nipc__shm *shm = shm_new();
        struct nipc__shm_names names;
        uint64_t id = *session_id;
        int r = -EADDRINUSE;

        *ret_step = "memory";
        if (!shm)
                return -ENOMEM;
        /*
         * A client of an earlier server has its region until he looks for it. The listener counts
         * in the lower half: no two of its sessions meet.
         */
        for (unsigned i = 0; i < MAX_NAMES && r == -EADDRINUSE; i++) {
                id = *session_id + ((uint64_t)i << 32);
                *ret_step = "name of the region";
                r = nipc__name_shm(place->run_dir, place->service, place->auth_token, profile, id,
                                   &names);
                if (r == 0)
                        r = nipc__shm_region_create(&names, profile,
                                                    session->policy.max_request_payload_bytes,
                                                    session->policy.max_response_payload_bytes,
                                                    &shm->region, ret_step);
        }
        if (r < 0) {
                free(shm);
                return r;
        }
        nipc__shm_channel_init(&shm->channel, &shm->region, true);
        session->shm = shm;
        *session_id = id;
        return 0;
}

/* Waits a little for a server that is late. 0: look again; else that ends it. */
static int pause_attach(struct nipc_session *session, uint64_t until_ns)
{
        struct nipc__pipe *pipe = session->link.pipe;
        int r;

        if (nipc__pipe_look(pipe)) /* nothing follows HELLO_ACK here but the end */
                return nipc__session_cancelled_or(session, -ECONNRESET);
        r = nipc__event_wait(pipe->read.hEvent, session->cancel,
                             NIPC__MIN(until_ns, nipc_clock_now_ns() + ATTACH_PAUSE_NS));
        if (r == 0)
                return nipc__session_cancelled_or(session, -ECONNRESET);
        return r == -ETIMEDOUT ? 0 : r;
}

/* Until the region is there. *ret_is_session: the session ended meanwhile, or its time is over. */
static int attach_until(struct nipc_session *session, const struct nipc__shm_names *names,
                        uint32_t profile, struct nipc__shm *shm, const char **ret_step,
                        bool *ret_is_session)
{
        const uint64_t deadline_ns = session->opening.deadline_ns;
        const uint64_t give_up_ns = nipc_deadline_after_ms(ATTACH_TOTAL_MS);
        bool is_early;
        int r, k;

        for (;;) {
                r = nipc__shm_region_attach(names, profile, &shm->region, ret_step, &is_early);
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

int nipc__shm_attach(struct nipc_session *session, uint32_t profile, uint64_t session_id,
                     const char **ret_step)
{
        const struct nipc_session_config *config = session->opening.config;
        struct nipc__shm *shm = shm_new();
        struct nipc__shm_names names;
        bool is_session = false;
        int r;

        *ret_step = "memory";
        if (!shm)
                return -ENOMEM;
        *ret_step = "name of the region";
        r = nipc__name_shm(config->run_dir, config->service, config->auth_token, profile,
                           session_id, &names);
        if (r == 0)
                r = attach_until(session, &names, profile, shm, ret_step, &is_session);
        if (is_session)
                *ret_step = NULL;
        if (r < 0) {
                free(shm);
                return r;
        }
        nipc__shm_channel_init(&shm->channel, &shm->region, false);
        shm->may_send = true;
        session->shm = shm;
        return 0;
}

struct nipc__shm *nipc__shm_free(struct nipc__shm *shm)
{
        if (!shm)
                return NULL;
        nipc__shm_bell_end(&shm->bell); /* before the event goes */
        if (shm->timer)
                CloseHandle(shm->timer);
        nipc__shm_channel_close(&shm->channel);
        nipc__shm_region_release(&shm->region);
        free(shm);
        return NULL;
}
