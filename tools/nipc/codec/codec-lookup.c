/* SPDX-License-Identifier: MIT */

/*
 * Types "<method>_request" and "<method>_response" of all lookup methods. What is particular to one
 * is its class and a table here: how its JSON calls what.
 *
 * To add a method: a struct lookup, a line LOOKUP_TYPES() and two in codec-table.c and meson.build.
 */

#include <arpa/inet.h>
#include <nipc/apps-lookup.h>
#include <nipc/cgroups-lookup.h>
#include <nipc/ip-to-asn.h>
#include <nipc/lookup.h>
#include <nipc/pid-traffic.h>
#include <nipc/wire.h>

#include "codec-private.h"

enum {
        FIELDS_MAX = 16,
        GROUPS_MAX = 2,
        KEY_NUMBER_SIZE = sizeof(uint32_t),
        ADDRESS_SIZE = NIPC_IP_TO_ASN_ADDRESS_SIZE,
};

struct field {
        const char *name;
        uint16_t offset;
        uint16_t size; /* 2, 4, 8: a number; ADDRESS_SIZE: an address */
};

struct lookup {
        const struct nipc_lookup_class *(*get_class)(void);
        const char *keys; /* of a request; keys of fixed size are numbers, zeros behind them */

        /* What is in the header of an item. The field of the key is required. */
        struct field fields[FIELDS_MAX];

        /* Objects in an item, all of the same fields. */
        struct {
                const char *name;
                uint16_t offset;
        } groups[GROUPS_MAX];
        struct field group_fields[FIELDS_MAX];

        /* Of a u16; its bit 0 says whether there are addresses. "" stands for one that is not. */
        uint16_t address_flags_offset;

        const char *strings[NIPC_LOOKUP_MAX_STRINGS];
};

static const struct lookup lookup_cgroups = {
        .get_class = nipc_cgroups_lookup_get_class,
        .keys = "paths",
        .fields = {{"status", 2, 2}, {"orchestrator", 4, 2}},
        .strings = {"path", "name"},
};

static const struct lookup lookup_apps = {
        .get_class = nipc_apps_lookup_get_class,
        .keys = "pids",
        .fields =
                {
                        {"status", 2, 2},
                        {"cgroup_status", 6, 2},
                        {"orchestrator", 4, 2},
                        {"pid", 8, 4},
                        {"ppid", 12, 4},
                        {"uid", 16, 4},
                        {"starttime", 24, 8},
                },
        .strings = {"comm", "cgroup_path", "cgroup_name"},
};

static const struct lookup lookup_ip_to_asn = {
        .get_class = nipc_ip_to_asn_get_class,
        .keys = "ips",
        .fields =
                {
                        {"status", 2, 2},
                        {"flags", 4, 2},
                        {"asn", 8, 4},
                        {"range_first", 16, ADDRESS_SIZE},
                        {"range_last", 32, ADDRESS_SIZE},
                },
        .strings = {"ip", "as_name", "country"},
        .address_flags_offset = 4,
};

static const struct lookup lookup_pid_traffic = {
        .get_class = nipc_pid_traffic_get_class,
        .keys = "pids",
        .fields =
                {
                        {"status", 2, 2},
                        {"flags", 4, 2},
                        {"pid", 8, 4},
                        {"starttime", 16, 8},
                },
        .groups = {{"tcp", 24}, {"udp", 64}},
        .group_fields =
                {
                        {"rx_bytes", 0, 8},
                        {"tx_bytes", 8, 8},
                        {"rx_packets", 16, 8},
                        {"tx_packets", 24, 8},
                        {"n_sockets", 32, 4},
                        {"counted", 36, 4},
                },
};

static size_t lookup_evidence(const uint8_t *bytes, size_t size,
                              const struct codec_options *options)
{
        return size >= sizeof(uint16_t) && nipc_load_u16(bytes) == 1;
}

/* ---- requests ----------------------------------------------------------------------------- */

static int request_decode(const struct lookup *lookup, const uint8_t *bytes, size_t size,
                          JsonObject *json, struct codec_fault *ret_fault)
{
        g_autoptr(JsonArray) keys = json_array_new();
        struct nipc_lookup_request_view view;
        struct nipc_fault fault;
        const void *key;
        size_t key_size;
        uint32_t i;

        if (nipc_lookup_request_view_init(&view, lookup->get_class(), bytes, size, &fault))
                return codec_refuse_fault(ret_fault, &fault);
        for (i = 0; i < view.item_count; i++) {
                key = nipc_lookup_request_view_get(&view, i, &key_size);
                if (view.class_->key_size)
                        json_array_add_int_element(keys, nipc_load_u32(key));
                else
                        json_array_add_element(keys, codec_bytes_node(key, key_size));
        }
        json_object_set_array_member(json, lookup->keys, g_steal_pointer(&keys));
        return 0;
}

