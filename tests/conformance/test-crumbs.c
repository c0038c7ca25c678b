/* SPDX-License-Identifier: MIT */

/*
 * Peers that send in crumbs, or announce more than they send: they get neither the thread nor the
 * memory of those they talk to.
 */

#include "util-conformance.h"
#include <linux/sockios.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
        CRUMB = 40,
        N_CRUMBS = 150, /* of a message; few enough for the send buffer, packets cost it 768 */
        BUDGET = 64,    /* packets of one message at a time */
        MESSAGE = N_CRUMBS * CRUMB,
};

/* ---- crumbs --------------------------------------------------------------------------------- */

static bool send_crumb(int fd, uint64_t id, uint32_t index)
{
        uint8_t packet[32 + CRUMB], payload[MESSAGE];

        pattern_fill(payload, sizeof(payload), id);
        if (index == 0)
                raw_header(packet, NIPC_KIND_REQUEST, 7, MESSAGE, 1, id);
        else
                raw_chunk(packet, id, 32 + MESSAGE, index, N_CRUMBS, CRUMB);
        memcpy(packet + 32, payload + (size_t)index * CRUMB, CRUMB);
        return raw_send(fd, packet, sizeof(packet));
}

/* A server session whose client says it takes no packets above a crumb. */
static struct nipc_session *open_crumbs(int *ret_fd)
{
        uint8_t hello[RAW_HELLO_SIZE];
        struct nipc_session *session;
        struct pair_config config;

        pair_config_init_large(&config, 0);
        raw_hello(hello);
        raw_put32(hello, RAW_HELLO_MAX_REQUEST, MESSAGE);
        raw_put32(hello, RAW_HELLO_MAX_RESPONSE, MESSAGE);
        raw_put32(hello, RAW_HELLO_PACKET_SIZE, 32 + CRUMB);
        session = open_server(&config.listener, hello, ret_fd);
        return session;
}

/* All of a message waits: a caller who does not is told in between that there are others. */
static void try_waiting(uint64_t deadline_ns)
{
        struct nipc_message message = {.payload = NULL};
        struct nipc_session *session;
        int fd, r;

        session = open_crumbs(&fd);
        tap_require(session != NULL);
        for (uint64_t id = 1; id < 4; id++) {
                unsigned n_calls = 1;

                for (uint32_t i = 0; i < N_CRUMBS; i++)
                        tap_require(send_crumb(fd, id, i));
                while ((r = nipc_session_receive(session, deadline_ns, &message)) == -EAGAIN) {
                        tap_check(nipc_session_is_receiving(session));
                        tap_require(++n_calls < N_CRUMBS);
                }
                util_eq_error(r, 0);
                tap_check(n_calls > 1);
                tap_require(tap_eq_uint(message.payload_size, MESSAGE));
                pattern_check(message.payload, MESSAGE, id);
                tap_check(!nipc_session_is_receiving(session));
        }
        nipc_session_close(session);
        close(fd);
}

static void test_crumbs_that_wait(void)
{
        if (!conformance_is_baseline())
                tap_skip("packets of the baseline");
        try_waiting(NIPC_DEADLINE_NOW);
        try_waiting(NIPC_DEADLINE_LINGER);
}

/* A caller who has time is not bothered. */
static void test_crumbs_with_deadline(void)
{
        struct nipc_message message;
        struct nipc_session *session;
        int fd;

        if (!conformance_is_baseline())
                tap_skip("packets of the baseline");
        session = open_crumbs(&fd);
        tap_require(session != NULL);
        for (uint32_t i = 0; i < N_CRUMBS; i++)
                tap_require(send_crumb(fd, 1, i));
        util_eq_error(nipc_session_receive(session, util_soon(), &message), 0);
        nipc_session_close(session);
        close(fd);
}

