/* SPDX-License-Identifier: MIT */
/*
 * A snapshot service of one's own, outside the libraries: all network interfaces, and a cache of
 * them. Provider and consumer are one process here; what they share, the first part, would be a
 * header of yours.
 *
 *      example-user-snapshot
 */
#include <nipc/cache.h>
#include <nipc/server.h>
#include <nipc/wire.h>

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the method: nothing -> all interfaces, each u32 index, u32 name_len, name ------------- */

enum { METHOD_INTERFACES = NIPC_METHOD_PRIVATE + 2, ITEM_HEADER = 8 };

struct interface {
        struct nipc_cache_item item; /* hash: 0, names are told apart without it */
        uint32_t index;
};

/* ---- the provider ------------------------------------------------------------------------- */

static int answer(void *userdata, const struct nipc_request *request, void *response,
                  size_t capacity, size_t *ret_size)
{
        struct if_nameindex *list = if_nameindex();
        uint8_t *p = response, *end = p + capacity;
        int r = list ? 0 : -errno;

        for (struct if_nameindex *i = list; r == 0 && i->if_name; i++) {
                const size_t name_len = strlen(i->if_name);

                if (ITEM_HEADER + name_len > (size_t)(end - p)) {
                        r = -EMSGSIZE; /* sessions to come will have more room */
                        break;
                }
                nipc_store_u32(p, i->if_index);
                nipc_store_u32(p + 4, (uint32_t)name_len);
                memcpy(p + ITEM_HEADER, i->if_name, name_len);
                p += ITEM_HEADER + name_len;
        }
        if (list)
                if_freenameindex(list);
        *ret_size = (size_t)(p - (uint8_t *)response);
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
                        next += nipc_load_u32(p + at + 4);
                if (next > size) {
                        *ret_fault = (struct nipc_fault){NIPC_PROTO_E_TRUNCATED, (size_t)at,
                                                         "an interface must end in the answer"};
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

        r = nipc_client_call_decoded(client, METHOD_INTERFACES, "", 0, timeout_ms, decode,
                                     &response);
        if (r)
                return r;
        p = response.payload;
        end = p + response.payload_size;
        for (; r == 0 && p < end; p += ITEM_HEADER + name_len) {
                name_len = nipc_load_u32(p + 4);
                r = nipc_cache_loader_add(loader, 0, (const char *)p + ITEM_HEADER, name_len,
                                          &item);
                if (r == 0)
                        ((struct interface *)item)->index = nipc_load_u32(p);
        }
        return r;
}

static void print_interface(struct nipc_cache *cache, const char *name)
{
        const struct nipc_cache_snapshot *snapshot = nipc_cache_acquire(cache);
        const struct interface *found = nipc_cache_snapshot_lookup(snapshot, 0, name, strlen(name));

        printf("%s  %u\n", name, found ? found->index : 0);
        nipc_cache_release(cache, snapshot);
}

int main(void)
{
        struct nipc_server_config server_config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_client_config client_config = NIPC_CLIENT_CONFIG_INIT;
        const struct nipc_handler handler = {
                .size = sizeof(handler),
                .code = METHOD_INTERFACES,
                .handle = answer,
        };
        const struct nipc_cache_class class_ = {
                .size = sizeof(class_),
                .item_size = sizeof(struct interface),
                .fetch = fetch,
        };
        struct nipc_server *server = NULL;
        struct nipc_cache *cache = NULL;
        char run_dir[] = "interfaces-XXXXXX"; /* relative to where we are */
        int r;

        r = mkdtemp(run_dir) ? 0 : -errno;
        server_config.run_dir = client_config.run_dir = run_dir;
        server_config.service = client_config.service = "interfaces";
        server_config.n_workers = 1;
        if (r == 0)
                r = nipc_server_new(&server_config, &handler, &server);
        if (r == 0)
                r = nipc_server_start(server);
        if (r == 0)
                r = nipc_cache_new(&client_config, &class_, &cache);
        if (r == 0)
                r = nipc_cache_refresh(cache, 1000); /* now and then, in an agent */
        if (r == 0)
                print_interface(cache, "lo"); /* any number of threads, as often as they like */
        nipc_cache_free(cache);
        nipc_server_free(server);
        rmdir(run_dir);
        if (r < 0)
                fprintf(stderr, "no answer: %s\n", strerror(-r));
        return r < 0;
}
