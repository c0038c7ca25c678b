/* SPDX-License-Identifier: MIT */

/* Whoever waits for a message without a deadline is cancelled from another thread, at once. */

#include "util-conformance.h"
#include <nipc/cancel.h>

struct canceller {
        struct nipc_cancel *cancel;
        pid_t tid;
};

static void *canceller_main(void *userdata)
{
        struct canceller *canceller = userdata;

        util_wait_asleep(canceller->tid);
        nipc_cancel_trigger(canceller->cancel);
        return NULL;
}

enum call { RECEIVE, WAIT, CALL, N_CALLS };

static int make_call(struct nipc_session *session, enum call call)
{
        struct nipc_header request = make_request(1);
        struct nipc_message message;

        if (call == RECEIVE)
                return nipc_session_receive(session, NIPC_DEADLINE_NEVER, &message);
        if (call == WAIT)
                return nipc_session_wait(session, NIPC_DEADLINE_NEVER);
        return nipc_session_call(session, &request, "x", 1, NIPC_DEADLINE_NEVER, &message);
}

/* The peer, who says nothing, hears of the end when the session is closed. */
static void try_call(enum call call)
{
        struct canceller canceller = {NULL, util_gettid()};
        struct nipc_message message;
        struct pair_config config;
        struct pair pair;
        pthread_t thread;
        int r;

        util_eq_error(nipc_cancel_new(&canceller.cancel), 0);
        pair_config_init(&config);
        config.session.cancel = canceller.cancel;
        tap_require(pair_open(&pair, &config));
        tap_require(pthread_create(&thread, NULL, canceller_main, &canceller) == 0);
        util_waiting_for("a cancelled call to return");
        util_eq_error(make_call(pair.client, call), -ECANCELED);
        pthread_join(thread, NULL);
        util_eq_error(make_call(pair.client, call), -ECANCELED);
        util_eq_error(nipc_session_receive(pair.client, NIPC_DEADLINE_NOW, &message), -ECANCELED);
        pair.client = nipc_session_close(pair.client);
        do {
                r = nipc_session_receive(pair.server, util_soon(), &message);
        } while (r == 0);
        util_eq_error(r, -ECONNRESET);
        pair_close(&pair);
        nipc_cancel_free(canceller.cancel);
}

static void test_calls(void)
{
        for (unsigned i = 0; i < 20; i++)
                for (unsigned call = 0; call < N_CALLS; call++)
                        try_call((enum call)call);
}

UTIL_MAIN(TAP_CASE(test_calls))
