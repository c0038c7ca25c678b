/* SPDX-License-Identifier: MIT */
/*
 * See serve-run.h. The main thread runs the main loop and waits for a signal to end; requests are
 * served by the server's workers, or with --workers 0 by the main loop.
 */
#include "serve-run.h"

#include "command.h"
#include "failure.h"
#include "run-dir.h"
#include "serve-successor.h"

#include <errno.h>
#include <gio/gio.h>
#include <glib-unix.h>
#include <nipc/endpoint.h>
#include <nipc/fault.h>
#include <nipc/run-dir.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

struct serving {
        const struct command_context *context;
        const struct nipc_server_config *config;
        const struct provider *provider;
        void *data;
        size_t n_before;
        GMainLoop *loop;
        struct nipc_server *server;
        struct successor *successor; /* being started, or serving */
        bool is_handed_over;
        int error; /* of dispatch */
};

static gboolean on_signal(gpointer data)
{
        struct serving *serving = data;

        g_main_loop_quit(serving->loop);
        return G_SOURCE_CONTINUE;
}

static gboolean on_reload(gpointer data)
{
        const struct serving *serving = data;
        g_autoptr(GError) error = NULL;

        if (serving->provider->reload(serving->data, &error))
                g_printerr("nipc serve: the source was read anew\n");
        else
                command_fail(&command_serve, "%s; serving what was there before", error->message);
        return G_SOURCE_CONTINUE;
}

static void on_successor(void *data, const char *pid, const char *reason)
{
        struct serving *serving = data;

        if (pid) {
                g_printerr("nipc serve: process %s serves %s from now on\n", pid,
                           serving->config->service);
                serving->is_handed_over = true;
                g_main_loop_quit(serving->loop);
                return;
        }
        command_fail(&command_serve, "no successor: %s; serving on", reason);
        serving->successor = successor_free(serving->successor);
}

static gboolean on_hand_over(gpointer data)
{
        struct serving *serving = data;
        g_autoptr(GError) error = NULL;

        if (serving->successor)
                return G_SOURCE_CONTINUE; /* one is being started */
        serving->successor =
                successor_start(serving->config, serving->server, serving->context->argv,
                                serving->n_before, on_successor, serving, &error);
        if (!serving->successor)
                command_fail(&command_serve, "no successor: %s; serving on", error->message);
        return G_SOURCE_CONTINUE;
}

/* A client that shortens the memory it shares with us ends its session, not us. */
static void on_fault(int number, siginfo_t *info, void *context)
{
        if (nipc_fault_handle(info->si_addr))
                return;
        signal(SIGBUS, SIG_DFL);
        raise(SIGBUS);
}

static void survive_faults(void)
{
        const struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};

        sigaction(SIGBUS, &action, NULL);
}

static gboolean on_readable(gint fd, GIOCondition condition, gpointer data)
{
        struct serving *serving = data;
        int r = nipc_server_dispatch(serving->server, 0);

        if (r >= 0)
                return G_SOURCE_CONTINUE;
        serving->error = r;
        g_main_loop_quit(serving->loop);
        return G_SOURCE_REMOVE;
}

/* Whoever started us waits for this line: without it we would serve unseen. */
static int announce(const struct nipc_server *server)
{
        errno = 0;
        if (printf("READY %s\n", nipc_server_get_path(server)) >= 0 && fflush(stdout) == 0 &&
            !ferror(stdout))
                return COMMAND_SUCCESS;
        return command_fail(&command_serve, "cannot write READY to standard output: %s",
                            g_strerror(errno ? errno : EIO));
}

static int say_end(const struct serving *serving)
{
        g_autofree char *reason = NULL;

        if (!serving->error)
                return COMMAND_SUCCESS;
        reason = failure_describe_local(serving->error);
        return command_fail(&command_serve, "cannot serve %s: %s", serving->config->service,
                            reason);
}

