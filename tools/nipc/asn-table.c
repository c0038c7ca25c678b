/* SPDX-License-Identifier: MIT */
/* Lookups, see asn-table.h. */
#include "asn-table-private.h"

#include <stdlib.h>

struct asn_table *asn_table_ref(struct asn_table *table)
{
        if (table)
                atomic_fetch_add_explicit(&table->n_refs, 1, memory_order_relaxed);
        return table;
}

struct asn_table *asn_table_unref(struct asn_table *table)
{
        /* Release and acquire: what every holder read happens before the last one frees. */
        if (!table || atomic_fetch_sub_explicit(&table->n_refs, 1, memory_order_acq_rel) != 1)
                return NULL;
        free(table->v4);
        free(table->v6);
        free(table->infos);
        free(table->strings);
        free(table->index_v4);
        asn_tree_deinit(&table->tree_v6);
        free(table);
        return NULL;
}

static enum asn_result answer(const struct asn_table *table, uint32_t info_index,
                              struct asn_address first, struct asn_address last,
                              struct asn_answer *ret_answer)
{
        const struct asn_info *info = &table->infos[info_index];
        const char *country = &table->strings[info->at];

        *ret_answer = (struct asn_answer){
                .asn = info->asn,
                .name = country + info->country_len + 1,
                .name_len = info->name_len,
                .country = country,
                .country_len = info->country_len,
                .first = first,
                .last = last,
        };
        return info->asn ? ASN_FOUND : ASN_NOT_ROUTED;
}

static enum asn_result lookup_v4(const struct asn_table *table, uint32_t v4,
                                 struct asn_answer *ret_answer)
{
        uint32_t low = table->index_v4[v4 >> 16], n = table->index_v4[(v4 >> 16) + 1] - low;
        const struct asn_range_v4 *range;

        /*
         * All before `low` begin at or before v4, none from low + n on does. With jumps: half of
         * them are guessed wrong, which costs more than arithmetic where all is in the caches, and
         * less where it is not, since a guess fetches what may come next.
         */
        while (n > 0) {
                const uint32_t half = n / 2;

                if (table->v4[low + half].first <= v4) {
                        low += half + 1;
                        n -= half + 1;
                } else
                        n = half;
        }
        if (low == 0)
                return ASN_NOT_FOUND;
        range = &table->v4[low - 1];
        if (v4 > range->last)
                return ASN_NOT_FOUND;
        return answer(table, range->info, asn_address_from_v4(range->first),
                      asn_address_from_v4(range->last), ret_answer);
}

/* How many of the first `n` ranges begin at or before `address`: all but some of the last ones. */
static size_t rank_low(const struct asn_range_v6 *ranges, size_t n,
                       const struct asn_address *address)
{
        size_t low = 0;

        while (low < n) {
                const size_t middle = low + (n - low) / 2;

                if (asn_address_compare(&ranges[middle].first, address) <= 0)
                        low = middle + 1;
                else
                        n = middle;
        }
        return low;
}

static enum asn_result lookup_v6(const struct asn_table *table, const struct asn_address *address,
                                 struct asn_answer *ret_answer)
{
        size_t rank = asn_tree_rank(&table->tree_v6, address->high);
        const struct asn_range_v6 *range;

        /* The tree knows the high halves only: hardly a range begins within a /64. */
        if (rank > 0 && asn_address_compare(&table->v6[rank - 1].first, address) > 0)
                rank = rank_low(table->v6, rank - 1, address);
        if (rank == 0)
                return ASN_NOT_FOUND;
        range = &table->v6[rank - 1];
        if (asn_address_compare(address, &range->last) > 0)
                return ASN_NOT_FOUND;
        return answer(table, range->info, range->first, range->last, ret_answer);
}

enum asn_result asn_table_lookup(const struct asn_table *table, const struct asn_address *address,
                                 struct asn_answer *ret_answer)
{
        if (asn_address_is_v4(address))
                return lookup_v4(table, (uint32_t)address->low, ret_answer);
        return lookup_v6(table, address, ret_answer);
}

enum asn_result asn_table_lookup_text(const struct asn_table *table, const char *text, size_t size,
                                      struct asn_answer *ret_answer)
{
        struct asn_address address;

        if (!asn_address_parse(text, size, &address))
                return ASN_NOT_AN_ADDRESS;
        return asn_table_lookup(table, &address, ret_answer);
}

size_t asn_table_get_n_ranges(const struct asn_table *table)
{
        return table->n_v4 + table->n_v6;
}

size_t asn_table_get_size_bytes(const struct asn_table *table)
{
        return sizeof(*table) + table->n_v4 * sizeof(*table->v4) +
               table->n_v6 * sizeof(*table->v6) + table->n_infos * sizeof(*table->infos) +
               table->string_bytes + ASN_INDEX_V4_SIZE * sizeof(*table->index_v4) +
               table->tree_v6.n_bytes;
}
