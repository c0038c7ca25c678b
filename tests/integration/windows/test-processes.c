/* SPDX-License-Identifier: MIT */

/*
 * The snapshot of all processes, as the system tells it, in a cache of another process: the server
 * itself is in it, and a child of ours is until it ends.
 */

#include "util-run.h"

static char program[1024];

static bool start(struct run *run, const char *what, const char *more)
{
        char arguments[2048];

        snprintf(arguments, sizeof(arguments), "%s \"%s\" %s", what, util_dir(), more);
        return tap_check(run_start(run, program, arguments));
}

static bool start_server(struct run *server)
{
        char line[512];

        return start(server, "serve", "") && tap_check(run_line(server, line, sizeof(line))) &&
               tap_check(!strncmp(line, "READY ", 6));
}

/* Watches, and checks the first line: "PID PROGRAM, parent PID, ...". */
static bool watch(struct run *watcher, const struct run *process, const char *its_program,
                  DWORD parent)
{
        char pid[16], line[512], expected[512];

        snprintf(pid, sizeof(pid), "%lu", process->pid);
        snprintf(expected, sizeof(expected), "%lu %s, parent %lu, ", process->pid, its_program,
                 parent);
        return start(watcher, "watch", pid) && tap_check(run_line(watcher, line, sizeof(line))) &&
               tap_eq_str(strncmp(line, expected, strlen(expected)) ? line : expected, expected);
}

static void test_server_is_there(void)
{
        struct run server, watcher;

        tap_require(start_server(&server));
        tap_require(
                watch(&watcher, &server, "example-windows-processes.exe", GetCurrentProcessId()));
        run_kill(&watcher);
        run_kill(&server);
}

static void test_child_comes_and_goes(void)
{
        struct run server, child, watcher;
        char line[512], expected[64];

        tap_require(start_server(&server));
        tap_require(run_start(&child, getenv("NIPC_TOOL"), "decode --type increment -"));
        tap_require(watch(&watcher, &child, "nipc.exe", GetCurrentProcessId()));
        snprintf(expected, sizeof(expected), "%lu gone", child.pid);
        run_wait(&child, NULL); /* nothing to read: it ends */
        tap_check(run_line(&watcher, line, sizeof(line)));
        tap_eq_str(line, expected);
        tap_eq_int(run_wait(&watcher, NULL), 0);
        run_kill(&server);
}

static void test_nobody_serves(void)
{
        struct run_result result;
        struct run watcher;

        tap_require(start(&watcher, "watch", "4"));
        run_wait(&watcher, &result);
        tap_eq_int(result.status, 1);
        tap_check(*result.err);
        run_result_clear(&result);
}

int main(int argc, char **argv)
{
        static const struct tap_case cases[] = {TAP_CASE(test_server_is_there),
                                                TAP_CASE(test_child_comes_and_goes),
                                                TAP_CASE(test_nobody_serves)};

        snprintf(program, sizeof(program), "%s/example-windows-processes.exe",
                 getenv("NIPC_EXAMPLES"));
        util_begin();
        return tap_run(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
