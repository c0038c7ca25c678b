/* SPDX-License-Identifier: MIT */

/* Programs of bench/peers as subjects, see subject-peer.h. */

#include "subject-peer.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct subject_client {
        pid_t pid;
        pid_t server_pid; /* 0: of subject_start() */
        FILE *to, *from;
        uint32_t depth;
        char reason[256];
};

static char *peer_directory;

void subject_peer_set_directory(const char *directory)
{
        g_free(peer_directory);
        peer_directory = g_strdup(directory);
}

static char *find_build(void)
{
        g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
        g_autofree char *bin = self ? g_path_get_dirname(self) : NULL;

        return bin ? g_build_filename(bin, "..", "..", "bench", NULL) : NULL;
}

static char *find_program(const char *program)
{
        g_autofree char *build = find_build();
        char *path;

        if (peer_directory)
                path = g_build_filename(peer_directory, program, NULL);
        else
                path = build ? g_build_filename(build, "peers", program, NULL) : g_strdup(program);
        return path;
}

char *subject_peer_find_program(const char *name)
{
        g_autofree char *build = find_build();
        g_autofree char *path = build ? g_build_filename(build, name, NULL) : NULL;

        return path && access(path, X_OK) == 0 ? g_steal_pointer(&path) : NULL;
}

bool subject_peer_is_there(const struct subject *subject, char **ret_reason)
{
        g_autofree char *path = find_program(subject->program);
        g_autofree char *interpreter = NULL;

        if (access(path, R_OK) < 0) {
                *ret_reason = g_strdup_printf("not built, %s", subject->needs);
                return false;
        }
        if (g_str_has_suffix(path, ".js"))
                interpreter = g_find_program_in_path("node");
        if (g_str_has_suffix(path, ".js") && !interpreter) {
                *ret_reason = g_strdup("node is not installed");
                return false;
        }
        if (g_str_equal(subject->name, "iceoryx"))
                interpreter = g_find_program_in_path("iox-roudi");
        if (g_str_equal(subject->name, "iceoryx") && !interpreter) {
                *ret_reason = g_strdup("iox-roudi is not installed");
                return false;
        }
        return true;
}

/* In a child. Never returns but by failure. */
static int run_program(const struct subject_options *options, const char *role)
{
        char *path = find_program(options->program);

        signal(SIGPIPE, SIG_DFL);
        if (g_str_has_suffix(path, ".js"))
                execlp("node", "node", path, role, options->run_dir, NULL);
        else
                execl(path, path, role, options->run_dir, NULL);
        return -errno;
}

/* ---- the server ----------------------------------------------------------------------------- */

/* What it says goes where the byte was to go: the first one is read, as of the others. */
static int peer_serve(const struct subject_options *options, int ready_fd)
{
        signal(SIGINT, SIG_IGN);
        signal(SIGTERM, SIG_DFL);
        if (dup2(ready_fd, STDOUT_FILENO) < 0)
                return -1;
        return run_program(options, "server");
}

/* Stands for a server that the client starts by itself. */
static int stand_in(const struct subject_options *options, int ready_fd)
{
        (void)options;
        if (write(ready_fd, "", 1) != 1)
                return -1;
        for (;;)
                pause();
}

/* ---- the client ----------------------------------------------------------------------------- */

static void peer_close(struct subject_client *client)
{
        if (!client)
                return;
        if (client->to)
                fclose(client->to); /* it ends, and what it started */
        if (client->from)
                fclose(client->from);
        subject_stop(client->pid);
        if (client->server_pid)
                kill(client->server_pid, SIGKILL);
        g_free(client);
}

static int spawn(struct subject_client *client, const struct subject_options *options)
{
        int to[2], from[2];

        if (pipe2(to, O_CLOEXEC) < 0)
                return -errno;
        if (pipe2(from, O_CLOEXEC) < 0) {
                close(to[0]);
                close(to[1]);
                return -EMFILE;
        }
        client->to = fdopen(to[1], "w");
        client->from = fdopen(from[0], "r");
        client->pid = fork();
        if (client->pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                signal(SIGINT, SIG_IGN);
                if (dup2(to[0], STDIN_FILENO) < 0 || dup2(from[1], STDOUT_FILENO) < 0)
                        _exit(1);
                run_program(options, "client");
                _exit(127);
        }
        close(to[0]);
        close(from[1]);
        return client->pid < 0 || !client->to || !client->from ? -ENOMEM : 0;
}

