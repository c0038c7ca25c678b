/* SPDX-License-Identifier: MIT */

/*
 * What a managed server answers, row by row of client-server §7.1: the status, the shape of the
 * answer, and whether the session goes on. Clients send bytes; the server has one worker.
 */

#include <nipc/batch.h>
#include <nipc/chunk.h>
#include <string.h>
#include <unistd.h>

#include "tap.h"
#include "util-service.h"

static struct nipc_server *server;

static bool setup(const char *service)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;

        config.n_workers = 1;
        config.max_batch_items = 8;
        config.initial_response_bytes = 1024;
        server = util_server(&config, service);
        return server != NULL;
}

/* Ends the test: the server must still serve others, whatever happened. */
static void teardown(const char *service)
{
        const struct nipc_header request = util_request(9, 1);
        struct nipc_header header = {0};
        int fd = util_raw_open(service, 1);

        tap_check(fd >= 0);
        tap_check(util_raw_send(fd, &request, "e", 1));
        tap_eq_int(util_raw_receive(fd, &header, NULL, 0), 1);
        tap_eq_uint(header.message_id, 9);
        close(fd);
        server = nipc_server_free(server);
}

/* The answer to a request: its status, nothing in it, item_count 1, no flags. */
static void expect_error(int fd, uint16_t code, uint16_t status)
{
        struct nipc_header header = {0};

        tap_eq_int(util_raw_receive(fd, &header, NULL, 0), 0);
        tap_eq_uint(header.kind, NIPC_KIND_RESPONSE);
        tap_eq_uint(header.code, code);
        tap_eq_uint(header.transport_status, status);
        tap_eq_uint(header.flags, 0);
        tap_eq_uint(header.item_count, 1);
        tap_eq_uint(header.payload_len, 0);
        tap_eq_uint(header.message_id, 5);
}

static void expect_end(int fd)
{
        struct nipc_header header;

        tap_eq_int(util_raw_receive(fd, &header, NULL, 0), -1);
        close(fd);
}

static void test_success(void)
{
        struct nipc_header request = util_request(5, 5), header = {0};
        char buf[8];
        int fd, i;

        tap_require(setup("ok"));
        fd = util_raw_open("ok", 8);
        /* Unknown flags, another item_count without BATCH, a status: all the same to a server. */
        request.flags = 0x8000;
        request.item_count = 7;
        request.transport_status = 3;
        for (i = 0; i < 3; i++) {
                tap_check(util_raw_send(fd, &request, "echo!", 5));
                tap_eq_int(util_raw_receive(fd, &header, buf, sizeof(buf)), 5);
                tap_eq_mem(buf, 5, "echo!", 5);
                tap_eq_uint(header.transport_status, 0);
                tap_eq_uint(header.flags, 0);
                tap_eq_uint(header.item_count, 1);
        }
        close(fd);
        teardown("ok");
}

static void test_unsupported_keeps_the_session(void)
{
        struct nipc_header request = util_request(5, 1), header;
        int fd;

        tap_require(setup("code"));
        fd = util_raw_open("code", 1);
        request.code++;
        util_raw_send(fd, &request, "e", 1);
        expect_error(fd, UTIL_CODE + 1, NIPC_TRANSPORT_STATUS_UNSUPPORTED);
        request.code--;
        util_raw_send(fd, &request, "e", 1);
        tap_eq_int(util_raw_receive(fd, &header, NULL, 0), 1);
        close(fd);
        teardown("code");
}

static void test_failing_handlers(void)
{
        static const struct {
                char request[2];
                uint16_t status;
        } rows[] = {
                {"b", NIPC_TRANSPORT_STATUS_BAD_ENVELOPE},
                {"n", NIPC_TRANSPORT_STATUS_INTERNAL_ERROR},
                {"o", NIPC_TRANSPORT_STATUS_LIMIT_EXCEEDED},
                {"m", NIPC_TRANSPORT_STATUS_LIMIT_EXCEEDED},
                {"l", NIPC_TRANSPORT_STATUS_LIMIT_EXCEEDED},
        };
        const struct nipc_header request = util_request(5, 1), behind = util_request(6, 1);
        struct nipc_server_status status = NIPC_SERVER_STATUS_INIT;
        size_t i;
        int fd;

        tap_require(setup("fail"));
        for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                fd = util_raw_open("fail", 1);
                util_raw_send(fd, &request, rows[i].request, 1);
                /* What comes behind it must not cost the client the answer. */
                util_raw_send(fd, &behind, "e", 1);
                expect_error(fd, UTIL_CODE, rows[i].status);
                expect_end(fd);
        }
        nipc_server_get_status(server, &status);
        tap_eq_uint(status.n_failed, 5);
        tap_eq_uint(status.n_requests, 0);
        teardown("fail");
}

