/* SPDX-License-Identifier: MIT */
/* See serve-successor.h. */
#include "serve-successor.h"

#include "failure.h"

/* Where the successor finds them, unless the command line of a predecessor says so already. */
#define LISTEN_FD 3
#define LOCK_FD   4

struct successor {
        GSubprocess *process;
        GDataInputStream *out;
        GCancellable *cancellable;
        bool serves;
        void (*on_end)(void *data, const char *pid, const char *reason);
        void *data;
};

/* A command line that names them already is good as it is. */
static GPtrArray *make_argv(const struct nipc_server_config *config, char *const *argv,
                            size_t n_before)
{
        GPtrArray *made = g_ptr_array_new_with_free_func(g_free);

        for (size_t i = 0; argv[i]; i++) {
                g_ptr_array_add(made, g_strdup(argv[i]));
                if (config->lock_fd || i + 1 != n_before)
                        continue;
                g_ptr_array_add(made, g_strdup_printf("--fd=%d", LISTEN_FD));
                g_ptr_array_add(made, g_strdup_printf("--lock-fd=%d", LOCK_FD));
        }
        g_ptr_array_add(made, NULL);
        return made;
}

static GSubprocess *spawn(const struct nipc_server_config *config, struct nipc_server *server,
                          char *const *argv, size_t n_before, GError **error)
{
        g_autoptr(GSubprocessLauncher) launcher = g_subprocess_launcher_new(
                G_SUBPROCESS_FLAGS_STDIN_INHERIT | G_SUBPROCESS_FLAGS_STDOUT_PIPE);
        const int listen_fd = config->lock_fd ? config->listen_fd : LISTEN_FD;
        const int lock_fd = config->lock_fd ? config->lock_fd : LOCK_FD;
        g_autoptr(GPtrArray) made = make_argv(config, argv, n_before);
        int listen_copy, lock_copy;
        int r;

        /* The manager starts the next one, and would not know of ours. */
        if (config->listen_fd && !config->lock_fd) {
                g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                            "the socket is another's, who keeps it: end this provider, and clients "
                            "wait there for the next one");
                return NULL;
        }
        r = nipc_server_dup_fds(server, &listen_copy, &lock_copy);
        if (r) {
                g_autofree char *reason = failure_describe_local(r);

                g_set_error(error, G_IO_ERROR, G_IO_ERROR_FAILED, "%s", reason);
                return NULL;
        }
        g_subprocess_launcher_take_fd(launcher, listen_copy, listen_fd);
        g_subprocess_launcher_take_fd(launcher, lock_copy, lock_fd);
        return g_subprocess_launcher_spawnv(launcher, (const char *const *)made->pdata, error);
}

static void on_line(GObject *source, GAsyncResult *result, gpointer data)
{
        g_autoptr(GError) error = NULL;
        g_autofree char *line = g_data_input_stream_read_line_finish(G_DATA_INPUT_STREAM(source),
                                                                     result, NULL, &error);
        struct successor *successor = data;

        if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
                return; /* it may be freed */
        successor->serves = line && g_str_has_prefix(line, "READY ");
        if (successor->serves)
                successor->on_end(successor->data, g_subprocess_get_identifier(successor->process),
                                  NULL);
        else
                successor->on_end(successor->data, NULL, "it did not come to serve");
}

struct successor *successor_start(const struct nipc_server_config *config,
                                  struct nipc_server *server, char *const *argv, size_t n_before,
                                  void (*on_end)(void *data, const char *pid, const char *reason),
                                  void *data, GError **error)
{
        GSubprocess *process = spawn(config, server, argv, n_before, error);
        struct successor *successor;

        if (!process)
                return NULL;
        successor = g_new0(struct successor, 1);
        successor->process = process;
        successor->out = g_data_input_stream_new(g_subprocess_get_stdout_pipe(process));
        successor->cancellable = g_cancellable_new();
        successor->on_end = on_end;
        successor->data = data;
        g_data_input_stream_read_line_async(successor->out, G_PRIORITY_DEFAULT,
                                            successor->cancellable, on_line, successor);
        return successor;
}

struct successor *successor_free(struct successor *successor)
{
        if (!successor)
                return NULL;
        g_cancellable_cancel(successor->cancellable);
        if (!successor->serves) {
                g_subprocess_force_exit(successor->process);
                g_subprocess_wait(successor->process, NULL, NULL);
        }
        g_object_unref(successor->cancellable);
        g_object_unref(successor->out);
        g_object_unref(successor->process);
        g_free(successor);
        return NULL;
}
