/* SPDX-License-Identifier: MIT */

/*
 * A child by fork() has copies of its parent's clients and servers. Whatever it does to them the
 * parent's go on as if it had never been; it may make its own.
 */

#include "util-env.h"
#include "util-seccomp.h"
#include <errno.h>
#include <nipc/client-pool.h>
#include <nipc/client.h>
#include <nipc/endpoint.h>
#include <nipc/server.h>
#include <nipc/session.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#define N_CALLS 1000u

struct fixture {
        struct nipc_server *server;
        struct nipc_client *client;
        uint32_t profiles;
        unsigned n_released;
        atomic_uint n_said; /* to the server's log */
};

static int increment(void *userdata, const struct nipc_request *request, void *response,
                     size_t capacity, size_t *ret_size)
{
        uint64_t value;

        memcpy(&value, request->payload, sizeof(value));
        value++;
        memcpy(response, &value, sizeof(value));
        *ret_size = sizeof(value);
        return 0;
}

static void release(void *userdata)
{
        (*(unsigned *)userdata)++;
}

static void on_log(void *userdata, const struct nipc_log_record *record)
{
        struct fixture *f = userdata;

        atomic_fetch_add(&f->n_said, 1); /* by whichever worker */
}

static struct nipc_client *make_client(uint32_t profiles)
{
        struct nipc_client_config config = NIPC_CLIENT_CONFIG_INIT;
        struct nipc_client *client = NULL;

        config.run_dir = util_dir();
        config.service = "fork";
        config.profiles = profiles;
        config.max_batch_items = 8;
        util_eq_error(nipc_client_new(&config, &client), 0);
        return client;
}

static bool fixture_init(struct fixture *f, uint32_t profiles, uint32_t n_workers)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        const struct nipc_handler handler = {
                .size = sizeof(handler),
                .code = 1,
                .handle = increment,
                .userdata = &f->n_released,
                .release = release,
        };

        *f = (struct fixture){.profiles = profiles};
        config.run_dir = util_dir();
        config.service = "fork";
        config.profiles = profiles;
        config.n_workers = n_workers;
        config.log = on_log;
        config.log_userdata = f;
        if (!util_eq_error(nipc_server_new(&config, &handler, &f->server), 0))
                return false;
        if (n_workers && !util_eq_error(nipc_server_start(f->server), 0))
                return false;
        f->client = make_client(profiles);
        return f->client;
}

static void fixture_deinit(struct fixture *f)
{
        f->client = nipc_client_free(f->client);
        f->server = nipc_server_free(f->server);
        tap_eq_uint(f->n_released, 1);
}

/* Each of many calls is answered, on one and the same session. */
static void check_calls(const struct fixture *f, uint32_t n_calls)
{
        struct nipc_client_status status = NIPC_CLIENT_STATUS_INIT;
        uint64_t value = 0;

        for (uint32_t i = 0; i < n_calls && value == i; i++)
                util_eq_error(nipc_client_increment(f->client, value, 0, &value), 0);
        tap_eq_uint(value, n_calls);
        nipc_client_get_status(f->client, &status);
        tap_eq_int(status.state, NIPC_CLIENT_STATE_READY);
        tap_eq_uint(status.n_connects, 1);
        tap_eq_uint(status.n_reconnects, 0);
        tap_eq_uint(status.n_errors, 0);
}

/* ---- clients -------------------------------------------------------------------------------- */

static int decode(void *userdata, const void *payload, size_t payload_size,
                  struct nipc_fault *ret_fault)
{
        return 0;
}

