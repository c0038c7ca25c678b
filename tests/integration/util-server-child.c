/* SPDX-License-Identifier: MIT */

/* See util-server-child.h. */

#include "util-server-child.h"
#include "util-env.h"
#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static int increment(void *userdata, uint64_t value, uint64_t *ret_value)
{
        *ret_value = value + 1;
        return 0;
}

static int serve(struct nipc_server_config *config, int ready_fd, int end_fd)
{
        const struct nipc_increment_handler handler = {sizeof(handler), increment, NULL};
        struct nipc_server *server;
        char byte;

        if (nipc_server_new_increment(config, &handler, &server) < 0 ||
            nipc_server_start(server) < 0 || write(ready_fd, "", 1) != 1)
                return 1;
        if (read(end_fd, &byte, 1) < 0)
                return 1;
        nipc_server_free(server);
        return 0;
}

bool server_child_start(struct server_child *child, const struct nipc_server_config *config)
{
        struct nipc_server_config c = *config;
        int ready[2], end[2];
        ssize_t n;
        char byte;

        c.run_dir = util_dir();
        c.service = SERVER_CHILD_SERVICE;
        if (pipe(ready) < 0 || pipe(end) < 0)
                return false;
        fflush(NULL);
        child->pid = fork();
        if (child->pid < 0)
                return false;
        if (child->pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                alarm(0); /* the test has a watchdog, and we go with the test */
                close(ready[0]);
                close(end[1]);
                _exit(serve(&c, ready[1], end[0]));
        }
        close(ready[1]);
        close(end[0]);
        child->end_fd = end[1];
        n = read(ready[0], &byte, 1);
        close(ready[0]);
        return n == 1;
}

bool server_child_stop(struct server_child *child)
{
        int status = 0;

        close(child->end_fd);
        if (waitpid(child->pid, &status, 0) != child->pid)
                return false;
        return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* ---- what the kernel says ------------------------------------------------------------------- */

static unsigned count_entries(pid_t pid, const char *what)
{
        char path[64];
        unsigned n = 0;
        DIR *dir;

        snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, what);
        dir = opendir(path);
        while (dir && readdir(dir))
                n++;
        if (dir)
                closedir(dir);
        return n > 2 ? n - 2 : 0; /* "." and ".." */
}

static FILE *open_proc(pid_t pid, const char *what)
{
        char path[64];

        snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, what);
        return fopen(path, "re");
}

static unsigned count_lines(pid_t pid, const char *what)
{
        FILE *file = open_proc(pid, what);
        unsigned n = 0;
        int c;

        while (file && (c = fgetc(file)) != EOF)
                n += c == '\n';
        if (file)
                fclose(file);
        return n;
}

static uint64_t read_private_bytes(pid_t pid)
{
        FILE *file = open_proc(pid, "smaps_rollup");
        unsigned long long kb, sum = 0;
        char line[256];

        while (file && fgets(line, sizeof(line), file))
                if (sscanf(line, "Private_Clean: %llu", &kb) == 1 ||
                    sscanf(line, "Private_Dirty: %llu", &kb) == 1)
                        sum += kb;
        if (file)
                fclose(file);
        return sum * 1024;
}

struct server_usage server_child_get_usage(const struct server_child *child)
{
        return (struct server_usage){
                .n_fds = count_entries(child->pid, "fd"),
                .n_threads = count_entries(child->pid, "task"),
                .n_mappings = count_lines(child->pid, "maps"),
                .private_bytes = read_private_bytes(child->pid),
        };
}

void server_child_wait_quiet(const struct server_child *child, const struct server_usage *usage)
{
        util_waiting_for("descriptors and threads of the server to be gone");
        while (count_entries(child->pid, "fd") != usage->n_fds ||
               count_entries(child->pid, "task") != usage->n_threads)
                sched_yield();
}

bool server_child_has_true_memory(void)
{
        const char *preload = getenv("LD_PRELOAD");

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
        return false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
        __has_feature(memory_sanitizer)
        return false;
#endif
#endif
        return !preload || !strstr(preload, "vgpreload");
}
