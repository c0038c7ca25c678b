/* SPDX-License-Identifier: MIT */

/*
 * Either side of a session in memory is killed at random points of its work, again and again: the
 * other one learns of it as -ECONNRESET, whatever it is doing, and nothing is left behind. And
 * sessions that do nothing cost nothing.
 *
 * `test-kill --profile ring|shm-hybrid --rounds N --seed S` for more of it, and of the other one.
 */

#include "util-env.h"
#include "util-raw.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <nipc/endpoint.h>
#include <nipc/listener.h>
#include <nipc/server.h>
#include <nipc/session.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define CODE        1u
#define MAX_PAYLOAD 200000u
#define N_IDLE      100u
#define N_WORKERS   2u

static struct {
        unsigned rounds;
        uint64_t random;
        uint32_t profile;
} options = {50, 1, NIPC_PROFILE_RING};

static uint64_t worst_ns;

/* ---- both sides ------------------------------------------------------------------------------ */

static int open_listener(struct nipc_listener **ret_listener)
{
        struct nipc_listener_config config = NIPC_LISTENER_CONFIG_INIT;

        config.run_dir = util_dir();
        config.service = "svc";
        config.supported_profiles = NIPC_PROFILE_BASELINE | options.profile;
        config.preferred_profiles = options.profile;
        config.max_request_payload_bytes = MAX_PAYLOAD;
        config.max_response_payload_bytes = MAX_PAYLOAD;
        return nipc_listener_open(&config, ret_listener);
}

static int open_session(struct nipc_session **ret_session)
{
        struct nipc_session_config config = NIPC_SESSION_CONFIG_INIT;

        config.run_dir = util_dir();
        config.service = "svc";
        config.supported_profiles = NIPC_PROFILE_BASELINE | options.profile;
        config.preferred_profiles = options.profile;
        config.max_request_payload_bytes = MAX_PAYLOAD;
        return nipc_session_open(&config, util_soon(), ret_session, NULL);
}

/* Asks on and on: one small, one that fills some cells, one in chunks. Returns what ended it. */
static int ask_on(struct nipc_session *session)
{
        static const uint32_t sizes[] = {8, 3000, 8, 8, MAX_PAYLOAD};
        static uint8_t payload[MAX_PAYLOAD];
        struct nipc_message message;
        int r;

        for (uint64_t id = 1;; id++) {
                uint32_t size = sizes[id % (sizeof(sizes) / sizeof(sizes[0]))];
                struct nipc_header header = {
                        .kind = NIPC_KIND_REQUEST, .code = CODE, .item_count = 1, .message_id = id};

                r = nipc_session_send(session, &header, payload, size, util_soon());
                if (r == 0)
                        r = nipc_session_receive(session, util_soon(), &message);
                if (r < 0)
                        return r;
                if (message.payload_size != size)
                        return -EPROTO;
        }
}

/* Answers on and on. Returns what ended it. */
static int answer_on(struct nipc_session *session)
{
        struct nipc_message message;
        struct nipc_header header;
        int r;

        for (;;) {
                r = nipc_session_receive(session, util_soon(), &message);
                if (r < 0)
                        return r;
                header = message.header;
                header.kind = NIPC_KIND_RESPONSE;
                r = nipc_session_send(session, &header, message.payload, message.payload_size,
                                      util_soon());
                if (r < 0)
                        return r;
        }
}

/* ---- the victim, and who kills it -------------------------------------------------------------
 */

static void play_server(void)
{
        struct nipc_listener *listener = NULL;
        struct nipc_session *session = NULL;

        if (open_listener(&listener) < 0)
                _exit(1);
        for (;;) {
                if (write(STDIN_FILENO, "x", 1) != 1) /* ready */
                        _exit(2);
                if (nipc_listener_accept(listener, NIPC_DEADLINE_NEVER, &session) < 0)
                        _exit(3);
                if (nipc_session_handshake(session, NIPC_DEADLINE_NEVER) == 0)
                        answer_on(session);
                session = nipc_session_close(session);
        }
}

static void play_client(void)
{
        struct nipc_session *session = NULL;

        if (open_session(&session) < 0)
                _exit(1);
        ask_on(session);
        _exit(2);
}

/* ready_fd: where the child may say so; it is its standard input. */
static pid_t start(void (*play)(void), int ready_fd)
{
        pid_t parent = getpid(), pid = fork();

        if (pid)
                return pid;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
                _exit(98);
        if (ready_fd >= 0)
                dup2(ready_fd, STDIN_FILENO);
        play();
        _exit(99);
}

struct killer {
        pid_t victim;
        uint64_t delay_ns;
        uint64_t killed_ns; /* read after it was joined */
};

