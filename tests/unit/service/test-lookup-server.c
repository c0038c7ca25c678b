/* SPDX-License-Identifier: MIT */

/* Lookup services: handlers that do it wrong, requests that cannot be, batches (client-server §7).
 */

#include <errno.h>
#include <nipc/apps-lookup.h>
#include <nipc/batch.h>
#include <nipc/cgroups-lookup.h>
#include <string.h>
#include <unistd.h>

#include "tap.h"
#include "util-lookup.h"

enum mode {
        GOOD,
        TOO_FEW,
        NONE,
        TOO_MANY,
        WRONG_KEY,
        EXCEEDED,
        FAILS_FIRST,  /* -EIO before anything was added */
        FAILS_AFTER,  /* ... after everything was */
        REFUSES,      /* a rule of its own */
        NO_ROOM,      /* -EMSGSIZE */
        BAD_THEN_EIO, /* the builder's error first, then its own */
};

static enum mode mode;
static struct nipc_server *server;

static int add(struct nipc_lookup_builder *builder, const struct nipc_lookup_request_view *request,
               uint32_t index, uint16_t status)
{
        const void *key;
        size_t key_size;

        key = nipc_lookup_request_view_get(request, index, &key_size);
        return nipc_lookup_builder_add_status(builder, key, key_size, status);
}

static int lookup(void *userdata, const struct nipc_lookup_request_view *request,
                  struct nipc_lookup_builder *builder)
{
        const uint32_t n = request->item_count;
        uint32_t i;

        if (mode == FAILS_FIRST)
                return -EIO;
        if (mode == REFUSES)
                return NIPC_PROTO_E_BAD_LAYOUT;
        if (mode == NO_ROOM)
                return -EMSGSIZE;
        for (i = mode == NONE ? n : 0; i < n - (mode == TOO_FEW); i++)
                add(builder, request, mode == WRONG_KEY || mode == BAD_THEN_EIO ? n - 1 - i : i,
                    mode == EXCEEDED && i ? request->class_->status_exceeded : 1);
        if (mode == TOO_MANY)
                add(builder, request, n - 1, 1);
        return mode == FAILS_AFTER || mode == BAD_THEN_EIO ? -EIO : 0;
}

static bool open_server(bool is_apps, uint32_t max_response)
{
        const struct nipc_lookup_handler handler = {.size = sizeof(handler), .lookup = lookup};
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        int r;

        config.run_dir = util_run_dir();
        config.service = "server";
        config.max_response_bytes = max_response;
        if (is_apps)
                r = nipc_server_new_apps_lookup(&config, &handler, &server);
        else
                r = nipc_server_new_cgroups_lookup(&config, &handler, &server);
        return r == 0;
}

/* The transport status of the answer to a request; whether the session goes on. */
static int answer_to(uint16_t code, const void *payload, size_t size, bool *ret_open)
{
        struct nipc_header request = {
                .kind = NIPC_KIND_REQUEST,
                .code = code,
                .payload_len = (uint32_t)size,
                .item_count = 1,
                .message_id = 1,
        };
        struct nipc_header response = {0};
        int fd = util_pump_open(server, "server"), status = -1;

        *ret_open = false;
        if (fd >= 0 && util_raw_send(fd, &request, payload, size) && util_pump(server, fd) &&
            util_raw_receive(fd, &response, NULL, 0) >= 0) {
                status = response.transport_status;
                request.message_id = 2;
                *ret_open = util_raw_send(fd, &request, payload, size) && util_pump(server, fd) &&
                            util_raw_receive(fd, &response, NULL, 0) >= 0;
        }
        if (fd >= 0)
                close(fd);
        return status;
}

static size_t encode(bool is_apps, uint32_t n_keys, uint8_t *buf, size_t capacity)
{
        static const char *const paths[] = {"/k/1", "/k/2", "/k/3", "/k/4"};
        static const uint32_t pids[] = {1, 2, 3, 4};
        const struct nipc_lookup_keys keys = is_apps ? nipc_lookup_keys_of_pids(pids, n_keys)
                                                     : nipc_lookup_keys_of_strings(paths, n_keys);
        size_t size = 0;

        nipc_lookup_request_encode(is_apps ? nipc_apps_lookup_get_class()
                                           : nipc_cgroups_lookup_get_class(),
                                   &keys, 0, n_keys, buf, capacity, &size);
        return size;
}

