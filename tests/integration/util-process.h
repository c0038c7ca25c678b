/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Real processes for tests: the nipc tool and the examples, run to their end or in the background.
 * Nothing sleeps: what runs in the background is waited for by the lines it prints. Everything
 * started here dies with the test, whatever becomes of it.
 *
 * How to use:
 *
 *      g_autofree char *run_dir = process_make_dir();
 *      struct process *server = process_serve(run_dir, "increment", NULL);
 *      status = process_nipc(run_dir, &out, NULL, "call", "increment", "41", NULL);
 *      g_assert_cmpint(process_stop(server), ==, 0);
 *      process_remove_dir(run_dir);
 */

#include <gio/gio.h>

/* A process in the background. Lives from start to stop, kill or wait. */
struct process;

/* Path of the nipc tool: $NIPC_TOOL, set by the build. Borrowed. */
const char *process_get_tool(void);

/* A new directory, mode 0700. Owned; remove with process_remove_dir(), which takes all in it. */
char *process_make_dir(void);
void process_remove_dir(const char *path);

/*
 * Runs a program to its end. ret_out, ret_err: NULL, or all it printed, owned. argv: as for execv.
 * Returns its exit status, or 128 + the signal that ended it.
 */
int process_run(const char *const *argv, char **ret_out, char **ret_err);

/* `nipc --run-dir RUN_DIR ...` to its end, otherwise as process_run(). */
int process_nipc(const char *run_dir, char **ret_out, char **ret_err, ...) G_GNUC_NULL_TERMINATED;

/* Starts a program whose output the test reads line by line. */
struct process *process_start(const char *const *argv);
struct process *process_start_nipc(const char *run_dir, ...) G_GNUC_NULL_TERMINATED;

/* `nipc serve SERVICE ...`, returned once it accepts. */
struct process *process_serve(const char *run_dir, const char *service, ...) G_GNUC_NULL_TERMINATED;

/* Reads "READY ENDPOINT"; fails the test if anything else comes. */
void process_wait_ready(struct process *process);

/* The endpoint that the READY line named. Borrowed. */
const char *process_get_endpoint(const struct process *process);

int process_get_pid(const struct process *process);

/* The next line of stdout or stderr, owned; NULL at its end. Waits for it. */
char *process_read_line(struct process *process);
char *process_read_error_line(struct process *process);

void process_signal(struct process *process, int number);

/* Waits for the end and frees. Returns as process_run(). */
int process_wait(struct process *process);

/* SIGTERM, then process_wait(). */
int process_stop(struct process *process);

/* SIGKILL, then process_wait(): a crash. */
void process_kill(struct process *process);