/* One key of JSON, owned; NULL if it cannot be one. */
static void *key_read(const struct nipc_lookup_class *class_, JsonNode *node, size_t *ret_size)
{
        uint64_t number;
        uint8_t *key;

        if (!class_->key_size)
                return codec_node_bytes(node, ret_size);
        if (!codec_node_uint(node, UINT32_MAX, &number))
                return NULL;
        *ret_size = class_->key_size;
        key = g_malloc0(MAX(class_->key_size, KEY_NUMBER_SIZE));
        nipc_store_u32(key, (uint32_t)number);
        return key;
}

static void request_write(const struct nipc_lookup_class *class_, struct nipc_lookup_key *keys,
                          uint32_t n, struct codec_reader *reader, const char *name,
                          GByteArray *out)
{
        const struct nipc_lookup_keys list = nipc_lookup_keys_of(keys, n);
        uint64_t size = nipc_lookup_request_size(class_, &list, 0, n);
        size_t written = 0;

        if (size > UINT32_MAX / 2) {
                codec_reader_fail(reader, name, "are too many bytes");
                return;
        }
        g_byte_array_set_size(out, (guint)size);
        if (nipc_lookup_request_encode(class_, &list, 0, n, out->data, out->len, &written))
                codec_reader_fail(reader, name, "must not be empty or have a NUL inside");
        g_byte_array_set_size(out, (guint)written);
}

static void request_encode(const struct lookup *lookup, struct codec_reader *reader,
                           GByteArray *out)
{
        JsonArray *array = codec_read_array(reader, lookup->keys);
        uint32_t i, n = array ? json_array_get_length(array) : 0;
        struct nipc_lookup_key *keys = g_new0(struct nipc_lookup_key, n);
        bool is_number = lookup->get_class()->key_size;

        for (i = 0; i < n && reader->object; i++) {
                keys[i].data = key_read(lookup->get_class(), json_array_get_element(array, i),
                                        &keys[i].size);
                if (!keys[i].data)
                        codec_reader_fail(reader, lookup->keys,
                                          is_number ? "must be whole numbers from 0 to 4294967295"
                                                    : "must be strings or {\"hex\": ...}");
        }
        if (reader->object)
                request_write(lookup->get_class(), keys, n, reader, lookup->keys, out);
        for (i = 0; i < n; i++)
                g_free((gpointer)(uintptr_t)keys[i].data);
        g_free(keys);
}

/* ---- responses, decoded ------------------------------------------------------------------- */

static uint64_t field_load(const uint8_t *p, uint16_t size)
{
        return size == 2 ? nipc_load_u16(p) : size == 4 ? nipc_load_u32(p) : nipc_load_u64(p);
}

static void field_store(uint8_t *p, uint16_t size, uint64_t value)
{
        if (size == 2)
                nipc_store_u16(p, (uint16_t)value);
        else if (size == 4)
                nipc_store_u32(p, (uint32_t)value);
        else
                nipc_store_u64(p, value);
}

static const uint8_t mapped_prefix[ADDRESS_SIZE - 4] = {[10] = 0xff, [11] = 0xff};

/* 16 bytes in network order; those of IPv4 behind mapped_prefix. */
static void set_address(JsonObject *json, const char *name, const uint8_t *p)
{
        const bool is_v4 = memcmp(p, mapped_prefix, sizeof(mapped_prefix)) == 0;
        char text[INET6_ADDRSTRLEN];

        inet_ntop(is_v4 ? AF_INET : AF_INET6, is_v4 ? p + sizeof(mapped_prefix) : p, text,
                  sizeof(text));
        json_object_set_string_member(json, name, text);
}

static bool parse_address(const char *text, uint8_t *p)
{
        if (inet_pton(AF_INET6, text, p) == 1)
                return true;
        memcpy(p, mapped_prefix, sizeof(mapped_prefix));
        return inet_pton(AF_INET, text, p + sizeof(mapped_prefix)) == 1;
}

/* Whether an item has what a field says. */
static bool has_field(const struct lookup *lookup, const struct field *field, const uint8_t *header)
{
        return field->size != ADDRESS_SIZE ||
               (nipc_load_u16(header + lookup->address_flags_offset) & 1);
}