static void call_everything(struct nipc_client *client)
{
        static const char *const paths[] = {"/a"};
        struct nipc_client_failure failure = NIPC_CLIENT_FAILURE_INIT;
        struct nipc_cgroups_snapshot_view snapshot;
        struct nipc_string_reverse_view string;
        struct nipc_response response;
        struct nipc_lookup_view view;
        uint64_t values[2] = {1, 2};
        uint32_t pid = 1;

        util_eq_error(nipc_client_refresh(client), -ECHILD);
        util_eq_error(nipc_client_call(client, 1, values, 8, 0, &response, NULL), -ECHILD);
        util_eq_error(nipc_client_call_decoded(client, 1, values, 8, 0, decode, NULL), -ECHILD);
        util_eq_error(nipc_client_increment(client, 1, 0, values), -ECHILD);
        util_eq_error(nipc_client_increment_batch(client, values, 2, 0, values), -ECHILD);
        util_eq_error(nipc_client_string_reverse(client, "abc", 3, 0, &string), -ECHILD);
        util_eq_error(nipc_client_cgroups_snapshot(client, 0, &snapshot), -ECHILD);
        util_eq_error(nipc_client_cgroups_lookup(client, paths, 1, 0, &view), -ECHILD);
        util_eq_error(nipc_client_apps_lookup(client, &pid, 1, 0, &view), -ECHILD);
        nipc_client_get_failure(client, &failure);
        util_eq_error(failure.error, -ECHILD);
}

/* From now on whatever would be heard outside of this process ends it. */
static void forbid_io(void)
{
        static const int calls[] = {SYS_sendto,  SYS_sendmsg,  SYS_recvfrom,  SYS_recvmsg,
                                    SYS_connect, SYS_shutdown, SYS_epoll_ctl, SYS_socket};

        if (util_seccomp_is_there())
                util_seccomp_install(calls, sizeof(calls) / sizeof(calls[0]), UTIL_SECCOMP_KILL);
}

static void use_client_in_child(void *userdata)
{
        struct fixture *f = userdata;
        const enum nipc_client_state state = nipc_client_get_state(f->client);
        const int n_fds = util_count_fds();

        forbid_io();
        call_everything(f->client);
        tap_eq_int(nipc_client_get_state(f->client), state);
        nipc_client_cancel(f->client);
        call_everything(f->client);
        nipc_client_reset_cancel(f->client);
        f->client = nipc_client_free(f->client);
        tap_check(util_count_fds() < n_fds); /* the child's copies are gone */
}

static void try_client(uint32_t profile)
{
        struct nipc_client_status status = NIPC_CLIENT_STATUS_INIT;
        struct fixture f;

        tap_require(fixture_init(&f, profile | NIPC_PROFILE_BASELINE, 1));
        util_in_child(use_client_in_child, &f); /* not connected yet */
        tap_eq_int(nipc_client_get_state(f.client), NIPC_CLIENT_STATE_DISCONNECTED);
        tap_eq_int(nipc_client_refresh(f.client), 1);
        nipc_client_get_status(f.client, &status);
        tap_check(status.profile == profile || (status.refused_profiles & profile)); /* emulators */
        check_calls(&f, 10);
        for (unsigned i = 0; i < 3; i++) {
                util_in_child(use_client_in_child, &f);
                check_calls(&f, N_CALLS);
        }
        fixture_deinit(&f);
}

static void test_client_baseline(void)
{
        try_client(NIPC_PROFILE_BASELINE);
}

static void test_client_shm_hybrid(void)
{
        if (!(nipc_profile_get_available() & NIPC_PROFILE_SHM_HYBRID))
                tap_skip("no such profile here");
        try_client(NIPC_PROFILE_SHM_HYBRID);
}

static void test_client_ring(void)
{
        if (!(nipc_profile_get_available() & NIPC_PROFILE_RING))
                tap_skip("no such profile here");
        try_client(NIPC_PROFILE_RING);
}

/* A child asks its parent, by a client of its own. */
static void ask_in_child(void *userdata)
{
        struct fixture *f = userdata;
        struct fixture own = {.client = make_client(f->profiles)};

        tap_eq_int(nipc_client_refresh(own.client), 1);
        check_calls(&own, 10);
        util_eq_error(nipc_client_refresh(f->client), -ECHILD);
        nipc_client_free(own.client);
        f->client = nipc_client_free(f->client);
}

