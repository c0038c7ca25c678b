/* SPDX-License-Identifier: MIT */

/* Age, generations, bounds. See lookup-answers.h. */

#include "lookup-answers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
        FIRST_CAPACITY = 64,
        /* Of entries that were ever used, how many are looked at for their age each time. */
        PURGE_SHARE = 16,
        PURGE_MIN = 64,
        MAX_AGE = 2, /* epochs; what was not asked for in as many goes first */
};

/* Bytes of the block of an entry, as they were asked for. */
static size_t block_size(const struct nipc__answers *answers,
                         const struct nipc__lookup_entry *entry)
{
        switch (entry->state) {
        case NIPC__LOOKUP_KEPT:
        case NIPC__LOOKUP_DEAD:
                return entry->size;
        case NIPC__LOOKUP_WANTED:
                return answers->table.kind == NIPC__LOOKUP_STRINGS ? entry->size : 0;
        default:
                return 0;
        }
}

static void free_block(struct nipc__answers *answers, struct nipc__lookup_entry *entry)
{
        const size_t size = block_size(answers, entry);

        if (size)
                free(entry->bytes);
        answers->n_bytes -= size;
        if (entry->state == NIPC__LOOKUP_WANTED)
                answers->n_key_bytes -= size;
        if (entry->state == NIPC__LOOKUP_KEPT || entry->state == NIPC__LOOKUP_DEAD)
                answers->n_items--;
        answers->n_dead -= entry->state == NIPC__LOOKUP_DEAD;
        answers->n_borrowed -= entry->state == NIPC__LOOKUP_BORROWED;
}

static void remove_entry(struct nipc__answers *answers, uint32_t index)
{
        free_block(answers, &answers->table.entries[index]);
        nipc__lookup_table_remove(&answers->table, index);
}

static void kill_entry(struct nipc__answers *answers, struct nipc__lookup_entry *entry)
{
        if (entry->state != NIPC__LOOKUP_KEPT)
                return;
        entry->state = NIPC__LOOKUP_DEAD;
        entry->fresh_until_ms = 0;
        answers->n_dead++;
}

int nipc__answers_init(struct nipc__answers *answers, const struct nipc_lookup_class *class_,
                       const struct nipc_lookup_cache_config *config, uint64_t n_bytes)
{
        int r;

        answers->class_ = class_;
        answers->config = *config;
        answers->max_entries = config->max_items + config->max_wanted;
        r = nipc__lookup_table_init(&answers->table, class_,
                                    NIPC__MIN(answers->max_entries, (uint32_t)FIRST_CAPACITY));
        if (r)
                return r;
        answers->n_bytes = n_bytes + answers->table.memory_size;
        return 0;
}

void nipc__answers_deinit(struct nipc__answers *answers)
{
        uint32_t i;

        for (i = 0; i < answers->table.n_high; i++)
                free_block(answers, &answers->table.entries[i]);
        nipc__lookup_table_deinit(&answers->table);
}

/* ---- what is wanted ----------------------------------------------------------------------- */

/* What would be refused when it is asked for must not be asked for together with others. */
static bool is_good_key(const struct nipc__answers *answers, const void *key, size_t size)
{
        if (answers->class_->key_size)
                return !answers->class_->check_key || answers->class_->check_key(key, NULL) == 0;
        return size < UINT32_MAX && !memchr(key, '\0', size);
}

static uint32_t next_capacity(const struct nipc__answers *answers)
{
        return (uint32_t)NIPC__MIN((uint64_t)answers->table.capacity * 2,
                                   (uint64_t)answers->max_entries);
}

/* Old and new are there together for a moment. What the new one takes of the keys' eighth, items
 * give back when the next answers come. */
static bool can_grow(const struct nipc__answers *answers)
{
        const uint32_t capacity = next_capacity(answers);

        return capacity > answers->table.capacity &&
               nipc__lookup_table_size(&answers->table, capacity) <=
                       answers->config.max_bytes - answers->n_bytes;
}