/* ---- handlers ---- */

static void check_handler(bool is_apps, enum mode how, int status)
{
        uint8_t payload[256];
        size_t size = encode(is_apps, 4, payload, sizeof(payload));
        bool is_open;

        mode = how;
        if (!tap_eq_int(answer_to(is_apps ? 5 : 4, payload, size, &is_open), status))
                tap_note("mode %d", (int)how);
        tap_eq_int(is_open, status == NIPC_TRANSPORT_STATUS_OK);
}

static void check_handlers(bool is_apps)
{
        tap_require(open_server(is_apps, 0));
        check_handler(is_apps, GOOD, NIPC_TRANSPORT_STATUS_OK);
        check_handler(is_apps, TOO_FEW, NIPC_TRANSPORT_STATUS_BAD_ENVELOPE);
        check_handler(is_apps, NONE, NIPC_TRANSPORT_STATUS_BAD_ENVELOPE);
        check_handler(is_apps, TOO_MANY, NIPC_TRANSPORT_STATUS_BAD_ENVELOPE);
        check_handler(is_apps, WRONG_KEY, NIPC_TRANSPORT_STATUS_BAD_ENVELOPE);
        check_handler(is_apps, EXCEEDED, NIPC_TRANSPORT_STATUS_BAD_ENVELOPE);
        check_handler(is_apps, FAILS_FIRST, NIPC_TRANSPORT_STATUS_INTERNAL_ERROR);
        check_handler(is_apps, FAILS_AFTER, NIPC_TRANSPORT_STATUS_INTERNAL_ERROR);
        check_handler(is_apps, REFUSES, NIPC_TRANSPORT_STATUS_BAD_ENVELOPE);
        check_handler(is_apps, NO_ROOM, NIPC_TRANSPORT_STATUS_LIMIT_EXCEEDED);
        check_handler(is_apps, BAD_THEN_EIO, NIPC_TRANSPORT_STATUS_BAD_ENVELOPE);
        check_handler(is_apps, GOOD, NIPC_TRANSPORT_STATUS_OK);
        server = nipc_server_free(server);
}

static void test_handlers(void)
{
        check_handlers(false);
        check_handlers(true);
}

/* Not even what says nothing fits, or the directory: the handler's result does not matter. */
static void test_no_room(void)
{
        uint32_t max_response;

        for (max_response = 16; max_response < 16 + 4 * 72; max_response += 8) {
                tap_require(open_server(true, max_response));
                check_handler(true, GOOD, NIPC_TRANSPORT_STATUS_LIMIT_EXCEEDED);
                check_handler(true, FAILS_AFTER,
                              max_response < 16 + 4 * 8 + 4 * 64 - 1
                                      ? NIPC_TRANSPORT_STATUS_LIMIT_EXCEEDED
                                      : NIPC_TRANSPORT_STATUS_INTERNAL_ERROR);
                server = nipc_server_free(server);
        }
}

/* ---- requests ---- */

static void check_request(bool is_apps, const void *payload, size_t size, int status)
{
        bool is_open;

        mode = GOOD;
        tap_eq_int(answer_to(is_apps ? 5 : 4, payload, size, &is_open), status);
        tap_eq_int(is_open, status == NIPC_TRANSPORT_STATUS_OK);
}

static void check_requests(bool is_apps)
{
        uint8_t payload[256], bad[256];
        size_t size = encode(is_apps, 4, payload, sizeof(payload)), i;

        tap_require(open_server(is_apps, 0));
        check_request(is_apps, payload, size, NIPC_TRANSPORT_STATUS_OK);
        for (i = 0; i < size; i++)
                check_request(is_apps, payload, i, NIPC_TRANSPORT_STATUS_BAD_ENVELOPE);
        check_request(is_apps, bad, encode(is_apps, 0, bad, sizeof(bad)), NIPC_TRANSPORT_STATUS_OK);
        for (i = 0; i < 16; i++) { /* each byte of the header */
                memcpy(bad, payload, size);
                bad[i] ^= 0x80;
                check_request(is_apps, bad, size, NIPC_TRANSPORT_STATUS_BAD_ENVELOPE);
        }
        memcpy(bad, payload, size);
        nipc_store_u32(bad + 16, 4); /* not aligned */
        check_request(is_apps, bad, size, NIPC_TRANSPORT_STATUS_BAD_ENVELOPE);
        memcpy(bad, payload, size);
        bad[size - 1] ^= 1; /* no NUL; a reserved byte */
        check_request(is_apps, bad, size, NIPC_TRANSPORT_STATUS_BAD_ENVELOPE);
        check_handler(is_apps, GOOD, NIPC_TRANSPORT_STATUS_OK);
        server = nipc_server_free(server);
}

