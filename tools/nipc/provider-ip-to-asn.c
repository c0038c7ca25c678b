/* SPDX-License-Identifier: MIT */
/*
 * ip-to-asn from a table of address ranges or a JSON file. A request is answered from one table,
 * the one that was there when it came; the generation of an answer counts the tables.
 */
#include "asn-source.h"
#include "provider-lookup.h"

#include <nipc/ip-to-asn.h>
#include <string.h>

static void store_address(uint8_t *to, const struct asn_address *address)
{
        const guint64 high = GUINT64_TO_BE(address->high);
        const guint64 low = GUINT64_TO_BE(address->low);

        memcpy(to, &high, sizeof(high));
        memcpy(to + sizeof(high), &low, sizeof(low));
}

static void set_range(struct nipc_ip_to_asn_item *item, const struct asn_answer *answer)
{
        item->flags = NIPC_IP_TO_ASN_RANGE;
        store_address(item->range_first, &answer->first);
        store_address(item->range_last, &answer->last);
}

/* What is in the column is a code of two letters, or it says in some way that there is none. */
static struct nipc_lookup_string country(const struct asn_answer *answer)
{
        if (answer->country_len != NIPC_IP_TO_ASN_COUNTRY_SIZE)
                return (struct nipc_lookup_string){0};
        return (struct nipc_lookup_string){answer->country, answer->country_len};
}

static int answer_one(const struct asn_table *table, struct nipc_lookup_builder *builder,
                      const char *ip, size_t ip_len)
{
        struct nipc_ip_to_asn_item item = {.ip = {ip, ip_len}};
        struct asn_answer answer;

        switch (asn_table_lookup_text(table, ip, ip_len, &answer)) {
        case ASN_FOUND:
                item.status = NIPC_IP_TO_ASN_KNOWN;
                item.asn = answer.asn;
                item.as_name = (struct nipc_lookup_string){answer.name, answer.name_len};
                item.country = country(&answer);
                set_range(&item, &answer);
                break;
        case ASN_NOT_ROUTED:
                item.status = NIPC_IP_TO_ASN_UNKNOWN_PERMANENT;
                set_range(&item, &answer);
                break;
        case ASN_NOT_FOUND:
                item.status = NIPC_IP_TO_ASN_UNKNOWN_PERMANENT;
                break;
        case ASN_NOT_AN_ADDRESS:
                item.status = NIPC_IP_TO_ASN_NOT_AN_ADDRESS;
                break;
        }
        return nipc_ip_to_asn_builder_add(builder, &item);
}

static int answer(void *data, const struct nipc_lookup_request_view *request,
                  struct nipc_lookup_builder *builder)
{
        struct asn_source *source = data;
        struct asn_table *table;
        uint64_t generation;
        int r = 0;

        table = asn_source_acquire(source, &generation);
        nipc_lookup_builder_set_generation(builder, generation);
        for (uint32_t i = 0; !r && i < request->item_count; i++) {
                size_t len;
                const char *ip = nipc_lookup_request_view_get(request, i, &len);

                r = answer_one(table, builder, ip, len);
        }
        asn_table_unref(table);
        return r;
}

static void *live_open(const char *source, GError **error)
{
        return asn_source_new(source, error);
}

static gboolean live_reload(void *data, GError **error)
{
        return asn_source_reload(data, error);
}

static void live_close(void *data)
{
        asn_source_free(data);
}

static gboolean ip_to_asn_open(const struct provider_options *options,
                               struct nipc_server_config *config, void **ret_data, GError **error)
{
        static const struct lookup_service service = {
                .get_class = nipc_ip_to_asn_get_class,
                .response_type = "ip_to_asn_response",
                .unknown = NIPC_IP_TO_ASN_UNKNOWN_PERMANENT,
                .open = live_open,
                .answer = answer,
                .reload = live_reload,
                .close = live_close,
        };

        if (!options->source) {
                g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                            "ip-to-asn needs a table of address ranges: --source FILE");
                return FALSE;
        }
        return lookup_provider_open(&service, options, config, ret_data, error);
}

const struct provider provider_ip_to_asn = {
        .name = "ip-to-asn",
        .takes_source = true,
        .open = ip_to_asn_open,
        .new_server = lookup_provider_new_server,
        .reload = lookup_provider_reload,
        .close = lookup_provider_close,
};
