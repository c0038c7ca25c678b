/* SPDX-License-Identifier: MIT */

/*
 * Requests of one session that are handled side by side: each is answered when it is finished, none
 * is lost or answered twice, whatever ends before what. Handlers go on when the test lets them.
 */

#include <errno.h>
#include <nipc/metrics.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "tap.h"
#include "util-service.h"

#define N_WORKERS   2u
#define MAX         8u
#define DEADLINE_MS 20000u

static struct nipc_server_status status_of(const struct nipc_server *server)
{
        struct nipc_server_status status = NIPC_SERVER_STATUS_INIT;

        nipc_server_get_status(server, &status);
        return status;
}

static const uint32_t profiles[] = {NIPC_PROFILE_BASELINE,
                                    NIPC_PROFILE_BASELINE | NIPC_PROFILE_RING};

static struct {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        unsigned n_waiting; /* in a handler */
        unsigned n_free;    /* that may go on */
} gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0};

static void gate_wait(void)
{
        pthread_mutex_lock(&gate.lock);
        gate.n_waiting++;
        pthread_cond_broadcast(&gate.changed);
        while (!gate.n_free)
                pthread_cond_wait(&gate.changed, &gate.lock);
        gate.n_free--;
        gate.n_waiting--;
        pthread_mutex_unlock(&gate.lock);
}

static void gate_free(unsigned n)
{
        pthread_mutex_lock(&gate.lock);
        gate.n_free += n;
        pthread_cond_broadcast(&gate.changed);
        pthread_mutex_unlock(&gate.lock);
}

/* Until so many handlers wait. */
static void gate_await(unsigned n)
{
        pthread_mutex_lock(&gate.lock);
        while (gate.n_waiting < n)
                pthread_cond_wait(&gate.changed, &gate.lock);
        pthread_mutex_unlock(&gate.lock);
}

/* As util_handle(), and 'w': waits at the gate, then echoes; 'W': waits, then fails. */
static int handle(void *userdata, const struct nipc_request *request, void *response,
                  size_t capacity, size_t *ret_size)
{
        const char *payload = request->payload;

        if (payload[0] == 'w' || payload[0] == 'W')
                gate_wait();
        if (payload[0] == 'W')
                return -EIO;
        if (payload[0] != 'w')
                return util_handle(userdata, request, response, capacity, ret_size);
        *ret_size = request->payload_size;
        memcpy(response, payload, *ret_size);
        return 0;
}

static struct nipc_server *serve(struct nipc_server_config *config, uint32_t profile,
                                 const char *service)
{
        const struct nipc_handler handler = {sizeof(handler), UTIL_CODE, handle, NULL, NULL};
        struct nipc_server *server = NULL;

        config->run_dir = util_run_dir();
        config->service = service;
        config->profiles = profile;
        if (!config->n_workers)
                config->n_workers = N_WORKERS;
        tap_eq_int(nipc_server_new(config, &handler, &server), 0);
        tap_eq_int(nipc_server_start(server), 0);
        return server;
}

static struct nipc_session *join(uint32_t profile, const char *service)
{
        struct nipc_session_config config = NIPC_SESSION_CONFIG_INIT;
        struct nipc_session *session = NULL;

        config.run_dir = util_run_dir();
        config.service = service;
        config.supported_profiles = config.preferred_profiles = profile;
        config.max_response_payload_bytes = 65536;
        tap_eq_int(nipc_session_open(&config, nipc_deadline_after_ms(DEADLINE_MS), &session, NULL),
                   0);
        return session;
}

static void end(struct nipc_session *session, struct nipc_server *server)
{
        nipc_session_close(session);
        nipc_server_free(server);
}

static void ask(struct nipc_session *session, uint64_t id, const char *payload)
{
        const struct nipc_header header = util_request(id, (uint32_t)strlen(payload));

        tap_eq_int(nipc_session_send(session, &header, payload, strlen(payload),
                                     nipc_deadline_after_ms(DEADLINE_MS)),
                   0);
}

static bool receive(struct nipc_session *session, struct nipc_message *ret_message)
{
        return nipc_session_receive(session, nipc_deadline_after_ms(DEADLINE_MS), ret_message) >= 0;
}

