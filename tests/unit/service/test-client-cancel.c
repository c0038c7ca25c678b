/* SPDX-License-Identifier: MIT */

/* Cancelling from another thread and from a signal handler, and what is left to do afterwards. */

#include <errno.h>
#include <sched.h>
#include <string.h>

#include "tap.h"
#include "util-service.h"

static struct nipc_client *client;
static pthread_t caller;
static atomic_bool has_cancelled;

/* The client was cancelled, and the one who did it has finished: only then it may be reset. */
static void wait_for_canceller(void)
{
        while (!atomic_load(&has_cancelled))
                sched_yield();
        atomic_store(&has_cancelled, false);
}

static int answer_cancel(struct util_script *script, struct nipc_session *session,
                         const struct nipc_message *request)
{
        if (atomic_load(&script->n_requests) > 1)
                return util_answer_increment(script, session, request);
        nipc_client_cancel(client);
        atomic_store(&has_cancelled, true);
        return 0;
}

static void cancel(void)
{
        nipc_client_cancel(client);
        atomic_store(&has_cancelled, true);
}

static int answer_signal(struct util_script *script, struct nipc_session *session,
                         const struct nipc_message *request)
{
        if (atomic_load(&script->n_requests) > 1)
                return util_answer_increment(script, session, request);
        util_run_interrupting(caller, cancel);
        return 0;
}

static void check_cancelled_call(struct util_script *script)
{
        uint64_t value = 0;

        tap_require(util_script_start(script));
        client = util_client(script->config.service);
        tap_eq_int(nipc_client_increment(client, 1, 0, &value), -ECANCELED);
        tap_eq_int(nipc_client_get_state(client), NIPC_CLIENT_STATE_BROKEN);
        tap_eq_int(nipc_client_increment(client, 1, 0, &value), -ENOTCONN);
        tap_eq_int(nipc_client_refresh(client), 0);
        tap_eq_int(nipc_client_get_state(client), NIPC_CLIENT_STATE_BROKEN);
        wait_for_canceller();
        nipc_client_reset_cancel(client);
        tap_eq_int(nipc_client_refresh(client), 1);
        tap_eq_int(nipc_client_increment(client, 1, 0, &value), 0);
        tap_eq_uint(value, 2);
        util_script_stop(script); /* first: it is the one who cancels */
        client = nipc_client_free(client);
        tap_eq_uint(atomic_load(&script->n_requests), 2);
}

static void test_from_another_thread(void)
{
        struct util_script script;

        util_script_init(&script, "thread");
        script.answer = answer_cancel;
        check_cancelled_call(&script);
}

static void test_from_a_signal_handler(void)
{
        struct util_script script;

        caller = pthread_self();
        util_script_init(&script, "signal");
        script.answer = answer_signal;
        check_cancelled_call(&script);
}

static void test_while_idle(void)
{
        struct util_script script;
        uint64_t value;

        util_script_init(&script, "idle");
        tap_require(util_script_start(&script));
        client = util_client("idle");
        nipc_client_cancel(client);
        nipc_client_cancel(client);
        nipc_client_reset_cancel(client);
        tap_eq_int(nipc_client_get_state(client), NIPC_CLIENT_STATE_BROKEN);
        tap_eq_int(nipc_client_refresh(client), 1);
        tap_eq_int(nipc_client_increment(client, 1, 0, &value), 0);
        util_script_stop(&script);
        client = nipc_client_free(client);
}

static void test_before_a_call(void)
{
        struct util_script script;
        uint64_t value;

        util_script_init(&script, "before");
        tap_require(util_script_start(&script));
        client = util_client("before");
        nipc_client_cancel(client);
        tap_eq_int(nipc_client_increment(client, 1, 0, &value), -ECANCELED);
        tap_eq_int(nipc_client_get_state(client), NIPC_CLIENT_STATE_BROKEN);
        util_script_stop(&script);
        client = nipc_client_free(client);
        tap_eq_uint(atomic_load(&script.n_requests), 0);
}

static void test_before_the_first_refresh(void)
{
        struct nipc_client_failure failure = NIPC_CLIENT_FAILURE_INIT;
        struct util_script script;

        client = util_client("first");
        util_script_init(&script, "first");
        tap_require(util_script_start(&script));
        nipc_client_cancel(client);
        tap_eq_int(nipc_client_refresh(client), 0);
        tap_eq_int(nipc_client_get_state(client), NIPC_CLIENT_STATE_NOT_FOUND);
        nipc_client_get_failure(client, &failure);
        tap_eq_int(failure.error, -ECANCELED);
        nipc_client_reset_cancel(client);
        tap_eq_int(nipc_client_refresh(client), 1);
        util_script_stop(&script);
        client = nipc_client_free(client);
}

/* A request was answered by the end of the session, and nobody is there: cancel ends the retries.
 */
static int answer_cancel_and_leave(struct util_script *script, struct nipc_session *session,
                                   const struct nipc_message *request)
{
        nipc_client_cancel(client);
        return UTIL_LEAVE;
}

static void test_beats_other_errors(void)
{
        struct util_script script;
        uint64_t value;

        util_script_init(&script, "beats");
        script.answer = answer_cancel_and_leave;
        tap_require(util_script_start(&script));
        client = util_client("beats");
        tap_eq_int(nipc_client_increment(client, 1, 0, &value), -ECANCELED);
        tap_eq_int(nipc_client_get_state(client), NIPC_CLIENT_STATE_BROKEN);
        util_script_stop(&script);
        client = nipc_client_free(client);
}

UTIL_TEST_LEAKS_NOTHING

TAP_MAIN(TAP_CASE(test_from_another_thread), TAP_CASE(test_from_a_signal_handler),
         TAP_CASE(test_while_idle), TAP_CASE(test_before_a_call),
         TAP_CASE(test_before_the_first_refresh), TAP_CASE(test_beats_other_errors),
         TAP_CASE(test_leaks_nothing))
