/* SPDX-License-Identifier: MIT */
/* pid-traffic from the kernel's socket diagnostics or a JSON file. */
#include "provider-lookup.h"
#include "socket-traffic.h"

#include <errno.h>
#include <nipc/pid-traffic.h>

static void set_tcp(struct nipc_pid_traffic_item *item, const struct process_traffic *traffic)
{
        struct nipc_pid_traffic_protocol *tcp = &item->tcp;

        item->flags = NIPC_PID_TRAFFIC_OPEN_ONLY;
        if (traffic->is_partial || traffic->has_foreign_namespace)
                item->flags |= NIPC_PID_TRAFFIC_PARTIAL;
        tcp->counted = NIPC_PID_TRAFFIC_SOCKETS;
        tcp->n_sockets = traffic->n_sockets;
        /* Of no socket at all all is known. */
        if (!traffic->n_sockets || (traffic->known & SOCK_DIAG_BYTES)) {
                tcp->counted |= NIPC_PID_TRAFFIC_BYTES;
                tcp->rx_bytes = traffic->figures.rx_bytes;
                tcp->tx_bytes = traffic->figures.tx_bytes;
        }
        if (!traffic->n_sockets || (traffic->known & SOCK_DIAG_SEGMENTS)) {
                tcp->counted |= NIPC_PID_TRAFFIC_PACKETS;
                tcp->rx_packets = traffic->figures.rx_segments;
                tcp->tx_packets = traffic->figures.tx_segments;
        }
}

static int answer_one(struct nipc_lookup_builder *builder, uint32_t pid,
                      const struct process_traffic *traffic)
{
        struct nipc_pid_traffic_item item = {.pid = pid};

        switch (traffic->status) {
        case SOCKET_TRAFFIC_FOUND:
                item.status = NIPC_PID_TRAFFIC_KNOWN;
                item.starttime = traffic->starttime;
                set_tcp(&item, traffic);
                break;
        case SOCKET_TRAFFIC_GONE:
                item.status = NIPC_PID_TRAFFIC_UNKNOWN;
                break;
        case SOCKET_TRAFFIC_NOT_PERMITTED:
                item.status = NIPC_PID_TRAFFIC_NOT_PERMITTED;
                break;
        }
        return nipc_pid_traffic_builder_add(builder, &item);
}

static int answer(void *data, const struct nipc_lookup_request_view *request,
                  struct nipc_lookup_builder *builder)
{
        const uint32_t n = request->item_count;
        g_autofree struct process_traffic *results = g_new(struct process_traffic, n);
        g_autofree uint32_t *pids = g_new(uint32_t, n);
        g_autoptr(GError) error = NULL;
        int r = 0;

        /* The generation stays 0: what changes all the time has none. */
        for (uint32_t i = 0; i < n; i++) {
                size_t size;

                pids[i] = nipc_pid_traffic_key_pid(nipc_lookup_request_view_get(request, i, &size));
        }
        if (n && !socket_traffic_read(data, pids, n, results, &error)) {
                lookup_provider_say(error->message);
                return -EIO;
        }
        for (uint32_t i = 0; !r && i < n; i++)
                r = answer_one(builder, pids[i], &results[i]);
        return r;
}

static void *live_open(const char *source, GError **error)
{
        return socket_traffic_open(SOCKET_TRAFFIC_REUSE_MS, error);
}

static void live_close(void *data)
{
        socket_traffic_close(data);
}

static gboolean pid_traffic_open(const struct provider_options *options,
                                 struct nipc_server_config *config, void **ret_data, GError **error)
{
        static const struct lookup_service service = {
                .get_class = nipc_pid_traffic_get_class,
                .response_type = "pid_traffic_response",
                .unknown = NIPC_PID_TRAFFIC_UNKNOWN,
                .open = live_open,
                .answer = answer,
                .close = live_close,
        };

        if (options->source && !g_str_has_suffix(options->source, ".json")) {
                g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                            "the source of pid-traffic is the kernel or a .json file");
                return FALSE;
        }
        return lookup_provider_open(&service, options, config, ret_data, error);
}

const struct provider provider_pid_traffic = {
        .name = "pid-traffic",
        .takes_source = true,
        .open = pid_traffic_open,
        .new_server = lookup_provider_new_server,
        .close = lookup_provider_close,
};
