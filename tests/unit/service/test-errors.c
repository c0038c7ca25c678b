/* SPDX-License-Identifier: MIT */

/* One case per row of libnipc-service/doc/errors.md that can be reached without starving. */

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "tap.h"
#include "util-service.h"

struct row {
        int error;
        enum nipc_client_state state;
        int (*answer)(struct util_script *script, struct nipc_session *session,
                      const struct nipc_message *request);
        void (*before_accept)(struct util_script *script);
        uint32_t timeout_ms;
        size_t size;      /* of the request */
        uint32_t n_items; /* a batch of so many, 0: a single */
        bool cancel;
};

static int answer_nothing(struct util_script *script, struct nipc_session *session,
                          const struct nipc_message *request)
{
        return 0;
}

static int answer_close(struct util_script *script, struct nipc_session *session,
                        const struct nipc_message *request)
{
        return UTIL_CLOSE;
}

static int answer_leave(struct util_script *script, struct nipc_session *session,
                        const struct nipc_message *request)
{
        return UTIL_LEAVE;
}

static int answer_limit(struct util_script *script, struct nipc_session *session,
                        const struct nipc_message *request)
{
        util_reply(session, request, NIPC_TRANSPORT_STATUS_LIMIT_EXCEEDED, NULL, 0);
        return 0;
}

static int answer_unsupported(struct util_script *script, struct nipc_session *session,
                              const struct nipc_message *request)
{
        util_reply(session, request, NIPC_TRANSPORT_STATUS_UNSUPPORTED, NULL, 0);
        return 0;
}

static int answer_short(struct util_script *script, struct nipc_session *session,
                        const struct nipc_message *request)
{
        util_reply(session, request, 0, "1234", 4);
        return 0;
}

static void refuse_auth(struct util_script *script)
{
        if (atomic_load(&script->n_connects) == 1)
                script->refuse = NIPC_TRANSPORT_STATUS_AUTH_FAILED;
}

static void refuse_profile(struct util_script *script)
{
        if (atomic_load(&script->n_connects) == 1)
                script->refuse = NIPC_TRANSPORT_STATUS_UNSUPPORTED;
}

static const struct row rows[] = {
        {-ETIMEDOUT, NIPC_CLIENT_STATE_BROKEN, answer_nothing, .timeout_ms = 20},
        {-ECANCELED, NIPC_CLIENT_STATE_BROKEN, answer_nothing, .cancel = true},
        {-ECONNRESET, NIPC_CLIENT_STATE_BROKEN, answer_close},
        {-ECONNRESET, NIPC_CLIENT_STATE_NOT_FOUND, answer_leave},
        {-EMSGSIZE, NIPC_CLIENT_STATE_READY, .n_items = 65},
        {-EMSGSIZE, NIPC_CLIENT_STATE_READY, .size = 1024 * 1024 + 1},
        {-EMSGSIZE, NIPC_CLIENT_STATE_BROKEN, answer_limit},
        {-EMSGSIZE, NIPC_CLIENT_STATE_DISCONNECTED, .size = 600000},
        {-EBADMSG, NIPC_CLIENT_STATE_BROKEN, answer_short},
        {-EREMOTEIO, NIPC_CLIENT_STATE_BROKEN, answer_unsupported},
        {-EACCES, NIPC_CLIENT_STATE_AUTH_FAILED, answer_close, refuse_auth},
        {-EPROTONOSUPPORT, NIPC_CLIENT_STATE_INCOMPATIBLE, answer_close, refuse_profile},
        {-EINVAL, NIPC_CLIENT_STATE_READY, .n_items = UINT32_MAX},
        {0, NIPC_CLIENT_STATE_READY},
};

static int call(const struct row *row, struct nipc_client *client)
{
        static uint8_t payload[1024 * 1024 + 1];
        struct nipc_response response;
        uint64_t values[128] = {0};

        if (row->cancel)
                nipc_client_cancel(client);
        if (row->n_items)
                return nipc_client_increment_batch(client, values, row->n_items, row->timeout_ms,
                                                   values);
        if (row->size)
                return nipc_client_call(client, NIPC_METHOD_INCREMENT, payload, row->size,
                                        row->timeout_ms, &response, NULL);
        return nipc_client_increment(client, 1, row->timeout_ms, values);
}

