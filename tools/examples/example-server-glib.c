/* SPDX-License-Identifier: MIT */
/*
 * A provider inside a GMainLoop: no thread, one descriptor among the loop's sources. It serves the
 * same square as example-server-poll, and counts what it has answered once it is told to end.
 *
 *      example-server-glib RUN_DIR
 *      nipc --run-dir RUN_DIR call raw --name square --method 0x9000 --hex 0c00000000000000
 */
#include <nipc/server.h>
#include <nipc/wire.h>

#include <errno.h>
#include <glib-unix.h>
#include <stdio.h>

#define METHOD_SQUARE 0x9000 /* from 0x8000 up methods are free for everyone */

struct provider {
        GMainLoop *loop;
        struct nipc_server *server;
        guint n_answers;
        int error; /* negative errno that ended it */
};

static int square(void *userdata, const struct nipc_request *request, void *response,
                  size_t capacity, size_t *ret_size)
{
        struct provider *provider = userdata;
        guint64 value;

        if (request->payload_size < sizeof(value))
                return NIPC_PROTO_E_TRUNCATED; /* answered BAD_ENVELOPE */
        if (capacity < sizeof(value))
                return NIPC_PROTO_E_OVERFLOW; /* answered LIMIT_EXCEEDED */
        value = nipc_load_u64(request->payload);
        nipc_store_u64(response, value * value);
        *ret_size = sizeof(value);
        provider->n_answers++;
        return 0;
}

/* The descriptor is readable: do what there is to do, and give the loop back. */
static gboolean on_readable(gint fd, GIOCondition condition, gpointer userdata)
{
        struct provider *provider = userdata;

        provider->error = MIN(nipc_server_dispatch(provider->server, 0), 0);
        if (provider->error == 0)
                return G_SOURCE_CONTINUE;
        g_main_loop_quit(provider->loop);
        return G_SOURCE_REMOVE;
}

/* Requests that have arrived are still answered; then everything is closed. */
static gboolean on_signal(gpointer userdata)
{
        struct provider *provider = userdata;

        nipc_server_drain(provider->server, 1000);
        g_main_loop_quit(provider->loop);
        return G_SOURCE_CONTINUE;
}

static void run(struct provider *provider)
{
        guint sources[] = {
                g_unix_fd_add(nipc_server_get_fd(provider->server), G_IO_IN, on_readable, provider),
                g_unix_signal_add(SIGTERM, on_signal, provider),
                g_unix_signal_add(SIGINT, on_signal, provider),
        };

        printf("READY %s\n", nipc_server_get_path(provider->server));
        fflush(stdout);
        provider->loop = g_main_loop_new(NULL, FALSE);
        g_main_loop_run(provider->loop);
        /* Before the server goes, and its descriptor with it. */
        g_source_remove(sources[1]);
        g_source_remove(sources[2]);
        if (provider->error == 0)
                g_source_remove(sources[0]);
        g_main_loop_unref(provider->loop);
        printf("%u answers\n", provider->n_answers);
}

int main(int argc, char **argv)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct provider provider = {0};
        const struct nipc_handler handler = {
                .size = sizeof(handler),
                .code = METHOD_SQUARE,
                .handle = square,
                .userdata = &provider,
        };

        if (argc != 2) {
                g_printerr("usage: %s RUN_DIR\n", argv[0]);
                return 2;
        }
        config.run_dir = argv[1];
        config.service = "square";
        config.n_workers = 0; /* we call nipc_server_dispatch() */
        provider.error = nipc_server_new(&config, &handler, &provider.server);
        if (provider.error == 0)
                run(&provider);
        nipc_server_free(provider.server);
        if (provider.error < 0)
                g_printerr("cannot serve: %s\n", g_strerror(-provider.error));
        return provider.error < 0;
}
