/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Messages larger than one packet (wire-v1 §4): the 32-byte continuation header, and the receiving
 * state machine that puts packets together. No I/O and no memory of its own: a transport receives
 * packets wherever it likes and asks this module whether each one may follow.
 *
 * How to use: nipc_assembly_begin() with packet 0; while nipc_assembly_missing() is not 0, receive
 * a packet, nipc_assembly_continue() with its first 32 bytes and its length. Any error ends the
 * session: there is no resynchronising (wire-v1 §4).
 */

#include <nipc/error.h>
#include <nipc/header.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NIPC_CHUNK_MAGIC       0x4e43484bu
#define NIPC_CHUNK_HEADER_SIZE 32u

struct nipc_chunk_header {
        uint16_t flags;             /* 0 */
        uint64_t message_id;        /* that of packet 0 */
        uint32_t total_message_len; /* 32 + payload_len of the message */
        uint32_t chunk_index;       /* 1 for the first continuation */
        uint32_t chunk_count;       /* all packets, packet 0 included */
        uint32_t chunk_payload_len; /* bytes after this header, never 0 */
};

/*
 * Decodes the first 32 bytes of buf.
 * Returns 0, or in this order TRUNCATED, BAD_MAGIC, BAD_VERSION, BAD_LAYOUT (flags, empty chunk).
 * index, count and total are not judged: that needs packet 0, see below. Since: 0.1
 */
int nipc_chunk_header_decode(const void *buf, size_t size, struct nipc_chunk_header *ret_chunk,
                             struct nipc_fault *ret_fault);

/* Writes 32 bytes at buf. Never fails. Since: 0.1 */
void nipc_chunk_header_encode(const struct nipc_chunk_header *chunk, void *buf);

/*
 * Packets for a payload of which packet 0 carries `first` bytes, at packet_size bytes a packet
 * (> 32): 1 + ceil((payload_len - first) / (packet_size - 32)). 0, which no chunk header matches,
 * when there is no such number. Since: 0.1
 */
uint32_t nipc_chunk_count(uint32_t payload_len, uint32_t first, uint32_t packet_size);

/* What a receiver was promised in the handshake, for the direction it receives (wire-v1 §6). */
struct nipc_limits {
        uint32_t max_payload_bytes; /* 0: nothing but empty payloads */
        uint32_t max_items;         /* 0: nothing at all */
        uint32_t packet_size;       /* agreed packet size, > 32 */
};

/* A message being put together. The fields may be read, only the functions below write them. */
struct nipc_assembly {
        struct nipc_header header;
        uint32_t packet_size;
        uint32_t chunk_count; /* expected, from packet 0 */
        uint32_t next_index;  /* of the next continuation */
        uint32_t received;    /* payload bytes so far */
};

/*
 * Judges a decoded outer header against the limits of the receiving direction, before any memory
 * is spent on its payload. Returns 0 or LIMIT_EXCEEDED (payload_len or item_count). Since: 0.1
 */
int nipc_limits_check(const struct nipc_limits *limits, const struct nipc_header *header,
                      struct nipc_fault *ret_fault);

/*
 * Starts with packet 0, of which `header` was decoded already and `packet_len` is the length
 * (>= 32). Limits are the caller's business (nipc_limits_check): a server answers an over-limit
 * request before it gives up, so the two are apart.
 * Returns 0, or BAD_LAYOUT when the packet is longer than the message. Since: 0.1
 */
int nipc_assembly_begin(struct nipc_assembly *ret_assembly, const struct nipc_header *header,
                        size_t packet_len, uint32_t packet_size, struct nipc_fault *ret_fault);

/* Payload bytes still to come; 0 when the message is complete. Since: 0.1 */
uint32_t nipc_assembly_missing(const struct nipc_assembly *assembly);

/*
 * Judges the next continuation packet and counts its payload in.
 * buf: the first 32 bytes at least; packet_len: length of the whole packet as received.
 * Returns 0 (the packet's payload belongs at offset `received` as it was before the call), or
 * TRUNCATED, BAD_MAGIC, BAD_VERSION, BAD_LAYOUT from the decoder, or BAD_CHUNK for an id, index,
 * count, total or length that does not match, a packet above packet_size, or one too many; the
 * assembly is then as it was. Since: 0.1
 */
int nipc_assembly_continue(struct nipc_assembly *assembly, const void *buf, size_t packet_len,
                           struct nipc_fault *ret_fault);

#ifdef __cplusplus
}
#endif