/* Runs beside the two rather than sleep: it is about which instruction is the last. */
static void *killer_main(void *userdata)
{
        struct killer *killer = userdata;
        uint64_t until_ns = nipc_clock_now_ns() + killer->delay_ns;

        while (nipc_clock_now_ns() < until_ns)
                sched_yield();
        killer->killed_ns = nipc_clock_now_ns();
        kill(killer->victim, SIGKILL);
        return NULL;
}

static void reap(pid_t pid)
{
        int status = 0;

        util_waiting_for("a killed child");
        tap_check(waitpid(pid, &status, 0) == pid);
        if (!WIFSIGNALED(status))
                tap_fail("it was not killed, it ended with %d", WEXITSTATUS(status));
}

/* Kills while work(session) goes on in this process. */
static void kill_during(pid_t victim, int (*work)(struct nipc_session *),
                        struct nipc_session *session)
{
        struct killer killer = {.victim = victim,
                                .delay_ns = tap_random(&options.random) % 2000000};
        pthread_t thread;
        uint64_t took_ns;

        tap_require(pthread_create(&thread, NULL, killer_main, &killer) == 0);
        util_waiting_for("a survivor to notice");
        util_eq_error(work(session), -ECONNRESET);
        took_ns = nipc_clock_now_ns();
        pthread_join(thread, NULL);
        took_ns -= killer.killed_ns;
        worst_ns = took_ns > worst_ns ? took_ns : worst_ns;
}

/* ---- the two ways ---------------------------------------------------------------------------- */

static void report(const char *who)
{
        tap_note("%s noticed within %llu us", who, (unsigned long long)worst_ns / 1000);
        worst_ns = 0;
}

static bool is_in_memory(const struct nipc_session *session)
{
        struct nipc_session_info info = NIPC_SESSION_INFO_INIT;

        return nipc_session_get_info(session, &info) == 0 &&
               tap_eq_uint(info.profile, options.profile);
}

/* Each server takes the endpoint over from the one that was killed before. */
static void test_servers_are_killed(void)
{
        util_dir();
        for (unsigned i = 0; i < options.rounds; i++) {
                struct nipc_session *session = NULL;
                int ready[2];
                char byte;
                pid_t pid;

                util_arm_watchdog();
                tap_require(pipe2(ready, O_CLOEXEC) == 0);
                pid = start(play_server, ready[1]);
                close(ready[1]);
                util_waiting_for("a server");
                tap_check(read(ready[0], &byte, 1) == 1);
                close(ready[0]);
                if (util_eq_error(open_session(&session), 0) && is_in_memory(session))
                        kill_during(pid, ask_on, session);
                nipc_session_close(session);
                kill(pid, SIGKILL);
                reap(pid);
        }
        tap_eq_int(nipc_endpoint_clean(util_dir(), "svc"), 1);
        report("clients");
}

static void test_clients_are_killed(void)
{
        struct nipc_listener *listener = NULL;

        tap_require(util_eq_error(open_listener(&listener), 0));
        for (unsigned i = 0; i < options.rounds; i++) {
                struct nipc_session *session = NULL;
                pid_t pid;

                util_arm_watchdog();
                pid = start(play_client, -1);
                util_waiting_for("a client");
                if (util_eq_error(nipc_listener_accept(listener, util_soon(), &session), 0) &&
                    util_eq_error(nipc_session_handshake(session, util_soon()), 0) &&
                    is_in_memory(session))
                        kill_during(pid, answer_on, session);
                nipc_session_close(session);
                kill(pid, SIGKILL);
                reap(pid);
        }
        nipc_listener_close(listener);
        report("servers");
}

static void test_no_file_is_left(void)
{
        DIR *dir = opendir(util_dir());
        const struct dirent *entry;

        tap_require(dir != NULL);
        while ((entry = readdir(dir)))
                if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
                        tap_fail("%s is left", entry->d_name);
        closedir(dir);
}

/* ---- idle ------------------------------------------------------------------------------------ */

static int echo(void *userdata, const struct nipc_request *request, void *response, size_t capacity,
                size_t *ret_size)
{
        memcpy(response, request->payload, request->payload_size);
        *ret_size = request->payload_size;
        return request->payload_size > capacity ? -EMSGSIZE : 0;
}

static struct nipc_server *start_server(void)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_handler handler = {.size = sizeof(handler), .code = CODE, .handle = echo};
        struct nipc_server *server = NULL;

        config.run_dir = util_dir();
        config.service = "svc";
        config.n_workers = N_WORKERS;
        config.profiles = NIPC_PROFILE_BASELINE | options.profile;
        config.initial_request_bytes = MAX_PAYLOAD;
        /* So that no timer is among what is counted. */
        config.handshake_timeout_ms = config.request_timeout_ms = config.response_timeout_ms =
                3600 * 1000;
        if (util_eq_error(nipc_server_new(&config, &handler, &server), 0))
                util_eq_error(nipc_server_start(server), 0);
        return server;
}

