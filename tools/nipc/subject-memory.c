/* SPDX-License-Identifier: MIT */

/* The mapping of the bare subjects over shared memory, see subject-memory.h. */

#include "subject-memory.h"

#include <linux/futex.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE                                                                                 \
        4096u /* regions lie in pages of their own: no line of one is fetched with the other \
               */

static size_t to_pages(size_t size)
{
        return (size + PAGE - 1) / PAGE * PAGE;
}

static uint32_t count_cells(const struct subject_options *options)
{
        uint32_t n = 1;

        while (subject_is_pipeline(options->scenario) && n < options->depth)
                n *= 2;
        return n;
}

static size_t area_size(const struct subject_options *options)
{
        if (options->scenario == SUBJECT_BATCH || options->scenario == SUBJECT_PIPELINE_BATCH)
                return to_pages(MEMORY_HEADER_SIZE + (size_t)options->items * 16);
        if (options->scenario == SUBJECT_SNAPSHOT)
                return to_pages(MEMORY_HEADER_SIZE + subject_items_size_bound(options->items));
        return options->scenario == SUBJECT_LARGE ? to_pages(options->bytes) : 0;
}

/* Returns the size of it all; memory: NULL to know that only. */
static size_t lay_out(const struct subject_options *options, struct subject_client *ret_end)
{
        size_t cells = to_pages(count_cells(options) * sizeof(struct memory_cell));
        size_t area = area_size(options), areas = area * count_cells(options);
        uint8_t *p = options->memory;

        if (p)
                *ret_end = (struct subject_client){
                        .options = options,
                        .server_pid = (void *)p,
                        .requests = (void *)(p + PAGE),
                        .responses = (void *)(p + PAGE + cells),
                        .mask = count_cells(options) - 1,
                        .request_area = p + PAGE + 2 * cells,
                        .response_area = p + PAGE + 2 * cells + areas,
                        .area_size = area,
                };
        return PAGE + 2 * cells + 2 * areas;
}

int memory_prepare(struct subject_options *options)
{
        void *memory;

        options->memory = NULL;
        options->memory_size = lay_out(options, NULL);
        memory = mmap(NULL, options->memory_size, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
        if (memory == MAP_FAILED)
                return -errno;
        options->memory = memory;
        return 0;
}

int memory_begin(const struct subject_options *options, int ready_fd,
                 struct subject_client *ret_server)
{
        lay_out(options, ret_server);
        atomic_store_explicit(ret_server->server_pid, getpid(), memory_order_relaxed);
        return write(ready_fd, "", 1) == 1 ? 0 : -EIO; /* orders the store before the client */
}

void memory_close(struct subject_client *client)
{
        if (!client)
                return;
        free(client->payload);
        free(client);
}

int memory_open(const struct subject_options *options, struct subject_client **ret_client)
{
        struct subject_client *client = calloc(1, sizeof(*client));

        if (!client)
                return -ENOMEM;
        lay_out(options, client);
        if (options->scenario == SUBJECT_LARGE || options->scenario == SUBJECT_SNAPSHOT) {
                const size_t size = client->area_size;

                client->payload = malloc(size);
                if (!client->payload) {
                        memory_close(client);
                        return -ENOMEM;
                }
                memset(client->payload, 0x5a, size);
        }
        *ret_client = client;
        return 0;
}

/* Built once: what is left of a snapshot is moving its bytes. */
int memory_make_snapshot(struct subject_client *server)
{
        const uint32_t n = server->options->items;
        struct nipc_cgroups_snapshot_builder builder;

        server->payload = malloc(server->area_size);
        if (!server->payload)
                return -ENOMEM;
        return subject_items_encode(&builder, subject_items_new(n), n, server->payload,
                                    server->area_size, &server->payload_size)
                       ? -EMSGSIZE
                       : 0;
}

bool memory_is_gone(pid_t child)
{
        siginfo_t info = {0};

        return waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid;
}

int memory_futex_wait(struct memory_cell *cell, uint32_t seen, pid_t peer)
{
        static const long second[2] = {1, 0}; /* the kernel's timespec of this call, on any word */

        syscall(SYS_futex, &cell->number, FUTEX_WAIT, seen, peer ? second : NULL, NULL, 0);
        return peer && memory_is_gone(peer) ? -ECONNRESET : 0;
}

void memory_futex_wake(struct memory_cell *cell)
{
        syscall(SYS_futex, &cell->number, FUTEX_WAKE, 1, NULL, NULL, 0);
}
