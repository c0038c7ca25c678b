/* SPDX-License-Identifier: MIT */
/* See asn-strings.h. */
#include "asn-strings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 64u

int asn_array_reserve(void **array, size_t n, size_t *capacity, size_t item_bytes)
{
        size_t wanted = *capacity ? *capacity : FIRST_CAPACITY;
        void *grown;

        if (n < *capacity)
                return 0;
        while (wanted <= n)
                wanted *= 2;
        grown = realloc(*array, wanted * item_bytes);
        if (!grown)
                return -ENOMEM;
        *array = grown;
        *capacity = wanted;
        return 0;
}

void asn_strings_init(struct asn_strings *strings)
{
        *strings = (struct asn_strings){0};
}

void asn_strings_deinit(struct asn_strings *strings)
{
        free(strings->infos);
        free(strings->strings);
        free(strings->slots);
        asn_strings_init(strings);
}

static uint64_t hash_bytes(uint64_t hash, const char *bytes, size_t size)
{
        uint64_t word;

        for (; size >= sizeof(word); bytes += sizeof(word), size -= sizeof(word)) {
                memcpy(&word, bytes, sizeof(word));
                hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
                hash ^= hash >> 29;
        }
        word = 0;
        memcpy(&word, bytes, size);
        hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        return hash ^ hash >> 29;
}

static uint64_t hash_info(const struct asn_info *info, const char *country, const char *name)
{
        uint64_t hash = hash_bytes(info->asn, country, info->country_len);

        hash = hash_bytes(hash ^ info->name_len, name, info->name_len);
        return hash ^ hash >> 32;
}

static bool is_same(const struct asn_strings *strings, const struct asn_info *a,
                    const struct asn_info *b, const char *country, const char *name)
{
        const char *at = &strings->strings[a->at];

        return a->asn == b->asn && a->country_len == b->country_len && a->name_len == b->name_len &&
               memcmp(at, country, a->country_len) == 0 &&
               memcmp(at + a->country_len + 1, name, a->name_len) == 0;
}

/* Twice the slots, at least; at most half of them are ever in use. */
static int grow_slots(struct asn_strings *strings)
{
        const size_t n_slots = strings->n_slots ? strings->n_slots * 2 : 4 * FIRST_CAPACITY;
        uint32_t *slots = calloc(n_slots, sizeof(*slots));

        if (!slots)
                return -ENOMEM;
        for (size_t i = 0; i < strings->n_infos; i++) {
                const struct asn_info *info = &strings->infos[i];
                const char *country = &strings->strings[info->at];
                size_t slot = hash_info(info, country, country + info->country_len + 1);

                for (slot &= n_slots - 1; slots[slot]; slot = (slot + 1) & (n_slots - 1))
                        ;
                slots[slot] = (uint32_t)i + 1;
        }
        free(strings->slots);
        strings->slots = slots;
        strings->n_slots = n_slots;
        return 0;
}

static int add_info(struct asn_strings *strings, struct asn_info info, const char *country,
                    const char *name)
{
        const size_t size = (size_t)info.country_len + info.name_len + 2;
        char *at;
        int r;

        if (strings->string_bytes + size > ASN_TABLE_MAX_STRING_BYTES)
                return -EOVERFLOW;
        r = asn_array_reserve((void **)&strings->infos, strings->n_infos, &strings->infos_capacity,
                              sizeof(*strings->infos));
        if (!r)
                r = asn_array_reserve((void **)&strings->strings, strings->string_bytes + size,
                                      &strings->strings_capacity, 1);
        if (r)
                return r;
        info.at = (uint32_t)strings->string_bytes;
        at = &strings->strings[info.at];
        memcpy(at, country, info.country_len);
        at[info.country_len] = '\0';
        memcpy(at + info.country_len + 1, name, info.name_len);
        at[size - 1] = '\0';
        strings->string_bytes += size;
        strings->infos[strings->n_infos++] = info;
        return 0;
}

int asn_strings_intern(struct asn_strings *strings, struct asn_info info, const char *country,
                       const char *name, uint32_t *ret_index)
{
        size_t slot;
        int r = 0;

        if (strings->n_infos * 2 >= strings->n_slots)
                r = grow_slots(strings);
        if (r)
                return r;
        slot = hash_info(&info, country, name) & (strings->n_slots - 1);
        for (; strings->slots[slot]; slot = (slot + 1) & (strings->n_slots - 1)) {
                const uint32_t index = strings->slots[slot] - 1;

                if (is_same(strings, &strings->infos[index], &info, country, name)) {
                        *ret_index = index;
                        return 0;
                }
        }
        r = add_info(strings, info, country, name);
        if (r)
                return r;
        strings->slots[slot] = (uint32_t)strings->n_infos;
        *ret_index = (uint32_t)strings->n_infos - 1;
        return 0;
}

void asn_strings_take(struct asn_strings *strings, struct asn_table *table)
{
        table->infos = strings->infos;
        table->n_infos = strings->n_infos;
        table->strings = strings->strings;
        table->string_bytes = strings->string_bytes;
        strings->infos = NULL;
        strings->strings = NULL;
}
