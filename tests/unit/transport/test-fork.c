/* SPDX-License-Identifier: MIT */

/*
 * What was made by one process is known for that in its children and theirs, and they cannot do
 * anything to it. Built twice: the second time the kernel does not empty pages in children.
 */

#include "fork.h"
#include "util-env.h"
#include <errno.h>
#include <nipc/cancel.h>
#include <nipc/listener.h>
#include <nipc/poller.h>
#include <nipc/session.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>

#ifdef WITHOUT_WIPEONFORK
int __real_madvise(void *address, size_t size, int advice);
int __wrap_madvise(void *address, size_t size, int advice);

int __wrap_madvise(void *address, size_t size, int advice)
{
        if (advice != MADV_WIPEONFORK)
                return __real_madvise(address, size, advice);
        errno = EINVAL;
        return -1;
}
#endif

/* ---- marks ---------------------------------------------------------------------------------- */

static struct nipc__fork_mark marks[3];

static void in_grandchild(void *userdata)
{
        tap_check(nipc__fork_is_inherited(&marks[0]));
        tap_check(nipc__fork_is_inherited(&marks[1]));
        tap_eq_int(nipc__fork_mark_init(&marks[2]), 0);
        tap_check(!nipc__fork_is_inherited(&marks[2]));
        tap_check(nipc__fork_is_inherited(&marks[0]));
        tap_check(nipc__fork_is_inherited(&marks[1]));
}

static void in_child(void *userdata)
{
        tap_check(nipc__fork_is_inherited(&marks[0]));
        util_in_child(in_grandchild, NULL); /* before there are marks of our own */
        marks[1] = marks[0];
        tap_eq_int(nipc__fork_mark_init(&marks[1]), 0);
        tap_check(!nipc__fork_is_inherited(&marks[1]));
        tap_check(nipc__fork_is_inherited(&marks[0]));
        util_in_child(in_grandchild, NULL);
        tap_check(!nipc__fork_is_inherited(&marks[1]));
}

static void test_marks(void)
{
        struct nipc__fork_mark other;

        tap_eq_int(nipc__fork_mark_init(&marks[0]), 0);
        tap_eq_int(nipc__fork_mark_init(&other), 0);
        marks[1] = marks[0];
        for (unsigned i = 0; i < 3; i++) {
                util_in_child(in_child, NULL);
                tap_check(!nipc__fork_is_inherited(&marks[0]));
                tap_check(!nipc__fork_is_inherited(&other));
        }
}

/* ---- cancel objects ------------------------------------------------------------------------- */

struct fixture {
        struct nipc_listener *listener;
        struct nipc_session *client;
        struct nipc_session *server;
        struct nipc_cancel *cancel;
        struct nipc_poller *poller;
};

static void *open_client(void *userdata)
{
        struct nipc_session_config config = NIPC_SESSION_CONFIG_INIT;
        struct fixture *f = userdata;

        config.run_dir = util_dir();
        config.service = "fork";
        config.cancel = f->cancel;
        util_eq_error(nipc_session_open(&config, util_soon(), &f->client, NULL), 0);
        return NULL;
}

static bool fixture_init(struct fixture *f)
{
        struct nipc_listener_config config = NIPC_LISTENER_CONFIG_INIT;
        pthread_t thread;
        bool good;

        *f = (struct fixture){0};
        config.run_dir = util_dir();
        config.service = "fork";
        good = util_eq_error(nipc_cancel_new(&f->cancel), 0) &&
               util_eq_error(nipc_poller_new(&f->poller), 0) &&
               util_eq_error(nipc_listener_open(&config, &f->listener), 0);
        if (!good)
                return false;
        pthread_create(&thread, NULL, open_client, f);
        good = util_eq_error(nipc_listener_accept(f->listener, util_soon(), &f->server), 0) &&
               util_eq_error(nipc_session_handshake(f->server, util_soon()), 0);
        pthread_join(thread, NULL);
        return good && f->client;
}

static void fixture_deinit(struct fixture *f)
{
        nipc_poller_free(f->poller);
        nipc_session_close(f->client);
        nipc_session_close(f->server);
        nipc_listener_close(f->listener);
        nipc_cancel_free(f->cancel);
}

/* One message from the server to the client. */
static void say_something(const struct fixture *f)
{
        const struct nipc_header header = {
                .kind = NIPC_KIND_CONTROL, .code = 7, .item_count = 1, .message_id = 1};

        util_eq_error(nipc_session_send(f->server, &header, "x", 1, util_soon()), 0);
}