/* The id of the next answer, after a look at what it says; 0: there is none. */
static uint64_t hear(struct nipc_session *session, uint16_t status, const char *payload)
{
        struct nipc_message message;

        if (!receive(session, &message))
                return 0;
        tap_eq_uint(message.header.transport_status, status);
        tap_eq_uint(message.payload_size, strlen(payload));
        tap_check(!memcmp(message.payload, payload, strlen(payload)));
        return message.header.message_id;
}

static void test_quick_ones_overtake(void)
{
        for (unsigned i = 0; i < 2; i++) {
                struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
                struct nipc_session *session;
                struct nipc_server *server;

                config.max_concurrent_requests = MAX;
                server = serve(&config, profiles[i], "overtake");
                session = join(profiles[i], "overtake");
                ask(session, 1, "w1");
                ask(session, 2, "e2");
                ask(session, 3, "e3");
                tap_eq_uint(hear(session, 0, "e2"), 2);
                tap_eq_uint(hear(session, 0, "e3"), 3); /* and the first still waits */
                gate_free(1);
                tap_eq_uint(hear(session, 0, "w1"), 1);
                end(session, server);
        }
}

/* Without it, or with one at a time. */
static void test_in_order_by_default(void)
{
        for (uint32_t n = 0; n < 2; n++) {
                struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
                struct nipc_session *session;
                struct nipc_server *server;

                config.max_concurrent_requests = n;
                server = serve(&config, NIPC_PROFILE_BASELINE, "order");
                session = join(NIPC_PROFILE_BASELINE, "order");
                ask(session, 1, "w1");
                ask(session, 2, "e2");
                gate_free(1);
                tap_eq_uint(hear(session, 0, "w1"), 1);
                tap_eq_uint(hear(session, 0, "e2"), 2);
                end(session, server);
        }
}

/* As many in hand as may be: further ones wait, and none is lost. */
static void test_limit(void)
{
        for (unsigned i = 0; i < 2; i++) {
                struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
                struct nipc_session *session;
                struct nipc_server *server;
                uint64_t seen = 0;

                config.max_concurrent_requests = 2;
                config.n_workers = 4;
                server = serve(&config, profiles[i], "limit");
                session = join(profiles[i], "limit");
                for (uint64_t id = 1; id <= 20; id++)
                        ask(session, id, "w");
                gate_await(2); /* side by side, or this never ends */
                for (unsigned n = 0; n < 20; n++) {
                        uint64_t id;

                        gate_free(1);
                        id = hear(session, 0, "w");
                        tap_check(id <= n + 2); /* of the two that were in hand */
                        seen |= UINT64_C(1) << id;
                }
                tap_eq_uint(seen, (UINT64_C(1) << 21) - 2);
                end(session, server);
        }
}

/* After an error answer no more is taken, and the session ends when those in hand are answered. */
static void test_error(void)
{
        for (unsigned i = 0; i < 2; i++) {
                struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
                struct nipc_session *session;
                struct nipc_server *server;

                config.max_concurrent_requests = MAX;
                server = serve(&config, profiles[i], "error");
                session = join(profiles[i], "error");
                ask(session, 1, "w1");
                ask(session, 2, "n2");
                tap_eq_uint(hear(session, NIPC_TRANSPORT_STATUS_INTERNAL_ERROR, ""), 2);
                ask(session, 3, "e3");
                gate_free(1);
                tap_eq_uint(hear(session, 0, "w1"), 1);
                tap_eq_uint(hear(session, 0, ""), 0);
                end(session, server);
        }
}

/* The same for what is answered at once: a large request, one for metrics gone wrong. */
static void test_error_at_once(void)
{
        for (unsigned i = 0; i < 2; i++) {
                struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
                const struct nipc_header first = util_request(1, 1);
                struct nipc_header header = util_request(2, 4096), answer;
                struct nipc_server *server;
                char large[4096] = "e", buf[8];
                int fd;

                if (i)
                        header.code = NIPC_METHOD_STAT, header.payload_len = 1;
                config.max_concurrent_requests = MAX;
                config.max_request_bytes = 1024;
                server = serve(&config, NIPC_PROFILE_BASELINE, "large");
                fd = util_raw_open("large", 1);
                tap_check(util_raw_send(fd, &first, "w", 1));
                tap_check(util_raw_send(fd, &header, large, header.payload_len));
                tap_eq_int(util_raw_receive(fd, &answer, buf, sizeof(buf)), 0);
                tap_eq_uint(answer.message_id, 2);
                tap_eq_uint(answer.transport_status, i ? NIPC_TRANSPORT_STATUS_BAD_ENVELOPE
                                                       : NIPC_TRANSPORT_STATUS_LIMIT_EXCEEDED);
                gate_free(1);
                tap_eq_int(util_raw_receive(fd, &answer, buf, sizeof(buf)), 1);
                tap_eq_uint(answer.message_id, 1);
                tap_eq_int(util_raw_receive(fd, &answer, buf, sizeof(buf)), -1);
                close(fd);
                nipc_server_free(server);
        }
}

