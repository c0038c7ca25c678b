/* SPDX-License-Identifier: MIT */

/* What servers and clients say of themselves, how much of it, and how it reads. */

#include <errno.h>
#include <nipc/endpoint.h>
#include <nipc/log.h>
#include <nipc/metrics.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "log-private.h"
#include "tap.h"
#include "util-service.h"

struct journal {
        unsigned n[NIPC__LOG_N_EVENTS];
        struct nipc_log_record last[NIPC__LOG_N_EVENTS];
};

static void on_log(void *userdata, const struct nipc_log_record *record)
{
        struct journal *journal = userdata;

        if (record->event >= NIPC__LOG_N_EVENTS)
                return;
        journal->n[record->event]++;
        journal->last[record->event] = *record;
}

static void test_server_says(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        const struct nipc_header request = util_request(1, 1);
        struct journal journal = {.n = {0}};
        struct nipc_server *server;
        struct nipc_header header;
        int fd, full;

        config.max_sessions = 1;
        config.log = on_log;
        config.log_userdata = &journal;
        server = util_server(&config, "said");
        tap_eq_uint(journal.n[NIPC_LOG_LISTENER_OPENED], 1);
        fd = util_pump_open(server, "said");
        tap_eq_uint(journal.n[NIPC_LOG_SESSION_ACCEPTED], 1);
        tap_eq_int(journal.last[NIPC_LOG_SESSION_ACCEPTED].peer_pid, getpid());
        tap_eq_uint(journal.last[NIPC_LOG_SESSION_ACCEPTED].profile, NIPC_PROFILE_BASELINE);
        full = util_raw_connect("said");
        util_raw_hello(full, 1);
        util_pump(server, full);
        tap_eq_uint(journal.n[NIPC_LOG_SESSION_REFUSED], 1);
        tap_eq_uint(journal.last[NIPC_LOG_SESSION_REFUSED].transport_status,
                    NIPC_TRANSPORT_STATUS_LIMIT_EXCEEDED);
        tap_eq_str(journal.last[NIPC_LOG_LIMIT_HIT].step, "max_sessions");
        close(full);
        util_raw_send(fd, &request, "o", 1);
        util_pump(server, fd);
        util_raw_receive(fd, &header, NULL, 0);
        tap_eq_str(journal.last[NIPC_LOG_LIMIT_HIT].step, "max_response_bytes");
        tap_eq_uint(journal.n[NIPC_LOG_SESSION_ENDED], 1);
        tap_eq_int(journal.last[NIPC_LOG_SESSION_ENDED].error, 0);
        close(fd);
        fd = util_pump_open(server, "said");
        close(fd);
        nipc_server_dispatch(server, 0);
        tap_eq_int(journal.last[NIPC_LOG_SESSION_ENDED].error, -ECONNRESET);
        nipc_server_free(server);
        tap_eq_uint(journal.n[NIPC_LOG_LISTENER_CLOSED], 1);
}

/* The callback may look at the server whenever it is called, while that is freed as well. */
struct watcher {
        _Atomic(struct nipc_server *) server; /* set once it is to be looked at */
        unsigned n_ended;
        uint64_t n_closed;
};

static void on_end(void *userdata, const struct nipc_log_record *record)
{
        struct nipc_server_metrics metrics = NIPC_SERVER_METRICS_INIT;
        struct nipc_server_status status = NIPC_SERVER_STATUS_INIT;
        struct watcher *watcher = userdata;
        struct nipc_server *server = atomic_load(&watcher->server); /* pairs with the store */

        if (!server || record->event != NIPC_LOG_SESSION_ENDED)
                return;
        watcher->n_ended++;
        tap_eq_int(nipc_server_get_status(server, &status), 0);
        tap_eq_int(nipc_server_get_metrics(server, &metrics), 0);
        watcher->n_closed = metrics.sessions_closed[NIPC_METRICS_PROFILE_BASELINE];
}