/* The other way: an answer goes out in turns, too. */
static void test_crumbs_to_send(void)
{
        struct nipc_header response = make_response(1);
        struct nipc_session *session;
        uint8_t packet[32 + CRUMB];
        unsigned n_calls = 1;
        int fd, r;

        if (!conformance_is_baseline())
                tap_skip("packets of the baseline");
        session = open_crumbs(&fd);
        tap_require(session != NULL);
        r = pattern_send(session, &response, MESSAGE, 1, SEND_COPY, NIPC_DEADLINE_NOW);
        while (r == -EAGAIN && n_calls < N_CRUMBS) {
                tap_check(nipc_session_has_pending(session));
                r = nipc_session_flush(session, NIPC_DEADLINE_NOW);
                n_calls++;
        }
        util_eq_error(r, 0);
        tap_check(n_calls > 1);
        for (uint32_t i = 0; i < N_CRUMBS; i++)
                tap_eq_int(raw_receive(fd, packet, sizeof(packet)), sizeof(packet));
        tap_check(!raw_is_readable(fd));
        nipc_session_close(session);
        close(fd);
}

/* ---- one crumb at a time -------------------------------------------------------------------- */

struct feeder {
        int fd;
        uint64_t id;
        atomic_uint n_sent;
        pthread_t thread;
};

/* The next one as soon as the one before was read. */
static void *feeder_main(void *userdata)
{
        struct feeder *feeder = userdata;

        for (uint32_t i = 0; i < N_CRUMBS; i++) {
                int n_unread = 0;

                do
                        sched_yield();
                while (ioctl(feeder->fd, SIOCOUTQ, &n_unread) == 0 && n_unread > 0);
                if (!send_crumb(feeder->fd, feeder->id, i))
                        break;
                atomic_fetch_add(&feeder->n_sent, 1);
        }
        return NULL;
}

/* Lingering is for the first packet: the rest is only taken if it is there. */
static void test_lingering_with_crumbs(void)
{
        struct nipc_message message = {.payload = NULL};
        struct feeder feeder = {.fd = -1};
        struct nipc_session *session;
        unsigned n_sent;
        int r;

        if (!conformance_is_baseline())
                tap_skip("packets of the baseline");
        session = open_crumbs(&feeder.fd);
        tap_require(session != NULL);
        for (feeder.id = 1; feeder.id < 20; feeder.id++) {
                atomic_store(&feeder.n_sent, 0);
                tap_require(pthread_create(&feeder.thread, NULL, feeder_main, &feeder) == 0);
                nipc_session_wait(session, util_soon());
                r = nipc_session_receive(session, NIPC_DEADLINE_LINGER, &message);
                n_sent = atomic_load(&feeder.n_sent);
                util_eq_error(r, -EAGAIN);
                tap_check(n_sent <= BUDGET + 3); /* the first, one that waits, one on its way */
                if (r == -EAGAIN)
                        r = nipc_session_receive(session, util_soon(), &message);
                pthread_join(feeder.thread, NULL);
                tap_require(util_eq_error(r, 0) && message.payload_size == MESSAGE);
                pattern_check(message.payload, MESSAGE, feeder.id);
        }
        nipc_session_close(session);
        close(feeder.fd);
}

/* ---- announcements -------------------------------------------------------------------------- */

