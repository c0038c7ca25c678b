/* SPDX-License-Identifier: MIT */

/* Method 0x8002, both directions; see fuzz-lookup.h. */

#include <nipc/pid-traffic.h>

#include "fuzz-lookup.h"

static int add(struct nipc_lookup_builder *builder, struct nipc_lookup_item raw)
{
        struct nipc_pid_traffic_item item;

        nipc_pid_traffic_item_load(raw, &item);
        return nipc_pid_traffic_builder_add(builder, &item);
}

static void check_protocol(const struct nipc_pid_traffic_protocol *p)
{
        fuzz_assert((p->counted & NIPC_PID_TRAFFIC_SOCKETS) || !p->n_sockets);
        fuzz_assert((p->counted & NIPC_PID_TRAFFIC_BYTES) || !(p->rx_bytes | p->tx_bytes));
        fuzz_assert((p->counted & NIPC_PID_TRAFFIC_PACKETS) || !(p->rx_packets | p->tx_packets));
}

static void check(struct nipc_lookup_item raw)
{
        struct nipc_pid_traffic_item item;

        fuzz_assert(raw.size == NIPC_PID_TRAFFIC_ITEM_HEADER_SIZE);
        nipc_pid_traffic_item_load(raw, &item);
        check_protocol(&item.tcp);
        check_protocol(&item.udp);
        fuzz_assert(item.status == NIPC_PID_TRAFFIC_KNOWN ||
                    !(item.flags | item.starttime | item.tcp.counted | item.udp.counted));
}

/* There is one way to write an item. */
static void check_equal(struct nipc_lookup_item a, struct nipc_lookup_item b)
{
        fuzz_assert(a.size == b.size && !memcmp(a.bytes, b.bytes, a.size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const struct fuzz_lookup subject = {
                .class_ = nipc_pid_traffic_get_class(),
                .add = add,
                .check = check,
                .check_equal = check_equal,
        };

        return fuzz_check_lookup(&subject, data, size);
}
