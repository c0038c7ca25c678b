/* SPDX-License-Identifier: MIT */

/* Lookup methods of one's own: keys of odd sizes, items with and without strings. */

#include <errno.h>
#include <nipc/header.h>
#include <nipc/lookup.h>
#include <string.h>

#include "tap.h"
#include "util-lookup.h"

enum {
        N_KEYS = 500,
        KEY_SIZE = 12,
        STATUS_UNKNOWN = 1,
        STATUS_EXCEEDED = 2,
        STATUS_OVERSIZED = 3,
        METHOD = NIPC_METHOD_PRIVATE + 40,
};

/* A key of 12 bytes, of which the first 10 are repeated; a number; no strings. */
static const struct nipc_lookup_class number_class = {
        .size = sizeof(number_class),
        .method = METHOD,
        .key_size = KEY_SIZE,
        .key_echo_size = 10,
        .key_offset = 4,
        .item_header_size = 24,
        .status_exceeded = STATUS_EXCEEDED,
        .status_oversized = STATUS_OVERSIZED,
};

/* String keys, no labels, nothing but the key and a value. */
static const struct nipc_lookup_class string_class = {
        .size = sizeof(string_class),
        .method = METHOD,
        .item_header_size = 20,
        .n_strings = 2,
        .strings_offset = 4,
        .status_exceeded = STATUS_EXCEEDED,
        .status_oversized = STATUS_OVERSIZED,
};

static atomic_uint n_requests, max_items;
static uint8_t number_keys[N_KEYS][KEY_SIZE];
static char strings[N_KEYS][24];
static const char *string_keys[N_KEYS];

static void fill_keys(void)
{
        uint32_t i;

        for (i = 0; i < N_KEYS; i++) {
                memset(number_keys[i], 0xaa, KEY_SIZE);
                memcpy(number_keys[i], &i, sizeof(i));
                snprintf(strings[i], sizeof(strings[i]), "key of number %u", (unsigned)i);
                string_keys[i] = strings[i];
        }
}

static void note_request(const struct nipc_lookup_request_view *request)
{
        atomic_fetch_add(&n_requests, 1);
        if (request->item_count > atomic_load(&max_items))
                atomic_store(&max_items, request->item_count);
}

static int look_numbers_up(void *userdata, const struct nipc_lookup_request_view *request,
                           struct nipc_lookup_builder *builder)
{
        uint8_t header[24] = {0};
        const uint8_t *key;
        size_t key_size;
        uint32_t i, n;

        note_request(request);
        for (i = 0; i < request->item_count; i++) {
                key = nipc_lookup_request_view_get(request, i, &key_size);
                n = nipc_load_u32(key);
                memcpy(header + 4, key, 10);
                nipc_store_u32(header + 16, n * 3);
                if (n % 2)
                        nipc_lookup_builder_add_status(builder, key, key_size, STATUS_UNKNOWN);
                else
                        nipc_lookup_builder_add(builder, header, NULL, NULL, 0);
        }
        return 0;
}

static int look_strings_up(void *userdata, const struct nipc_lookup_request_view *request,
                           struct nipc_lookup_builder *builder)
{
        const uint8_t header[20] = {0};
        struct nipc_lookup_string texts[2];
        size_t key_size;
        uint32_t i;

        note_request(request);
        for (i = 0; i < request->item_count; i++) {
                texts[0].str = nipc_lookup_request_view_get(request, i, &key_size);
                texts[0].len = key_size;
                texts[1].str = texts[0].str + 4;
                texts[1].len = key_size - 4;
                nipc_lookup_builder_add(builder, header, texts, NULL, 0);
        }
        return 0;
}

static bool is_number_item(const struct nipc_lookup_view *view, uint32_t i)
{
        const struct nipc_lookup_item item = nipc_lookup_view_get(view, i);

        if (!nipc_lookup_item_is_for(&number_class, item, number_keys[i], KEY_SIZE))
                return false;
        if (i % 2)
                return nipc_lookup_item_get_status(item) == STATUS_UNKNOWN;
        return nipc_lookup_item_get_status(item) == 0 && nipc_load_u32(item.bytes + 16) == i * 3;
}