static void test_over_the_limits(void)
{
        struct nipc_header request = util_request(5, 1025);
        char payload[2000] = "e";
        int fd;

        tap_require(setup("limit"));
        fd = util_raw_open("limit", 1);
        request.code = 3; /* limits are looked at first */
        util_raw_send(fd, &request, payload, 1025);
        expect_error(fd, 3, NIPC_TRANSPORT_STATUS_LIMIT_EXCEEDED);
        expect_end(fd);

        fd = util_raw_open("limit", 2);
        request = util_request(5, 1);
        request.item_count = 3;
        util_raw_send(fd, &request, payload, 1);
        expect_error(fd, UTIL_CODE, NIPC_TRANSPORT_STATUS_LIMIT_EXCEEDED);
        expect_end(fd);

        /* Not a request: no answer. */
        fd = util_raw_open("limit", 1);
        request = util_request(5, 1025);
        request.kind = NIPC_KIND_RESPONSE;
        util_raw_send(fd, &request, payload, 1025);
        expect_end(fd);
        teardown("limit");
}

static void test_malformed(void)
{
        struct nipc_header request;
        char payload[64] = "e";
        uint8_t packet[96];
        int fd;

        tap_require(setup("bad"));
        fd = util_raw_open("bad", 8); /* a packet shorter than a header */
        tap_check(util_raw_packet(fd, "NIPC", 4));
        expect_end(fd);

        fd = util_raw_open("bad", 8); /* no magic */
        request = util_request(5, 1);
        nipc_header_encode(&request, packet);
        packet[0] ^= 1;
        tap_check(util_raw_packet(fd, packet, 33));
        expect_end(fd);

        fd = util_raw_open("bad", 8); /* longer than it says */
        util_raw_send(fd, &request, payload, 2);
        expect_end(fd);

        fd = util_raw_open("bad", 8); /* a continuation that does not continue */
        request = util_request(5, 64);
        util_raw_send(fd, &request, payload, 32);
        util_raw_send(fd, &request, payload, 32);
        expect_end(fd);

        fd = util_raw_open("bad", 8); /* a directory that leaves the payload */
        request = util_request(5, 16);
        request.flags = NIPC_FLAG_BATCH;
        request.item_count = 2;
        memset(payload, 0x78, 16);
        util_raw_send(fd, &request, payload, 16);
        expect_end(fd);
        teardown("bad");
}

static void test_other_kinds(void)
{
        static const uint16_t kinds[] = {NIPC_KIND_RESPONSE, NIPC_KIND_CONTROL};
        struct nipc_header request;
        size_t i;
        int fd;

        tap_require(setup("kind"));
        for (i = 0; i < 2; i++) {
                fd = util_raw_open("kind", 1);
                request = util_request(5, 1);
                request.kind = kinds[i];
                util_raw_send(fd, &request, "e", 1);
                expect_end(fd);
        }
        teardown("kind");
}

/* ---- batches ------------------------------------------------------------------------------ */

/* Sends a batch of one-letter items. */
static void send_batch(int fd, const char *items, uint32_t n_items)
{
        struct nipc_header request = util_request(5, 0);
        struct nipc_batch_builder builder;
        uint8_t buf[1024];
        size_t size = 0;
        uint32_t i;

        nipc_batch_builder_init(&builder, buf, sizeof(buf), n_items);
        for (i = 0; i < n_items; i++)
                nipc_batch_builder_add(&builder, &items[i], 1);
        nipc_batch_builder_finish(&builder, &size);
        request.flags = NIPC_FLAG_BATCH;
        request.item_count = n_items;
        request.payload_len = (uint32_t)size;
        util_raw_send(fd, &request, buf, size);
}

