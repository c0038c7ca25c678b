/* SPDX-License-Identifier: MIT */

/* The index of a cache of lookups: groups that overflow and empty again, and keys that were chosen
 * so that they meet. */

#include <errno.h>
#include <lookup-table.h>
#include <nipc/entropy.h>

#include "util-fake-lookup.h"

/* Link with --wrap=nipc_entropy_get. */
int __real_nipc_entropy_get(void *buf, size_t size);
int __wrap_nipc_entropy_get(void *buf, size_t size);

static bool no_entropy;

int __wrap_nipc_entropy_get(void *buf, size_t size)
{
        return no_entropy ? -ENOSYS : __real_nipc_entropy_get(buf, size);
}

static struct nipc_lookup_class words_class(void)
{
        struct nipc_lookup_class class_ = *nipc_apps_lookup_get_class();

        class_.check_key = NULL;
        return class_;
}

static uint32_t add_word(struct nipc__lookup_table *table, uint64_t word)
{
        struct nipc__lookup_probe probe;
        uint32_t index;

        nipc__lookup_probe_init(table, &word, sizeof(word), &probe);
        index = nipc__lookup_table_add(table, &probe);
        nipc__lookup_table_settle(table);
        return index;
}

static uint32_t find_word(const struct nipc__lookup_table *table, uint64_t word)
{
        struct nipc__lookup_probe probe;

        nipc__lookup_probe_init(table, &word, sizeof(word), &probe);
        return nipc__lookup_table_find(table, &probe);
}

static uint64_t n_spilled(const struct nipc__lookup_table *table)
{
        uint64_t n = 0;
        uint32_t g;

        for (g = 0; g <= table->group_mask; g++)
                n += table->groups[g].spilled;
        return n;
}

/* Keys that begin in one group of this table; numbers from *next on are tried. */
static uint64_t next_in_group(const struct nipc__lookup_table *table, uint32_t g, uint64_t *next)
{
        while (nipc__lookup_first_group(table, nipc__hash_word(table->seed, *next)) != g)
                ++*next;
        return (*next)++;
}

/* Two groups' worth in one: found, removed in any order, and nothing is left of it. */
static void test_overflow(void)
{
        const struct nipc_lookup_class class_ = words_class();
        struct nipc__lookup_table table;
        uint64_t words[40], next = 1;
        uint32_t index[40];
        unsigned i, k;

        tap_require(nipc__lookup_table_init(&table, &class_, 256) == 0);
        for (i = 0; i < 40; i++) {
                words[i] = next_in_group(&table, table.group_mask, &next);
                index[i] = add_word(&table, words[i]);
        }
        tap_eq_uint(n_spilled(&table), 28 + 16 + 4);
        for (i = 0; i < 40; i++)
                tap_eq_uint(find_word(&table, words[i]), index[i]);
        for (i = 0; i < 40; i++) {
                nipc__lookup_table_remove(&table, index[(i * 7) % 40]);
                for (k = 0; k <= i; k++)
                        tap_eq_uint(find_word(&table, words[(k * 7) % 40]), NIPC__LOOKUP_NONE);
                for (; k < 40; k++)
                        tap_eq_uint(find_word(&table, words[(k * 7) % 40]), index[(k * 7) % 40]);
        }
        tap_eq_uint(n_spilled(&table), 0);
        nipc__lookup_table_deinit(&table);
        tap_eq_uint(alloc.n_blocks, 0);
}

/* Whoever knows the seed can make keys meet, until it is another seed. */
static void test_crowd(void)
{
        const struct nipc_lookup_class class_ = words_class();
        struct nipc__hash_seed seed;
        struct nipc__lookup_table table;
        uint64_t words[200], next = 1;
        unsigned i;

        tap_require(nipc__lookup_table_init(&table, &class_, 1024) == 0);
        seed = table.seed;
        for (i = 0; i < 200; i++)
                words[i] = next_in_group(&table, 7, &next);
        for (i = 0; i < 200; i++)
                add_word(&table, words[i]);
        tap_check(memcmp(&seed, &table.seed, sizeof(seed)) != 0);
        tap_check(n_spilled(&table) < 200);
        for (i = 0; i < 200; i++)
                tap_eq_uint(table.entries[find_word(&table, words[i])].word, words[i]);
        nipc__lookup_table_deinit(&table);
}

/*
 * Keys that meet under the usual ways without a seed: multiples of a power of two, multiples of
 * the inverse of the golden ratio (their products are small numbers), bit-reversed numbers. Groups
 * have 12 slots for 4 keys on average, so an even spread spills a few. Now and then a product is
 * less even: one seed in twenty, and never most of them.
 */
