/* SPDX-License-Identifier: MIT */

/*
 * A poller that sleeps on the events of regions, which wake once and one: what is left out of a
 * batch, and who else waits for them.
 */

#include "names.h"
#include "util-env.h"
#include "util-raw.h"
#include "util-v1-shm.h"
#include <errno.h>
#include <nipc/listener.h>
#include <nipc/poller.h>
#include <nipc/session.h>
#include <unistd.h>

enum { TOKEN = 4711, PROFILES = NIPC_PROFILE_BASELINE | NIPC_PROFILE_SHM_HYBRID };

/* Our server's session, and its client of v1. */
struct ends {
        struct nipc_session *session;
        struct v1_shm v1;
        int fd; /* the peer's end of the pipe */
};

static struct nipc_listener *open_listener(void)
{
        struct nipc_listener_config config = NIPC_LISTENER_CONFIG_INIT;
        struct nipc_listener *listener = NULL;

        config.run_dir = util_dir();
        config.service = "svc";
        config.auth_token = TOKEN;
        config.supported_profiles = config.preferred_profiles = PROFILES;
        util_eq_error(nipc_listener_open(&config, &listener), 0);
        return listener;
}

static struct nipc_poller *new_poller(void)
{
        struct nipc_poller *poller = NULL;

        util_eq_error(nipc_poller_new(&poller), 0);
        return poller;
}

static bool begin(struct nipc_listener *listener, struct ends *ends)
{
        struct nipc__shm_names names;
        uint8_t packet[RAW_ACK_SIZE];

        *ends = (struct ends){.fd = raw_connect("svc", SOCK_SEQPACKET)};
        raw_hello(packet);
        raw_put64(packet, RAW_HELLO_TOKEN, TOKEN);
        raw_put32(packet, RAW_HELLO_PROFILES, PROFILES);
        raw_put32(packet, RAW_HELLO_PREFERRED, NIPC_PROFILE_SHM_HYBRID);
        tap_check(raw_send(ends->fd, packet, RAW_HELLO_SIZE));
        util_eq_error(nipc_listener_accept(listener, util_soon(), &ends->session), 0);
        util_eq_error(nipc_session_handshake(ends->session, util_soon()), 0);
        tap_eq_int(raw_receive(ends->fd, packet, sizeof(packet)), RAW_ACK_SIZE);
        tap_eq_int(nipc__name_shm(util_dir(), "svc", TOKEN, NIPC_PROFILE_SHM_HYBRID,
                                  raw_get64(packet, RAW_ACK_SESSION_ID), &names),
                   0);
        names.mapping[wcslen(names.mapping) - wcslen(L"-mapping")] = 0;
        return tap_check(v1_shm_attach(names.mapping, NIPC_PROFILE_SHM_HYBRID, &ends->v1));
}

static void end(struct ends *ends)
{
        v1_shm_drop(&ends->v1);
        close(ends->fd);
        nipc_session_close(ends->session);
}

static void ask(struct ends *ends, uint64_t id)
{
        uint8_t message[RAW_HEADER_SIZE];

        raw_header(message, 1, 7, 0, 1, id);
        v1_shm_send(&ends->v1, message, sizeof(message));
}

/* By a peer that is stopped before it comes to wake us. */
static void ask_silently(struct ends *ends, uint64_t id)
{
        HANDLE event = ends->v1.request_event;

        ends->v1.request_event = NULL;
        ask(ends, id);
        ends->v1.request_event = event;
}

static void hear(struct ends *ends, uint64_t id)
{
        struct nipc_header response = {
                .kind = NIPC_KIND_RESPONSE, .code = 7, .item_count = 1, .message_id = id};
        uint8_t answer[RAW_HEADER_SIZE];
        struct nipc_message message;

        util_eq_error(nipc_session_receive(ends->session, NIPC_DEADLINE_NOW, &message), 0);
        tap_eq_uint(message.header.message_id, id);
        util_eq_error(nipc_session_send(ends->session, &response, NULL, 0, util_soon()), 0);
        tap_eq_int(v1_shm_receive(&ends->v1, answer, sizeof(answer), 60000), RAW_HEADER_SIZE);
}

