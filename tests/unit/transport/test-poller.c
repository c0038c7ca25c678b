/* SPDX-License-Identifier: MIT */

/* A poller: many things at once, its own descriptor in somebody else's poll, and what ends a wait.
 */

#include "util-env.h"
#include "util-raw.h"
#include <errno.h>
#include <nipc/listener.h>
#include <nipc/poller.h>
#include <unistd.h>

#define MAX_EVENTS 16

static struct nipc_poller *new_poller(void)
{
        struct nipc_poller *poller = NULL;

        util_eq_error(nipc_poller_new(&poller), 0);
        return poller;
}

static struct nipc_listener *open_listener(const char *service)
{
        struct nipc_listener_config config = NIPC_LISTENER_CONFIG_INIT;
        struct nipc_listener *listener = NULL;

        config.run_dir = util_dir();
        config.service = service;
        config.max_request_payload_bytes = 1024;
        config.max_response_payload_bytes = 16 * 1024 * 1024;
        util_eq_error(nipc_listener_open(&config, &listener), 0);
        return listener;
}

/* A session of the listener whose client is *ret_fd, handshake complete. */
static struct nipc_session *open_session(struct nipc_listener *listener, const char *service,
                                         int *ret_fd)
{
        struct nipc_session *session = NULL;
        uint8_t packet[RAW_ACK_SIZE];

        *ret_fd = raw_connect(service, SOCK_SEQPACKET);
        raw_hello(packet);
        raw_send(*ret_fd, packet, RAW_HELLO_SIZE);
        util_eq_error(nipc_listener_accept(listener, util_soon(), &session), 0);
        util_eq_error(nipc_session_handshake(session, util_soon()), 0);
        tap_eq_int(raw_receive(*ret_fd, packet, sizeof(packet)), RAW_ACK_SIZE);
        return session;
}

static int poll_once(struct nipc_poller *poller, struct nipc_poller_event *ret_event)
{
        *ret_event = (struct nipc_poller_event){0};
        return nipc_poller_wait(poller, NIPC_DEADLINE_NOW, ret_event, 1);
}

/* What is there, or is on its way. */
static int wait_once(struct nipc_poller *poller, struct nipc_poller_event *ret_event)
{
        *ret_event = (struct nipc_poller_event){0};
        util_waiting_for("the poller to say something");
        return nipc_poller_wait(poller, util_soon(), ret_event, 1);
}

/* A foreign loop sees something to do. */
static bool becomes_readable(struct nipc_poller *poller)
{
        util_waiting_for("the poller's descriptor");
        return util_poll(nipc_poller_get_fd(poller), NIPC_EVENT_IN, true);
}

/* A foreign loop sees nothing to do, or sees something in vain, but not for ever. */
static bool is_idle(struct nipc_poller *poller)
{
        struct nipc_poller_event event;

        if (util_polls_exactly() && util_poll(nipc_poller_get_fd(poller), NIPC_EVENT_IN, false))
                return false;
        util_waiting_for("a descriptor to go quiet");
        do {
                if (poll_once(poller, &event) != 0)
                        return false;
        } while (util_poll(nipc_poller_get_fd(poller), NIPC_EVENT_IN, false));
        return true;
}