static void test_looks_at_the_end(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct watcher watcher = {NULL};
        struct nipc_server *server;
        int fds[8];

        config.n_workers = 4;
        config.log = on_end;
        config.log_userdata = &watcher;
        server = util_server(&config, "watched");
        for (unsigned i = 0; i < 8; i++) /* two for each worker */
                fds[i] = util_raw_open("watched", 1);
        nipc_server_stop(server);
        atomic_store(&watcher.server, server); /* pairs with the load in on_end() */
        nipc_server_free(server);
        tap_eq_uint(watcher.n_ended, 8);
        tap_eq_uint(watcher.n_closed, 8);
        for (unsigned i = 0; i < 8; i++)
                close(fds[i]);
}

static void test_client_says(void)
{
        struct nipc_client_config config = NIPC_CLIENT_CONFIG_INIT;
        struct nipc_server_config server_config = NIPC_SERVER_CONFIG_INIT;
        struct journal journal = {.n = {0}};
        struct nipc_response response;
        struct nipc_server *server;
        struct nipc_client *client = NULL;

        config.run_dir = util_run_dir();
        config.service = "heard";
        config.log = on_log;
        config.log_userdata = &journal;
        tap_eq_int(nipc_client_new(&config, &client), 0);
        nipc_client_refresh(client);
        nipc_client_refresh(client);
        /* A provider that is absent is said once. */
        tap_eq_uint(journal.n[NIPC_LOG_CONNECT_FAILED], 1);
        tap_eq_int(journal.last[NIPC_LOG_CONNECT_FAILED].error, -ENOENT);
        server_config.n_workers = 1;
        server = util_server(&server_config, "heard");
        nipc_client_refresh(client);
        tap_eq_uint(journal.n[NIPC_LOG_CONNECTED], 1);
        /* An error answer: once more, and then the session is given up. */
        tap_eq_int(nipc_client_call(client, UTIL_CODE, "n", 1, 0, &response, NULL), -EREMOTEIO);
        tap_eq_uint(journal.n[NIPC_LOG_RETRIED], 1);
        tap_eq_uint(journal.n[NIPC_LOG_DISCONNECTED], 2);
        tap_eq_uint(journal.last[NIPC_LOG_DISCONNECTED].transport_status,
                    NIPC_TRANSPORT_STATUS_INTERNAL_ERROR);
        nipc_client_free(client);
        nipc_server_free(server);
}

/* A session that a cancel ended, which no call noticed, did not end for what failed before. */
static void test_client_says_cancelled(void)
{
        struct nipc_client_config config = NIPC_CLIENT_CONFIG_INIT;
        struct nipc_server_config server_config = NIPC_SERVER_CONFIG_INIT;
        struct journal journal = {.n = {0}};
        struct nipc_server *server;
        struct nipc_client *client = NULL;

        config.run_dir = util_run_dir();
        config.service = "cancelled";
        config.log = on_log;
        config.log_userdata = &journal;
        tap_eq_int(nipc_client_new(&config, &client), 0);
        nipc_client_refresh(client); /* nobody is there */
        server_config.n_workers = 1;
        server = util_server(&server_config, "cancelled");
        tap_eq_int(nipc_client_refresh(client), 1);
        nipc_client_cancel(client);
        nipc_client_reset_cancel(client);
        tap_eq_uint(journal.n[NIPC_LOG_DISCONNECTED], 1);
        tap_eq_int(journal.last[NIPC_LOG_DISCONNECTED].error, -ECANCELED);
        nipc_client_free(client);
        nipc_server_free(server);
}

