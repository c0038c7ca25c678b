/* SPDX-License-Identifier: MIT */

/* Method 0x8001, both directions; see fuzz-lookup.h. */

#include <nipc/ip-to-asn.h>

#include "fuzz-lookup.h"

static int add(struct nipc_lookup_builder *builder, struct nipc_lookup_item raw)
{
        struct nipc_ip_to_asn_item item;
        struct nipc_label *labels;
        uint32_t i;
        int r;

        nipc_ip_to_asn_item_load(raw, &item);
        labels = fuzz_alloc(item.n_labels * sizeof(*labels));
        for (i = 0; i < item.n_labels; i++)
                labels[i] = nipc_lookup_item_get_label(nipc_ip_to_asn_get_class(), raw, i);
        item.labels = labels;
        r = nipc_ip_to_asn_builder_add(builder, &item);
        free(labels);
        return r;
}

static void check(struct nipc_lookup_item raw)
{
        struct nipc_ip_to_asn_item item;

        nipc_ip_to_asn_item_load(raw, &item);
        fuzz_check_text(raw, item.ip.str, item.ip.len);
        fuzz_check_text(raw, item.as_name.str, item.as_name.len);
        fuzz_check_text(raw, item.country.str, item.country.len);
        fuzz_assert(item.ip.len && (item.country.len == 0 || item.country.len == 2));
        fuzz_assert(item.status != NIPC_IP_TO_ASN_KNOWN || item.asn);
        fuzz_assert(item.status == NIPC_IP_TO_ASN_KNOWN || (!item.asn && !item.n_labels));
        fuzz_assert(nipc_ip_to_asn_item_contains(&item, item.range_first) ==
                    (item.flags == NIPC_IP_TO_ASN_RANGE));
        fuzz_assert(nipc_ip_to_asn_item_contains(&item, item.range_last) ==
                    (item.flags == NIPC_IP_TO_ASN_RANGE));
}

#define check_same(a, b) fuzz_assert((a).len == (b).len && !memcmp((a).str, (b).str, (a).len))

static void check_equal(struct nipc_lookup_item raw_a, struct nipc_lookup_item raw_b)
{
        struct nipc_ip_to_asn_item a, b;

        nipc_ip_to_asn_item_load(raw_a, &a);
        nipc_ip_to_asn_item_load(raw_b, &b);
        fuzz_assert(a.status == b.status && a.flags == b.flags && a.asn == b.asn);
        fuzz_assert(!memcmp(a.range_first, b.range_first, sizeof(a.range_first)));
        fuzz_assert(!memcmp(a.range_last, b.range_last, sizeof(a.range_last)));
        check_same(a.ip, b.ip);
        check_same(a.as_name, b.as_name);
        check_same(a.country, b.country);
        fuzz_assert(a.n_labels == b.n_labels);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const struct fuzz_lookup subject = {
                .class_ = nipc_ip_to_asn_get_class(),
                .add = add,
                .check = check,
                .check_equal = check_equal,
        };

        return fuzz_check_lookup(&subject, data, size);
}