static void test_arguments(void)
{
        struct nipc_poller *poller = new_poller();
        struct nipc_listener *listener = open_listener("svc");
        struct nipc_poller_event event;
        struct nipc_session *session;
        int fd;

        session = open_session(listener, "svc", &fd);
        util_eq_error(nipc_poller_new(NULL), -EINVAL);
        util_eq_error(nipc_poller_add_session(poller, session, NULL), -EINVAL);
        util_eq_error(nipc_poller_add_session(poller, NULL, &fd), -EINVAL);
        util_eq_error(nipc_poller_add_session(NULL, session, &fd), -EINVAL);
        util_eq_error(nipc_poller_add_listener(poller, listener, NULL), -EINVAL);
        util_eq_error(nipc_poller_add_listener(poller, NULL, &fd), -EINVAL);
        util_eq_error(nipc_poller_update_session(poller, session, NIPC_EVENT_IN), -EINVAL);
        util_eq_error(nipc_poller_wait(poller, NIPC_DEADLINE_NOW, &event, 0), -EINVAL);
        util_eq_error(nipc_poller_wait(poller, NIPC_DEADLINE_NOW, NULL, 1), -EINVAL);
        util_eq_error(nipc_poller_wait(NULL, NIPC_DEADLINE_NOW, &event, 1), -EINVAL);
        util_eq_error(nipc_poller_set_timer(NULL, 5), -EINVAL);
        util_eq_error(nipc_poller_add_session(poller, session, &fd), 0);
        util_eq_error(nipc_poller_add_session(poller, session, &fd), -EEXIST);
        util_eq_error(nipc_poller_add_listener(poller, listener, &fd), 0);
        util_eq_error(nipc_poller_add_listener(poller, listener, &fd), -EEXIST);
        tap_check(nipc_poller_get_fd(NULL) < 0);
        nipc_poller_remove_session(poller, session);
        nipc_poller_remove_session(poller, session);
        nipc_poller_remove_session(poller, NULL);
        nipc_poller_remove_listener(poller, listener);
        nipc_poller_remove_listener(poller, listener);
        nipc_poller_remove_listener(NULL, listener);
        nipc_session_close(session);
        close(fd);
        nipc_listener_close(listener);
        tap_eq_ptr(nipc_poller_free(poller), NULL);
        tap_eq_ptr(nipc_poller_free(NULL), NULL);
}

/* A client, from its connection to the end of its handshake, through readiness alone. */
static struct nipc_session *accept_by_events(struct nipc_poller *poller,
                                             struct nipc_listener *listener, int *ret_fd)
{
        struct nipc_session *session = NULL;
        struct nipc_poller_event event;
        uint8_t hello[RAW_HELLO_SIZE];

        tap_check(is_idle(poller));
        *ret_fd = raw_connect("svc", SOCK_SEQPACKET);
        tap_check(becomes_readable(poller));
        tap_eq_int(wait_once(poller, &event), 1);
        tap_eq_ptr(event.userdata, listener);
        tap_eq_uint(event.events, NIPC_EVENT_IN);
        util_eq_error(nipc_listener_accept(listener, NIPC_DEADLINE_NOW, &session), 0);
        util_eq_error(nipc_poller_add_session(poller, session, session), 0);
        util_eq_error(nipc_session_handshake(session, NIPC_DEADLINE_NOW), -EAGAIN);
        tap_check(is_idle(poller));
        raw_hello(hello);
        raw_send(*ret_fd, hello, sizeof(hello));
        tap_eq_int(wait_once(poller, &event), 1);
        tap_eq_ptr(event.userdata, session);
        util_eq_error(nipc_session_handshake(session, NIPC_DEADLINE_NOW), 0);
        tap_check(is_idle(poller));
        return session;
}

/* And from there to its last byte. */
static void test_session_life(void)
{
        struct nipc_poller *poller = new_poller();
        struct nipc_listener *listener = open_listener("svc");
        struct nipc_session *session;
        struct nipc_poller_event event;
        struct nipc_message message;
        uint8_t packet[RAW_HEADER_SIZE];
        int fd;

        util_eq_error(nipc_poller_add_listener(poller, listener, listener), 0);
        session = accept_by_events(poller, listener, &fd);
        raw_header(packet, 1, 1, 0, 1, 7);
        raw_send(fd, packet, sizeof(packet));
        for (unsigned i = 0; i < 3; i++) { /* until it is drained */
                tap_check(becomes_readable(poller));
                tap_eq_int(wait_once(poller, &event), 1);
                tap_eq_uint(event.events, NIPC_EVENT_IN);
        }
        util_eq_error(nipc_session_receive(session, NIPC_DEADLINE_NOW, &message), 0);
        tap_check(is_idle(poller));
        close(fd);
        tap_eq_int(wait_once(poller, &event), 1);
        tap_check(event.events & NIPC_EVENT_IN);
        util_eq_error(nipc_session_receive(session, NIPC_DEADLINE_NOW, &message), -ECONNRESET);
        nipc_poller_remove_session(poller, session);
        tap_check(is_idle(poller));
        nipc_session_close(session);
        nipc_poller_remove_listener(poller, listener);
        nipc_listener_close(listener);
        nipc_poller_free(poller);
}