static bool read_line(struct subject_client *client, char *line, int size)
{
        if (!fgets(line, size, client->from))
                return false;
        if (!g_str_has_prefix(line, "error "))
                return true;
        g_strlcpy(client->reason, g_strchomp(line + 6), sizeof(client->reason));
        return false;
}

static int fail(const struct subject_client *client)
{
        if (g_str_equal(client->reason, "wrong answer"))
                return -EBADMSG;
        return -EPIPE;
}

static int peer_open(const struct subject_options *options, struct subject_client **ret_client)
{
        struct subject_client *client = g_new0(struct subject_client, 1);
        int pid = 0, r = spawn(client, options);
        char line[256];

        client->depth = options->scenario == SUBJECT_PIPELINE ? options->depth : 1;
        if (r == 0 && (!read_line(client, line, sizeof(line)) || !g_str_has_prefix(line, "READY")))
                r = fail(client);
        *ret_client = client; /* also of a failure: it has the reason */
        if (r < 0)
                return r;
        if (sscanf(line, "READY %d", &pid) == 1)
                client->server_pid = pid;
        return 0;
}

static void peer_get_pids(const struct subject_client *client, pid_t *client_pid, pid_t *server_pid)
{
        *client_pid = client->pid;
        if (client->server_pid)
                *server_pid = client->server_pid;
}

static int read_histogram(struct subject_client *client, struct histogram *latency)
{
        char line[256];

        while (read_line(client, line, sizeof(line))) {
                unsigned long long middle, count;

                if (g_str_has_prefix(line, "end"))
                        return 0;
                if (sscanf(line, "%llu %llu", &middle, &count) != 2)
                        break;
                latency->count += count;
                latency->buckets[histogram_bucket(middle)] += count;
        }
        return fail(client);
}

static int peer_slice(struct subject_client *client, struct subject_slice *slice)
{
        unsigned long long n, ns;
        char line[256];
        int r;

        fprintf(client->to, "run %u %llu %llu %llu\n", client->depth,
                (unsigned long long)slice->rate, (unsigned long long)slice->length_ns,
                (unsigned long long)slice->value);
        if (fflush(client->to) != 0 || !read_line(client, line, sizeof(line)) ||
            sscanf(line, "done %llu %llu", &n, &ns) != 2)
                return fail(client);
        r = read_histogram(client, slice->latency);
        slice->value += n;
        slice->n_done = n;
        slice->busy_ns = ns;
        return r;
}

static const char *peer_get_reason(const struct subject_client *client)
{
        return client->reason[0] ? client->reason : NULL;
}

/* clang-format off */
#define PEER(name_, serve_, program_, needs_, single_)                                          \
        {                                                                                       \
                .name = name_, .serve = serve_, .open = peer_open, .close = peer_close,         \
                .slice = peer_slice, .get_pids = peer_get_pids, .get_reason = peer_get_reason,  \
                .program = program_, .needs = needs_, .one_at_a_time = single_                  \
        }

static const struct subject peer_nng = PEER(
        "nng", peer_serve, "bench-peer-nng", "libnng-dev was not found", true);
static const struct subject peer_zeromq = PEER(
        "zeromq", peer_serve, "bench-peer-zeromq", "libzmq3-dev was not found", false);
static const struct subject peer_sd_bus = PEER(
        "sd-bus", peer_serve, "bench-peer-sd-bus", "libsystemd-dev was not found", false);
static const struct subject peer_gdbus = PEER(
        "gdbus", peer_serve, "bench-peer-gdbus", "libglib2.0-dev was not found", true);
static const struct subject peer_grpc = PEER(
        "grpc", peer_serve, "bench-peer-grpc",
        "its C library is no interface for programs, and this build has no C++", true);
static const struct subject peer_iceoryx = PEER(
        "iceoryx", peer_serve, "bench-peer-iceoryx", "libiceoryx-binding-c-dev was not found",
        true);
static const struct subject peer_node = PEER(
        "node-ipc", stand_in, "bench-peer-node.js", "it is not there", false);
/* clang-format on */

const struct subject *const subject_peers[] = {
        &peer_nng,  &peer_zeromq,  &peer_sd_bus, &peer_gdbus,
        &peer_grpc, &peer_iceoryx, &peer_node,   NULL,
};