static void test_chosen_words(void)
{
        const struct nipc_lookup_class class_ = words_class();
        struct nipc__lookup_table table;
        uint64_t inverse = 1;
        unsigned kind, i, n, n_even;

        for (n = 0; n < 6; n++)
                inverse *= 2 - UINT64_C(0x9e3779b97f4a7c15) * inverse;
        for (kind = 0; kind < 4; kind++) {
                for (n = n_even = 0; n < 16; n++) {
                        tap_require(nipc__lookup_table_init(&table, &class_, 8192) == 0);
                        for (i = 0; i < 8192; i++)
                                add_word(&table, kind == 0   ? (uint64_t)i << 40
                                                 : kind == 1 ? i * inverse
                                                 : kind == 2 ? (uint64_t)i << 51
                                                             : i);
                        n_even += n_spilled(&table) < 100;
                        nipc__lookup_table_deinit(&table);
                }
                tap_check(n_even >= 8);
        }
}

/* The clock of this test stands: seeds are the system's, or different for where memory lies. */
static void test_seeds(void)
{
        const struct nipc_lookup_class class_ = words_class();
        struct nipc__lookup_table tables[8];
        unsigned i, k, without;

        for (without = 0; without < 2; without++) {
                no_entropy = without;
                for (i = 0; i < 8; i++)
                        tap_require(nipc__lookup_table_init(&tables[i], &class_, 64) == 0);
                for (i = 0; i < 8; i++) {
                        tap_check(tables[i].seed.multiply & 1 && tables[i].seed.multiply > 1);
                        for (k = 0; k < i; k++)
                                tap_check(tables[i].seed.add != tables[k].seed.add);
                }
                for (i = 0; i < 8; i++)
                        nipc__lookup_table_deinit(&tables[i]);
        }
        no_entropy = false;
}

/* Strings that meet under sums and products of their bytes: permutations, and pairs of bytes that
 * cancel out in a multiplication by 33. */
static void test_chosen_strings(void)
{
        struct nipc__lookup_table table;
        struct nipc__lookup_probe probe;
        static char keys[8192][32];
        uint32_t index;
        unsigned i, b;

        tap_require(nipc__lookup_table_init(&table, nipc_cgroups_lookup_get_class(), 8192) == 0);
        for (i = 0; i < 8192; i++) {
                for (b = 0; b < 13; b++)
                        memcpy(keys[i] + b * 2, i >> b & 1 ? "Az" : "BY", 2);
                nipc__lookup_probe_init(&table, keys[i], 26, &probe);
                tap_eq_uint(nipc__lookup_table_find(&table, &probe), NIPC__LOOKUP_NONE);
                index = nipc__lookup_table_add(&table, &probe);
                table.entries[index].bytes = (uint8_t *)keys[i];
                table.entries[index].size = 26;
                nipc__lookup_table_settle(&table);
        }
        tap_check(n_spilled(&table) < 100);
        for (i = 0; i < 8192; i++) {
                nipc__lookup_probe_init(&table, keys[i], 26, &probe);
                index = nipc__lookup_table_find(&table, &probe);
                if (!tap_check(index != NIPC__LOOKUP_NONE) ||
                    !tap_eq_ptr(table.entries[index].bytes, keys[i]))
                        break;
        }
        nipc__lookup_table_deinit(&table);
}

/* Every bit of every length changes the hash, and no byte beyond the key is read. */
static void test_hash(void)
{
        const struct nipc__hash_seed seed = {UINT64_C(0x123456789abcdef0), 0x7654321};
        uint8_t *key;
        unsigned n, bit;

        for (n = 1; n < 70; n++) {
                uint64_t hash;

                key = malloc(n);
                tap_require(key != NULL);
                memset(key, 0x5a, n);
                hash = nipc__hash_bytes(seed, key, n);
                for (bit = 0; bit < n * 8; bit++) {
                        key[bit / 8] ^= (uint8_t)(1u << bit % 8);
                        tap_check(nipc__hash_bytes(seed, key, n) != hash);
                        key[bit / 8] ^= (uint8_t)(1u << bit % 8);
                }
                tap_check(n == 1 || nipc__hash_bytes(seed, key, n - 1) != hash);
                free(key);
        }
}

TAP_MAIN(TAP_CASE(test_overflow), TAP_CASE(test_crowd), TAP_CASE(test_chosen_words),
         TAP_CASE(test_seeds), TAP_CASE(test_chosen_strings), TAP_CASE(test_hash))
