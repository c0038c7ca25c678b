/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Method 0x8002, PID_TRAFFIC: PIDs ask, what each process sent and received answers
 * (doc/pid-traffic.md).
 *
 * Requests and responses: by the functions of <nipc/lookup.h>, with the class below; keys by
 * nipc_lookup_keys_of_pids(). Here is what the items mean.
 *
 * No provider sees everything. What one does not count is 0 and says so: look at `counted` before a
 * number, and at `flags` before a difference of two.
 */

#include <nipc/lookup.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NIPC_PID_TRAFFIC_KEY_SIZE         8u
#define NIPC_PID_TRAFFIC_ITEM_HEADER_SIZE 104u

/* Items: all header, no strings, no labels. Borrowed, lives for ever. Since: 0.1 */
const struct nipc_lookup_class *nipc_pid_traffic_get_class(void);

enum nipc_pid_traffic_status {
        NIPC_PID_TRAFFIC_KNOWN = 0,
        NIPC_PID_TRAFFIC_UNKNOWN = 1,          /* no such process */
        NIPC_PID_TRAFFIC_PAYLOAD_EXCEEDED = 2, /* never seen by callers of a client */
        NIPC_PID_TRAFFIC_OVERSIZED_ITEM = 3,   /* known, but larger than a response may be */
        NIPC_PID_TRAFFIC_NOT_PERMITTED = 4,    /* there, but its sockets may not be looked at */
};

enum nipc_pid_traffic_flag {
        /* Some of its descriptors could not be looked at: there may be more than was counted. */
        NIPC_PID_TRAFFIC_PARTIAL = 1u << 0,
        /* Only sockets open now are counted, all of their life: sums fall when one is closed. */
        NIPC_PID_TRAFFIC_OPEN_ONLY = 1u << 1,
};

/* What of a protocol the provider counts. None of it: it does not see the protocol at all. */
enum nipc_pid_traffic_counted {
        NIPC_PID_TRAFFIC_SOCKETS = 1u << 0, /* n_sockets */
        NIPC_PID_TRAFFIC_BYTES = 1u << 1,   /* rx_bytes, tx_bytes */
        NIPC_PID_TRAFFIC_PACKETS = 1u << 2, /* rx_packets, tx_packets */
};

/* One protocol. What is not counted is 0. */
struct nipc_pid_traffic_protocol {
        uint64_t rx_bytes; /* payload, each byte once: no headers, nothing sent again */
        uint64_t tx_bytes;
        uint64_t rx_packets; /* segments, datagrams */
        uint64_t tx_packets;
        uint32_t n_sockets; /* open now */
        uint32_t counted;   /* NIPC_PID_TRAFFIC_SOCKETS | ... */
};

/* Unless KNOWN, an item has nothing but its PID. */
struct nipc_pid_traffic_item {
        uint16_t status;
        uint16_t flags; /* NIPC_PID_TRAFFIC_PARTIAL | ... */
        uint32_t pid;
        uint64_t starttime; /* another one: another process, of the same PID; 0: not known */
        struct nipc_pid_traffic_protocol tcp;
        struct nipc_pid_traffic_protocol udp;
};

/* The fields of a checked item. Since: 0.1 */
void nipc_pid_traffic_item_load(struct nipc_lookup_item raw,
                                struct nipc_pid_traffic_item *ret_item);

/* Adds an item. Returns as nipc_lookup_builder_add(). Since: 0.1 */
int nipc_pid_traffic_builder_add(struct nipc_lookup_builder *builder,
                                 const struct nipc_pid_traffic_item *item);

/* The PID that a key of a request asks for. Since: 0.1 */
static inline uint32_t nipc_pid_traffic_key_pid(const void *key)
{
        return nipc_load_u32(key);
}

/* "KNOWN" and so on, "?" for other values; never NULL. Since: 0.1 */
const char *nipc_pid_traffic_status_name(uint16_t status);

#ifdef __cplusplus
}
#endif
