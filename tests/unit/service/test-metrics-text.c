/* SPDX-License-Identifier: MIT */

/*
 * Metrics as text, and asked for from outside: the format by a strict reader, escapes, buffers that
 * are too small, and clients that ask for nothing good.
 */

#include <errno.h>
#include <nipc/batch.h>
#include <nipc/wire.h>
#include <string.h>
#include <unistd.h>

#include "tap.h"
#include "text.h"
#include "util-metrics.h"
#include "util-service.h"

static char buf[262144];

/* layout_version 1, format 1, in the byte order of the machine. */
static const uint16_t stat_request[NIPC_STAT_REQUEST_SIZE / 2] = {1, 1};

static struct nipc_server *start(const char *service, bool hide)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;

        config.n_workers = 1;
        config.hide_metrics = hide;
        config.profiles = nipc_profile_get_available();
        return util_server(&config, service);
}

static double get(const struct nipc_server *server, const char *series)
{
        size_t size = 0;

        if (nipc_server_format_metrics(server, buf, sizeof(buf), &size) != 0)
                return -2;
        return util_prometheus_get(buf, size, series);
}

static void test_reader_is_strict(void)
{
        static const char *const bad[] = {
                "a 1\n",
                "# HELP a x\na 1\n",
                "# HELP a x\n# TYPE a counter\na 1",
                "# HELP a x\n# TYPE a counter\na x\n",
                "# HELP a x\n# TYPE a counter\na{b=\"\\x\"} 1\n",
                "# HELP a x\n# TYPE a counter\na{b=\"c\"} 1\na{b=\"c\"} 2\n",
                "# HELP a x\n# TYPE a number\na 1\n",
                "# HELP a x\n# TYPE a histogram\na_bucket{b=\"\",le=\"1\"} 2\n"
                "a_bucket{b=\"\",le=\"+Inf\"} 1\n",
                "# HELP a x\n# TYPE a histogram\na_bucket{b=\"\",le=\"+Inf\"} 1\na_count{b=\"\"} "
                "2\n",
        };
        static const char good[] = "# HELP a x\n# TYPE a counter\na{b=\"c\\\\\\n\\\"\",d=\"\"} 1\n";
        size_t i;

        for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                if (!tap_check(util_prometheus_check(bad[i], strlen(bad[i])) != NULL))
                        tap_note("%s", bad[i]);
        tap_eq_str(util_prometheus_check(good, strlen(good)), NULL);
}

static void test_server_text(void)
{
        struct nipc_server *server = start("text", false);
        size_t size = 0;
        int i;

        for (i = 0; i < 200; i++)
                util_ask("text", NIPC_PROFILE_BASELINE, UTIL_CODE, "e", 1);
        util_ask("text", NIPC_PROFILE_BASELINE, UTIL_CODE, "n", 1);
        tap_eq_int(nipc_server_format_metrics(server, buf, sizeof(buf), &size), 0);
        tap_eq_str(util_prometheus_check(buf, size), NULL);
        tap_check(get(server, "nipc_server_requests_total{service=\"text\",status=\"ok\"}") == 200);
        tap_check(get(server, "nipc_server_requests_total{service=\"text\","
                              "status=\"internal_error\"}") == 1);
        tap_check(get(server, "nipc_server_sessions_opened_total{service=\"text\","
                              "profile=\"baseline\"}") == 201);
        tap_check(get(server, "nipc_server_workers{service=\"text\"}") == 1);
        tap_check(get(server, "nipc_server_stage_seconds_bucket{service=\"text\","
                              "stage=\"total\",le=\"0.0000001\"}") >= 0);
        nipc_server_free(server);
}