/* A response that does not fit: the poller says when it goes on. */
static void test_writable(void)
{
        static uint8_t payload[4 * 1024 * 1024], packet[65536];
        struct nipc_header header = {.kind = NIPC_KIND_RESPONSE, .item_count = 1, .message_id = 1};
        struct nipc_poller *poller = new_poller();
        struct nipc_listener *listener = open_listener("svc");
        struct nipc_poller_event event;
        size_t received = 0;
        int fd, r;
        struct nipc_session *session = open_session(listener, "svc", &fd);

        util_eq_error(nipc_poller_add_session(poller, session, session), 0);
        r = nipc_session_send(session, &header, payload, sizeof(payload), NIPC_DEADLINE_NOW);
        util_eq_error(r, -EAGAIN);
        tap_eq_uint(nipc_session_get_events(session), NIPC_EVENT_IN | NIPC_EVENT_OUT);
        tap_check(is_idle(poller)); /* it was not told yet */
        nipc_poller_update_session(poller, session, nipc_session_get_events(session));
        tap_check(is_idle(poller)); /* full */
        while (r == -EAGAIN && received < sizeof(payload)) {
                while (raw_is_readable(fd))
                        received += (size_t)raw_receive(fd, packet, sizeof(packet)) - 32;
                tap_eq_int(wait_once(poller, &event), 1);
                if (!tap_eq_uint(event.events, NIPC_EVENT_OUT))
                        break;
                r = nipc_session_flush(session, NIPC_DEADLINE_NOW);
        }
        util_eq_error(r, 0);
        tap_eq_uint(nipc_session_get_events(session), NIPC_EVENT_IN);
        nipc_poller_update_session(poller, session, nipc_session_get_events(session));
        tap_check(is_idle(poller));
        nipc_poller_remove_session(poller, session);
        nipc_session_close(session);
        close(fd);
        nipc_listener_close(listener);
        nipc_poller_free(poller);
}

/* A parked session reports no data; what came meanwhile is there when it is back. */
static void test_parked(void)
{
        struct nipc_poller *poller = new_poller();
        struct nipc_listener *listener = open_listener("svc");
        struct nipc_poller_event event;
        uint8_t packet[RAW_HEADER_SIZE];
        int fd;
        struct nipc_session *session = open_session(listener, "svc", &fd);

        util_eq_error(nipc_poller_add_session(poller, session, session), 0);
        util_eq_error(nipc_poller_update_session(poller, session, 0), 0);
        raw_header(packet, 1, 1, 0, 1, 7);
        raw_send(fd, packet, sizeof(packet));
        tap_check(is_idle(poller));
        util_eq_error(nipc_poller_update_session(poller, session, NIPC_EVENT_IN), 0);
        tap_eq_int(wait_once(poller, &event), 1);
        /* Removed, what is pending is not reported, and it can be added again. */
        nipc_poller_remove_session(poller, session);
        tap_check(is_idle(poller));
        util_eq_error(nipc_poller_add_session(poller, session, &fd), 0);
        tap_eq_int(wait_once(poller, &event), 1);
        tap_eq_ptr(event.userdata, &fd);
        nipc_poller_remove_session(poller, session);
        nipc_session_close(session);
        close(fd);
        nipc_listener_close(listener);
        nipc_poller_free(poller);
}

