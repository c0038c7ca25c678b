/* SPDX-License-Identifier: MIT */

/*
 * What all clients of a server, and those of one user, may take: who goes beyond is refused in the
 * handshake, the limit is named, and whoever leaves makes room.
 */

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <nipc/clock.h>
#include <nipc/log.h>
#include <sched.h>
#include <stdio.h>

#include "tap.h"
#include "util-metrics.h"
#include "util-service.h"

static struct nipc_server_status status_of(struct nipc_server *server)
{
        struct nipc_server_status status = NIPC_SERVER_STATUS_INIT;

        nipc_server_get_status(server, &status);
        return status;
}

/* Says HELLO. Returns the status it is answered with; *ret_fd: to be closed. */
static int knock(struct nipc_server *server, const char *service, int *ret_fd)
{
        *ret_fd = util_raw_connect(service);
        util_raw_hello(*ret_fd, 1);
        tap_check(util_pump(server, *ret_fd));
        return util_raw_ack(*ret_fd, NULL);
}

/* Which limit is said to be in the way of who is refused. */
static void on_log(void *userdata, const struct nipc_log_record *record)
{
        if (record->event == NIPC_LOG_SESSION_REFUSED)
                *(const char **)userdata = record->step;
}

/* How many were refused for that reason. */
static double count_refused(const struct nipc_server *server, const char *service,
                            const char *reason)
{
        char series[128], text[65536];
        size_t size;

        snprintf(series, sizeof(series), "nipc_server_refusals_total{service=\"%s\",reason=\"%s\"}",
                 service, reason);
        if (nipc_server_format_metrics(server, text, sizeof(text), &size) < 0)
                return -1;
        return util_prometheus_get(text, size, series);
}

/* Lets two in and not a third, by the limit of that name; then one leaves, and one comes in. */
static void check_two(struct nipc_server_config *config, const char *service, const char *limit)
{
        const char *said = NULL;
        struct nipc_server *server;
        int fds[4];

        config->log = on_log;
        config->log_userdata = &said;
        server = util_server(config, service);
        tap_check(!status_of(server).refused_limit);
        tap_eq_int(knock(server, service, &fds[0]), 0);
        tap_eq_int(knock(server, service, &fds[1]), 0);
        tap_eq_int(knock(server, service, &fds[2]), NIPC_TRANSPORT_STATUS_LIMIT_EXCEEDED);
        tap_eq_uint(status_of(server).n_sessions, 2);
        tap_eq_uint(status_of(server).n_refused, 1);
        tap_eq_str(status_of(server).refused_limit, limit);
        tap_require(said != NULL);
        tap_eq_str(said, limit);
        tap_check(count_refused(server, service, limit) == 1);
        close(fds[0]);
        tap_eq_int(knock(server, service, &fds[3]), 0);
        tap_eq_int(knock(server, service, &fds[0]), NIPC_TRANSPORT_STATUS_LIMIT_EXCEEDED);
        for (int i = 0; i < 4; i++)
                close(fds[i]);
        while (status_of(server).n_sessions)
                tap_require(nipc_server_dispatch(server, 1) >= 0);
        tap_eq_int(knock(server, service, &fds[0]), 0);
        close(fds[0]);
        nipc_server_free(server);
}

/* What a session of the baseline counts for. */
static struct nipc_server_session_needs plan_one(const struct nipc_server_config *config)
{
        struct nipc_server_needs plan = NIPC_SERVER_NEEDS_INIT;

        tap_eq_int(nipc_server_plan(config, &plan), 0);
        tap_eq_uint(plan.sessions[0].profile, NIPC_PROFILE_BASELINE);
        return plan.sessions[0];
}

static void test_sessions(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;

        config.max_sessions = 2;
        check_two(&config, "quota-sessions", "max_sessions");
}

static void test_sessions_per_uid(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;

        config.max_sessions_per_uid = 2;
        check_two(&config, "quota-uid", "max_sessions_per_uid");
}

static void test_descriptors(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;

        config.max_descriptors = 2 * plan_one(&config).n_descriptors;
        check_two(&config, "quota-fds", "max_descriptors");
}

static void test_bytes(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;

        config.max_total_bytes = 3 * plan_one(&config).busy_bytes - 1;
        check_two(&config, "quota-bytes", "max_total_bytes");
}

static void test_bytes_per_uid(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;

        config.max_bytes_per_uid = 2 * plan_one(&config).busy_bytes;
        check_two(&config, "quota-uid-bytes", "max_bytes_per_uid");
}

/* A server that offers more charges a baseline client for what it took, not for what it could. */
static void test_settled(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_server_needs plan = NIPC_SERVER_NEEDS_INIT;
        struct nipc_server *server;
        uint64_t most = 0;
        int fds[3], i;

        config.profiles = nipc_profile_get_available();
        tap_eq_int(nipc_server_plan(&config, &plan), 0);
        for (i = 0; i < (int)plan.n_profiles; i++)
                if (plan.sessions[i].busy_bytes + plan.sessions[i].shared_bytes > most)
                        most = plan.sessions[i].busy_bytes + plan.sessions[i].shared_bytes;
        config.max_total_bytes = most + 2 * plan.sessions[0].busy_bytes;
        server = util_server(&config, "settled");
        for (i = 0; i < 3; i++)
                tap_eq_int(knock(server, "settled", &fds[i]), 0);
        for (i = 0; i < 3; i++)
                close(fds[i]);
        nipc_server_free(server);
}