/* The client goes while its requests are handled, or wait. */
static void test_client_leaves(void)
{
        if (!util_sees_end_behind_data())
                tap_skip("a pipe ends when all that is in it has been read");
        for (unsigned i = 0; i < 2; i++) {
                struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
                struct nipc_session *session;
                struct nipc_server *server;

                config.max_concurrent_requests = 4;
                server = serve(&config, profiles[i], "leaves");
                session = join(profiles[i], "leaves");
                for (uint64_t id = 1; id <= 6; id++)
                        ask(session, id, "w");
                gate_await(N_WORKERS);
                nipc_session_close(session);
                while (status_of(server).n_sessions)
                        sched_yield();
                gate_free(N_WORKERS);
                session = join(profiles[i], "leaves");
                ask(session, 1, "e");
                tap_eq_uint(hear(session, 0, "e"), 1);
                tap_eq_uint(status_of(server).n_requests, 1);
                end(session, server);
        }
}

static void *free_later(void *userdata)
{
        gate_await(N_WORKERS);
        gate_free(MAX);
        return NULL;
}

static void reset_gate(void)
{
        pthread_mutex_lock(&gate.lock);
        gate.n_free = 0;
        pthread_mutex_unlock(&gate.lock);
}

/* What was asked before is answered. */
static void test_drain(void)
{
        for (unsigned i = 0; i < 2; i++) {
                struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
                struct nipc_session *session;
                struct nipc_server *server;
                uint64_t seen = 0;
                pthread_t thread;

                config.max_concurrent_requests = 3;
                server = serve(&config, profiles[i], "drain");
                session = join(profiles[i], "drain");
                for (uint64_t id = 1; id <= 5; id++)
                        ask(session, id, "w");
                tap_eq_int(pthread_create(&thread, NULL, free_later, NULL), 0);
                tap_eq_int(nipc_server_drain(server, DEADLINE_MS), 0);
                pthread_join(thread, NULL);
                reset_gate();
                for (unsigned n = 0; n < 5; n++)
                        seen |= UINT64_C(1) << hear(session, 0, "w");
                tap_eq_uint(seen, (UINT64_C(1) << 6) - 2);
                tap_eq_uint(hear(session, 0, ""), 0);
                end(session, server);
        }
}

static void *end_in_vain(void *userdata)
{
        tap_eq_int(nipc_server_drain(userdata, 0), -ETIMEDOUT);
        return NULL;
}

static void *end_at_once(void *userdata)
{
        return nipc_server_free(userdata);
}

/* Drained in no time, or freed, in the midst of it: handlers are waited for, clients are not. */
static void test_end_in_vain(void)
{
        for (unsigned i = 0; i < 2; i++) {
                struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
                struct nipc_session *session;
                struct nipc_server *server;
                pthread_t thread;

                config.max_concurrent_requests = MAX;
                server = serve(&config, NIPC_PROFILE_BASELINE, "vain");
                session = join(NIPC_PROFILE_BASELINE, "vain");
                for (uint64_t id = 1; id <= MAX; id++)
                        ask(session, id, "w");
                gate_await(N_WORKERS);
                tap_eq_int(pthread_create(&thread, NULL, i ? end_at_once : end_in_vain, server), 0);
                if (!i)
                        tap_eq_uint(hear(session, 0, ""), 0); /* and only then they go on */
                gate_free(MAX);
                pthread_join(thread, NULL);
                if (!i)
                        nipc_server_free(server);
                reset_gate();
                nipc_session_close(session);
        }
}

/* Answers that the client does not take wait for him, and no more are made than may be in hand. */
static void test_slow_reader(void)
{
        for (unsigned i = 0; i < 2; i++) {
                struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
                struct nipc_session *session;
                struct nipc_server *server;
                struct nipc_message message;
                uint64_t seen = 0;

                config.max_concurrent_requests = MAX;
                server = serve(&config, profiles[i], "slow");
                session = join(profiles[i], "slow");
                for (uint64_t id = 1; id <= 60; id++)
                        ask(session, id, "f");
                for (unsigned n = 0; n < 60; n++) {
                        if (!receive(session, &message))
                                break;
                        tap_eq_uint(message.payload_size, 65536);
                        seen |= UINT64_C(1) << message.header.message_id;
                }
                tap_eq_uint(seen, (UINT64_C(1) << 61) - 2);
                end(session, server);
        }
}