static void test_flood(void)
{
        struct journal journal = {.n = {0}};
        struct nipc__log *log = NULL;
        unsigned i;

        tap_eq_int(nipc__log_new(on_log, &journal, "flood", &log), 0);
        for (i = 0; i < 1000; i++)
                nipc__log_say(log, NIPC__LOG_RECORD(NIPC_LOG_TIMEOUT));
        /* A slow machine may be in another second by now. */
        tap_check(journal.n[NIPC_LOG_TIMEOUT] >= NIPC_LOG_BURST);
        tap_check(journal.n[NIPC_LOG_TIMEOUT] % NIPC_LOG_BURST == 0 ||
                  journal.last[NIPC_LOG_TIMEOUT].n_suppressed == 0);
        tap_eq_uint(journal.n[NIPC_LOG_TIMEOUT] + atomic_load(&log->n_suppressed), 1000);
        /* Other events are not affected. */
        nipc__log_say(log, NIPC__LOG_RECORD(NIPC_LOG_EVICTED));
        tap_eq_uint(journal.n[NIPC_LOG_EVICTED], 1);
        /* The next second begins, and what was not said is counted. */
        log->events[NIPC_LOG_TIMEOUT].since_ns = 0;
        i = (unsigned)log->events[NIPC_LOG_TIMEOUT].n_suppressed;
        nipc__log_say(log, NIPC__LOG_RECORD(NIPC_LOG_TIMEOUT));
        tap_eq_uint(journal.last[NIPC_LOG_TIMEOUT].n_suppressed, i);
        tap_eq_str(journal.last[NIPC_LOG_TIMEOUT].service, "flood");
        free(log);
}

static void test_silent(void)
{
        struct nipc__log *log = NULL;

        tap_eq_int(nipc__log_new(NULL, NULL, "silent", &log), 0);
        tap_eq_ptr(log, NULL);
        nipc__log_say(log, NIPC__LOG_RECORD(NIPC_LOG_TIMEOUT));
}

static void test_format(void)
{
        struct nipc_log_record record = NIPC__LOG_RECORD(NIPC_LOG_DOWNGRADE);
        char line[NIPC_LOG_LINE_SIZE], small[10];

        record.service = "a";
        record.session_id = 7;
        record.peer_pid = 12;
        record.peer_uid = 0;
        record.profile = NIPC_PROFILE_RING;
        record.step = "reserving \"memory\"";
        record.error = -ENOSPC;
        record.n_suppressed = 3;
        tap_eq_int(nipc_log_format(&record, line, sizeof(line)), 0);
        tap_eq_str(line, "downgrade service=a session=7 pid=12 uid=0 profile=0x0100 "
                         "step=\"reserving \\\"memory\\\"\" error=ENOSPC suppressed=3");
        tap_eq_int(nipc_log_format(&record, small, sizeof(small)), 0);
        tap_eq_str(small, "downgrade");
        tap_eq_int(nipc_log_format(NULL, line, sizeof(line)), -EINVAL);
        tap_eq_int(nipc_log_format(&record, NULL, 1), -EINVAL);
        tap_eq_int(nipc_log_format(&record, line, 0), -EINVAL);
        tap_eq_str(nipc_log_event_name(NIPC_LOG_RETRIED), "retried");
        tap_eq_str(nipc_log_event_name(0), "unknown");
        tap_eq_str(nipc_log_event_name(UINT32_MAX), "unknown");
}

/* All that a record can have, of the longest: its end is there, too. */
static void test_format_longest(void)
{
        struct nipc_log_record record = NIPC__LOG_RECORD(NIPC_LOG_CONNECT_FAILED);
        char name[NIPC_ENDPOINT_PATH_MAX], line[NIPC_LOG_LINE_SIZE];
        const char *end;

        memset(name, 'n', sizeof(name) - 1);
        name[sizeof(name) - 1] = '\0';
        record.service = name;
        record.session_id = record.value = record.n_suppressed = UINT64_MAX;
        record.peer_pid = record.peer_uid = INT64_MAX;
        record.profile = 0xffff;
        record.transport_status = NIPC_TRANSPORT_STATUS_LIMIT_EXCEEDED;
        record.step = "a literal that is longer than any that there is in the library";
        record.error = INT32_MIN;
        tap_eq_int(nipc_log_format(&record, line, sizeof(line)), 0);
        end = strstr(line, " suppressed=");
        tap_check(end && !strcmp(end, " suppressed=18446744073709551615"));
}

UTIL_TEST_LEAKS_NOTHING

TAP_MAIN(TAP_CASE(test_server_says), TAP_CASE(test_looks_at_the_end), TAP_CASE(test_client_says),
         TAP_CASE(test_client_says_cancelled), TAP_CASE(test_flood), TAP_CASE(test_silent),
         TAP_CASE(test_format), TAP_CASE(test_format_longest), TAP_CASE(test_leaks_nothing))
