/* SPDX-License-Identifier: MIT */

#include "util-own-items.h"

#include "util-vectors.h"

#include <arpa/inet.h>

static GPtrArray *kept;

void items_begin(void)
{
        kept = g_ptr_array_new_with_free_func(g_free);
}

void items_end(void)
{
        g_clear_pointer(&kept, g_ptr_array_unref);
}

void items_keep(gpointer memory)
{
        g_ptr_array_add(kept, memory);
}

GByteArray *items_unhex(const char *text, size_t length)
{
        g_autofree char *part = g_strndup(text, length);

        return g_bytes_unref_to_array(unhex(part));
}

/* ---- fields ------------------------------------------------------------------------------- */

uint64_t items_get_number(JsonObject *object, const char *name)
{
        JsonNode *node = json_object_get_member(object, name);

        g_assert_nonnull(node);
        if (json_node_get_value_type(node) == G_TYPE_STRING) /* beyond 2^63 - 1 */
                return g_ascii_strtoull(json_node_get_string(node), NULL, 10);
        return (uint64_t)json_node_get_int(node);
}

/* Literal bytes or {"hex": ...}. Lives as long as the test. */
struct nipc_lookup_string items_get_text(JsonNode *node)
{
        GByteArray *bytes;
        const char *text;
        struct nipc_lookup_string string;

        if (JSON_NODE_HOLDS_OBJECT(node)) {
                text = json_object_get_string_member(json_node_get_object(node), "hex");
                bytes = items_unhex(text, strlen(text));
        } else {
                text = json_node_get_string(node);
                bytes = g_byte_array_new();
                g_byte_array_append(bytes, (const guint8 *)text, (guint)strlen(text));
        }
        string.len = bytes->len;
        g_byte_array_append(bytes, (const guint8 *)"", 1);
        string.str = (char *)g_byte_array_free(bytes, FALSE);
        items_keep((gpointer)(uintptr_t)string.str);
        return string;
}

static void get_address(JsonObject *object, const char *name, uint8_t ret_address[16])
{
        const char *text = json_object_get_string_member(object, name);
        uint8_t ipv4[4];

        memset(ret_address, 0, 16);
        if (!*text)
                return;
        if (inet_pton(AF_INET, text, ipv4) == 1)
                nipc_ip_to_asn_map_ipv4(ipv4, ret_address);
        else
                g_assert_cmpint(inet_pton(AF_INET6, text, ret_address), ==, 1);
}

static const struct nipc_label *get_labels(JsonArray *array)
{
        const guint n = json_array_get_length(array);
        struct nipc_label *labels = g_new0(struct nipc_label, n + 1);
        guint i;

        for (i = 0; i < n; i++) {
                JsonArray *pair = json_array_get_array_element(array, i);
                const struct nipc_lookup_string key =
                        items_get_text(json_array_get_element(pair, 0));
                const struct nipc_lookup_string value =
                        items_get_text(json_array_get_element(pair, 1));

                labels[i] = (struct nipc_label){key.str, key.len, value.str, value.len};
        }
        items_keep(labels);
        return labels;
}

struct nipc_ip_to_asn_item items_get_ip(JsonObject *object)
{
        JsonArray *labels = json_object_get_array_member(object, "labels");
        struct nipc_ip_to_asn_item item = {
                .status = (uint16_t)items_get_number(object, "status"),
                .flags = (uint16_t)items_get_number(object, "flags"),
                .asn = (uint32_t)items_get_number(object, "asn"),
                .ip = items_get_text(json_object_get_member(object, "ip")),
                .as_name = items_get_text(json_object_get_member(object, "as_name")),
                .country = items_get_text(json_object_get_member(object, "country")),
                .n_labels = json_array_get_length(labels),
                .labels = get_labels(labels),
        };

        get_address(object, "range_first", item.range_first);
        get_address(object, "range_last", item.range_last);
        return item;
}

static struct nipc_pid_traffic_protocol get_protocol(JsonObject *item, const char *name)
{
        JsonObject *object = json_object_get_object_member(item, name);

        return (struct nipc_pid_traffic_protocol){
                .rx_bytes = items_get_number(object, "rx_bytes"),
                .tx_bytes = items_get_number(object, "tx_bytes"),
                .rx_packets = items_get_number(object, "rx_packets"),
                .tx_packets = items_get_number(object, "tx_packets"),
                .n_sockets = (uint32_t)items_get_number(object, "n_sockets"),
                .counted = (uint32_t)items_get_number(object, "counted"),
        };
}

struct nipc_pid_traffic_item items_get_pid(JsonObject *object)
{
        return (struct nipc_pid_traffic_item){
                .status = (uint16_t)items_get_number(object, "status"),
                .flags = (uint16_t)items_get_number(object, "flags"),
                .pid = (uint32_t)items_get_number(object, "pid"),
                .starttime = items_get_number(object, "starttime"),
                .tcp = get_protocol(object, "tcp"),
                .udp = get_protocol(object, "udp"),
        };
}

/* ---- comparing ---------------------------------------------------------------------------- */

#define assert_text(a, b) g_assert_cmpmem((a).str, (a).len, (b).str, (b).len)

void items_assert_ip(struct nipc_lookup_item raw, const struct nipc_ip_to_asn_item *expected)
{
        struct nipc_ip_to_asn_item item;
        uint32_t i;

        nipc_ip_to_asn_item_load(raw, &item);
        g_assert_cmpuint(item.status, ==, expected->status);
        g_assert_cmpuint(item.flags, ==, expected->flags);
        g_assert_cmpuint(item.asn, ==, expected->asn);
        g_assert_cmpmem(item.range_first, 16, expected->range_first, 16);
        g_assert_cmpmem(item.range_last, 16, expected->range_last, 16);
        assert_text(item.ip, expected->ip);
        assert_text(item.as_name, expected->as_name);
        assert_text(item.country, expected->country);
        g_assert_cmpuint(item.n_labels, ==, expected->n_labels);
        for (i = 0; i < item.n_labels; i++) {
                const struct nipc_label a =
                        nipc_lookup_item_get_label(nipc_ip_to_asn_get_class(), item.raw, i);
                const struct nipc_label *b = &expected->labels[i];

                g_assert_cmpmem(a.key, a.key_len, b->key, b->key_len);
                g_assert_cmpmem(a.value, a.value_len, b->value, b->value_len);
        }
}

static void assert_protocol(const struct nipc_pid_traffic_protocol *a,
                            const struct nipc_pid_traffic_protocol *b)
{
        g_assert_cmpuint(a->rx_bytes, ==, b->rx_bytes);
        g_assert_cmpuint(a->tx_bytes, ==, b->tx_bytes);
        g_assert_cmpuint(a->rx_packets, ==, b->rx_packets);
        g_assert_cmpuint(a->tx_packets, ==, b->tx_packets);
        g_assert_cmpuint(a->n_sockets, ==, b->n_sockets);
        g_assert_cmpuint(a->counted, ==, b->counted);
}

void items_assert_pid(struct nipc_lookup_item raw, const struct nipc_pid_traffic_item *expected)
{
        struct nipc_pid_traffic_item item;

        nipc_pid_traffic_item_load(raw, &item);
        g_assert_cmpuint(item.status, ==, expected->status);
        g_assert_cmpuint(item.flags, ==, expected->flags);
        g_assert_cmpuint(item.pid, ==, expected->pid);
        g_assert_cmpuint(item.starttime, ==, expected->starttime);
        assert_protocol(&item.tcp, &expected->tcp);
        assert_protocol(&item.udp, &expected->udp);
}