static void test_batches(void)
{
        struct nipc_header header = {0};
        struct nipc_batch_view view;
        const void *item;
        uint8_t buf[1024];
        uint32_t n, i;
        size_t size;
        int fd, r;

        tap_require(setup("batch"));
        fd = util_raw_open("batch", 8);
        for (n = 1; n <= 8; n++) {
                send_batch(fd, "eghijkpq", n);
                r = util_raw_receive(fd, &header, buf, sizeof(buf));
                tap_eq_uint(header.transport_status, 0);
                tap_eq_uint(header.flags, NIPC_FLAG_BATCH);
                tap_require(tap_eq_uint(header.item_count, n));
                tap_require(nipc_batch_view_init(&view, buf, (size_t)r, n, NULL) == 0);
                for (i = 0; i < n; i++) {
                        nipc_batch_view_get(&view, i, &item, &size);
                        tap_eq_mem(item, size, &"eghijkpq"[i], 1);
                }
        }
        close(fd);
        teardown("batch");
}

static void test_failing_items(void)
{
        static const struct {
                char items[5];
                uint16_t status;
        } rows[] = {
                {"eeen", NIPC_TRANSPORT_STATUS_INTERNAL_ERROR},
                {"ebne", NIPC_TRANSPORT_STATUS_BAD_ENVELOPE}, /* the first one counts */
                {"ooee", NIPC_TRANSPORT_STATUS_LIMIT_EXCEEDED},
                {"effe", NIPC_TRANSPORT_STATUS_LIMIT_EXCEEDED}, /* together too large */
        };
        size_t i;
        int fd;

        tap_require(setup("items"));
        for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                fd = util_raw_open("items", 8);
                send_batch(fd, rows[i].items, 4);
                expect_error(fd, UTIL_CODE, rows[i].status);
                expect_end(fd);
        }
        teardown("items");
}

static void test_batch_of_one_needs_a_directory(void)
{
        struct nipc_header request = util_request(5, 8);
        int fd;

        tap_require(setup("one"));
        fd = util_raw_open("one", 8);
        request.flags = NIPC_FLAG_BATCH;
        util_raw_send(fd, &request, "eeeeeeee", 8);
        expect_error(fd, UTIL_CODE, NIPC_TRANSPORT_STATUS_BAD_ENVELOPE);
        expect_end(fd);
        teardown("one");
}

static void test_batch_of_none_is_a_single(void)
{
        struct nipc_header request = util_request(5, 1), header = {0};
        int fd;

        tap_require(setup("none"));
        fd = util_raw_open("none", 8);
        request.flags = NIPC_FLAG_BATCH;
        request.item_count = 0;
        util_raw_send(fd, &request, "e", 1);
        tap_eq_int(util_raw_receive(fd, &header, NULL, 0), 1);
        tap_eq_uint(header.flags, 0);
        tap_eq_uint(header.item_count, 1);
        close(fd);
        teardown("none");
}

/* More was agreed than the server takes: its own maximum holds. */
static void test_more_items_than_the_server_takes(void)
{
        int fd;

        tap_require(setup("more"));
        fd = util_raw_open("more", 100);
        send_batch(fd, "eeeeeeeee", 9);
        expect_error(fd, UTIL_CODE, NIPC_TRANSPORT_STATUS_LIMIT_EXCEEDED);
        expect_end(fd);
        teardown("more");
}

UTIL_TEST_LEAKS_NOTHING

TAP_MAIN(TAP_CASE(test_success), TAP_CASE(test_unsupported_keeps_the_session),
         TAP_CASE(test_failing_handlers), TAP_CASE(test_over_the_limits), TAP_CASE(test_malformed),
         TAP_CASE(test_other_kinds), TAP_CASE(test_batches), TAP_CASE(test_failing_items),
         TAP_CASE(test_batch_of_one_needs_a_directory), TAP_CASE(test_batch_of_none_is_a_single),
         TAP_CASE(test_more_items_than_the_server_takes), TAP_CASE(test_leaks_nothing))
