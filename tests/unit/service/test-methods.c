/* SPDX-License-Identifier: MIT */

/* The typed calls and services, there and back. */

#include <errno.h>
#include <nipc/increment.h>
#include <stdio.h>
#include <string.h>

#include "tap.h"
#include "util-service.h"

static int increment(void *userdata, uint64_t value, uint64_t *ret_value)
{
        if (value == 13)
                return -EIO;
        *ret_value = value + 1;
        return 0;
}

static int reverse(void *userdata, const char *str, size_t str_len, char *out, size_t capacity,
                   size_t *ret_out_len)
{
        size_t i;

        if (str_len > capacity)
                return NIPC_PROTO_E_OVERFLOW;
        for (i = 0; i < str_len; i++)
                out[i] = str[str_len - 1 - i];
        *ret_out_len = str_len;
        return 0;
}

static int snapshot(void *userdata, struct nipc_cgroups_snapshot_builder *builder, void *buf,
                    size_t capacity, size_t *ret_size)
{
        const uint32_t n_items = *(uint32_t *)userdata;
        struct nipc_cgroups_snapshot_item item = {.enabled = 1};
        char name[32];
        uint32_t i;

        /* Nothing is looked at: the builder remembers. */
        nipc_cgroups_snapshot_builder_init(builder, buf, capacity, n_items);
        for (i = 0; i < n_items; i++) {
                item.hash = i;
                item.name_len = (uint32_t)snprintf(name, sizeof(name), "unit-%u", i);
                item.path_len = item.name_len;
                item.name = item.path = name;
                nipc_cgroups_snapshot_builder_add(builder, &item);
        }
        nipc_cgroups_snapshot_builder_finish(builder, 1, 77, ret_size);
        return 0;
}

static struct nipc_server_config server_config(const char *service)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;

        config.run_dir = util_run_dir();
        config.service = service;
        config.n_workers = 1;
        return config;
}

static void test_increment(void)
{
        struct nipc_server_config config = server_config("increment");
        struct nipc_increment_handler handler = {sizeof(handler), increment, NULL};
        uint64_t values[3] = {1, 2, UINT64_MAX}, value = 0;
        struct nipc_server *server;
        struct nipc_client *client;

        tap_require(nipc_server_new_increment(&config, &handler, &server) == 0);
        tap_eq_int(nipc_server_start(server), 0);
        client = util_client("increment");
        tap_eq_int(nipc_client_increment(client, 41, 0, &value), 0);
        tap_eq_uint(value, 42);
        tap_eq_int(nipc_client_increment_batch(client, values, 3, 0, values), 0);
        tap_check(values[0] == 2 && values[1] == 3 && values[2] == 0);
        tap_eq_int(nipc_client_increment(client, 13, 0, &value), -EREMOTEIO);
        tap_eq_uint(value, 42);
        nipc_client_refresh(client);
        values[1] = 13;
        tap_eq_int(nipc_client_increment_batch(client, values, 3, 0, values), -EREMOTEIO);
        tap_eq_uint(values[0], 2);
        nipc_client_free(client);
        nipc_server_free(server);
}

static void test_string_reverse(void)
{
        struct nipc_server_config config = server_config("reverse");
        struct nipc_string_reverse_handler handler = {sizeof(handler), reverse, NULL};
        struct nipc_string_reverse_view view;
        struct nipc_server *server;
        struct nipc_client *client;

        tap_require(nipc_server_new_string_reverse(&config, &handler, &server) == 0);
        tap_eq_int(nipc_server_start(server), 0);
        client = util_client("reverse");
        tap_eq_int(nipc_client_string_reverse(client, "abc", 3, 0, &view), 0);
        tap_eq_str(view.str, "cba");
        tap_eq_uint(view.str_len, 3);
        tap_eq_int(nipc_client_string_reverse(client, NULL, 0, 0, &view), 0);
        tap_eq_uint(view.str_len, 0);
        tap_eq_int(nipc_client_string_reverse(client, NULL, 1, 0, &view), -EINVAL);
        nipc_client_free(client);
        nipc_server_free(server);
}

static void check_snapshot(uint32_t n_items)
{
        struct nipc_server_config config = server_config("snapshot");
        struct nipc_cgroups_snapshot_handler handler = {sizeof(handler), snapshot, &n_items};
        struct nipc_cgroups_snapshot_item item;
        struct nipc_cgroups_snapshot_view view;
        struct nipc_server *server;
        struct nipc_client *client;
        uint32_t i;

        tap_require(nipc_server_new_cgroups_snapshot(&config, &handler, &server) == 0);
        tap_eq_int(nipc_server_start(server), 0);
        client = util_client("snapshot");
        if (tap_eq_int(nipc_client_cgroups_snapshot(client, 0, &view), 0)) {
                tap_eq_uint(view.item_count, n_items);
                tap_eq_uint(view.generation, 77);
                for (i = 0; i < n_items; i++)
                        if (!tap_check(!nipc_cgroups_snapshot_view_get(&view, i, &item, NULL)))
                                break;
        }
        nipc_client_free(client);
        nipc_server_free(server);
}

static void test_snapshot(void)
{
        check_snapshot(0);
        check_snapshot(100);
        check_snapshot(5000); /* several hundred kilobytes: limits grow on the way */
}

/* Handlers that cannot be, and what becomes of out parameters. */
static void test_bad_handlers(void)
{
        struct nipc_server_config config = server_config("bad");
        struct nipc_cgroups_snapshot_handler no_snapshot = {sizeof(no_snapshot), NULL, NULL};
        struct nipc_string_reverse_handler no_reverse = {sizeof(no_reverse), NULL, NULL};
        struct nipc_increment_handler no_increment = {sizeof(no_increment), NULL, NULL};
        struct nipc_increment_handler good = {sizeof(good), increment, NULL};
        struct nipc_server *server = NULL;

        tap_eq_int(nipc_server_new_increment(&config, &no_increment, &server), -EINVAL);
        tap_eq_int(nipc_server_new_increment(&config, NULL, &server), -EINVAL);
        tap_eq_int(nipc_server_new_increment(NULL, &good, &server), -EINVAL);
        tap_eq_int(nipc_server_new_string_reverse(&config, &no_reverse, &server), -EINVAL);
        tap_eq_int(nipc_server_new_cgroups_snapshot(&config, &no_snapshot, &server), -EINVAL);
        config.run_dir = "/nonexistent";
        tap_eq_int(nipc_server_new_increment(&config, &good, &server), -ENOENT);
        tap_check(server == NULL);
}

UTIL_TEST_LEAKS_NOTHING

TAP_MAIN(TAP_CASE(test_increment), TAP_CASE(test_string_reverse), TAP_CASE(test_snapshot),
         TAP_CASE(test_bad_handlers), TAP_CASE(test_leaks_nothing))