static void test_calls(void)
{
        struct nipc_client_failure failure = NIPC_CLIENT_FAILURE_INIT;
        struct nipc_client *client;
        struct util_script script;
        size_t i;

        for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                util_script_init(&script, "row");
                script.config.max_request_payload_bytes = 524288;
                if (rows[i].answer)
                        script.answer = rows[i].answer;
                script.before_accept = rows[i].before_accept;
                tap_require(util_script_start(&script));
                client = util_client("row");
                if (!tap_eq_int(call(&rows[i], client), rows[i].error) ||
                    !tap_eq_int(nipc_client_get_state(client), rows[i].state))
                        tap_note("in row %zu", i);
                nipc_client_get_failure(client, &failure);
                tap_check(rows[i].error == -EINVAL || failure.error == rows[i].error);
                tap_check(rows[i].error != -EMSGSIZE || failure.fault.rule);
                nipc_client_free(client);
                util_script_stop(&script);
        }
}

static void test_calls_without_a_session(void)
{
        struct nipc_client *client = util_client("absent");
        uint64_t value;

        tap_eq_int(nipc_client_increment(client, 1, 0, &value), -ENOTCONN);
        tap_eq_int(nipc_client_increment(client, 1, 0, NULL), -EINVAL);
        tap_eq_int(nipc_client_increment(NULL, 1, 0, &value), -EINVAL);
        nipc_client_free(client);
}

/* A response that this side is not willing to hold. */
static void test_max_receive(void)
{
        struct nipc_server_config server_config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_client_config config = NIPC_CLIENT_CONFIG_INIT;
        struct nipc_client_failure failure = NIPC_CLIENT_FAILURE_INIT;
        struct nipc_response response;
        struct nipc_server *server;
        struct nipc_client *client;

        server_config.n_workers = 1;
        server = util_server(&server_config, "receive");
        config.run_dir = util_run_dir();
        config.service = "receive";
        config.max_receive_bytes = 50000;
        tap_require(nipc_client_new(&config, &client) == 0);
        nipc_client_refresh(client);
        tap_eq_int(nipc_client_call(client, UTIL_CODE, "f", 1, 0, &response, NULL), -EMSGSIZE);
        nipc_client_get_failure(client, &failure);
        tap_check(failure.fault.rule != NULL);
        nipc_client_free(client);
        nipc_server_free(server);
}

static void test_servers(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        const struct nipc_handler handler = {.size = sizeof(handler), .handle = util_handle};
        struct nipc_server *server, *second = NULL;
        char long_name[300] = {0};

        config.service = "server";
        config.run_dir = "/nonexistent/directory";
        tap_eq_int(nipc_server_new(&config, &handler, &second), -ENOENT);
        memset(long_name, 'x', sizeof(long_name) - 1);
        config.run_dir = util_run_dir();
        config.service = long_name;
        tap_eq_int(nipc_server_new(&config, &handler, &second), -ENAMETOOLONG);
        config.service = "server";
        tap_require(nipc_server_new(&config, &handler, &server) == 0);
        tap_eq_int(nipc_server_new(&config, &handler, &second), -EADDRINUSE);
        tap_eq_int(nipc_server_start(server), -EINVAL);
        nipc_server_stop(server);
        tap_eq_int(nipc_server_dispatch(server, 0), -ESHUTDOWN);
        nipc_server_free(server);
        tap_check(second == NULL);
}

static void test_drain_that_cuts(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        const struct nipc_header request = util_request(1, 1000);
        struct nipc_server *server = util_server(&config, "cuts");
        int fd = util_pump_open(server, "cuts");

        util_raw_send(fd, &request, "e", 1);
        tap_eq_int(nipc_server_drain(server, 10), -ETIMEDOUT);
        close(fd);
        nipc_server_free(server);
}

UTIL_TEST_LEAKS_NOTHING

TAP_MAIN(TAP_CASE(test_calls), TAP_CASE(test_calls_without_a_session), TAP_CASE(test_max_receive),
         TAP_CASE(test_servers), TAP_CASE(test_drain_that_cuts), TAP_CASE(test_leaks_nothing))