static int make_room(struct nipc__answers *answers)
{
        const size_t old = answers->table.memory_size;
        int r;

        if (nipc__lookup_table_has_room(&answers->table))
                return 0;
        if (!can_grow(answers))
                return -EMSGSIZE;
        r = nipc__lookup_table_grow(&answers->table, next_capacity(answers));
        if (r)
                return r;
        answers->n_bytes += answers->table.memory_size - old;
        return 0;
}

static int want_new(struct nipc__answers *answers, const struct nipc__lookup_probe *probe,
                    uint32_t *ret_index)
{
        const size_t size = answers->table.kind == NIPC__LOOKUP_STRINGS ? probe->size : 0;
        struct nipc__lookup_entry *entry;
        uint8_t *copy = NULL;
        int r;

        if (!is_good_key(answers, probe->key, probe->size))
                return -EINVAL;
        r = make_room(answers);
        if (r)
                return r;
        if (size) {
                if (size > answers->config.max_bytes - answers->n_bytes)
                        return -EMSGSIZE;
                copy = malloc(size);
                if (!copy)
                        return -ENOMEM;
                memcpy(copy, probe->key, size);
                answers->n_bytes += size;
                answers->n_key_bytes += size;
        }
        *ret_index = nipc__lookup_table_add(&answers->table, probe);
        entry = &answers->table.entries[*ret_index];
        entry->bytes = copy;
        entry->size = (uint32_t)size;
        nipc__lookup_table_settle(&answers->table);
        return 0;
}

/* index: NIPC__LOOKUP_NONE if there is no entry. Returns 0 or why it cannot be asked for. */
static int want(struct nipc__answers *answers, const struct nipc__lookup_probe *probe,
                uint32_t index)
{
        struct nipc__lookup_table *table = &answers->table;
        int r;

        if (index != NIPC__LOOKUP_NONE && table->entries[index].is_wanted)
                return 0;
        if (table->n_wanted >= answers->config.max_wanted)
                return is_good_key(answers, probe->key, probe->size) ? -EMSGSIZE : -EINVAL;
        if (index == NIPC__LOOKUP_NONE) {
                r = want_new(answers, probe, &index);
                if (r)
                        return r;
        } else if (table->entries[index].state == NIPC__LOOKUP_KEPT) {
                answers->n_expired++;
        }
        table->entries[index].seen = answers->epoch;
        table->entries[index].is_wanted = true;
        table->wanted[table->n_wanted++] = index;
        return 0;
}

/* ---- looking up --------------------------------------------------------------------------- */

/* The item of an entry, if it may be had, and whether it is to be asked for. */
static struct nipc_lookup_item entry_item(struct nipc__answers *answers,
                                          struct nipc__lookup_entry *entry, bool *ret_is_fresh)
{
        const struct nipc_lookup_item item = {.bytes = entry->bytes, .size = entry->size};

        *ret_is_fresh =
                entry->state == NIPC__LOOKUP_BORROWED ||
                (entry->state == NIPC__LOOKUP_KEPT && answers->now_ms < entry->fresh_until_ms);
        if (*ret_is_fresh)
                return item;
        if (entry->state != NIPC__LOOKUP_KEPT ||
            answers->now_ms - entry->fresh_until_ms >= answers->config.stale_ms)
                return (struct nipc_lookup_item){0};
        answers->counters.n_stale++;
        return item;
}

struct nipc_lookup_item nipc__answers_get_probed(struct nipc__answers *answers,
                                                 const struct nipc__lookup_probe *probe, int *ret_r)
{
        const uint32_t index = nipc__lookup_table_find(&answers->table, probe);
        struct nipc_lookup_item item = {0};
        bool is_fresh = false;
        int r = 0;

        if (index != NIPC__LOOKUP_NONE) {
                answers->table.entries[index].seen = answers->epoch;
                item = entry_item(answers, &answers->table.entries[index], &is_fresh);
        }
        if (!is_fresh) {
                r = want(answers, probe, index);
                answers->counters.n_forgotten += r != 0;
        }
        answers->counters.n_hits += item.bytes != NULL;
        answers->counters.n_misses += item.bytes == NULL;
        if (ret_r)
                *ret_r = r ? r : !is_fresh;
        return item;
}