/* p: where offsets of the fields count from. */
static void set_fields(const struct lookup *lookup, JsonObject *json, const struct field *fields,
                       const uint8_t *header, const uint8_t *p)
{
        const struct field *field;

        for (field = fields; field < fields + FIELDS_MAX && field->name; field++)
                if (!has_field(lookup, field, header))
                        json_object_set_string_member(json, field->name, "");
                else if (field->size == ADDRESS_SIZE)
                        set_address(json, field->name, p + field->offset);
                else
                        codec_set_uint(json, field->name,
                                       field_load(p + field->offset, field->size));
}

static JsonArray *labels_array(const struct nipc_lookup_class *class_, struct nipc_lookup_item item)
{
        uint32_t i, n = nipc_lookup_item_get_label_count(class_, item);
        JsonArray *labels = json_array_new();

        for (i = 0; i < n; i++) {
                struct nipc_label label = nipc_lookup_item_get_label(class_, item, i);
                JsonArray *pair = json_array_new();

                json_array_add_element(pair, codec_bytes_node(label.key, label.key_len));
                json_array_add_element(pair, codec_bytes_node(label.value, label.value_len));
                json_array_add_array_element(labels, pair);
        }
        return labels;
}

static JsonObject *item_object(const struct lookup *lookup, struct nipc_lookup_item item)
{
        const struct nipc_lookup_class *class_ = lookup->get_class();
        JsonObject *json = json_object_new();
        uint32_t i;

        set_fields(lookup, json, lookup->fields, item.bytes, item.bytes);
        for (i = 0; i < GROUPS_MAX && lookup->groups[i].name; i++) {
                JsonObject *group = json_object_new();

                set_fields(lookup, group, lookup->group_fields, item.bytes,
                           item.bytes + lookup->groups[i].offset);
                json_object_set_object_member(json, lookup->groups[i].name, group);
        }
        for (i = 0; i < class_->n_strings; i++) {
                struct nipc_lookup_string string = nipc_lookup_item_get_string(class_, item, i);

                codec_set_bytes(json, lookup->strings[i], string.str, string.len);
        }
        if (class_->labels_offset)
                json_object_set_array_member(json, "labels", labels_array(class_, item));
        return json;
}

static int response_decode(const struct lookup *lookup, const uint8_t *bytes, size_t size,
                           JsonObject *json, struct codec_fault *ret_fault)
{
        struct nipc_lookup_view view;
        struct nipc_fault fault;
        JsonArray *items;
        uint32_t i;

        if (nipc_lookup_view_init(&view, lookup->get_class(), bytes, size, &fault))
                return codec_refuse_fault(ret_fault, &fault);
        items = json_array_new();
        for (i = 0; i < view.item_count; i++)
                json_array_add_object_element(items,
                                              item_object(lookup, nipc_lookup_view_get(&view, i)));
        codec_set_uint(json, "generation", view.generation);
        json_object_set_array_member(json, "items", items);
        return 0;
}

/* ---- responses, encoded ------------------------------------------------------------------- */

/* An item read from JSON; texts are owned by the list in items. */
struct item {
        uint8_t header[NIPC_LOOKUP_MAX_HEADER_SIZE];
        struct nipc_lookup_string strings[NIPC_LOOKUP_MAX_STRINGS];
        struct nipc_label *labels;
        uint32_t n_labels;
};

struct items {
        const struct lookup *lookup;
        GArray *items;
        GPtrArray *owned;
        uint64_t size; /* of the response */
};

static const char *own(struct items *items, void *p)
{
        g_ptr_array_add(items->owned, p);
        return p;
}

/* [key, value] */
static bool label_read(struct items *items, JsonNode *node, struct nipc_label *ret_label)
{
        JsonArray *pair = JSON_NODE_HOLDS_ARRAY(node) ? json_node_get_array(node) : NULL;

        if (!pair || json_array_get_length(pair) != 2)
                return false;
        ret_label->key =
                own(items, codec_node_bytes(json_array_get_element(pair, 0), &ret_label->key_len));
        ret_label->value = own(items, codec_node_bytes(json_array_get_element(pair, 1),
                                                       &ret_label->value_len));
        return ret_label->key && ret_label->value;
}

