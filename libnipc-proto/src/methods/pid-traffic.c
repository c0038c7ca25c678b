/* SPDX-License-Identifier: MIT */

/* Method 0x8002 (doc/pid-traffic.md): what a class cannot say of its items, and their fields. */

#include <nipc/header.h>
#include <nipc/pid-traffic.h>

#include "../lookup-own.h"

enum {
        KEY_RESERVED = 4,
        KEY_SIZE = 8,
};

enum {
        PROTOCOL_RX_BYTES = 0,
        PROTOCOL_TX_BYTES = 8,
        PROTOCOL_RX_PACKETS = 16,
        PROTOCOL_TX_PACKETS = 24,
        PROTOCOL_N_SOCKETS = 32,
        PROTOCOL_COUNTED = 36,
        PROTOCOL_SIZE = 40,
};

enum {
        ITEM_FLAGS = 4,
        ITEM_RESERVED0 = 6,
        ITEM_PID = 8,
        ITEM_RESERVED1 = 12,
        ITEM_STARTTIME = 16,
        ITEM_TCP = 24,
        ITEM_UDP = 64,
        ITEM_SIZE = 104,
};

_Static_assert(KEY_SIZE == NIPC_PID_TRAFFIC_KEY_SIZE, "pid-traffic §1");
_Static_assert(ITEM_SIZE == NIPC_PID_TRAFFIC_ITEM_HEADER_SIZE, "pid-traffic §2");
_Static_assert(ITEM_STARTTIME % sizeof(uint64_t) == 0 && ITEM_TCP % sizeof(uint64_t) == 0 &&
                       PROTOCOL_SIZE % sizeof(uint64_t) == 0,
               "numbers of 64 bits are aligned");
_Static_assert(ITEM_TCP + PROTOCOL_SIZE == ITEM_UDP, "pid-traffic §2");
_Static_assert(ITEM_UDP + PROTOCOL_SIZE == ITEM_SIZE, "pid-traffic §2");

#define ALL_FLAGS   (NIPC_PID_TRAFFIC_PARTIAL | NIPC_PID_TRAFFIC_OPEN_ONLY)
#define ALL_COUNTED (NIPC_PID_TRAFFIC_SOCKETS | NIPC_PID_TRAFFIC_BYTES | NIPC_PID_TRAFFIC_PACKETS)

static int bad_field(struct nipc_fault *ret_fault, size_t offset, const char *rule)
{
        return fault_set(ret_fault, NIPC_PROTO_E_BAD_LAYOUT, offset, rule);
}

static NIPC__ALWAYS_INLINE int check_key(const void *key, struct nipc_fault *ret_fault)
{
        if (NIPC__UNLIKELY(nipc_load_u32((const uint8_t *)key + KEY_RESERVED)))
                return bad_field(ret_fault, KEY_RESERVED, "reserved of a key must be 0");
        return 0;
}

static NIPC__ALWAYS_INLINE bool is_protocol_bad(const uint8_t *p)
{
        const uint32_t counted = nipc_load_u32(p + PROTOCOL_COUNTED);
        bool bad = counted & ~ALL_COUNTED;

        if (!(counted & NIPC_PID_TRAFFIC_SOCKETS))
                bad |= nipc_load_u32(p + PROTOCOL_N_SOCKETS);
        if (!(counted & NIPC_PID_TRAFFIC_BYTES))
                bad |= nipc_load_u64(p + PROTOCOL_RX_BYTES) | nipc_load_u64(p + PROTOCOL_TX_BYTES);
        if (!(counted & NIPC_PID_TRAFFIC_PACKETS))
                bad |= nipc_load_u64(p + PROTOCOL_RX_PACKETS) |
                       nipc_load_u64(p + PROTOCOL_TX_PACKETS);
        return bad;
}

/* offset: of the protocol, within the item. */
static NIPC__COLD int protocol_fault(const uint8_t *item, size_t offset,
                                     struct nipc_fault *ret_fault)
{
        const uint8_t *p = item + offset;
        const uint32_t counted = nipc_load_u32(p + PROTOCOL_COUNTED);
        const char *rule = "a number that is not counted must be 0";