static void test_handshakes(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_server *server;
        struct nipc_header header;
        int fds[21];

        config.max_handshakes = 20;
        server = util_server(&config, "silence");
        for (int i = 0; i < 21; i++) {
                fds[i] = util_raw_connect("silence");
                nipc_server_dispatch(server, 0);
        }
        tap_check(util_pump(server, fds[0])); /* the oldest had to go */
        tap_eq_int(util_raw_receive(fds[0], &header, NULL, 0), -1);
        tap_eq_uint(status_of(server).n_handshakes, 20);
        for (int i = 0; i < 21; i++)
                close(fds[i]);
        nipc_server_free(server);
}

static void test_plan_arguments(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_server_needs plan = NIPC_SERVER_NEEDS_INIT;

        tap_eq_int(nipc_server_plan(&config, NULL), -EINVAL);
        tap_eq_int(nipc_server_plan(NULL, &plan), -EINVAL);
        config.max_request_bytes = 10;
        config.initial_request_bytes = 11;
        tap_eq_int(nipc_server_plan(&config, &plan), -EINVAL);
        tap_eq_uint(plan.n_profiles, 0);
}

/* More of one thing is never less of what it takes, and a limit is where it ends. */
static void test_plan_follows_config(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_server_needs plan = NIPC_SERVER_NEEDS_INIT, more = NIPC_SERVER_NEEDS_INIT;

        config.n_workers = 2;
        config.max_sessions = 100;
        tap_eq_int(nipc_server_plan(&config, &plan), 0);
        tap_eq_uint(plan.n_threads, 2);
        tap_eq_uint(plan.n_requests, 2);
        tap_eq_uint(plan.n_profiles, 1);
        config.max_sessions = 200;
        tap_eq_int(nipc_server_plan(&config, &more), 0);
        tap_eq_uint(more.n_descriptors - plan.n_descriptors, 100 * plan.sessions[0].n_descriptors);
        tap_eq_uint(more.busy_bytes - plan.busy_bytes, 100 * plan.sessions[0].busy_bytes);
        config.max_total_bytes = 1 << 20;
        config.max_descriptors = 50;
        tap_eq_int(nipc_server_plan(&config, &more), 0);
        tap_check(more.busy_bytes < plan.busy_bytes);
        tap_check(more.n_descriptors < plan.n_descriptors);
}

UTIL_TEST_LEAKS_NOTHING

/* The most that a config can say is not less than what comes before it. */
static void test_plan_of_too_much(void)
{
        struct nipc_server_needs plan = NIPC_SERVER_NEEDS_INIT;
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;

        config.profiles = nipc_profile_get_available();
        config.max_sessions = UINT32_MAX;
        config.max_request_bytes = config.max_response_bytes = UINT32_MAX;
        tap_eq_int(nipc_server_plan(&config, &plan), 0);
        tap_eq_uint(plan.busy_bytes, UINT64_MAX);
        config.n_workers = 1u << 28;
        config.max_sessions = 1;
        tap_eq_int(nipc_server_plan(&config, &plan), 0);
        tap_eq_uint(plan.n_descriptors, UINT32_MAX); /* 16 silent clients and 5 each */
        config.n_workers = config.max_handshakes = config.max_sessions = UINT32_MAX;
        tap_eq_int(nipc_server_plan(&config, &plan), 0);
        tap_eq_uint(plan.n_descriptors, UINT32_MAX);
        tap_eq_uint(plan.base_bytes, UINT64_MAX);
        tap_eq_uint(plan.idle_bytes, UINT64_MAX);
        tap_eq_uint(plan.busy_bytes, UINT64_MAX);
}

/* However high the ceiling, nobody is offered more than a message can carry. */
static void test_most_that_is_offered(void)
{
        const uint32_t most = UINT32_MAX - NIPC_HEADER_SIZE;
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_session_config wish = NIPC_SESSION_CONFIG_INIT;
        struct nipc_session *session = NULL;
        struct nipc_server *server;

        config.max_request_bytes = UINT32_MAX;
        config.initial_request_bytes = 1024;
        config.max_response_bytes = UINT32_MAX;
        config.n_workers = 1;
        server = util_server(&config, "most");
        tap_require(server != NULL);
        tap_eq_uint(status_of(server).max_response_bytes, most);
        wish.run_dir = util_run_dir();
        wish.service = "most";
        wish.max_request_payload_bytes = most;
        wish.max_response_payload_bytes = 64;
        tap_eq_int(nipc_session_open(&wish, nipc_deadline_after_ms(10000), &session, NULL),
                   -EMSGSIZE);
        while (status_of(server).max_request_bytes == 1024)
                sched_yield();
        tap_eq_uint(status_of(server).max_request_bytes, most);
        nipc_server_free(server);
}

TAP_MAIN(TAP_CASE(test_sessions), TAP_CASE(test_sessions_per_uid), TAP_CASE(test_descriptors),
         TAP_CASE(test_bytes), TAP_CASE(test_bytes_per_uid), TAP_CASE(test_settled),
         TAP_CASE(test_handshakes), TAP_CASE(test_plan_arguments),
         TAP_CASE(test_plan_follows_config), TAP_CASE(test_plan_of_too_much),
         TAP_CASE(test_most_that_is_offered), TAP_CASE(test_leaks_nothing))