static void test_many(void)
{
        enum { N = 200 };
        struct nipc_poller_event events[MAX_EVENTS];
        struct nipc_poller *poller = new_poller();
        struct nipc_listener *listener = open_listener("svc");
        struct nipc_session *sessions[N];
        bool seen[N] = {false};
        unsigned n_seen = 0;
        int fds[N];

        for (unsigned i = 0; i < N; i++) {
                sessions[i] = open_session(listener, "svc", &fds[i]);
                util_eq_error(nipc_poller_add_session(poller, sessions[i], &seen[i]), 0);
        }
        tap_check(is_idle(poller));
        for (unsigned i = 0; i < N; i++)
                close(fds[i]);
        while (n_seen < N) {
                int n = nipc_poller_wait(poller, util_soon(), events, MAX_EVENTS);

                tap_require(n > 0 && n <= MAX_EVENTS);
                for (int i = 0; i < n; i++) {
                        size_t which = (size_t)((bool *)events[i].userdata - seen);

                        tap_require(which < N && !seen[which]);
                        seen[which] = true;
                        n_seen++;
                        nipc_poller_remove_session(poller, sessions[which]);
                        nipc_session_close(sessions[which]);
                }
        }
        tap_check(is_idle(poller));
        nipc_listener_close(listener);
        nipc_poller_free(poller);
}

/* Two pollers watch one listener: one client wakes at least one, and is accepted once. */
static void test_two_pollers(void)
{
        struct nipc_poller *pollers[2] = {new_poller(), new_poller()};
        struct nipc_listener *listener = open_listener("svc");
        struct nipc_session *session = NULL;
        struct nipc_poller_event event;
        int n = 0, fd;

        for (unsigned i = 0; i < 2; i++)
                util_eq_error(nipc_poller_add_listener(pollers[i], listener, listener), 0);
        fd = raw_connect("svc", SOCK_SEQPACKET);
        for (unsigned i = 0; i < 2; i++)
                n += poll_once(pollers[i], &event);
        tap_check(n == 1 || n == 2);
        util_eq_error(nipc_listener_accept(listener, NIPC_DEADLINE_NOW, &session), 0);
        nipc_session_close(session);
        util_eq_error(nipc_listener_accept(listener, NIPC_DEADLINE_NOW, &session), -EAGAIN);
        for (unsigned i = 0; i < 2; i++) {
                tap_check(is_idle(pollers[i]));
                nipc_poller_remove_listener(pollers[i], listener);
                nipc_poller_free(pollers[i]);
        }
        close(fd);
        nipc_listener_close(listener);
}

/* ---- what ends a wait ----------------------------------------------------------------------- */

static struct nipc_poller *handler_poller;

static void on_signal(int number)
{
        nipc_poller_wake(handler_poller);
}

struct waker {
        struct nipc_poller *poller;
        pid_t tid;
        pthread_t victim;
        bool by_signal;
};

static void *waker_main(void *userdata)
{
        struct waker *waker = userdata;

        util_wait_asleep(waker->tid);
        if (waker->by_signal)
                util_interrupt(waker->victim, on_signal);
        else
                nipc_poller_wake(waker->poller);
        return NULL;
}

static void try_wake(bool by_signal)
{
        struct waker waker = {new_poller(), util_gettid(), pthread_self(), by_signal};
        struct nipc_poller_event event;
        pthread_t thread;

        handler_poller = waker.poller;
        tap_require(pthread_create(&thread, NULL, waker_main, &waker) == 0);
        util_waiting_for("a wake");
        tap_eq_int(nipc_poller_wait(waker.poller, NIPC_DEADLINE_NEVER, &event, 1), 1);
        tap_eq_uint(event.events, NIPC_EVENT_WAKE);
        tap_eq_ptr(event.userdata, NULL);
        pthread_join(thread, NULL);
        tap_check(is_idle(waker.poller));
        nipc_poller_free(waker.poller);
}

static void test_wake(void)
{
        for (unsigned i = 0; i < 20; i++) {
                try_wake(false);
                try_wake(true);
        }
}