        if (counted & ~ALL_COUNTED)
                return bad_field(ret_fault, offset + PROTOCOL_COUNTED,
                                 "counted must be of SOCKETS, BYTES and PACKETS");
        if (!(counted & NIPC_PID_TRAFFIC_SOCKETS) && nipc_load_u32(p + PROTOCOL_N_SOCKETS))
                return bad_field(ret_fault, offset + PROTOCOL_N_SOCKETS, rule);
        if (!(counted & NIPC_PID_TRAFFIC_BYTES) && nipc_load_u64(p + PROTOCOL_RX_BYTES))
                return bad_field(ret_fault, offset + PROTOCOL_RX_BYTES, rule);
        if (!(counted & NIPC_PID_TRAFFIC_BYTES) && nipc_load_u64(p + PROTOCOL_TX_BYTES))
                return bad_field(ret_fault, offset + PROTOCOL_TX_BYTES, rule);
        if (!(counted & NIPC_PID_TRAFFIC_PACKETS) && nipc_load_u64(p + PROTOCOL_RX_PACKETS))
                return bad_field(ret_fault, offset + PROTOCOL_RX_PACKETS, rule);
        return bad_field(ret_fault, offset + PROTOCOL_TX_PACKETS, rule);
}

static NIPC__COLD int item_fault(const uint8_t *p, struct nipc_fault *ret_fault)
{
        if (nipc_load_u16(p + ITEM_RESERVED0))
                return bad_field(ret_fault, ITEM_RESERVED0, "reserved0 of an item must be 0");
        if (nipc_load_u32(p + ITEM_RESERVED1))
                return bad_field(ret_fault, ITEM_RESERVED1, "reserved1 of an item must be 0");
        if (nipc_load_u16(p + ITEM_FLAGS) & ~ALL_FLAGS)
                return bad_field(ret_fault, ITEM_FLAGS, "flags must be of PARTIAL and OPEN_ONLY");
        if (nipc_load_u16(p + ITEM_STATUS) > NIPC_PID_TRAFFIC_NOT_PERMITTED)
                return bad_field(ret_fault, ITEM_STATUS, "status must be one of 0 to 4");
        if (is_protocol_bad(p + ITEM_TCP))
                return protocol_fault(p, ITEM_TCP, ret_fault);
        if (is_protocol_bad(p + ITEM_UDP))
                return protocol_fault(p, ITEM_UDP, ret_fault);
        if (nipc_load_u16(p + ITEM_FLAGS))
                return bad_field(ret_fault, ITEM_FLAGS, "a process that is not KNOWN has no flags");
        if (nipc_load_u64(p + ITEM_STARTTIME))
                return bad_field(ret_fault, ITEM_STARTTIME,
                                 "a process that is not KNOWN has no starttime");
        return bad_field(ret_fault,
                         nipc_load_u32(p + ITEM_TCP + PROTOCOL_COUNTED)
                                 ? ITEM_TCP + PROTOCOL_COUNTED
                                 : ITEM_UDP + PROTOCOL_COUNTED,
                         "nothing is counted of a process that is not KNOWN");
}

/* Of an item that is not KNOWN; what is not counted is seen to be 0 elsewhere. */
static NIPC__ALWAYS_INLINE bool is_unknown_bad(const uint8_t *p)
{
        return nipc_load_u16(p + ITEM_STATUS) > NIPC_PID_TRAFFIC_NOT_PERMITTED ||
               (nipc_load_u16(p + ITEM_FLAGS) | nipc_load_u64(p + ITEM_STARTTIME) |
                nipc_load_u32(p + ITEM_TCP + PROTOCOL_COUNTED) |
                nipc_load_u32(p + ITEM_UDP + PROTOCOL_COUNTED));
}

static NIPC__ALWAYS_INLINE int check_item(const void *header, struct nipc_fault *ret_fault)
{
        const uint8_t *p = header;
        bool bad = nipc_load_u16(p + ITEM_RESERVED0) | nipc_load_u32(p + ITEM_RESERVED1) |
                   (nipc_load_u16(p + ITEM_FLAGS) & ~ALL_FLAGS);

        bad |= is_protocol_bad(p + ITEM_TCP);
        bad |= is_protocol_bad(p + ITEM_UDP);
        if (NIPC__UNLIKELY(nipc_load_u16(p + ITEM_STATUS) != NIPC_PID_TRAFFIC_KNOWN))
                bad |= is_unknown_bad(p);
        return NIPC__UNLIKELY(bad) ? item_fault(p, ret_fault) : 0;
}

/* Traffic goes on. */
static bool is_provisional(const void *header)
{
        return nipc_load_u16((const uint8_t *)header + ITEM_STATUS) !=
               NIPC_PID_TRAFFIC_OVERSIZED_ITEM;
}