static void check_still_connected(const struct fixture *f)
{
        struct nipc_message message;

        say_something(f);
        util_eq_error(nipc_session_receive(f->client, util_soon(), &message), 0);
}

static void cancel_in_child(void *userdata)
{
        struct nipc_session_config config = NIPC_SESSION_CONFIG_INIT;
        struct nipc_failure failure = NIPC_FAILURE_INIT;
        struct nipc_session *session = NULL;
        struct fixture *f = userdata;

        tap_check(nipc_cancel_is_inherited(f->cancel));
        nipc_cancel_trigger(f->cancel);
        tap_check(nipc_cancel_is_triggered(f->cancel));
        nipc_cancel_reset(f->cancel);
        config.run_dir = util_dir();
        config.service = "fork";
        config.cancel = f->cancel;
        util_eq_error(nipc_session_open(&config, util_soon(), &session, &failure), -ECHILD);
        util_eq_error(failure.error, -ECHILD);
        tap_check(!session);
        f->client = nipc_session_close(f->client);
        f->cancel = nipc_cancel_free(f->cancel);
}

static void test_cancel(void)
{
        struct fixture f;

        tap_require(fixture_init(&f));
        tap_check(!nipc_cancel_is_inherited(f.cancel));
        tap_check(!nipc_cancel_is_inherited(NULL));
        util_in_child(cancel_in_child, &f);
        tap_check(!nipc_cancel_is_triggered(f.cancel));
        check_still_connected(&f);
        nipc_cancel_trigger(f.cancel); /* which still works */
        util_eq_error(nipc_session_wait(f.client, util_soon()), -ECANCELED);
        fixture_deinit(&f);
}

/* ---- pollers -------------------------------------------------------------------------------- */

static bool is_readable(int fd)
{
        struct pollfd pollfd = {.fd = fd, .events = POLLIN};

        return poll(&pollfd, 1, 0) == 1;
}

static void poll_in_child(void *userdata)
{
        struct nipc_poller_event event;
        struct fixture *f = userdata;

        tap_check(nipc_poller_is_inherited(f->poller));
        util_eq_error(nipc_poller_add_session(f->poller, f->server, f), -ECHILD);
        util_eq_error(nipc_poller_add_listener(f->poller, f->listener, f), -ECHILD);
        util_eq_error(nipc_poller_update_session(f->poller, f->client, 0), -ECHILD);
        util_eq_error(nipc_poller_set_timer(f->poller, nipc_deadline_after_ms(1)), -ECHILD);
        util_eq_error(nipc_poller_wait(f->poller, NIPC_DEADLINE_NEVER, &event, 1), -ECHILD);
        util_eq_error(nipc_poller_get_fd(f->poller), -ECHILD);
        nipc_poller_wake(f->poller);
        nipc_poller_remove_session(f->poller, f->client);
        nipc_poller_remove_listener(f->poller, f->listener);
        f->client = nipc_session_close(f->client);
        f->poller = nipc_poller_free(f->poller);
}

static void test_poller(void)
{
        struct nipc_poller_event event = {0};
        struct fixture f;

        tap_require(fixture_init(&f));
        tap_check(!nipc_poller_is_inherited(f.poller));
        tap_check(!nipc_poller_is_inherited(NULL));
        util_eq_error(nipc_poller_add_session(f.poller, f.client, &f), 0);
        util_eq_error(nipc_poller_add_listener(f.poller, f.listener, &f.listener), 0);
        util_in_child(poll_in_child, &f);
        /* Nobody has woken it, set its timer, or taken anything from it. */
        tap_check(!is_readable(nipc_poller_get_fd(f.poller)));
        tap_eq_int(nipc_poller_wait(f.poller, NIPC_DEADLINE_NOW, &event, 1), 0);
        say_something(&f);
        tap_eq_int(nipc_poller_wait(f.poller, util_soon(), &event, 1), 1);
        tap_check(event.userdata == &f && event.events == NIPC_EVENT_IN);
        nipc_poller_remove_session(f.poller, f.client);
        nipc_poller_remove_listener(f.poller, f.listener);
        fixture_deinit(&f);
}

UTIL_MAIN(TAP_CASE(test_marks), TAP_CASE(test_cancel), TAP_CASE(test_poller))
