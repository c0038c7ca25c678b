/* SPDX-License-Identifier: MIT */

/*
 * Sessions whose peers wake by futex, seen by those who poll: their descriptors, the poller, and
 * the thread that makes both possible, which sleeps when nothing happens and ends with the last of
 * them.
 */

#include "util-env.h"
#include "util-raw.h"
#include "util-shm-peer.h"
#include <dirent.h>
#include <errno.h>
#include <nipc/listener.h>
#include <nipc/poller.h>
#include <nipc/session.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#define PROFILES (NIPC_PROFILE_BASELINE | NIPC_PROFILE_SHM_HYBRID)
#define N_MANY   130u /* more than one thread watches */

struct ends {
        struct nipc_session *client;
        struct nipc_session *server;
};

static void *open_main(void *userdata)
{
        struct nipc_session_config config = NIPC_SESSION_CONFIG_INIT;
        struct ends *ends = userdata;

        config.run_dir = util_dir();
        config.service = "svc";
        config.supported_profiles = config.preferred_profiles = PROFILES;
        nipc_session_open(&config, util_soon(), &ends->client, NULL);
        return NULL;
}

static struct nipc_listener *listen_here(void)
{
        struct nipc_listener_config config = NIPC_LISTENER_CONFIG_INIT;
        struct nipc_listener *listener = NULL;

        config.run_dir = util_dir();
        config.service = "svc";
        config.supported_profiles = config.preferred_profiles = PROFILES;
        util_eq_error(nipc_listener_open(&config, &listener), 0);
        return listener;
}

static bool ends_open(struct nipc_listener *listener, struct ends *ends)
{
        struct nipc_session_info info = NIPC_SESSION_INFO_INIT;
        pthread_t thread;

        *ends = (struct ends){NULL, NULL};
        if (!tap_check(pthread_create(&thread, NULL, open_main, ends) == 0))
                return false;
        util_eq_error(nipc_listener_accept(listener, util_soon(), &ends->server), 0);
        util_eq_error(nipc_session_handshake(ends->server, util_soon()), 0);
        pthread_join(thread, NULL);
        nipc_session_get_info(ends->server, &info);
        return ends->client && tap_eq_uint(info.profile, NIPC_PROFILE_SHM_HYBRID);
}

static void ends_close(struct ends *ends)
{
        ends->client = nipc_session_close(ends->client);
        ends->server = nipc_session_close(ends->server);
}

static int say(struct nipc_session *session, uint16_t kind, uint64_t id)
{
        struct nipc_header header = {.kind = kind, .code = 7, .item_count = 1, .message_id = id};

        return nipc_session_send(session, &header, &id, sizeof(id), util_soon());
}

static bool is_readable(int fd, int timeout_ms)
{
        struct pollfd pollfd = {.fd = fd, .events = POLLIN};

        util_waiting_for("a descriptor to be readable");
        return poll(&pollfd, 1, timeout_ms) == 1 && (pollfd.revents & POLLIN);
}

/* Hears one request and answers it. */
static bool hear(struct ends *ends, uint64_t id)
{
        struct nipc_message message;

        return util_eq_error(nipc_session_receive(ends->server, NIPC_DEADLINE_NOW, &message), 0) &&
               tap_eq_uint(message.header.message_id, id) &&
               util_eq_error(say(ends->server, NIPC_KIND_RESPONSE, id), 0) &&
               util_eq_error(nipc_session_receive(ends->client, util_soon(), &message), 0);
}

/* It may ring in vain, late, for what was taken before; then it is quiet. */
static void wait_quiet(const struct ends *ends, int fd)
{
        struct nipc_message message;

        util_waiting_for("a descriptor to go quiet");
        do {
                util_eq_error(nipc_session_receive(ends->server, NIPC_DEADLINE_NOW, &message),
                              -EAGAIN);
        } while (is_readable(fd, 0));
}