/* All sessions are waited for by their events afterwards. */
static void let_sleep(struct nipc_poller *poller)
{
        struct nipc_poller_event event;

        tap_eq_int(nipc_poller_wait(poller, nipc_deadline_after_ms(1), &event, 1), 0);
}

/* For ever: at a deadline all is looked at, and nobody would see what was lost. */
static void *wait_for_one(struct nipc_poller *poller, uint32_t *ret_events)
{
        struct nipc_poller_event event = {0};

        util_waiting_for("what was left out of a batch");
        tap_eq_int(nipc_poller_wait(poller, NIPC_DEADLINE_NEVER, &event, 1), 1);
        *ret_events = event.events;
        return event.userdata;
}

/* The event of one ends a wait in which another has the only place. */
static void test_left_out(void)
{
        struct nipc_listener *listener = open_listener();
        struct nipc_poller *poller = new_poller();
        struct ends ends[2], *first, *second;
        uint32_t events;

        for (unsigned i = 0; i < 2; i++) {
                tap_require(begin(listener, &ends[i]));
                util_eq_error(nipc_poller_add_session(poller, ends[i].session, &ends[i]), 0);
        }
        for (uint64_t id = 1; id <= 20; id++) {
                let_sleep(poller);
                ask_silently(&ends[id % 2], id);
                ask(&ends[(id + 1) % 2], id);
                first = wait_for_one(poller, &events);
                tap_require(first == &ends[0] || first == &ends[1]);
                hear(first, id);
                second = wait_for_one(poller, &events);
                tap_require(second == &ends[first == &ends[0]]);
                hear(second, id);
        }
        for (unsigned i = 0; i < 2; i++) {
                nipc_poller_remove_session(poller, ends[i].session);
                end(&ends[i]);
        }
        nipc_poller_free(poller);
        nipc_listener_close(listener);
}

/* A wake is told by one hint, however many wake. */
static void test_wake_left_out(void)
{
        struct nipc_listener *listener = open_listener();
        struct nipc_poller *poller = new_poller();
        struct ends ends;
        uint32_t events;
        unsigned n_wakes = 0, n_heard = 0;

        tap_require(begin(listener, &ends));
        util_eq_error(nipc_poller_add_session(poller, ends.session, &ends), 0);
        let_sleep(poller);
        ask_silently(&ends, 1);
        nipc_poller_wake(poller);
        while (n_wakes + n_heard < 2) {
                if (wait_for_one(poller, &events) == &ends) {
                        hear(&ends, 1);
                        n_heard++;
                } else {
                        n_wakes += events == NIPC_EVENT_WAKE;
                }
        }
        tap_eq_uint(n_heard, 1);
        tap_eq_uint(n_wakes, 1);
        nipc_poller_remove_session(poller, ends.session);
        end(&ends);
        nipc_poller_free(poller);
        nipc_listener_close(listener);
}

static void *asker_main(void *userdata)
{
        struct ends *ends = userdata;

        util_wait_asleep(0);
        ask(ends, 1);
        return NULL;
}

/* Somebody has the session's descriptor while a poller sleeps: both are told. */
static void test_descriptor_and_poller(void)
{
        struct nipc_listener *listener = open_listener();
        struct nipc_poller *poller = new_poller();
        struct ends ends;
        pthread_t thread;
        uint32_t events;
        int fd;

        tap_require(begin(listener, &ends));
        util_eq_error(nipc_poller_add_session(poller, ends.session, &ends), 0);
        let_sleep(poller);
        fd = nipc_session_get_fd(ends.session);
        tap_require(fd > 0);
        for (unsigned i = 0; i < 20; i++) {
                let_sleep(poller);
                tap_require(pthread_create(&thread, NULL, asker_main, &ends) == 0);
                tap_check(wait_for_one(poller, &events) == &ends);
                util_waiting_for("the session's own descriptor");
                tap_check(util_poll(fd, NIPC_EVENT_IN, true));
                pthread_join(thread, NULL);
                hear(&ends, 1);
        }
        nipc_poller_remove_session(poller, ends.session);
        end(&ends);
        nipc_poller_free(poller);
        nipc_listener_close(listener);
}

UTIL_MAIN(TAP_CASE(test_left_out), TAP_CASE(test_wake_left_out),
          TAP_CASE(test_descriptor_and_poller))
