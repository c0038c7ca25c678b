/* SPDX-License-Identifier: MIT */

/*
 * What idle sessions cost a real server: `nipc serve` with one client and with many, by what the
 * kernel says of it. Counted are the pages that nobody else has mapped (Private_* of smaps_rollup:
 * heap, stacks, and whatever of the two memories of a ring session only the server has touched) and
 * its descriptors. The two memories as a whole, reserved before they are handed over so that
 * touching them cannot fail, are not the server's alone; they are printed beside it.
 */

#include "util-process.h"
#include <nipc/increment.h>
#include <nipc/session.h>
#include <sys/resource.h>
#include <unistd.h>

#define N_SESSIONS 1000
#define MAX_RSS_KB 3072 /* of a server that uses the libraries alone */

/* Pages and descriptors of a process. */
struct usage {
        guint64 private_kb;
        guint64 rss_kb;
        guint n_fds;
        guint n_threads;
};

static guint64 read_kb(const char *text, const char *key)
{
        const char *at = strstr(text, key);

        return at ? g_ascii_strtoull(at + strlen(key), NULL, 10) : 0;
}

static guint count_entries(int pid, const char *what)
{
        g_autofree char *path = g_strdup_printf("/proc/%d/%s", pid, what);
        g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
        guint n = 0;

        while (dir && g_dir_read_name(dir))
                n++;
        return n;
}

static struct usage get_usage(int pid)
{
        g_autofree char *path = g_strdup_printf("/proc/%d/smaps_rollup", pid);
        g_autofree char *text = NULL;

        g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
        return (struct usage){
                .private_kb = read_kb(text, "Private_Clean:") + read_kb(text, "Private_Dirty:"),
                .rss_kb = read_kb(text, "Rss:"),
                .n_fds = count_entries(pid, "fd"),
                .n_threads = count_entries(pid, "task"),
        };
}

/* A session that has been used is what stays idle. */
static void ask_once(struct nipc_session *session)
{
        const struct nipc_header header = {.kind = NIPC_KIND_REQUEST,
                                           .code = NIPC_METHOD_INCREMENT,
                                           .item_count = 1,
                                           .message_id = 1};
        uint64_t deadline_ns = nipc_deadline_after_ms(60000), payload = 1;
        struct nipc_message message;

        g_assert_cmpint(nipc_session_send(session, &header, &payload, sizeof(payload), deadline_ns),
                        ==, 0);
        g_assert_cmpint(nipc_session_receive(session, deadline_ns, &message), ==, 0);
}

static struct nipc_session *connect_one(const char *run_dir, const char *service, uint32_t profile)
{
        struct nipc_session_config config = NIPC_SESSION_CONFIG_INIT;
        struct nipc_session_info info = NIPC_SESSION_INFO_INIT;
        struct nipc_session *session = NULL;

        config.run_dir = run_dir;
        config.service = service;
        config.supported_profiles = NIPC_PROFILE_BASELINE | profile;
        config.preferred_profiles = config.supported_profiles;
        g_assert_cmpint(nipc_session_open(&config, nipc_deadline_after_ms(60000), &session, NULL),
                        ==, 0);
        nipc_session_get_info(session, &info);
        g_assert_cmphex(info.profile, ==, profile);
        if (g_str_equal(service, "increment"))
                ask_once(session);
        return session;
}

/* Sanitizers have memory of their own beside every allocation. */
static bool is_instrumented(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
        return true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
        __has_feature(memory_sanitizer)
        return true;
#endif
#endif
        return g_getenv("NIPC_TEST_NO_MEMORY_LIMITS") != NULL;
}

static void check(const char *name, const struct usage *one, const struct usage *many,
                  double max_kb)
{
        double each_kb = ((double)many->private_kb - (double)one->private_kb) / (N_SESSIONS - 1);

        g_test_message("%s: RSS with one session %" G_GUINT64_FORMAT " KiB, private %" //
                       G_GUINT64_FORMAT " KiB; each of %d more %.2f KiB private, %.2f "
                       "descriptors; %u threads",
                       name, one->rss_kb, one->private_kb, N_SESSIONS - 1, each_kb,
                       (double)(many->n_fds - one->n_fds) / (N_SESSIONS - 1), many->n_threads);
        if (is_instrumented())
                return;
        g_assert_cmpuint(many->n_threads, ==, one->n_threads);
        g_assert_cmpfloat(each_kb, <=, max_kb);
}

static void test_idle(const char *name, uint32_t profile, double max_kb)
{
        static struct nipc_session *sessions[N_SESSIONS];
        g_autofree char *run_dir = process_make_dir();
        struct rlimit limit;
        struct process *server;
        struct usage one, many;

        getrlimit(RLIMIT_NOFILE, &limit);
        if (limit.rlim_max < 2 * N_SESSIONS + 100) {
                g_test_skip("not enough descriptors");
                return;
        }
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
        server = process_serve(run_dir, "increment", "--profiles",
                               profile == NIPC_PROFILE_BASELINE ? "baseline" : "baseline,ring",
                               NULL);
        sessions[0] = connect_one(run_dir, "increment", profile);
        one = get_usage(process_get_pid(server));
        for (guint i = 1; i < N_SESSIONS; i++)
                sessions[i] = connect_one(run_dir, "increment", profile);
        many = get_usage(process_get_pid(server));
        check(name, &one, &many, max_kb);
        for (guint i = 0; i < N_SESSIONS; i++)
                nipc_session_close(sessions[i]);
        g_assert_cmpint(process_stop(server), ==, 0);
        process_remove_dir(run_dir);
}

/* The tool has GLib in it; what the libraries need shows in a server that has nothing else. */
static void test_small_server(void)
{
        const char *examples = g_getenv("NIPC_EXAMPLES");
        g_autofree char *program = g_build_filename(examples, "example-server-poll", NULL);
        g_autofree char *run_dir = process_make_dir();
        const char *const argv[] = {program, run_dir, NULL};
        struct process *server = process_start(argv);
        struct nipc_session *session;
        struct usage usage;

        process_wait_ready(server);
        session = connect_one(run_dir, "square", NIPC_PROFILE_BASELINE);
        usage = get_usage(process_get_pid(server));
        g_test_message("a small server with one session: RSS %" G_GUINT64_FORMAT
                       " KiB, private %" G_GUINT64_FORMAT " KiB",
                       usage.rss_kb, usage.private_kb);
        if (!is_instrumented())
                g_assert_cmpuint(usage.rss_kb, <=, MAX_RSS_KB);
        nipc_session_close(session);
        process_kill(server);
        process_remove_dir(run_dir);
}

static void test_baseline(void)
{
        test_idle("baseline", NIPC_PROFILE_BASELINE, 16);
}

static void test_ring(void)
{
        if (!(nipc_profile_get_available() & NIPC_PROFILE_RING))
                g_test_skip("this build has no ring");
        else
                test_idle("ring", NIPC_PROFILE_RING, 32);
}

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        g_test_add_func("/session-memory/small-server", test_small_server);
        g_test_add_func("/session-memory/baseline", test_baseline);
        g_test_add_func("/session-memory/ring", test_ring);
        return g_test_run();
}