static void test_descriptor(void)
{
        struct nipc_listener *listener = listen_here();
        struct nipc_message message;
        struct ends ends;
        int fd;

        tap_require(ends_open(listener, &ends));
        util_eq_error(say(ends.client, NIPC_KIND_REQUEST, 1), 0);
        fd = nipc_session_get_fd(ends.server); /* with something there already */
        tap_check(fd >= 0 && nipc_session_get_fd(ends.server) == fd);
        tap_check(is_readable(fd, 0));
        for (uint64_t id = 1; id <= 200; id++) {
                tap_require(is_readable(fd, -1));
                tap_require(is_readable(fd, 0)); /* it is a level */
                tap_require(hear(&ends, id));
                if (id % 3 == 0) /* whoever looks until there is nothing sleeps afterwards */
                        wait_quiet(&ends, fd);
                util_eq_error(say(ends.client, NIPC_KIND_REQUEST, id + 1), 0);
        }
        tap_require(hear(&ends, 201));
        /* A call that waits takes part in it. */
        for (uint64_t id = 1; id <= 20; id++) {
                util_eq_error(nipc_session_receive(ends.server, nipc_deadline_after_ms(2),
                                                   &message),
                              -ETIMEDOUT);
                util_eq_error(say(ends.client, NIPC_KIND_REQUEST, id), 0);
                tap_require(is_readable(fd, -1) && hear(&ends, id));
        }
        wait_quiet(&ends, fd);
        ends.client = nipc_session_close(ends.client);
        tap_check(is_readable(fd, -1));
        util_eq_error(nipc_session_receive(ends.server, NIPC_DEADLINE_NOW, &message), -ECONNRESET);
        ends_close(&ends);
        nipc_listener_close(listener);
}

/* The thread may have been woken in the place of a call that waits: it passes that on. */
static void *asker_main(void *userdata)
{
        struct ends *ends = userdata;
        struct nipc_message message;
        uint64_t n_answers = 0;

        for (uint64_t id = 1; id <= 300; id++) {
                if (say(ends->client, NIPC_KIND_REQUEST, id) < 0 ||
                    nipc_session_receive(ends->client, util_soon(), &message) < 0)
                        break;
                n_answers++;
        }
        return (void *)(uintptr_t)n_answers;
}

static void test_polled_and_waited_for(void)
{
        struct nipc_listener *listener = listen_here();
        struct nipc_poller *poller = NULL;
        struct nipc_poller_event event;
        struct nipc_message message;
        void *n_answers = NULL;
        struct ends ends;
        pthread_t thread;

        tap_require(ends_open(listener, &ends));
        util_eq_error(nipc_poller_new(&poller), 0);
        tap_require(pthread_create(&thread, NULL, asker_main, &ends) == 0);
        for (uint64_t id = 1; id <= 300; id++) {
                if (id % 7 < 3) {
                        util_eq_error(nipc_poller_add_session(poller, ends.server, &ends), 0);
                        tap_require(nipc_poller_wait(poller, util_soon(), &event, 1) == 1);
                        nipc_poller_remove_session(poller, ends.server);
                }
                tap_require(nipc_session_receive(ends.server, util_soon(), &message) == 0);
                tap_require(say(ends.server, NIPC_KIND_RESPONSE, message.header.message_id) == 0);
        }
        pthread_join(thread, &n_answers);
        tap_eq_uint((uintptr_t)n_answers, 300);
        nipc_poller_free(poller);
        ends_close(&ends);
        nipc_listener_close(listener);
}

/* How often the threads that watch went to sleep; a sanitizer's own are none of them. */
static uint64_t count_sleeps(void)
{
        DIR *dir = opendir("/proc/self/task");
        const struct dirent *entry;
        char path[300], line[128];
        unsigned long n;
        uint64_t total = 0;

        while (dir && (entry = readdir(dir))) {
                bool watches = false;
                FILE *file;

                if (entry->d_name[0] == '.')
                        continue;
                snprintf(path, sizeof(path), "/proc/self/task/%s/status", entry->d_name);
                file = fopen(path, "r");
                while (file && fgets(line, sizeof(line), file)) {
                        watches = watches || !strcmp(line, "Name:\tnipc-watch\n");
                        if (watches && sscanf(line, "voluntary_ctxt_switches: %lu", &n) == 1)
                                total += n;
                }
                if (file)
                        fclose(file);
        }
        if (dir)
                closedir(dir);
        return total;
}

