/* SPDX-License-Identifier: MIT */

/* Method 3 at both ends: a string asks, a string answers; both are written in place. */

#include <errno.h>
#include <nipc/client.h>
#include <nipc/server.h>
#include <nipc/string-reverse.h>

#include "client-private.h"
#include "stdaux.h"
#include "typed.h"

struct string {
        const char *str;
        size_t str_len;
};

/* size is exactly what the string needs. */
static int encode(const void *arg, void *buf, size_t size)
{
        const struct string *string = arg;

        return nipc_string_reverse_encode(string->str, string->str_len, buf, size, &size);
}

static int decode(void *userdata, const void *payload, size_t payload_size,
                  struct nipc_fault *ret_fault)
{
        return nipc_string_reverse_decode(payload, payload_size, userdata, ret_fault);
}

NIPC__EXPORT int nipc_client_string_reverse(struct nipc_client *client, const char *str,
                                            size_t str_len, uint32_t timeout_ms,
                                            struct nipc_string_reverse_view *ret_view)
{
        const struct string string = {.str = str ? str : "", .str_len = str_len};
        struct nipc_string_reverse_view view;
        const struct nipc__request request = {
                .code = NIPC_METHOD_STRING_REVERSE,
                .item_count = 1,
                .payload_size = NIPC_STRING_REVERSE_HEADER_SIZE + str_len + 1,
                .encode = encode,
                .arg = &string,
                .decode = decode,
                .userdata = &view,
        };
        int r;

        if (!client || !ret_view || (!str && str_len) || str_len > UINT32_MAX / 2)
                return -EINVAL;
        r = nipc__client_run(client, &request, timeout_ms, NULL, NULL);
        if (!r)
                *ret_view = view;
        return r;
}

/* ---- server ------------------------------------------------------------------------------- */

static int handle(void *userdata, const struct nipc_request *request, void *response,
                  size_t capacity, size_t *ret_size)
{
        const struct nipc_string_reverse_handler *handler = userdata;
        struct nipc_string_reverse_view view;
        size_t max_len = nipc_string_reverse_capacity(capacity), len = 0;
        int r;

        r = nipc_string_reverse_decode(request->payload, request->payload_size, &view, NULL);
        if (r)
                return r;
        if (capacity <= NIPC_STRING_REVERSE_HEADER_SIZE)
                return NIPC_PROTO_E_OVERFLOW;
        r = handler->reverse(handler->userdata, view.str, view.str_len,
                             (char *)response + NIPC_STRING_REVERSE_HEADER_SIZE, max_len, &len);
        if (r)
                return r;
        if (len > max_len)
                return NIPC_PROTO_E_OVERFLOW;
        return nipc_string_reverse_finish(response, capacity, len, ret_size);
}

NIPC__EXPORT int nipc_server_new_string_reverse(const struct nipc_server_config *config,
                                                const struct nipc_string_reverse_handler *handler,
                                                struct nipc_server **ret_server)
{
        _Static_assert(offsetof(struct nipc_string_reverse_handler, reverse) ==
                               NIPC__TYPED_CALLBACK,
                       "see typed.h");

        return nipc__server_new_typed(config, NIPC_METHOD_STRING_REVERSE, handle, handler,
                                      sizeof(*handler), ret_server);
}
