/* SPDX-License-Identifier: MIT */
/* The lookups of the tool where something is in the way: no descriptors, data that changes. */
#include "util-process.h"

#include <errno.h>
#include <nipc/apps-lookup.h>
#include <nipc/client.h>
#include <nipc/ip-to-asn.h>
#include <nipc/pid-traffic.h>
#include <nipc/server.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <unistd.h>

struct fixture {
        char *run_dir;
};

static void set_up(struct fixture *fixture, gconstpointer data)
{
        fixture->run_dir = process_make_dir();
}

static void tear_down(struct fixture *fixture, gconstpointer data)
{
        process_remove_dir(fixture->run_dir);
        g_free(fixture->run_dir);
}

/* ---- descriptors -------------------------------------------------------------------------- */

static struct nipc_client *connect_to(struct fixture *fixture, const char *service)
{
        const struct nipc_client_config config = {
                .size = sizeof(config),
                .run_dir = fixture->run_dir,
                .service = service,
        };
        struct nipc_client *client;

        g_assert_cmpint(nipc_client_new(&config, &client), ==, 0);
        g_assert_cmpint(nipc_client_refresh(client), ==, 1);
        return client;
}

/* Short, since it is for nothing: a client that was refused connects anew, but nobody accepts. */
#define IN_VAIN_MS 500u

static int ask_for_us(struct nipc_client *client, const struct nipc_lookup_class *class_,
                      uint32_t timeout_ms)
{
        const uint32_t pid = (uint32_t)getpid();
        const struct nipc_lookup_keys keys = nipc_lookup_keys_of_pids(&pid, 1);
        struct nipc_lookup_view view;

        return nipc_client_lookup(client, class_, &keys, timeout_ms, &view);
}

static void set_descriptors(const struct process *server, rlim_t n, struct rlimit *old)
{
        const struct rlimit none = {.rlim_cur = n, .rlim_max = old->rlim_max};

        g_assert_cmpint(prlimit(process_get_pid(server), RLIMIT_NOFILE, &none, NULL), ==, 0);
}

/* A provider without descriptors says so, to whoever asks and on stderr; then all is as before. */
static void check_descriptors(struct fixture *fixture, const char *service,
                              const struct nipc_lookup_class *class_)
{
        struct process *server = process_serve(fixture->run_dir, service, NULL);
        struct nipc_client *client = connect_to(fixture, service);
        g_autofree char *line = NULL;
        struct rlimit limit;

        g_assert_cmpint(prlimit(process_get_pid(server), RLIMIT_NOFILE, NULL, &limit), ==, 0);
        set_descriptors(server, 3, &limit); /* taken; poll() takes no more than the limit, too */
        g_assert_cmpint(ask_for_us(client, class_, IN_VAIN_MS), <, 0);
        line = process_read_error_line(server);
        g_assert_nonnull(line);
        g_assert_nonnull(strstr(line, g_strerror(EMFILE)));
        set_descriptors(server, limit.rlim_cur, &limit);
        nipc_client_refresh(client);
        g_assert_cmpint(ask_for_us(client, class_, 0), ==, 0);
        nipc_client_free(client);
        g_assert_cmpint(process_stop(server), ==, 0);
}

static void test_apps_descriptors(struct fixture *fixture, gconstpointer data)
{
        check_descriptors(fixture, "apps-lookup", nipc_apps_lookup_get_class());
}

/* Without a descriptor no process can be looked into, whether or not there is a dump from before.
 */
static void test_traffic_descriptors(struct fixture *fixture, gconstpointer data)
{
        check_descriptors(fixture, "pid-traffic", nipc_pid_traffic_get_class());
}

/* ---- data that changes -------------------------------------------------------------------- */

/* Answers one request after another, of other data for as many as it was told. */
struct changing {
        struct nipc_server *server;
        atomic_uint n_changes; /* left */
        atomic_uint generation;
};

static int answer(void *userdata, const struct nipc_lookup_request_view *request,
                  struct nipc_lookup_builder *builder)
{
        struct changing *changing = userdata;

        if (atomic_load(&changing->n_changes)) {
                atomic_fetch_sub(&changing->n_changes, 1);
                atomic_fetch_add(&changing->generation, 1);
        }
        nipc_lookup_builder_set_generation(builder, atomic_load(&changing->generation));
        for (uint32_t i = 0; i < request->item_count; i++) {
                struct nipc_ip_to_asn_item item = {.status = NIPC_IP_TO_ASN_NOT_AN_ADDRESS};

                item.ip.str = nipc_lookup_request_view_get(request, i, &item.ip.len);
                nipc_ip_to_asn_builder_add(builder, &item);
        }
        return 0;
}

/* Two keys take two answers: one does not fit more. */
static void changing_start(struct changing *changing, struct fixture *fixture)
{
        const struct nipc_lookup_handler handler = {
                .size = sizeof(handler),
                .lookup = answer,
                .userdata = changing,
        };
        const struct nipc_server_config config = {
                .size = sizeof(config),
                .run_dir = fixture->run_dir,
                .service = "ip-to-asn",
                .n_workers = 1,
                .max_response_bytes = 192,
                .initial_response_bytes = 192,
        };

        g_assert_cmpint(nipc_server_new_lookup(&config, nipc_ip_to_asn_get_class(), &handler,
                                               &changing->server),
                        ==, 0);
        g_assert_cmpint(nipc_server_start(changing->server), ==, 0);
}

/* Changed once or twice within the call: asked again, nobody notices. */
static void test_changed(struct fixture *fixture, gconstpointer data)
{
        struct changing changing = {0};
        g_autofree char *out = NULL;

        changing_start(&changing, fixture);
        atomic_store(&changing.n_changes, 3);
        g_assert_cmpint(process_nipc(fixture->run_dir, &out, NULL, "call", "ip-to-asn", "one",
                                     "two", "three", NULL),
                        ==, 0);
        g_assert_nonnull(strstr(out, "three"));
        g_assert_cmpuint(atomic_load(&changing.n_changes), ==, 0);
        nipc_server_free(changing.server);
}

/* Whoever changes it all the time is no breaker of rules. */
static void test_always_changing(struct fixture *fixture, gconstpointer data)
{
        struct changing changing = {0};
        g_autofree char *err = NULL;

        changing_start(&changing, fixture);
        atomic_store(&changing.n_changes, UINT_MAX);
        g_assert_cmpint(process_nipc(fixture->run_dir, NULL, &err, "call", "ip-to-asn", "one",
                                     "two", "three", NULL),
                        ==, 1);
        g_assert_nonnull(strstr(err, "one generation"));
        g_assert_nonnull(strstr(err, "try again"));
        g_assert_null(strstr(err, "does not keep to"));
        nipc_server_free(changing.server);
}

int main(int argc, char **argv)
{
        static const struct {
                const char *path;
                void (*run)(struct fixture *fixture, gconstpointer data);
        } cases[] = {
                {"/lookup-failures/apps-descriptors", test_apps_descriptors},
                {"/lookup-failures/traffic-descriptors", test_traffic_descriptors},
                {"/lookup-failures/changed", test_changed},
                {"/lookup-failures/always-changing", test_always_changing},
        };

        g_test_init(&argc, &argv, NULL);
        for (gsize i = 0; i < G_N_ELEMENTS(cases); i++)
                g_test_add(cases[i].path, struct fixture, NULL, set_up, cases[i].run, tear_down);
        return g_test_run();
}