NIPC__LOOKUP_OWN_DECLARE;

static const struct nipc_lookup_class class_pid_traffic = {
        .size = sizeof(class_pid_traffic),
        .method = NIPC_METHOD_PID_TRAFFIC,
        .key_size = KEY_SIZE,
        .key_echo_size = sizeof(uint32_t),
        .key_offset = ITEM_PID,
        .item_header_size = ITEM_SIZE,
        .status_exceeded = NIPC_PID_TRAFFIC_PAYLOAD_EXCEEDED,
        .status_oversized = NIPC_PID_TRAFFIC_OVERSIZED_ITEM,
        .check_key = check_key,
        .check_item = check_item,
        .is_provisional = is_provisional,
        .own = &own,
};

NIPC__LOOKUP_OWN_DEFINE(&class_pid_traffic);

NIPC__EXPORT const struct nipc_lookup_class *nipc_pid_traffic_get_class(void)
{
        return &class_pid_traffic;
}

static struct nipc_pid_traffic_protocol load_protocol(const uint8_t *p)
{
        return (struct nipc_pid_traffic_protocol){
                .rx_bytes = nipc_load_u64(p + PROTOCOL_RX_BYTES),
                .tx_bytes = nipc_load_u64(p + PROTOCOL_TX_BYTES),
                .rx_packets = nipc_load_u64(p + PROTOCOL_RX_PACKETS),
                .tx_packets = nipc_load_u64(p + PROTOCOL_TX_PACKETS),
                .n_sockets = nipc_load_u32(p + PROTOCOL_N_SOCKETS),
                .counted = nipc_load_u32(p + PROTOCOL_COUNTED),
        };
}

NIPC__EXPORT void nipc_pid_traffic_item_load(struct nipc_lookup_item raw,
                                             struct nipc_pid_traffic_item *ret_item)
{
        *ret_item = (struct nipc_pid_traffic_item){
                .status = nipc_load_u16(raw.bytes + ITEM_STATUS),
                .flags = nipc_load_u16(raw.bytes + ITEM_FLAGS),
                .pid = nipc_load_u32(raw.bytes + ITEM_PID),
                .starttime = nipc_load_u64(raw.bytes + ITEM_STARTTIME),
                .tcp = load_protocol(raw.bytes + ITEM_TCP),
                .udp = load_protocol(raw.bytes + ITEM_UDP),
        };
}

static NIPC__ALWAYS_INLINE void store_protocol(uint8_t *p,
                                               const struct nipc_pid_traffic_protocol *protocol)
{
        nipc_store_u64(p + PROTOCOL_RX_BYTES, protocol->rx_bytes);
        nipc_store_u64(p + PROTOCOL_TX_BYTES, protocol->tx_bytes);
        nipc_store_u64(p + PROTOCOL_RX_PACKETS, protocol->rx_packets);
        nipc_store_u64(p + PROTOCOL_TX_PACKETS, protocol->tx_packets);
        nipc_store_u32(p + PROTOCOL_N_SOCKETS, protocol->n_sockets);
        nipc_store_u32(p + PROTOCOL_COUNTED, protocol->counted);
}

static NIPC__ALWAYS_INLINE void fill_item(uint8_t *p, const void *arg)
{
        const struct nipc_pid_traffic_item *item = arg;

        nipc_store_u16(p + ITEM_STATUS, item->status);
        nipc_store_u16(p + ITEM_FLAGS, item->flags);
        nipc_store_u16(p + ITEM_RESERVED0, 0);
        nipc_store_u32(p + ITEM_PID, item->pid);
        nipc_store_u32(p + ITEM_RESERVED1, 0);
        nipc_store_u64(p + ITEM_STARTTIME, item->starttime);
        store_protocol(p + ITEM_TCP, &item->tcp);
        store_protocol(p + ITEM_UDP, &item->udp);
}

NIPC__EXPORT int nipc_pid_traffic_builder_add(struct nipc_lookup_builder *builder,
                                              const struct nipc_pid_traffic_item *item)
{
        return nipc__lookup_add(builder, &class_pid_traffic, fill_item, item, NULL, NULL, 0);
}

NIPC__EXPORT const char *nipc_pid_traffic_status_name(uint16_t status)
{
        static const char *const names[] = {
                "KNOWN", "UNKNOWN", "PAYLOAD_EXCEEDED", "OVERSIZED_ITEM", "NOT_PERMITTED",
        };

        return status < NIPC__ARRAY_SIZE(names) ? names[status] : "?";
}