static void labels_read(struct items *items, struct item *item, struct codec_reader *reader)
{
        JsonArray *array = codec_read_array(reader, "labels");
        uint32_t i, n = array ? json_array_get_length(array) : 0;

        if (n > UINT16_MAX) {
                codec_reader_fail(reader, "labels", "are more than 65535");
                return;
        }
        item->labels = g_new0(struct nipc_label, n);
        item->n_labels = n;
        own(items, item->labels);
        for (i = 0; i < n; i++)
                if (!label_read(items, json_array_get_element(array, i), &item->labels[i]))
                        codec_reader_fail(reader, "labels", "must be pairs of strings");
}

static void address_read(uint8_t *p, struct codec_reader *reader, const char *name)
{
        size_t size;
        g_autofree char *text = codec_read_bytes(reader, name, &size);

        if (size && (strlen(text) != size || !parse_address(text, p)))
                codec_reader_fail(reader, name, "must be an address or empty");
}

/* What is not given stays as it is. p: where offsets of the fields count from. */
static void fields_read(const struct lookup *lookup, const struct field *fields, uint8_t *p,
                        struct codec_reader *reader)
{
        const struct nipc_lookup_class *class_ = lookup->get_class();
        const struct field *field;

        for (field = fields; field < fields + FIELDS_MAX && field->name; field++) {
                const bool is_key = class_->key_size && fields == lookup->fields &&
                                    field->offset == class_->key_offset;
                const uint64_t max = UINT64_MAX >> (64 - 8 * MIN(field->size, 8));
                uint64_t value;

                if (field->size == ADDRESS_SIZE) {
                        if (codec_reader_has(reader, field->name))
                                address_read(p + field->offset, reader, field->name);
                        continue;
                }
                value = is_key ? codec_read_required_uint(reader, field->name, max)
                               : codec_read_uint(reader, field->name, max,
                                                 field_load(p + field->offset, field->size));
                field_store(p + field->offset, field->size, value);
        }
}

/* What is not given is as in an item that has nothing to say. */
static void header_read(const struct lookup *lookup, struct item *item, struct codec_reader *reader)
{
        const struct nipc_lookup_class *class_ = lookup->get_class();
        struct codec_reader group;
        uint32_t i;

        if (class_->neutral_header)
                memcpy(item->header, class_->neutral_header, class_->item_header_size);
        fields_read(lookup, lookup->fields, item->header, reader);
        for (i = 0; i < GROUPS_MAX && lookup->groups[i].name; i++) {
                if (!codec_reader_has(reader, lookup->groups[i].name))
                        continue;
                codec_read_object(reader, lookup->groups[i].name, &group);
                fields_read(lookup, lookup->group_fields, item->header + lookup->groups[i].offset,
                            &group);
                if (!codec_reader_deinit(&group))
                        reader->object = NULL;
        }
}

static void strings_read(struct items *items, struct item *item, struct codec_reader *reader)
{
        const struct nipc_lookup_class *class_ = items->lookup->get_class();
        uint32_t i;

        for (i = 0; i < class_->n_strings; i++) {
                const char *name = items->lookup->strings[i];
                struct nipc_lookup_string *string = &item->strings[i];

                if (codec_reader_has(reader, name) || (!class_->key_size && i == 0))
                        string->str = own(items, codec_read_bytes(reader, name, &string->len));
        }
}

/* Names the rule that an item breaks, of those that the method has for its header. */
static void item_judge(const struct nipc_lookup_class *class_, struct item *item,
                       struct codec_reader *reader)
{
        struct nipc_fault fault;
        uint32_t i;

        for (i = 0; i < class_->n_strings; i++)
                nipc_store_u32(item->header + class_->strings_offset + i * 8 + 4,
                               (uint32_t)item->strings[i].len);
        if (class_->labels_offset)
                nipc_store_u16(item->header + class_->labels_offset, (uint16_t)item->n_labels);
        if (class_->check_item && class_->check_item(item->header, &fault)) {
                g_autofree char *what = g_strdup_printf("cannot be: %s", fault.rule);

                codec_reader_fail(reader, "item", what);
        }
}

static bool item_read(struct items *items, JsonNode *node, uint32_t index, GError **error)
{
        const struct nipc_lookup_class *class_ = items->lookup->get_class();
        struct codec_reader reader;
        struct item item = {0};

        codec_reader_init(&reader, node, g_strdup_printf("items[%u].", index), error);
        header_read(items->lookup, &item, &reader);
        strings_read(items, &item, &reader);
        if (class_->labels_offset && codec_reader_has(&reader, "labels"))
                labels_read(items, &item, &reader);
        if (reader.object)
                item_judge(class_, &item, &reader);
        if (reader.object)
                items->size =
                        nipc_align8(items->size) +
                        nipc_lookup_item_size(class_, item.strings, item.labels, item.n_labels);
        g_array_append_val(items->items, item);
        return codec_reader_deinit(&reader);
}