/* Many wakes before a wait are one, and errno is the caller's. */
static void test_wake_before_wait(void)
{
        struct nipc_poller *poller = new_poller();
        struct nipc_poller_event event;

        errno = 4711;
        for (unsigned i = 0; i < 1000; i++)
                nipc_poller_wake(poller);
        tap_eq_int(errno, 4711);
        tap_check(becomes_readable(poller));
        tap_eq_int(nipc_poller_wait(poller, NIPC_DEADLINE_NEVER, &event, 1), 1);
        tap_eq_uint(event.events, NIPC_EVENT_WAKE);
        tap_check(is_idle(poller));
        nipc_poller_free(poller);
}

static void test_deadlines(void)
{
        struct nipc_poller *poller = new_poller();
        struct nipc_poller_event event;
        uint64_t deadline_ns = nipc_deadline_after_ms(20);

        tap_eq_int(nipc_poller_wait(poller, NIPC_DEADLINE_NOW, &event, 1), 0);
        tap_eq_int(nipc_poller_wait(poller, NIPC_DEADLINE_LINGER, &event, 1), 0);
        tap_eq_int(nipc_poller_wait(poller, deadline_ns, &event, 1), 0);
        tap_check(nipc_clock_now_ns() >= deadline_ns);
        tap_eq_int(nipc_poller_wait(poller, deadline_ns, &event, 1), 0);
        nipc_poller_free(poller);
}

static void test_timer(void)
{
        struct nipc_poller *poller = new_poller();
        struct nipc_poller_event event;
        uint64_t deadline_ns = nipc_deadline_after_ms(20);

        util_eq_error(nipc_poller_set_timer(poller, deadline_ns), 0);
        tap_eq_int(nipc_poller_wait(poller, NIPC_DEADLINE_NEVER, &event, 1), 1);
        tap_eq_uint(event.events, NIPC_EVENT_TIMER);
        tap_eq_ptr(event.userdata, NULL);
        tap_check(nipc_clock_now_ns() >= deadline_ns);
        tap_check(is_idle(poller));                                   /* once */
        util_eq_error(nipc_poller_set_timer(poller, deadline_ns), 0); /* long gone */
        tap_check(becomes_readable(poller));
        tap_eq_int(wait_once(poller, &event), 1);
        tap_eq_uint(event.events, NIPC_EVENT_TIMER);
        util_eq_error(nipc_poller_set_timer(poller, deadline_ns), 0);
        util_eq_error(nipc_poller_set_timer(poller, NIPC_DEADLINE_NOW), 0); /* disarmed */
        tap_check(is_idle(poller));
        util_eq_error(nipc_poller_set_timer(poller, NIPC_DEADLINE_NEVER), 0);
        tap_check(is_idle(poller));
        util_eq_error(nipc_poller_set_timer(poller, NIPC_DEADLINE_NEVER - 1), 0);
        tap_check(is_idle(poller));
        nipc_poller_free(poller);
}

/* In a foreign loop: the poller's descriptor is polled. */
static void test_nested(void)
{
        struct nipc_poller *poller = new_poller();
        struct nipc_poller_event event;
        struct waker waker = {poller, util_gettid(), pthread_self(), false};
        pthread_t thread;

        tap_require(pthread_create(&thread, NULL, waker_main, &waker) == 0);
        tap_check(becomes_readable(poller));
        tap_eq_int(wait_once(poller, &event), 1);
        tap_eq_uint(event.events, NIPC_EVENT_WAKE);
        pthread_join(thread, NULL);
        tap_check(is_idle(poller));
        nipc_poller_free(poller);
}

UTIL_MAIN(TAP_CASE(test_arguments), TAP_CASE(test_session_life), TAP_CASE(test_writable),
          TAP_CASE(test_parked), TAP_CASE(test_many), TAP_CASE(test_two_pollers),
          TAP_CASE(test_wake), TAP_CASE(test_wake_before_wait), TAP_CASE(test_deadlines),
          TAP_CASE(test_timer), TAP_CASE(test_nested))