static void test_too_small(void)
{
        struct nipc_server *server = start("small", false);
        size_t size = 0, needed, i;

        tap_eq_int(nipc_server_format_metrics(server, NULL, 0, &size), -ENOSPC);
        needed = size;
        for (i = 1; i < needed; i += 97) {
                memset(buf, '!', needed + 1);
                size = 0;
                tap_eq_int(nipc_server_format_metrics(server, buf, i, &size), -ENOSPC);
                tap_eq_uint(size, needed);
                tap_eq_int(buf[i], '!'); /* nothing beyond what was lent */
        }
        tap_eq_int(nipc_server_format_metrics(server, buf, needed, &size), 0);
        tap_eq_uint(size, needed);
        tap_eq_int(buf[needed], '!');
        tap_eq_int(nipc_server_format_metrics(server, NULL, 1, &size), -EINVAL);
        tap_eq_int(nipc_server_format_metrics(server, buf, 1, NULL), -EINVAL);
        tap_eq_int(nipc_server_format_metrics(NULL, buf, 1, &size), -EINVAL);
        nipc_server_free(server);
}

/* Names of services need no escape; what steps and others say might. */
static void test_escapes(void)
{
        struct nipc__text text = {.buf = buf, .capacity = sizeof(buf), .service = "a\\b\"c\nd\xff"};

        nipc__text_metric(&text, "m", "gauge", "Help.", 18446744073709551615u);
        tap_eq_mem(buf, text.size,
                   "# HELP m Help.\n# TYPE m gauge\n"
                   "m{service=\"a\\\\b\\\"c\\nd?\"} 18446744073709551615\n",
                   strlen("# HELP m Help.\n# TYPE m gauge\n"
                          "m{service=\"a\\\\b\\\"c\\nd?\"} 18446744073709551615\n"));
        tap_eq_str(util_prometheus_check(buf, text.size), NULL);
}

static void test_seconds(void)
{
        static const struct {
                uint64_t ns;
                const char *text;
        } cases[] = {
                {0, "0"},
                {1, "0.000000001"},
                {50, "0.00000005"},
                {1000000000, "1"},
                {1500000000, "1.5"},
                {10000000001, "10.000000001"},
                {UINT64_MAX, "18446744073.709551615"},
        };
        size_t i;

        for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct nipc__text text = {.buf = buf, .capacity = sizeof(buf)};

                nipc__text_add_seconds(&text, cases[i].ns);
                tap_eq_mem(buf, text.size, cases[i].text, strlen(cases[i].text));
        }
}

static void test_client_text(void)
{
        struct nipc_server *server = start("client", false);
        struct nipc_client *client = util_client("client");
        struct nipc_response response;
        size_t size = 0;

        tap_eq_int(nipc_client_call(client, UTIL_CODE, "e", 1, 0, &response, NULL), 0);
        tap_eq_int(nipc_client_format_metrics(client, NULL, 0, &size), -ENOSPC);
        tap_eq_int(nipc_client_format_metrics(client, buf, size, &size), 0);
        tap_eq_str(util_prometheus_check(buf, size), NULL);
        tap_check(util_prometheus_get(
                          buf, size, "nipc_client_calls_total{service=\"client\",result=\"ok\"}") ==
                  1);
        tap_check(util_prometheus_get(
                          buf, size, "nipc_client_state{service=\"client\",state=\"READY\"}") == 1);
        tap_eq_int(nipc_client_format_metrics(NULL, buf, 1, &size), -EINVAL);
        nipc_client_free(client);
        nipc_server_free(server);
}

/* ---- from outside --------------------------------------------------------------------------- */

static void test_stat(void)
{
        struct nipc_server *server = start("asked", false);
        struct nipc_client *client = util_client("asked");
        const char *text = NULL;
        size_t size = 0;

        tap_eq_int(nipc_client_stat(client, 0, &text, &size), 0);
        tap_eq_str(util_prometheus_check(text, size), NULL);
        tap_check(util_prometheus_get(text, size,
                                      "nipc_server_stat_requests_total{service=\"asked\"}") == 1);
        /* It is no request of the service. */
        tap_eq_uint(util_metrics(server).answers[0], 0);
        tap_eq_uint(util_metrics(server).request_bytes, 0);
        tap_eq_uint(util_metrics(server).response_bytes, 0);
        tap_eq_uint(util_metrics(server).n_stat_requests, 1);
        tap_check(nipc_client_is_ready(client));
        nipc_client_free(client);
        nipc_server_free(server);
}