static void test_own_client(void)
{
        struct fixture f;

        tap_require(fixture_init(&f, nipc_profile_get_available(), 1));
        tap_eq_int(nipc_client_refresh(f.client), 1);
        util_in_child(ask_in_child, &f);
        check_calls(&f, N_CALLS);
        fixture_deinit(&f);
}

/* ---- pools of clients ----------------------------------------------------------------------- */

struct pool {
        struct nipc_client_pool *pool;
        struct nipc_client *lent;
};

static void use_pool_in_child(void *userdata)
{
        struct nipc_client_pool_status status = NIPC_CLIENT_POOL_STATUS_INIT;
        struct pool *p = userdata;
        struct nipc_client *client = NULL;
        const int n_fds = util_count_fds();

        forbid_io();
        util_eq_error(nipc_client_pool_take(p->pool, 1000, &client), -ECHILD);
        util_eq_error(nipc_client_pool_get_status(p->pool, &status), -ECHILD);
        tap_check(!client);
        nipc_client_pool_cancel(p->pool);
        nipc_client_pool_reset_cancel(p->pool);
        nipc_client_pool_trim(p->pool);
        nipc_client_pool_give(p->pool, p->lent);
        p->pool = nipc_client_pool_free(p->pool);
        util_eq_error(nipc_client_refresh(p->lent), -ECHILD); /* it is there still */
        tap_check(util_count_fds() < n_fds);
        nipc_client_free(p->lent); /* as far as this child is concerned; or it would leak */
}

static void test_pool(void)
{
        struct nipc_client_pool_status status = NIPC_CLIENT_POOL_STATUS_INIT;
        struct nipc_client_config config = NIPC_CLIENT_CONFIG_INIT;
        struct nipc_client *other;
        struct fixture f;
        struct pool p;
        uint64_t value = 0;

        tap_require(fixture_init(&f, nipc_profile_get_available(), 1));
        config.run_dir = util_dir();
        config.service = "fork";
        config.profiles = f.profiles;
        tap_require(nipc_client_pool_new(&config, NULL, &p.pool) == 0);
        tap_require(nipc_client_pool_take(p.pool, 1000, &p.lent) == 0);
        tap_require(nipc_client_pool_take(p.pool, 1000, &other) == 0);
        nipc_client_pool_give(p.pool, other);
        util_in_child(use_pool_in_child, &p);
        util_eq_error(nipc_client_increment(p.lent, 1, 0, &value), 0);
        tap_eq_uint(value, 2);
        nipc_client_pool_give(p.pool, p.lent);
        util_eq_error(nipc_client_pool_get_status(p.pool, &status), 0);
        tap_eq_uint(status.n_created, 2);
        tap_eq_uint(status.n_idle, 2);
        tap_eq_uint(status.n_connects, 2);
        nipc_client_pool_free(p.pool);
        fixture_deinit(&f);
}

/* ---- servers -------------------------------------------------------------------------------- */

static bool is_live(void)
{
        struct nipc_endpoint_info info = {.size = sizeof(info)};

        return nipc_endpoint_probe(util_dir(), "fork", false, &info) == 0 &&
               info.state == NIPC_ENDPOINT_LIVE && info.locked;
}

