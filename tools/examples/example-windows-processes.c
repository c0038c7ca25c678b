/* SPDX-License-Identifier: MIT */
/*
 * A snapshot service on Windows: all processes of the machine, as the system tells it, and a cache
 * of them. What provider and consumer share, the first part, would be a header of yours.
 *
 *      example-windows-processes serve RUN_DIR         until it is killed
 *      example-windows-processes watch RUN_DIR PID     until there is no such process any more
 */
#include <nipc/cache.h>
#include <nipc/server.h>
#include <nipc/wire.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#include <tlhelp32.h> /* needs the one before */

/* ---- the method: nothing -> all processes, each u32 pid, parent, n_threads, name_len, name -- */

enum {
        METHOD_PROCESSES = NIPC_METHOD_PRIVATE + 3,
        ITEM_HEADER = 16,
        NAME_MAX_BYTES = 3 * MAX_PATH
};

static const char service[] = "windows-processes";

struct process {
        struct nipc_cache_item item; /* hash: the PID; name: of the program, in UTF-8 */
        uint32_t parent, n_threads;
};

/* ---- the provider ------------------------------------------------------------------------- */

/* One process. Returns its size, or 0 when there is no room. */
static size_t put_process(uint8_t *p, size_t room, const PROCESSENTRY32W *process)
{
        char name[NAME_MAX_BYTES];
        int n = WideCharToMultiByte(CP_UTF8, 0, process->szExeFile, -1, name, sizeof(name), NULL,
                                    NULL);
        const size_t name_len = n > 0 ? (size_t)n - 1 : 0;

        if (ITEM_HEADER + name_len > room)
                return 0;
        nipc_store_u32(p, process->th32ProcessID);
        nipc_store_u32(p + 4, process->th32ParentProcessID);
        nipc_store_u32(p + 8, process->cntThreads);
        nipc_store_u32(p + 12, (uint32_t)name_len);
        memcpy(p + ITEM_HEADER, name, name_len);
        return ITEM_HEADER + name_len;
}

static int answer(void *userdata, const struct nipc_request *request, void *response,
                  size_t capacity, size_t *ret_size)
{
        HANDLE all = CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0);
        PROCESSENTRY32W process = {.dwSize = sizeof(process)};
        size_t size = 0, n;
        BOOL more;
        int r = 0;

        if (all == INVALID_HANDLE_VALUE)
                return -EIO;
        for (more = Process32FirstW(all, &process); more && r == 0;
             more = Process32NextW(all, &process)) {
                n = put_process((uint8_t *)response + size, capacity - size, &process);
                if (!n)
                        r = -EMSGSIZE; /* sessions to come will have more room */
                size += n;
        }
        CloseHandle(all);
        *ret_size = size;
        return r;
}

static int serve(const char *run_dir)
{
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        const struct nipc_handler handler = {
                .size = sizeof(handler),
                .code = METHOD_PROCESSES,
                .handle = answer,
        };
        struct nipc_server *server;
        int r;

        config.run_dir = run_dir;
        config.service = service;
        r = nipc_server_new(&config, &handler, &server);
        if (r < 0)
                return r;
        printf("READY %s\n", nipc_server_get_path(server));
        fflush(stdout);
        do
                r = nipc_server_dispatch(server, 60000);
        while (r >= 0);
        nipc_server_free(server);
        return r;
}

/* ---- the consumer ------------------------------------------------------------------------- */

/* Part of the call: an answer that is refused is asked for once more. A good one is kept. */
static int decode(void *userdata, const void *payload, size_t size, struct nipc_fault *ret_fault)
{
        struct nipc_response *ret_response = userdata;
        const uint8_t *p = payload;
        uint64_t at = 0, next;

        for (; at < size; at = next) {
                next = at + ITEM_HEADER;
                if (next <= size)
                        next += nipc_load_u32(p + at + 12);
                if (next > size) {
                        *ret_fault = (struct nipc_fault){NIPC_PROTO_E_TRUNCATED, (size_t)at,
                                                         "a process must end in the answer"};
                        return NIPC_PROTO_E_TRUNCATED;
                }
        }
        *ret_response = (struct nipc_response){.payload = payload, .payload_size = size};
        return 0;
}

static int fetch(void *userdata, struct nipc_client *client, uint32_t timeout_ms,
                 struct nipc_cache_loader *loader)
{
        struct nipc_response response;
        const uint8_t *p, *end;
        uint32_t name_len;
        void *item;
        int r;

        r = nipc_client_call_decoded(client, METHOD_PROCESSES, "", 0, timeout_ms, decode,
                                     &response);
        if (r)
                return r;
        p = response.payload;
        end = p + response.payload_size;
        for (; r == 0 && p < end; p += ITEM_HEADER + name_len) {
                name_len = nipc_load_u32(p + 12);
                r = nipc_cache_loader_add(loader, nipc_load_u32(p), (const char *)p + ITEM_HEADER,
                                          name_len, &item);
                if (r == 0) {
                        ((struct process *)item)->parent = nipc_load_u32(p + 4);
                        ((struct process *)item)->n_threads = nipc_load_u32(p + 8);
                }
        }
        return r;
}

/* Whether the cache has the process. Says so when it is not what it was. */
static bool look(struct nipc_cache *cache, uint32_t pid, bool was_there)
{
        const struct nipc_cache_snapshot *snapshot = nipc_cache_acquire(cache);
        const struct process *process = NULL;
        uint32_t n = nipc_cache_snapshot_get_count(snapshot), i;

        for (i = 0; i < n && !process; i++) {
                process = nipc_cache_snapshot_get(snapshot, i);
                if (process->item.hash != pid)
                        process = NULL;
        }
        if (process && !was_there)
                printf("%" PRIu32 " %s, parent %" PRIu32 ", threads %" PRIu32 "\n", pid,
                       process->item.name, process->parent, process->n_threads);
        else if (!process)
                printf("%" PRIu32 " gone\n", pid);
        fflush(stdout);
        nipc_cache_release(cache, snapshot);
        return process != NULL;
}

static int watch(const char *run_dir, uint32_t pid)
{
        struct nipc_client_config config = NIPC_CLIENT_CONFIG_INIT;
        const struct nipc_cache_class class_ = {
                .size = sizeof(class_),
                .item_size = sizeof(struct process),
                .fetch = fetch,
        };
        struct nipc_cache *cache;
        bool is_there = false;
        int r;

        config.run_dir = run_dir;
        config.service = service;
        r = nipc_cache_new(&config, &class_, &cache);
        if (r < 0)
                return r;
        for (;;) {
                r = nipc_cache_refresh(cache, 10000);
                if (r < 0)
                        break;
                is_there = look(cache, pid, is_there);
                if (!is_there)
                        break;
                Sleep(100); /* now and then is enough */
        }
        nipc_cache_free(cache);
        return r;
}

int main(int argc, char **argv)
{
        int r = -EINVAL;

        if (argc == 3 && strcmp(argv[1], "serve") == 0)
                r = serve(argv[2]);
        else if (argc == 4 && strcmp(argv[1], "watch") == 0)
                r = watch(argv[2], (uint32_t)strtoul(argv[3], NULL, 10));
        if (r < 0)
                fprintf(stderr, "example-windows-processes: %s\n", strerror(-r));
        return r < 0;
}