static void test_requests(void)
{
        check_requests(false);
        check_requests(true);
}

/* The wrong method ends nothing. */
static void test_method(void)
{
        uint8_t payload[256];
        size_t size = encode(true, 4, payload, sizeof(payload));
        bool is_open;

        tap_require(open_server(false, 0));
        tap_eq_int(answer_to(5, payload, size, &is_open), NIPC_TRANSPORT_STATUS_UNSUPPORTED);
        tap_check(is_open);
        server = nipc_server_free(server);
}

/* ---- batches ---- */

static void check_batch(struct nipc_client *client, enum mode how, int error)
{
        const struct nipc_lookup_class *class_ = nipc_apps_lookup_get_class();
        uint8_t payload[1024], item[256];
        struct nipc_batch_builder builder;
        struct nipc_response response;
        struct nipc_batch_view batch;
        struct nipc_lookup_view view;
        const void *bytes;
        uint32_t i;
        size_t size;

        nipc_batch_builder_init(&builder, payload, sizeof(payload), 4);
        for (i = 0; i < 4; i++)
                nipc_batch_builder_add(&builder, item, encode(true, i, item, sizeof(item)));
        nipc_batch_builder_finish(&builder, &size);
        mode = how;
        nipc_client_refresh(client);
        tap_eq_int(nipc_client_call_batch(client, 5, payload, size, 4, 0, &response, NULL), error);
        if (error || nipc_batch_view_init(&batch, response.payload, response.payload_size, 4, NULL))
                return;
        for (i = 0; i < 4; i++) {
                nipc_batch_view_get(&batch, i, &bytes, &size);
                tap_eq_int(nipc_lookup_view_init(&view, class_, bytes, size, NULL), 0);
                tap_eq_uint(view.item_count, i);
        }
}

static void test_batches(void)
{
        const struct nipc_lookup_handler handler = {.size = sizeof(handler), .lookup = lookup};
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_client *client;

        config.run_dir = util_run_dir();
        config.service = "batches";
        config.n_workers = 1;
        tap_require(nipc_server_new_apps_lookup(&config, &handler, &server) == 0);
        tap_require(nipc_server_start(server) == 0);
        client = util_client("batches");
        check_batch(client, GOOD, 0);
        check_batch(client, EXCEEDED, -EREMOTEIO);
        check_batch(client, GOOD, 0);
        nipc_client_free(client);
        server = nipc_server_free(server);
}

/* ---- making one ---- */

static void test_arguments(void)
{
        const struct nipc_lookup_class *class_ = nipc_apps_lookup_get_class();
        struct nipc_lookup_handler handler = {.size = sizeof(handler), .lookup = lookup};
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_lookup_class bad = *class_;

        config.run_dir = util_run_dir();
        config.service = "arguments";
        tap_eq_int(nipc_server_new_lookup(NULL, class_, &handler, &server), -EINVAL);
        tap_eq_int(nipc_server_new_lookup(&config, NULL, &handler, &server), -EINVAL);
        tap_eq_int(nipc_server_new_lookup(&config, class_, NULL, &server), -EINVAL);
        tap_eq_int(nipc_server_new_lookup(&config, class_, &handler, NULL), -EINVAL);
        bad.status_exceeded = 0;
        tap_eq_int(nipc_server_new_lookup(&config, &bad, &handler, &server), -EINVAL);
        handler.lookup = NULL;
        tap_eq_int(nipc_server_new_lookup(&config, class_, &handler, &server), -EINVAL);
        handler.lookup = lookup;
        config.run_dir = "/nonexistent";
        tap_eq_int(nipc_server_new_lookup(&config, class_, &handler, &server), -ENOENT);
        tap_eq_ptr(server, NULL);
}

UTIL_TEST_LEAKS_NOTHING

TAP_MAIN(TAP_CASE(test_handlers), TAP_CASE(test_no_room), TAP_CASE(test_requests),
         TAP_CASE(test_method), TAP_CASE(test_batches), TAP_CASE(test_arguments),
         TAP_CASE(test_leaks_nothing))