static void test_many(void)
{
        static struct ends many[N_MANY];
        struct nipc_listener *listener = listen_here();
        struct nipc_poller *poller = NULL;
        struct nipc_poller_event event;
        struct nipc_message message;
        uint64_t n_sleeps;
        int n_threads = util_count_threads();

        util_eq_error(nipc_poller_new(&poller), 0);
        for (unsigned i = 0; i < N_MANY; i++) {
                tap_require(ends_open(listener, &many[i]));
                util_eq_error(nipc_poller_add_session(poller, many[i].server, &many[i]), 0);
        }
        tap_eq_int(util_count_threads(), n_threads + 2);
        tap_eq_int(nipc_poller_wait(poller, nipc_deadline_after_ms(20), &event, 1), 0);
        n_sleeps = count_sleeps();
        tap_check(n_sleeps > 0);
        tap_eq_int(nipc_poller_wait(poller, nipc_deadline_after_ms(100), &event, 1), 0);
        tap_eq_uint(count_sleeps(), n_sleeps);
        for (uint64_t id = 1; id <= 1000; id++) {
                struct ends *ends = &many[id * 37 % N_MANY];

                util_eq_error(say(ends->client, NIPC_KIND_REQUEST, id), 0);
                util_waiting_for("the session that was asked");
                while (nipc_poller_wait(poller, util_soon(), &event, 1) == 1 &&
                       event.userdata != ends)
                        tap_require(nipc_session_receive(((struct ends *)event.userdata)->server,
                                                         NIPC_DEADLINE_NOW, &message) == -EAGAIN);
                tap_require(event.userdata == ends && hear(ends, id));
        }
        /* The end of one is heard; the others are as they were. */
        many[5].client = nipc_session_close(many[5].client);
        do
                tap_require(nipc_poller_wait(poller, util_soon(), &event, 1) == 1);
        while (nipc_session_receive(((struct ends *)event.userdata)->server, NIPC_DEADLINE_NOW,
                                    &message) == -EAGAIN);
        tap_eq_ptr(event.userdata, &many[5]);
        for (unsigned i = 0; i < N_MANY; i++) {
                nipc_poller_remove_session(poller, many[i].server);
                ends_close(&many[i]);
        }
        nipc_poller_free(poller);
        nipc_listener_close(listener);
}

/* In somebody else's loop: the poller's own descriptor tells of it. */
static void test_foreign_loop(void)
{
        struct nipc_listener *listener = listen_here();
        struct nipc_poller *poller = NULL;
        struct nipc_poller_event event;
        struct ends ends;
        int fd;

        tap_require(ends_open(listener, &ends));
        util_eq_error(nipc_poller_new(&poller), 0);
        fd = nipc_poller_get_fd(poller);
        util_eq_error(nipc_poller_add_session(poller, ends.server, &ends), 0);
        for (uint64_t id = 1; id <= 100; id++) {
                util_eq_error(say(ends.client, NIPC_KIND_REQUEST, id), 0);
                tap_require(is_readable(fd, -1));
                while (nipc_poller_wait(poller, NIPC_DEADLINE_NOW, &event, 1) != 1 ||
                       event.userdata != &ends)
                        tap_require(is_readable(fd, -1));
                tap_require(hear(&ends, id));
        }
        nipc_poller_remove_session(poller, ends.server);
        nipc_poller_free(poller);
        ends_close(&ends);
        nipc_listener_close(listener);
}

/* Before anything else is done. */
__attribute__((__constructor__)) static void skip_unless_watchable(void)
{
        shm_peer_skip_unless_watchable();
}

UTIL_MAIN(TAP_CASE(test_descriptor), TAP_CASE(test_polled_and_waited_for), TAP_CASE(test_many),
          TAP_CASE(test_foreign_loop))