static void response_build(const struct items *items, uint64_t generation,
                           struct codec_reader *reader, GByteArray *out)
{
        struct nipc_lookup_builder builder;
        size_t size = 0;
        guint i;
        int r;

        if (items->size > UINT32_MAX / 2) {
                codec_reader_fail(reader, "items", "are too many bytes");
                return;
        }
        g_byte_array_set_size(out, (guint)items->size);
        nipc_lookup_builder_init_unasked(&builder, items->lookup->get_class(), out->data, out->len,
                                         items->items->len);
        for (i = 0; i < items->items->len; i++) {
                const struct item *item = &g_array_index(items->items, struct item, i);

                r = nipc_lookup_builder_add(&builder, item->header, item->strings, item->labels,
                                            item->n_labels);
                if (r && reader->object) {
                        g_autofree char *name = g_strdup_printf("items[%u]", i);

                        codec_reader_fail(reader, name,
                                          "has a NUL inside a string or a label without a key");
                }
        }
        nipc_lookup_builder_set_generation(&builder, generation);
        nipc_lookup_builder_finish(&builder, &size);
        g_byte_array_set_size(out, (guint)size);
}

static void response_encode(const struct lookup *lookup, struct codec_reader *reader,
                            GByteArray *out)
{
        const uint64_t generation = codec_read_uint(reader, "generation", UINT64_MAX, 0);
        g_autoptr(GArray) array = g_array_new(FALSE, FALSE, sizeof(struct item));
        g_autoptr(GPtrArray) owned = g_ptr_array_new_with_free_func(g_free);
        JsonArray *json = codec_read_array(reader, "items");
        uint32_t i, n = json ? json_array_get_length(json) : 0;
        struct items items = {
                .lookup = lookup,
                .items = array,
                .owned = owned,
                .size = NIPC_LOOKUP_HEADER_SIZE + (uint64_t)n * NIPC_LOOKUP_ENTRY_SIZE,
        };

        for (i = 0; i < n && reader->object; i++)
                if (!item_read(&items, json_array_get_element(json, i), i, reader->error))
                        reader->object = NULL;
        if (reader->object)
                response_build(&items, generation, reader, out);
}

/* ---- the types ---------------------------------------------------------------------------- */

#define LOOKUP_TYPES(method, lookup)                                                               \
        static int method##_request_decode(const uint8_t *bytes, size_t size,                      \
                                           const struct codec_options *options, JsonObject *json,  \
                                           struct codec_fault *ret_fault)                          \
        {                                                                                          \
                return request_decode(lookup, bytes, size, json, ret_fault);                       \
        }                                                                                          \
        static void method##_request_encode(struct codec_reader *reader, GByteArray *out)          \
        {                                                                                          \
                request_encode(lookup, reader, out);                                               \
        }                                                                                          \
        static int method##_response_decode(const uint8_t *bytes, size_t size,                     \
                                            const struct codec_options *options, JsonObject *json, \
                                            struct codec_fault *ret_fault)                         \
        {                                                                                          \
                return response_decode(lookup, bytes, size, json, ret_fault);                      \
        }                                                                                          \
        static void method##_response_encode(struct codec_reader *reader, GByteArray *out)         \
        {                                                                                          \
                response_encode(lookup, reader, out);                                              \
        }                                                                                          \
        const struct codec_type codec_type_##method##_request = {                                  \
                .name = #method "_request",                                                        \
                .evidence = lookup_evidence,                                                       \
                .decode = method##_request_decode,                                                 \
                .encode = method##_request_encode,                                                 \
        };                                                                                         \
        const struct codec_type codec_type_##method##_response = {                                 \
                .name = #method "_response",                                                       \
                .evidence = lookup_evidence,                                                       \
                .decode = method##_response_decode,                                                \
                .encode = method##_response_encode,                                                \
        }

LOOKUP_TYPES(cgroups_lookup, &lookup_cgroups);
LOOKUP_TYPES(apps_lookup, &lookup_apps);
LOOKUP_TYPES(ip_to_asn, &lookup_ip_to_asn);
LOOKUP_TYPES(pid_traffic, &lookup_pid_traffic);
