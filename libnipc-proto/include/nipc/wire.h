/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Loads and stores of wire integers: any alignment, host byte order (wire-v1, notation: both peers
 * are on one machine, nothing is swapped), no undefined behaviour. Codecs, ours and a user's own,
 * reach message bytes through these and never through casts.
 *
 * NIPC_WIRE_SWAPPED is for programs that look at bytes of a machine of the other byte order: a
 * codec compiled with it reads and writes the opposite order. The libraries never define it.
 */

#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NIPC_ALIGNMENT 8u /* items of batches, snapshots and lookups start at multiples of this */

#ifdef NIPC_WIRE_SWAPPED
static inline uint16_t nipc_wire_order_u16(uint16_t v)
{
        return (uint16_t)((v << 8) | (v >> 8));
}

static inline uint32_t nipc_wire_order_u32(uint32_t v)
{
        return (v << 24) | ((v & 0xff00u) << 8) | ((v >> 8) & 0xff00u) | (v >> 24);
}

static inline uint64_t nipc_wire_order_u64(uint64_t v)
{
        return ((uint64_t)nipc_wire_order_u32((uint32_t)v) << 32) |
               nipc_wire_order_u32((uint32_t)(v >> 32));
}
#else
#define nipc_wire_order_u16(v) (v)
#define nipc_wire_order_u32(v) (v)
#define nipc_wire_order_u64(v) (v)
#endif

/* Reads an integer at any alignment. Since: 0.1 */
static inline uint16_t nipc_load_u16(const void *p)
{
        uint16_t v;
        memcpy(&v, p, sizeof(v));
        return nipc_wire_order_u16(v);
}

static inline uint32_t nipc_load_u32(const void *p)
{
        uint32_t v;
        memcpy(&v, p, sizeof(v));
        return nipc_wire_order_u32(v);
}

static inline uint64_t nipc_load_u64(const void *p)
{
        uint64_t v;
        memcpy(&v, p, sizeof(v));
        return nipc_wire_order_u64(v);
}

/* Writes an integer at any alignment. Since: 0.1 */
static inline void nipc_store_u16(void *p, uint16_t v)
{
        v = nipc_wire_order_u16(v);
        memcpy(p, &v, sizeof(v));
}

static inline void nipc_store_u32(void *p, uint32_t v)
{
        v = nipc_wire_order_u32(v);
        memcpy(p, &v, sizeof(v));
}

static inline void nipc_store_u64(void *p, uint64_t v)
{
        v = nipc_wire_order_u64(v);
        memcpy(p, &v, sizeof(v));
}

/* Rounds up to a multiple of 8; 64-bit so that sums of wire values never wrap. Since: 0.1 */
static inline uint64_t nipc_align8(uint64_t v)
{
        return (v + 7u) & ~(uint64_t)7u;
}

#ifdef __cplusplus
}
#endif