struct nipc_lookup_item nipc__answers_get(struct nipc__answers *answers, const void *key,
                                          size_t size, int *ret_r)
{
        struct nipc__lookup_probe probe;

        if (!nipc__answers_is_key(answers, key, size)) {
                answers->counters.n_misses++;
                answers->counters.n_forgotten++;
                if (ret_r)
                        *ret_r = -EINVAL;
                return (struct nipc_lookup_item){0};
        }
        nipc__lookup_probe_init(&answers->table, key, size, &probe);
        return nipc__answers_get_probed(answers, &probe, ret_r);
}

void nipc__answers_forget(struct nipc__answers *answers, const void *key, size_t size)
{
        struct nipc__lookup_probe probe;
        uint32_t index;

        if (!nipc__answers_is_key(answers, key, size))
                return;
        nipc__lookup_probe_init(&answers->table, key, size, &probe);
        index = nipc__lookup_table_find(&answers->table, &probe);
        if (index == NIPC__LOOKUP_NONE)
                return;
        if (answers->table.entries[index].state == NIPC__LOOKUP_BORROWED)
                remove_entry(answers, index);
        else
                kill_entry(answers, &answers->table.entries[index]);
}

/* ---- making room -------------------------------------------------------------------------- */

static bool is_gone(const struct nipc__answers *answers, const struct nipc__lookup_entry *entry)
{
        return entry->state == NIPC__LOOKUP_KEPT && answers->now_ms >= entry->fresh_until_ms &&
               answers->now_ms - entry->fresh_until_ms >= answers->config.stale_ms;
}

/* Some of the table each time: what nobody asks for any more goes when it is too old. */
static void purge(struct nipc__answers *answers)
{
        struct nipc__lookup_table *table = &answers->table;
        uint32_t n = NIPC__MIN(table->n_high / PURGE_SHARE + PURGE_MIN, table->n_high);

        for (; n > 0; n--) {
                const uint32_t index = answers->purge_at < table->n_high ? answers->purge_at : 0;

                answers->purge_at = index + 1;
                if (!table->entries[index].is_wanted && is_gone(answers, &table->entries[index])) {
                        answers->n_expired++;
                        remove_entry(answers, index);
                }
        }
}

void nipc__answers_release(struct nipc__answers *answers)
{
        uint32_t i;

        for (i = 0; answers->n_borrowed && i < answers->table.n_high; i++)
                if (answers->table.entries[i].state == NIPC__LOOKUP_BORROWED)
                        remove_entry(answers, i);
}

/* The same for what was forgotten. */
static void bury(struct nipc__answers *answers)
{
        uint32_t i;

        for (i = 0; answers->n_dead && i < answers->table.n_high; i++)
                if (answers->table.entries[i].state == NIPC__LOOKUP_DEAD &&
                    !answers->table.entries[i].is_wanted)
                        remove_entry(answers, i);
}

void nipc__answers_begin(struct nipc__answers *answers)
{
        nipc__answers_release(answers);
        bury(answers);
        purge(answers);
        answers->evict_age = MAX_AGE;
        answers->n_looked_at = 0;
}

void nipc__answers_end(struct nipc__answers *answers)
{
        answers->epoch++;
}

/*
 * Lets one answer go that was not asked for in this epoch. A resolve looks at each entry twice at
 * most, however much room it needs. Returns false if all that is left was asked for.
 */
static bool evict(struct nipc__answers *answers)
{
        struct nipc__lookup_table *table = &answers->table;

        for (; answers->evict_age > 0; answers->evict_age--, answers->n_looked_at = 0)
                while (answers->n_looked_at < table->n_high) {
                        const uint32_t index =
                                answers->evict_at < table->n_high ? answers->evict_at : 0;
                        const struct nipc__lookup_entry *entry = &table->entries[index];

                        answers->evict_at = index + 1;
                        answers->n_looked_at++;
                        if ((entry->state != NIPC__LOOKUP_KEPT &&
                             entry->state != NIPC__LOOKUP_DEAD) ||
                            entry->is_wanted ||
                            (uint16_t)(answers->epoch - entry->seen) < answers->evict_age)
                                continue;
                        answers->n_evictions++;
                        remove_entry(answers, index);
                        return true;
                }
        return false;
}

