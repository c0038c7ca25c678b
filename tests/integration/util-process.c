/* SPDX-License-Identifier: MIT */
/* Real processes for tests, see util-process.h. */
#include "util-process.h"

#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>

struct process {
        GSubprocess *subprocess;
        GDataInputStream *out;
        GDataInputStream *err;
        char *endpoint;
};

const char *process_get_tool(void)
{
        const char *tool = g_getenv("NIPC_TOOL");

        if (!tool)
                g_error("NIPC_TOOL must name the nipc tool; run this test with 'meson test'");
        return tool;
}

char *process_make_dir(void)
{
        g_autoptr(GError) error = NULL;
        char *path = g_dir_make_tmp("nipc-test-XXXXXX", &error);

        g_assert_no_error(error);
        return path;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        return remove(path);
}

void process_remove_dir(const char *path)
{
        g_assert_cmpint(nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS), ==, 0);
}

/* Runs in the child: it must not outlive the test. */
static void die_with_parent(gpointer data)
{
        prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static GSubprocess *spawn(const char *const *argv)
{
        g_autoptr(GSubprocessLauncher) launcher = g_subprocess_launcher_new(
                G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_PIPE);
        g_autoptr(GError) error = NULL;
        GSubprocess *subprocess;

        g_subprocess_launcher_set_child_setup(launcher, die_with_parent, NULL, NULL);
        subprocess = g_subprocess_launcher_spawnv(launcher, argv, &error);
        g_assert_no_error(error);
        return subprocess;
}

static int get_status(GSubprocess *subprocess)
{
        return g_subprocess_get_if_exited(subprocess) ? g_subprocess_get_exit_status(subprocess)
                                                      : 128 + g_subprocess_get_term_sig(subprocess);
}

/* NUL-terminated, also when there was nothing. */
static char *to_text(GBytes *bytes)
{
        gsize size;
        const char *data = g_bytes_get_data(bytes, &size);

        return data ? g_strndup(data, size) : g_strdup("");
}

int process_run(const char *const *argv, char **ret_out, char **ret_err)
{
        g_autoptr(GSubprocess) subprocess = spawn(argv);
        g_autoptr(GBytes) out = NULL;
        g_autoptr(GBytes) err = NULL;
        g_autoptr(GError) error = NULL;

        g_subprocess_communicate(subprocess, NULL, NULL, &out, &err, &error);
        g_assert_no_error(error);
        if (ret_out)
                *ret_out = to_text(out);
        if (ret_err)
                *ret_err = to_text(err);
        return get_status(subprocess);
}

/* "nipc --run-dir RUN_DIR", then `first` and the rest. The strings are borrowed. */
static GPtrArray *collect(const char *run_dir, const char *first, const char *second,
                          va_list arguments)
{
        GPtrArray *argv = g_ptr_array_new_with_free_func(g_free);
        const char *argument;

        g_ptr_array_add(argv, g_strdup(process_get_tool()));
        g_ptr_array_add(argv, g_strdup("--run-dir"));
        g_ptr_array_add(argv, g_strdup(run_dir));
        if (first)
                g_ptr_array_add(argv, g_strdup(first));
        if (second)
                g_ptr_array_add(argv, g_strdup(second));
        while ((argument = va_arg(arguments, const char *)))
                g_ptr_array_add(argv, g_strdup(argument));
        g_ptr_array_add(argv, NULL);
        return argv;
}

int process_nipc(const char *run_dir, char **ret_out, char **ret_err, ...)
{
        g_autoptr(GPtrArray) argv = NULL;
        va_list arguments;

        va_start(arguments, ret_err);
        argv = collect(run_dir, NULL, NULL, arguments);
        va_end(arguments);
        return process_run((const char *const *)argv->pdata, ret_out, ret_err);
}

struct process *process_start(const char *const *argv)
{
        struct process *process = g_new0(struct process, 1);

        process->subprocess = spawn(argv);
        process->out = g_data_input_stream_new(g_subprocess_get_stdout_pipe(process->subprocess));
        process->err = g_data_input_stream_new(g_subprocess_get_stderr_pipe(process->subprocess));
        return process;
}

struct process *process_start_nipc(const char *run_dir, ...)
{
        g_autoptr(GPtrArray) argv = NULL;
        va_list arguments;

        va_start(arguments, run_dir);
        argv = collect(run_dir, NULL, NULL, arguments);
        va_end(arguments);
        return process_start((const char *const *)argv->pdata);
}

struct process *process_serve(const char *run_dir, const char *service, ...)
{
        g_autoptr(GPtrArray) argv = NULL;
        struct process *process;
        va_list arguments;

        va_start(arguments, service);
        argv = collect(run_dir, "serve", service, arguments);
        va_end(arguments);
        process = process_start((const char *const *)argv->pdata);
        process_wait_ready(process);
        return process;
}

void process_wait_ready(struct process *process)
{
        g_autofree char *line = process_read_line(process);

        if (!line || !g_str_has_prefix(line, "READY ")) {
                g_autofree char *reason = process_read_error_line(process);

                g_error("expected READY, got '%s'; it said '%s'", line, reason);
        }
        process->endpoint = g_strdup(line + strlen("READY "));
}

const char *process_get_endpoint(const struct process *process)
{
        return process->endpoint;
}

int process_get_pid(const struct process *process)
{
        const char *identifier = g_subprocess_get_identifier(process->subprocess);

        g_assert_nonnull(identifier);
        return (int)g_ascii_strtoll(identifier, NULL, 10);
}

static char *read_line(GDataInputStream *stream)
{
        g_autoptr(GError) error = NULL;
        char *line = g_data_input_stream_read_line(stream, NULL, NULL, &error);

        g_assert_no_error(error);
        return line;
}

char *process_read_line(struct process *process)
{
        return read_line(process->out);
}

char *process_read_error_line(struct process *process)
{
        return read_line(process->err);
}

void process_signal(struct process *process, int number)
{
        g_subprocess_send_signal(process->subprocess, number);
}

int process_wait(struct process *process)
{
        g_autoptr(GError) error = NULL;
        int status;

        g_subprocess_wait(process->subprocess, NULL, &error);
        g_assert_no_error(error);
        status = get_status(process->subprocess);
        g_object_unref(process->out);
        g_object_unref(process->err);
        g_object_unref(process->subprocess);
        g_free(process->endpoint);
        g_free(process);
        return status;
}

int process_stop(struct process *process)
{
        process_signal(process, SIGTERM);
        return process_wait(process);
}

void process_kill(struct process *process)
{
        process_signal(process, SIGKILL);
        g_assert_cmpint(process_wait(process), ==, 128 + SIGKILL);
}