static bool is_string_item(const struct nipc_lookup_view *view, uint32_t i)
{
        const struct nipc_lookup_item item = nipc_lookup_view_get(view, i);
        const struct nipc_lookup_string value = nipc_lookup_item_get_string(&string_class, item, 1);

        return nipc_lookup_item_is_for(&string_class, item, strings[i], strlen(strings[i])) &&
               strcmp(value.str, strings[i] + 4) == 0;
}

static void check(const struct nipc_lookup_class *class_, const struct nipc_lookup_handler *handler,
                  const struct nipc_lookup_keys *keys, uint32_t max_request,
                  bool (*is_item)(const struct nipc_lookup_view *view, uint32_t i))
{
        struct nipc_server_config server_config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_client_config client_config = NIPC_CLIENT_CONFIG_INIT;
        struct nipc_lookup_view view;
        struct nipc_server *server;
        struct nipc_client *client;
        uint32_t i;

        server_config.run_dir = client_config.run_dir = util_run_dir();
        server_config.service = client_config.service = "class";
        server_config.n_workers = 2;
        server_config.max_request_bytes = client_config.max_request_bytes = max_request;
        tap_require(nipc_server_new_lookup(&server_config, class_, handler, &server) == 0);
        tap_require(nipc_server_start(server) == 0);
        client = util_lookup_client(&client_config);
        tap_require(client);
        atomic_store(&n_requests, 0);
        atomic_store(&max_items, 0);
        if (tap_eq_int(nipc_client_lookup(client, class_, keys, 0, &view), 0)) {
                tap_eq_uint(view.item_count, keys->n_keys);
                for (i = 0; i < keys->n_keys; i++)
                        if (!tap_check(is_item(&view, i)))
                                break;
        }
        nipc_client_free(client);
        nipc_server_free(server);
}

/* As many keys as fit, to the byte: the last of them needs no padding. */
static void test_numbers(void)
{
        const struct nipc_lookup_handler handler = {
                .size = sizeof(handler),
                .lookup = look_numbers_up,
        };
        struct nipc_lookup_keys keys;

        fill_keys();
        keys = nipc_lookup_keys_of_array(number_keys, KEY_SIZE, N_KEYS);
        check(&number_class, &handler, &keys, 16 + 10 * (8 + 16) - 4, is_number_item);
        tap_eq_uint(atomic_load(&max_items), 10);
        tap_eq_uint(atomic_load(&n_requests), N_KEYS / 10);
        check(&number_class, &handler, &keys, 16 + 10 * (8 + 16) - 5, is_number_item);
        tap_eq_uint(atomic_load(&max_items), 9);
        check(&number_class, &handler, &keys, 65536, is_number_item);
        tap_eq_uint(atomic_load(&n_requests), 1);
}

static void test_strings(void)
{
        const struct nipc_lookup_handler handler = {
                .size = sizeof(handler),
                .lookup = look_strings_up,
        };
        struct nipc_lookup_keys keys;

        fill_keys();
        keys = nipc_lookup_keys_of_strings(string_keys, N_KEYS);
        check(&string_class, &handler, &keys, 16 + 8 + 18, is_string_item);
        tap_eq_uint(atomic_load(&n_requests), N_KEYS);
        check(&string_class, &handler, &keys, 16 + 3 * 8 + 24 + 24 + 18, is_string_item);
        tap_eq_uint(atomic_load(&max_items), 3);
        check(&string_class, &handler, &keys, 65536, is_string_item);
        tap_eq_uint(atomic_load(&n_requests), 1);
}

UTIL_TEST_LEAKS_NOTHING

TAP_MAIN(TAP_CASE(test_numbers), TAP_CASE(test_strings), TAP_CASE(test_leaks_nothing))
