/* SPDX-License-Identifier: MIT */
/*
 * A provider inside an event loop of one's own: no thread, one descriptor to poll. It serves a
 * method of its own, 0x9000, that answers a number with its square.
 *
 *      example-server-poll RUN_DIR
 *      nipc --run-dir RUN_DIR call raw --name square --method 0x9000 --hex 0c00000000000000
 */
#include <nipc/server.h>
#include <nipc/wire.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define METHOD_SQUARE 0x9000 /* from 0x8000 up methods are free for everyone */

static struct nipc_server *server;

static void on_signal(int number)
{
        nipc_server_stop(server); /* may be called from signal handlers */
}

static int square(void *userdata, const struct nipc_request *request, void *response,
                  size_t capacity, size_t *ret_size)
{
        uint64_t value;

        if (request->payload_size < sizeof(value))
                return NIPC_PROTO_E_TRUNCATED; /* answered BAD_ENVELOPE */
        if (capacity < sizeof(value))
                return NIPC_PROTO_E_OVERFLOW; /* answered LIMIT_EXCEEDED */
        value = nipc_load_u64(request->payload);
        nipc_store_u64(response, value * value);
        *ret_size = sizeof(value);
        return 0;
}

/* Serves until stopped; other descriptors of the program would be polled here too. */
static int serve(void)
{
        struct pollfd pollfd = {.fd = nipc_server_get_fd(server), .events = POLLIN};
        int r;

        do {
                if (poll(&pollfd, 1, -1) < 0 && errno != EINTR)
                        return -errno;
                r = nipc_server_dispatch(server, 0);
        } while (r >= 0);
        return r == -ESHUTDOWN ? 0 : r;
}

int main(int argc, char **argv)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        const struct nipc_handler handler = {
                .size = sizeof(handler),
                .code = METHOD_SQUARE,
                .handle = square,
        };
        struct sigaction action = {.sa_handler = on_signal};
        int r;

        if (argc != 2) {
                fprintf(stderr, "usage: %s RUN_DIR\n", argv[0]);
                return 2;
        }
        config.run_dir = argv[1];
        config.service = "square";
        config.n_workers = 0; /* we call nipc_server_dispatch() */
        r = nipc_server_new(&config, &handler, &server);
        if (r == 0) {
                sigaction(SIGTERM, &action, NULL);
                sigaction(SIGINT, &action, NULL);
                printf("READY %s\n", nipc_server_get_path(server));
                fflush(stdout);
                r = serve();
                server = nipc_server_free(server);
        }
        if (r < 0)
                fprintf(stderr, "cannot serve: %s\n", strerror(-r));
        return r < 0;
}
