/* SPDX-License-Identifier: MIT */

/*
 * Lookups without memory: one answer needs none; where several are put together every allocation
 * fails once, and the client is as good as before. Allocators are replaced by the linker.
 */

#include <errno.h>
#include <nipc/cgroups-lookup.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"
#include "util-lookup.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);

/* Allocations of this thread: the one that fails, counted down, 0: none; how many there were. */
static _Thread_local unsigned fail_at, n_allocations;

static bool fails(void)
{
        n_allocations++;
        return fail_at && !--fail_at;
}

void *__wrap_malloc(size_t size)
{
        return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
        return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
        return fails() ? NULL : __real_realloc(p, size);
}

enum {
        N_PATHS = 700,
        LONG_PATH = 3000,
};

static char paths[N_PATHS][16], long_path[LONG_PATH + 1];
static const char *pointers[N_PATHS + 1];
static struct util_lookup lookup;
static struct nipc_client *client;

static void fill_paths(void)
{
        uint32_t i;

        for (i = 0; i < N_PATHS; i++) {
                snprintf(paths[i], sizeof(paths[i]), "/k/%u", (unsigned)i);
                pointers[i] = paths[i];
        }
        memset(long_path, 'x', LONG_PATH);
        pointers[N_PATHS] = long_path;
}

static bool open_service(uint32_t max_request_bytes)
{
        struct nipc_client_config config;

        fill_paths();
        util_lookup_init(&lookup, "memory", false);
        lookup.config.max_request_bytes = max_request_bytes;
        if (!util_lookup_start(&lookup))
                return false;
        config = util_lookup_client_config(&lookup);
        client = util_lookup_client(&config);
        return client != NULL;
}

static void close_service(void)
{
        client = nipc_client_free(client);
        util_lookup_stop(&lookup);
}

static void test_one_answer(void)
{
        struct nipc_lookup_view view;

        tap_require(open_service(65536));
        tap_eq_int(nipc_client_cgroups_lookup(client, pointers, N_PATHS, 0, &view), 0);
        n_allocations = 0;
        tap_eq_int(nipc_client_cgroups_lookup(client, pointers, 0, 0, &view), 0);
        tap_eq_int(nipc_client_cgroups_lookup(client, pointers, 16, 0, &view), 0);
        tap_eq_int(nipc_client_cgroups_lookup(client, pointers, N_PATHS, 0, &view), 0);
        tap_eq_uint(n_allocations, 0);
        close_service();
}

/*
 * A path too long for a request, too: its item is made here. What a session cannot get ends an
 * attempt, and the next may have it.
 */
static void test_many_answers(void)
{
        struct nipc_client_failure failure = NIPC_CLIENT_FAILURE_INIT;
        struct nipc_lookup_view view = {0};
        unsigned n, n_without = 0;
        bool has_failed = true;
        int r = 0;

        for (n = 1; has_failed && n < 100; n++) {
                tap_require(open_service(1024));
                fail_at = n;
                r = nipc_client_cgroups_lookup(client, pointers, N_PATHS + 1, 0, &view);
                has_failed = !fail_at;
                fail_at = 0;
                nipc_client_get_failure(client, &failure);
                tap_eq_int(failure.error, r);
                tap_check((r == 0) == (view.class_ != NULL));
                n_without += r == -ENOMEM;
                nipc_client_refresh(client);
                tap_eq_int(nipc_client_cgroups_lookup(client, pointers, N_PATHS, 0, &view), 0);
                tap_check(util_lookup_is_all(&lookup, &view, 0, N_PATHS));
                view = (struct nipc_lookup_view){0};
                close_service();
        }
        tap_eq_int(r, 0);
        tap_check(n_without >= 6); /* the directory, and 4096 bytes of items, doubled */
}

/* What one lookup got, the next uses. */
static void test_reuse(void)
{
        struct nipc_lookup_view view;

        tap_require(open_service(1024));
        tap_eq_int(nipc_client_cgroups_lookup(client, pointers, N_PATHS, 0, &view), 0);
        n_allocations = 0;
        tap_eq_int(nipc_client_cgroups_lookup(client, pointers, N_PATHS, 0, &view), 0);
        tap_check(util_lookup_is_all(&lookup, &view, 0, N_PATHS));
        tap_eq_uint(n_allocations, 0);
        close_service();
}

static void test_new_server(void)
{
        const struct nipc_lookup_handler handler = {
                .size = sizeof(handler),
                .lookup = util_lookup_handle,
        };
        struct nipc_server *server = NULL;
        int r = -ENOMEM;
        unsigned n;

        util_lookup_init(&lookup, "server", false);
        for (n = 1; r == -ENOMEM && n < 100; n++) {
                fail_at = n;
                r = nipc_server_new_cgroups_lookup(&lookup.config, &handler, &server);
                fail_at = 0;
                tap_check((r == 0) == (server != NULL));
        }
        tap_eq_int(r, 0);
        tap_check(n > 5);
        nipc_server_free(server);
}

UTIL_TEST_LEAKS_NOTHING

TAP_MAIN(TAP_CASE(test_one_answer), TAP_CASE(test_many_answers), TAP_CASE(test_reuse),
         TAP_CASE(test_new_server), TAP_CASE(test_leaks_nothing))