/* How often a thread has gone to sleep. */
static unsigned long long count_switches(pid_t tid)
{
        char path[64], line[128];
        unsigned long long n = 0;
        FILE *file;

        snprintf(path, sizeof(path), "/proc/self/task/%ld/status", (long)tid);
        file = fopen(path, "r");
        while (file && fgets(line, sizeof(line), file))
                if (sscanf(line, "voluntary_ctxt_switches: %llu", &n) == 1)
                        break;
        if (file)
                fclose(file);
        return n;
}

/* Calls visit for each other thread of this process. */
static void for_other_threads(void (*visit)(pid_t tid, void *userdata), void *userdata)
{
        DIR *dir = opendir("/proc/self/task");
        const struct dirent *entry;
        pid_t tid;

        while (dir && (entry = readdir(dir))) {
                tid = (pid_t)atoi(entry->d_name);
                if (tid > 0 && tid != util_gettid())
                        visit(tid, userdata);
        }
        if (dir)
                closedir(dir);
}

struct count {
        pid_t known[8]; /* were there before: a sanitizer's */
        unsigned n_known;
        unsigned n_threads;
        unsigned long long n_switches;
};

static void remember_thread(pid_t tid, void *userdata)
{
        struct count *count = userdata;

        if (count->n_known < sizeof(count->known) / sizeof(count->known[0]))
                count->known[count->n_known++] = tid;
}

static void count_thread(pid_t tid, void *userdata)
{
        struct count *count = userdata;

        for (unsigned i = 0; i < count->n_known; i++)
                if (count->known[i] == tid)
                        return;
        util_wait_asleep(tid);
        count->n_threads++;
        count->n_switches += count_switches(tid);
}

/* Of the server's threads, once they are asleep. */
static unsigned long long count_all(struct count *count)
{
        count->n_threads = 0;
        count->n_switches = 0;
        for_other_threads(count_thread, count);
        /* Somebody has to watch the futexes of them all. */
        tap_eq_uint(count->n_threads, N_WORKERS + (options.profile == NIPC_PROFILE_SHM_HYBRID));
        return count->n_switches;
}

static bool ask_once(struct nipc_session *session)
{
        struct nipc_header header = {
                .kind = NIPC_KIND_REQUEST, .code = CODE, .item_count = 1, .message_id = 1};
        struct nipc_message message;

        return util_eq_error(nipc_session_send(session, &header, "12345678", 8, util_soon()), 0) &&
               util_eq_error(nipc_session_receive(session, util_soon(), &message), 0);
}

static void test_idle_sessions_cost_nothing(void)
{
        struct nipc_session *sessions[N_IDLE] = {NULL};
        struct count count = {.n_known = 0};
        struct nipc_server *server;
        unsigned long long before;

        for_other_threads(remember_thread, &count);
        server = start_server();
        for (unsigned i = 0; i < N_IDLE; i++)
                if (!util_eq_error(open_session(&sessions[i]), 0) || !is_in_memory(sessions[i]) ||
                    !ask_once(sessions[i]))
                        break;
        before = count_all(&count);
        /* A second of nothing, waited for as a client that expects something does. */
        util_eq_error(nipc_session_wait(sessions[0], nipc_deadline_after_ms(1000)), -ETIMEDOUT);
        tap_eq_uint(count_all(&count), before);
        for (unsigned i = 0; i < N_IDLE; i++) {
                if (sessions[i])
                        tap_check(ask_once(sessions[i]));
                nipc_session_close(sessions[i]);
        }
        nipc_server_free(server);
}

int main(int argc, char **argv)
{
        static const struct tap_case cases[] = {TAP_CASE(test_servers_are_killed),
                                                TAP_CASE(test_clients_are_killed),
                                                TAP_CASE(test_no_file_is_left),
                                                TAP_CASE(test_idle_sessions_cost_nothing),
                                                TAP_CASE(test_nothing_leaked)};

        for (; argc > 2 && argv[1][0] == '-'; argc -= 2, argv += 2) {
                if (!strcmp(argv[1], "--rounds"))
                        options.rounds = (unsigned)strtoul(argv[2], NULL, 10);
                else if (!strcmp(argv[1], "--seed"))
                        options.random = strtoull(argv[2], NULL, 10);
                else if (!strcmp(argv[1], "--profile") && !strcmp(argv[2], "ring"))
                        options.profile = NIPC_PROFILE_RING;
                else if (!strcmp(argv[1], "--profile") && !strcmp(argv[2], "shm-hybrid"))
                        options.profile = NIPC_PROFILE_SHM_HYBRID;
                else
                        return 2;
        }
        util_begin();
        return tap_run(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