/* How many items there may be: where the table cannot grow, some entries are for what is new. */
static uint32_t item_limit(const struct nipc__answers *answers)
{
        const uint32_t capacity = answers->table.capacity;

        if (capacity >= answers->max_entries || can_grow(answers))
                return answers->config.max_items;
        return NIPC__MIN(answers->config.max_items, capacity - capacity / 8);
}

/* Makes room for one more item. */
static bool reserve(struct nipc__answers *answers, size_t size)
{
        const uint64_t max_bytes = answers->config.max_bytes;

        while (answers->n_bytes + size > max_bytes ||
               answers->n_bytes - answers->n_key_bytes + size > max_bytes - max_bytes / 8 ||
               answers->n_items >= item_limit(answers))
                if (!evict(answers))
                        return false;
        return true;
}

/* ---- taking answers ----------------------------------------------------------------------- */

static bool is_provisional(const struct nipc_lookup_class *class_, struct nipc_lookup_item item)
{
        const uint16_t status = nipc_lookup_item_get_status(item);

        if (class_->is_provisional)
                return class_->is_provisional(item.bytes);
        return status != NIPC_LOOKUP_STATUS_KNOWN && status != class_->status_oversized;
}

/* The answer to an entry; what was there before goes first. */
static void keep(struct nipc__answers *answers, struct nipc__lookup_entry *entry,
                 struct nipc_lookup_item item)
{
        const uint32_t life_ms = is_provisional(answers->class_, item) ? answers->config.retry_ms
                                                                       : answers->config.max_age_ms;
        uint8_t *copy;

        free_block(answers, entry);
        entry->state = NIPC__LOOKUP_BORROWED;
        entry->fresh_until_ms = 0;
        entry->bytes = (uint8_t *)(uintptr_t)item.bytes; /* neither written nor freed */
        entry->size = item.size;
        answers->n_borrowed++;

        copy = reserve(answers, item.size) ? malloc(item.size) : NULL;
        if (!copy) {
                answers->n_not_kept++;
                return;
        }
        memcpy(copy, item.bytes, item.size);
        entry->state = NIPC__LOOKUP_KEPT;
        entry->fresh_until_ms = answers->now_ms + life_ms;
        entry->bytes = copy;
        answers->n_borrowed--;
        answers->n_items++;
        answers->n_bytes += item.size;
}

/* Everything that is known was about other data. What is wanted lives on for its key. */
static bool drop_all(struct nipc__answers *answers)
{
        struct nipc__lookup_table *table = &answers->table;
        bool any = false;
        uint32_t i;

        for (i = 0; i < table->n_high; i++) {
                struct nipc__lookup_entry *entry = &table->entries[i];

                if (entry->state != NIPC__LOOKUP_KEPT)
                        continue;
                any = true;
                if (entry->is_wanted)
                        kill_entry(answers, entry);
                else
                        remove_entry(answers, i);
        }
        answers->n_generations += any;
        return any;
}

bool nipc__answers_put(struct nipc__answers *answers, const struct nipc_lookup_view *view)
{
        struct nipc__lookup_table *table = &answers->table;
        const uint32_t n = view->item_count;
        bool dropped = false;
        uint32_t i;

        if (answers->has_generation && answers->generation != view->generation &&
            !answers->config.keep_generations)
                dropped = drop_all(answers);
        answers->generation = view->generation;
        answers->has_generation = true;
        for (i = 0; i < n; i++) {
                struct nipc__lookup_entry *entry = &table->entries[table->wanted[i]];

                /* Still marked while room is made for it. */
                keep(answers, entry, nipc_lookup_view_get(view, i));
                entry->is_wanted = false;
                /* It may have been wanted since before a resolve that failed. */
                entry->seen = answers->epoch;
        }
        table->n_wanted -= n;
        memmove(table->wanted, table->wanted + n, table->n_wanted * sizeof(*table->wanted));
        return dropped;
}