static void test_hidden(void)
{
        struct nipc_server *server = start("hidden", true);
        struct nipc_client *client = util_client("hidden");
        const char *text;
        size_t size;

        tap_eq_int(nipc_client_stat(client, 0, &text, &size), -EOPNOTSUPP);
        tap_check(util_metrics(server).answers[NIPC_TRANSPORT_STATUS_UNSUPPORTED] > 0);
        tap_eq_uint(util_metrics(server).n_stat_requests, 0);
        nipc_client_free(client);
        nipc_server_free(server);
}

/* Responses that are offered too small for the text grow, if their ceiling allows it. */
static void check_growth(uint32_t ceiling, int expected)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_server *server;
        struct nipc_client *client;
        const char *text;
        size_t size;

        config.n_workers = 1;
        config.initial_response_bytes = 64;
        config.max_response_bytes = ceiling;
        server = util_server(&config, "grown");
        client = util_client("grown");
        tap_eq_int(nipc_client_stat(client, 0, &text, &size), expected);
        nipc_client_free(client);
        nipc_server_free(server);
}

static void test_growth(void)
{
        check_growth(65536, 0);
        check_growth(64, -EMSGSIZE);
}

static void test_bad_requests(void)
{
        static const struct {
                const char *payload;
                size_t size;
                int status;
        } bad[] = {
                {"", 0, NIPC_TRANSPORT_STATUS_BAD_ENVELOPE},
                {"\1\0\1", 3, NIPC_TRANSPORT_STATUS_BAD_ENVELOPE},
                {"\1\0\1\0\0", 5, NIPC_TRANSPORT_STATUS_BAD_ENVELOPE},
                {"\2\0\1\0", 4, NIPC_TRANSPORT_STATUS_UNSUPPORTED},
                {"\1\0\2\0", 4, NIPC_TRANSPORT_STATUS_UNSUPPORTED},
                {"\0\0\0\0", 4, NIPC_TRANSPORT_STATUS_UNSUPPORTED},
        };
        struct nipc_server *server = start("bad", false);
        size_t i;

        for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                tap_eq_int(util_ask("bad", NIPC_PROFILE_BASELINE, NIPC_METHOD_STAT, bad[i].payload,
                                    bad[i].size),
                           bad[i].status);
        tap_eq_uint(util_metrics(server).n_stat_requests, 6);
        tap_eq_uint(util_metrics(server).answers[NIPC_TRANSPORT_STATUS_BAD_ENVELOPE], 0);
        tap_eq_int(util_ask("bad", NIPC_PROFILE_BASELINE, UTIL_CODE, "e", 1), 0);
        nipc_server_free(server);
}

/* Many at once are answered one by one: another client is served after each turn. */
static void test_flood(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_header stat = util_request(0, NIPC_STAT_REQUEST_SIZE), header;
        struct nipc_server *server = util_server(&config, "flood");
        const struct nipc_header request = util_request(1, 1);
        int flooder = util_pump_open(server, "flood"), other = util_pump_open(server, "flood");
        unsigned i;

        stat.code = NIPC_METHOD_STAT;
        for (i = 0; i < 8; i++) {
                stat.message_id = i + 1;
                tap_check(util_raw_send(flooder, &stat, stat_request, sizeof(stat_request)));
        }
        tap_check(util_raw_send(other, &request, "e", 1));
        tap_check(util_pump(server, other));
        tap_eq_int(util_raw_receive(other, &header, NULL, 0), 1);
        tap_check(util_metrics(server).n_stat_requests <= 2);
        for (i = 0; i < 8; i++) {
                tap_check(util_pump(server, flooder));
                tap_check(util_raw_receive(flooder, &header, NULL, 0) > 0);
        }
        tap_eq_uint(util_metrics(server).n_stat_requests, 8);
        close(flooder);
        close(other);
        nipc_server_free(server);
}

UTIL_TEST_LEAKS_NOTHING

TAP_MAIN(TAP_CASE(test_reader_is_strict), TAP_CASE(test_server_text), TAP_CASE(test_too_small),
         TAP_CASE(test_escapes), TAP_CASE(test_seconds), TAP_CASE(test_client_text),
         TAP_CASE(test_stat), TAP_CASE(test_hidden), TAP_CASE(test_growth),
         TAP_CASE(test_bad_requests), TAP_CASE(test_flood), TAP_CASE(test_leaks_nothing))