static void use_server_in_child(void *userdata)
{
        struct nipc_server_status status = NIPC_SERVER_STATUS_INIT;
        struct fixture *f = userdata;
        int r, listen_fd = -1, lock_fd = -1;
        unsigned n_said;

        forbid_io();
        r = nipc_server_start(f->server);
        tap_check(r == -ECHILD || r == -EINVAL); /* one without workers */
        r = nipc_server_dispatch(f->server, 1000);
        tap_check(r == -ECHILD || r == -EINVAL); /* one with workers */
        r = nipc_server_get_fd(f->server);
        tap_check(r == -ECHILD || r == -EINVAL);
        util_eq_error(nipc_server_drain(f->server, 1000), -ECHILD);
        util_eq_error(nipc_server_dup_fds(f->server, &listen_fd, &lock_fd), -ECHILD);
        util_eq_error(nipc_server_hand_over(f->server, 1000), -ECHILD);
        util_eq_error(nipc_server_get_status(f->server, &status), 0);
        nipc_server_stop(f->server);
        n_said = atomic_load(&f->n_said); /* there is one thread */
        f->server = nipc_server_free(f->server);
        tap_eq_uint(atomic_load(&f->n_said), n_said); /* for nothing has ended */
        tap_eq_uint(f->n_released, 1);                /* the child's copy */
        tap_check(is_live());
}

static void try_server_with_workers(uint32_t profiles)
{
        struct nipc_server_status status = NIPC_SERVER_STATUS_INIT;
        struct fixture f;

        tap_require(fixture_init(&f, profiles, 2));
        util_in_child(use_server_in_child, &f); /* nobody connected */
        tap_eq_int(nipc_client_refresh(f.client), 1);
        check_calls(&f, 10);
        util_in_child(use_server_in_child, &f);
        tap_check(is_live());
        check_calls(&f, N_CALLS);
        nipc_server_get_status(f.server, &status);
        tap_eq_uint(status.n_sessions, 1);
        fixture_deinit(&f);
        tap_check(!is_live());
}

static void test_server_with_workers(void)
{
        const uint32_t profiles = nipc_profile_get_available();

        for (uint32_t bit = 1; bit && bit <= profiles; bit <<= 1)
                if (profiles & bit)
                        try_server_with_workers(bit | NIPC_PROFILE_BASELINE);
}

/* The other side of a server in the loop of the caller. */
struct caller {
        const struct fixture *fixture;
        uint32_t n_calls;
        atomic_bool is_done;
};

static void *call_from_thread(void *userdata)
{
        struct caller *caller = userdata;

        nipc_client_refresh(caller->fixture->client);
        check_calls(caller->fixture, caller->n_calls);
        atomic_store(&caller->is_done, true); /* pairs with the load in serve_calls() */
        return NULL;
}

static void serve_calls(const struct fixture *f, uint32_t n_calls)
{
        struct caller caller = {.fixture = f, .n_calls = n_calls};
        pthread_t thread;
        int r = 0;

        tap_require(pthread_create(&thread, NULL, call_from_thread, &caller) == 0);
        while (r >= 0 && !atomic_load(&caller.is_done)) /* pairs with the store of the thread */
                r = nipc_server_dispatch(f->server, 5);
        pthread_join(thread, NULL);
        tap_check(r >= 0);
}

static void test_server_in_a_loop(void)
{
        struct nipc_server_status status = NIPC_SERVER_STATUS_INIT;
        struct fixture f;

        for (uint32_t bit = 1; bit && bit <= nipc_profile_get_available(); bit <<= 1) {
                if (!(nipc_profile_get_available() & bit))
                        continue;
                tap_require(fixture_init(&f, bit | NIPC_PROFILE_BASELINE, 0));
                util_in_child(use_server_in_child, &f);
                serve_calls(&f, 10);
                util_in_child(use_server_in_child, &f);
                tap_check(nipc_server_get_fd(f.server) >= 0);
                util_in_child(use_server_in_child, &f); /* one that is polled */
                tap_check(is_live());
                serve_calls(&f, N_CALLS);
                nipc_server_get_status(f.server, &status);
                tap_eq_uint(status.n_sessions, 1);
                fixture_deinit(&f);
        }
}

UTIL_MAIN(TAP_CASE(test_client_baseline), TAP_CASE(test_client_shm_hybrid),
          TAP_CASE(test_client_ring), TAP_CASE(test_own_client), TAP_CASE(test_pool),
          TAP_CASE(test_server_with_workers), TAP_CASE(test_server_in_a_loop))