/* Bytes of address space that this process has taken. */
static uint64_t address_space(void)
{
        FILE *file = fopen("/proc/self/statm", "re");
        unsigned long n_pages = 0;

        if (!file || fscanf(file, "%lu", &n_pages) != 1)
                tap_fail("no /proc/self/statm");
        if (file)
                fclose(file);
        return (uint64_t)n_pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

#define MUCH (UINT64_C(256) * 1024 * 1024)

/* Packets of 4 GiB, says the server; the client has not proposed anything like it. */
static void test_large_packets_announced(void)
{
        struct nipc_message message;
        struct nipc_session *session;
        struct pair_config config;
        uint8_t ack[RAW_ACK_SIZE];
        uint64_t before;
        int fd;

        if (!conformance_is_baseline())
                tap_skip("packets of the baseline");
        pair_config_init(&config);
        config.session.max_receive_bytes = UINT32_MAX - 32;
        raw_ack(ack);
        raw_put32(ack, RAW_ACK_MAX_RESPONSE, UINT32_MAX);
        raw_put32(ack, RAW_ACK_PACKET_SIZE, UINT32_MAX);
        session = open_client(&config.session, ack, &fd);
        tap_require(session != NULL);
        before = address_space();
        util_eq_error(nipc_session_receive(session, NIPC_DEADLINE_NOW, &message), -EAGAIN);
        tap_check(address_space() < before + MUCH);
        nipc_session_close(session);
        close(fd);
}

/* A message of 1 GiB, says its first packet; no other comes. */
static void test_large_message_announced(void)
{
        const uint32_t size = 1024 * 1024 * 1024;
        uint8_t hello[RAW_HELLO_SIZE], packet[1024];
        struct nipc_message message;
        struct nipc_session *session;
        struct pair_config config;
        uint64_t before;
        int fd;

        if (!conformance_is_baseline())
                tap_skip("packets of the baseline");
        pair_config_init_large(&config, 0);
        config.listener.max_request_payload_bytes = size;
        raw_hello(hello);
        raw_put32(hello, RAW_HELLO_MAX_REQUEST, size);
        raw_put32(hello, RAW_HELLO_PACKET_SIZE, sizeof(packet));
        session = open_server(&config.listener, hello, &fd);
        tap_require(session != NULL);
        memset(packet, 0, sizeof(packet));
        raw_header(packet, NIPC_KIND_REQUEST, 7, size, 1, 1);
        tap_check(raw_send(fd, packet, sizeof(packet)));
        before = address_space();
        util_eq_error(nipc_session_receive(session, NIPC_DEADLINE_NOW, &message), -EAGAIN);
        tap_check(nipc_session_is_receiving(session));
        tap_check(address_space() < before + MUCH);
        nipc_session_close(session);
        close(fd);
}

/* With its header a message has to be below 4 GiB (wire-v1 §2). */
static void test_largest_receive(void)
{
        struct nipc_failure failure = NIPC_FAILURE_INIT;
        struct nipc_session *session = NULL;
        struct pair_config config;
        struct pair pair;

        pair_config_init(&config);
        for (uint32_t over = 0; over < 32; over++) {
                config.session.max_receive_bytes = UINT32_MAX - over;
                util_eq_error(nipc_session_open(&config.session, util_soon(), &session, &failure),
                              -EINVAL);
                tap_eq_uint(failure.stage, NIPC_FAILURE_CONFIG);
        }
        config.session.max_receive_bytes = UINT32_MAX - 32;
        tap_require(pair_open(&pair, &config));
        pair_close(&pair);
}

/* ---- what was built is not lost ------------------------------------------------------------- */

static void test_commit_again(void)
{
        struct nipc_header request = make_request(1);
        struct nipc_message message;
        struct pair_config config;
        struct pair pair;
        void *payload;

        pair_config_init_large(&config, 0);
        tap_require(pair_open(&pair, &config));
        tap_check(transfer(pair.client, pair.server, &request, 10, SEND_COPY));
        util_eq_error(nipc_session_reserve(pair.client, 300000, &payload), 0);
        pattern_fill(payload, 300000, 4);
        for (unsigned i = 0; i < 3; i++)
                util_eq_error(nipc_session_commit(pair.client, &request, 300000, util_soon()),
                              -EEXIST);
        tap_check(!nipc_session_has_pending(pair.client));
        tap_eq_uint(nipc_session_get_in_flight(pair.client), 1);
        take_turn(&pair, 1);
        request.message_id = 2;
        util_eq_error(nipc_session_commit(pair.client, &request, 1000, util_soon()), 0);
        util_eq_error(nipc_session_receive(pair.server, util_soon(), &message), 0);
        if (tap_eq_uint(message.payload_size, 1000))
                pattern_check(message.payload, 1000, 4);
        util_eq_error(nipc_session_commit(pair.client, &request, 1000, util_soon()), -EINVAL);
        tap_eq_int(session_failure(pair.client).error, 0);
        pair_close(&pair);
}

UTIL_MAIN(TAP_CASE(test_crumbs_that_wait), TAP_CASE(test_crumbs_with_deadline),
          TAP_CASE(test_crumbs_to_send), TAP_CASE(test_lingering_with_crumbs),
          TAP_CASE(test_large_packets_announced), TAP_CASE(test_large_message_announced),
          TAP_CASE(test_largest_receive), TAP_CASE(test_commit_again))