/* And when he never does, his session ends. */
static void test_deaf_client(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_session *session, *polite;
        struct nipc_server *server;

        config.max_concurrent_requests = MAX;
        config.response_timeout_ms = 50;
        server = serve(&config, NIPC_PROFILE_BASELINE, "deaf");
        session = join(NIPC_PROFILE_BASELINE, "deaf");
        polite = join(NIPC_PROFILE_BASELINE, "deaf");
        for (uint64_t id = 1; id <= 60; id++)
                ask(session, id, "f");
        while (status_of(server).n_sessions == 2)
                sched_yield();
        ask(polite, 1, "e");
        tap_eq_uint(hear(polite, 0, "e"), 1);
        nipc_session_close(polite);
        end(session, server);
}

/* Ten in flight at a time: each is answered once, under its id. */
static void *hammer(void *userdata)
{
        struct nipc_session *session = join(*(const uint32_t *)userdata, "hammer");
        struct nipc_message message;
        char payload[16];

        for (unsigned round = 0, seen; round < 400u; round++) {
                seen = 0;
                for (unsigned n = 0; n < 10; n++) {
                        snprintf(payload, sizeof(payload), "e%09u", round * 10 + n);
                        ask(session, round * 10 + n + 1, payload);
                }
                for (unsigned n = 0; n < 10; n++) {
                        if (!receive(session, &message))
                                break;
                        snprintf(payload, sizeof(payload), "e%09u",
                                 (unsigned)message.header.message_id - 1);
                        if (message.payload_size == 10 && !memcmp(message.payload, payload, 10))
                                seen |= 1u << (message.header.message_id - 1 - round * 10);
                }
                if (!tap_eq_uint(seen, 1023))
                        break;
        }
        nipc_session_close(session);
        return NULL;
}

static void test_many_clients(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_server *server;
        pthread_t threads[4u];
        unsigned i;

        config.max_concurrent_requests = 6;
        config.metrics_sample_every = 3;
        config.n_workers = 3;
        server = serve(&config, profiles[1], "hammer");
        for (i = 0; i < 4u; i++)
                pthread_create(&threads[i], NULL, hammer, (void *)(uintptr_t)&profiles[i % 2]);
        for (i = 0; i < 4u; i++)
                pthread_join(threads[i], NULL);
        tap_eq_uint(status_of(server).n_requests, 4u * 400u * 10);
        nipc_server_free(server);
}

static void test_config(void)
{
        const struct nipc_handler handler = {sizeof(handler), UTIL_CODE, handle, NULL, NULL};
        struct nipc_server_needs one = NIPC_SERVER_NEEDS_INIT, many = NIPC_SERVER_NEEDS_INIT;
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_server *server;

        config.run_dir = util_run_dir();
        config.service = "config";
        config.max_concurrent_requests = 2;
        tap_eq_int(nipc_server_new(&config, &handler, &server), -EINVAL);
        config.n_workers = 2;
        tap_eq_int(nipc_server_plan(&config, &many), 0);
        config.max_concurrent_requests = 1;
        tap_eq_int(nipc_server_plan(&config, &one), 0);
        tap_eq_uint(many.n_threads, 2 * one.n_threads);
        tap_eq_uint(many.n_requests, 2048);
        tap_check(many.sessions[0].busy_bytes >= one.sessions[0].busy_bytes + 2 * 2 * 1024 * 1024);
}

UTIL_TEST_LEAKS_NOTHING

TAP_MAIN(TAP_CASE(test_quick_ones_overtake), TAP_CASE(test_in_order_by_default),
         TAP_CASE(test_limit), TAP_CASE(test_error), TAP_CASE(test_error_at_once),
         TAP_CASE(test_client_leaves), TAP_CASE(test_drain), TAP_CASE(test_end_in_vain),
         TAP_CASE(test_slow_reader), TAP_CASE(test_deaf_client), TAP_CASE(test_many_clients),
         TAP_CASE(test_config), TAP_CASE(test_leaks_nothing))
