/* SPDX-License-Identifier: MIT */
/*
 * Two providers inside one epoll loop that has other things to do as well: here signals, which come
 * as a descriptor. `square` and `cube` are methods of its own, 0x9000 and 0x9001.
 *
 *      example-server-epoll RUN_DIR
 *      nipc --run-dir RUN_DIR call raw --name cube --method 0x9001 --hex 0300000000000000
 */
#include <nipc/server.h>
#include <nipc/wire.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define N_SERVERS 2

static const struct {
        const char *name;
        uint16_t method;
        unsigned power;
} services[N_SERVERS] = {{"square", 0x9000, 2}, {"cube", 0x9001, 3}};

static int raise_number(void *userdata, const struct nipc_request *request, void *response,
                        size_t capacity, size_t *ret_size)
{
        const unsigned power = *(const unsigned *)userdata;
        uint64_t value, result = 1;

        if (request->payload_size < sizeof(value))
                return NIPC_PROTO_E_TRUNCATED; /* answered BAD_ENVELOPE */
        if (capacity < sizeof(value))
                return NIPC_PROTO_E_OVERFLOW; /* answered LIMIT_EXCEEDED */
        value = nipc_load_u64(request->payload);
        for (unsigned i = 0; i < power; i++)
                result *= value;
        nipc_store_u64(response, result);
        *ret_size = sizeof(result);
        return 0;
}

static int watch(int epoll_fd, int fd, void *ptr)
{
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = ptr}; /* level-triggered */

        return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int make_server(const char *run_dir, int i, int epoll_fd, struct nipc_server **ret_server)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        const struct nipc_handler handler = {
                .size = sizeof(handler),
                .code = services[i].method,
                .handle = raise_number,
                .userdata = (void *)(uintptr_t)&services[i].power, /* only read */
        };
        int r;

        config.run_dir = run_dir;
        config.service = services[i].name;
        config.n_workers = 0; /* we call nipc_server_dispatch() */
        r = nipc_server_new(&config, &handler, ret_server);
        return r < 0 ? r : watch(epoll_fd, nipc_server_get_fd(*ret_server), *ret_server);
}

/* Until a signal comes, which has no server as its pointer. */
static int serve(int epoll_fd)
{
        struct epoll_event event;
        int r;

        for (;;) {
                if (epoll_wait(epoll_fd, &event, 1, -1) < 0) {
                        if (errno == EINTR) /* stopped and continued */
                                continue;
                        return -errno;
                }
                if (!event.data.ptr)
                        return 0;
                r = nipc_server_dispatch(event.data.ptr, 0);
                if (r < 0)
                        return r;
        }
}

int main(int argc, char **argv)
{
        struct nipc_server *servers[N_SERVERS] = {NULL};
        int epoll_fd = epoll_create1(EPOLL_CLOEXEC), r;
        sigset_t signals;

        if (argc != 2) {
                fprintf(stderr, "usage: %s RUN_DIR\n", argv[0]);
                return 2;
        }
        sigemptyset(&signals);
        sigaddset(&signals, SIGTERM);
        sigaddset(&signals, SIGINT);
        sigprocmask(SIG_BLOCK, &signals, NULL);
        r = watch(epoll_fd, signalfd(-1, &signals, SFD_CLOEXEC), NULL);
        for (int i = 0; r == 0 && i < N_SERVERS; i++)
                r = make_server(argv[1], i, epoll_fd, &servers[i]);
        if (r == 0) {
                printf("READY %s\n", nipc_server_get_path(servers[0]));
                fflush(stdout);
                r = serve(epoll_fd);
        }
        for (int i = 0; i < N_SERVERS; i++)
                nipc_server_free(servers[i]); /* or drain first, see example-server-glib */
        if (r < 0)
                fprintf(stderr, "cannot serve: %s\n", strerror(-r));
        return r < 0;
}
