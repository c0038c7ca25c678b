/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Items of IP_TO_ASN and PID_TRAFFIC as JSON, as in own/index.json, and compared with decoded ones.
 * What they point to lives from items_begin() to items_end().
 */

#include <json-glib/json-glib.h>
#include <nipc/ip-to-asn.h>
#include <nipc/pid-traffic.h>

void items_begin(void);
void items_end(void);

/* memory: of g_malloc(), freed by items_end(). */
void items_keep(gpointer memory);

GByteArray *items_unhex(const char *text, size_t length);

/* Up to 64 bits, as codec_load() has them. */
uint64_t items_get_number(JsonObject *object, const char *name);

/* Literal bytes or {"hex": ...}. */
struct nipc_lookup_string items_get_text(JsonNode *node);

struct nipc_ip_to_asn_item items_get_ip(JsonObject *object);
struct nipc_pid_traffic_item items_get_pid(JsonObject *object);

void items_assert_ip(struct nipc_lookup_item raw, const struct nipc_ip_to_asn_item *expected);
void items_assert_pid(struct nipc_lookup_item raw, const struct nipc_pid_traffic_item *expected);