/* Says what went wrong. Returns COMMAND_*. */
static int serve_until_signal(struct serving *serving)
{
        int status = COMMAND_SUCCESS;
        guint sources[5] = {0};

        serving->loop = g_main_loop_new(NULL, FALSE);
        sources[0] = g_unix_signal_add(SIGTERM, on_signal, serving);
        sources[1] = g_unix_signal_add(SIGINT, on_signal, serving);
        sources[2] = g_unix_signal_add(SIGUSR2, on_hand_over, serving);
        if (serving->provider->reload)
                sources[3] = g_unix_signal_add(SIGHUP, on_reload, serving);
        if (serving->config->n_workers)
                serving->error = nipc_server_start(serving->server);
        else
                sources[4] = g_unix_fd_add(nipc_server_get_fd(serving->server), G_IO_IN,
                                           on_readable, serving);
        if (!serving->error)
                status = announce(serving->server);
        if (!serving->error && !status)
                g_main_loop_run(serving->loop);
        for (size_t i = 0; i < G_N_ELEMENTS(sources); i++)
                if (sources[i])
                        g_source_remove(sources[i]);
        g_main_loop_unref(serving->loop);
        return status ? status : say_end(serving);
}

/* Nobody named the run directory: make it, for its owner alone. Others must exist. */
static int make_default_run_dir(const struct command_context *context)
{
        const size_t size = strlen(context->run_dir) + 1;
        g_autofree char *made = NULL;

        if (context->run_base) {
                made = g_malloc(size);
                return nipc_run_dir_make(context->run_base, made, size);
        }
        if (!context->run_dir_is_default)
                return 0;
        return run_dir_make(context->run_dir);
}

/* Why there is no server. Free with g_free(). */
static char *describe_no_server(const struct nipc_server_config *config, int error)
{
        char path[NIPC_ENDPOINT_PATH_MAX];

        /* It is there, and not the run directory or the limits are wrong. */
        if (config->listen_fd && (error == -EINVAL || error == -ENOENT || error == -EBADF) &&
            !nipc_endpoint_format_path(config->run_dir, config->service, path, sizeof(path)))
                return g_strdup_printf("descriptor %d of --fd: %s; it must be a SEQPACKET socket "
                                       "that listens and is bound to %s",
                                       config->listen_fd, g_strerror(-error), path);
        return failure_describe_server(error, config->run_dir, config->service);
}

static void end_well(struct serving *serving, uint32_t drain_timeout_ms)
{
        int r = serving->is_handed_over ? nipc_server_hand_over(serving->server, drain_timeout_ms)
                                        : nipc_server_drain(serving->server, drain_timeout_ms);

        if (r == -ETIMEDOUT)
                command_fail(&command_serve, "sessions that did not end in %u ms were cut",
                             drain_timeout_ms);
}

/* The server has copies of what its predecessor gave it. */
static void close_inherited(const struct nipc_server_config *config)
{
        if (config->lock_fd) {
                close(config->listen_fd);
                close(config->lock_fd);
        }
}

static int serve(struct serving *serving, uint32_t drain_timeout_ms)
{
        int status;
        int r;

        signal(SIGPIPE, SIG_IGN); /* a reader of our output that goes away is no reason to end */
        survive_faults();
        r = make_default_run_dir(serving->context);
        if (!r)
                r = serving->provider->new_server(serving->data, serving->config, &serving->server);
        if (r) {
                g_autofree char *reason = describe_no_server(serving->config, r);

                return command_fail(&command_serve, "%s", reason);
        }
        close_inherited(serving->config);
        status = serve_until_signal(serving);
        /* Who has not taken over must be gone before the endpoint is. */
        serving->successor = successor_free(serving->successor);
        if (!status)
                end_well(serving, drain_timeout_ms);
        nipc_server_free(serving->server);
        return status;
}

int serve_run(const struct serve_task *task, uint32_t drain_timeout_ms)
{
        struct serving serving = {
                .context = task->context,
                .config = task->config,
                .provider = task->provider,
                .data = task->data,
                .n_before = task->n_before,
        };

        return serve(&serving, drain_timeout_ms);
}
