/* SPDX-License-Identifier: MIT */

/*
 * The set of outstanding ids against a naive one: a list that is searched from end to end.
 */

#include "transport-private.h"
#include "util-env.h"

#define MODEL_MAX 4096

struct model {
        uint64_t ids[MODEL_MAX];
        size_t n_ids;
        size_t max_ids;
};

static size_t model_find(const struct model *model, uint64_t id)
{
        size_t i;

        for (i = 0; i < model->n_ids && model->ids[i] != id; i++)
                ;
        return i;
}

static int model_add(struct model *model, uint64_t id)
{
        if (model_find(model, id) < model->n_ids)
                return -EEXIST;
        if (model->n_ids == model->max_ids)
                return -EBUSY;
        model->ids[model->n_ids++] = id;
        return 0;
}

static bool model_remove(struct model *model, uint64_t id)
{
        size_t i = model_find(model, id);

        if (i == model->n_ids)
                return false;
        model->ids[i] = model->ids[--model->n_ids];
        return true;
}

/* One random step on both; false when they differ. */
static bool step(struct nipc__in_flight *set, struct model *model, uint64_t id, bool add)
{
        bool good;

        if (add)
                good = util_eq_error(nipc__in_flight_add(set, id), model_add(model, id));
        else
                good = tap_eq_int(nipc__in_flight_remove(set, id), model_remove(model, id));
        return good && tap_eq_uint(nipc__in_flight_count(set), model->n_ids);
}

/* Ids that look like those of real clients, and like those of one who wants to hurt. */
static uint64_t make_id(unsigned shape, uint64_t n)
{
        switch (shape) {
        case 0:
                return n % 40; /* few, so that most operations meet one that is there */
        case 1:
                return n % 3000;
        case 2:
                return (n % 500) << 40; /* all bits that count are the same after hashing, or not */
        case 3:
                return UINT64_MAX - n % 200;
        default:
                /* One home for all: multiples of the inverse of the multiplier hash to themselves.
                 */
                return (n % 300) * UINT64_C(0xf1de83e19937733d);
        }
}

static void try_random(unsigned shape, uint32_t max_ids, unsigned n_steps)
{
        static struct model model;
        struct nipc__in_flight set = {.max_ids = max_ids};
        uint64_t seed = 1 + shape * 1000 + max_ids;

        model.n_ids = 0;
        model.max_ids = max_ids;
        for (unsigned i = 0; i < n_steps; i++) {
                /* Phases that grow and phases that shrink: the table is seen full and empty. */
                unsigned odds = (i / 1000) % 2 ? 5 : 3;
                uint64_t id = make_id(shape, tap_random(&seed));

                if (!step(&set, &model, id, tap_random(&seed) % 8 < odds)) {
                        tap_note("shape %u, max %u, step %u", shape, max_ids, i);
                        break;
                }
        }
        while (model.n_ids && step(&set, &model, model.ids[0], false))
                ;
        tap_eq_uint(nipc__in_flight_count(&set), 0);
        nipc__in_flight_deinit(&set);
}

static void test_random(void)
{
        static const uint32_t maxima[] = {1, 2, 8, 9, 100, MODEL_MAX};

        for (unsigned shape = 0; shape < 5; shape++)
                for (size_t i = 0; i < sizeof(maxima) / sizeof(maxima[0]); i++)
                        try_random(shape, maxima[i], 20000);
}

static void test_first_needs_no_table(void)
{
        struct nipc__in_flight set = {.max_ids = 10};

        for (uint64_t id = 0; id < 1000; id++) {
                tap_require(nipc__in_flight_add(&set, id) == 0);
                tap_eq_uint(nipc__in_flight_count(&set), 1);
                util_eq_error(nipc__in_flight_add(&set, id), -EEXIST);
                tap_check(!nipc__in_flight_remove(&set, id + 1));
                tap_require(nipc__in_flight_remove(&set, id));
                tap_check(!nipc__in_flight_remove(&set, id));
        }
        tap_check(!set.slots);
        nipc__in_flight_deinit(&set);
}

/* The first id leaves before those that came after it, which are in the table. */
static void test_first_leaves_first(void)
{
        struct nipc__in_flight set = {.max_ids = 3};

        tap_require(nipc__in_flight_add(&set, 1) == 0);
        tap_require(nipc__in_flight_add(&set, 2) == 0);
        util_eq_error(nipc__in_flight_add(&set, 1), -EEXIST);
        util_eq_error(nipc__in_flight_add(&set, 2), -EEXIST);
        tap_check(nipc__in_flight_remove(&set, 1));
        tap_require(nipc__in_flight_add(&set, 1) == 0);
        util_eq_error(nipc__in_flight_add(&set, 1), -EEXIST);
        tap_require(nipc__in_flight_add(&set, 3) == 0);
        util_eq_error(nipc__in_flight_add(&set, 4), -EBUSY);
        tap_check(nipc__in_flight_remove(&set, 3));
        tap_check(nipc__in_flight_remove(&set, 2));
        tap_check(nipc__in_flight_remove(&set, 1));
        tap_eq_uint(nipc__in_flight_count(&set), 0);
        nipc__in_flight_deinit(&set);
}

static void test_max(void)
{
        struct nipc__in_flight set = {.max_ids = 1000};

        for (uint64_t id = 1; id <= 1000; id++)
                tap_require(nipc__in_flight_add(&set, id) == 0);
        util_eq_error(nipc__in_flight_add(&set, 1001), -EBUSY);
        /* One that is there is a duplicate first. */
        util_eq_error(nipc__in_flight_add(&set, 500), -EEXIST);
        util_eq_error(nipc__in_flight_add(&set, 1), -EEXIST);
        tap_check(nipc__in_flight_remove(&set, 1));
        tap_eq_int(nipc__in_flight_add(&set, 1001), 0);
        util_eq_error(nipc__in_flight_add(&set, 1002), -EBUSY);
        tap_eq_uint(nipc__in_flight_count(&set), 1000);
        nipc__in_flight_deinit(&set);
}

static void test_max_of_zero(void)
{
        struct nipc__in_flight set = {0};

        util_eq_error(nipc__in_flight_add(&set, 1), -EBUSY);
        tap_check(!nipc__in_flight_remove(&set, 1));
        tap_eq_uint(nipc__in_flight_count(&set), 0);
        nipc__in_flight_deinit(&set);
}

static void test_clear(void)
{
        struct nipc__in_flight set = {.max_ids = 100};

        for (unsigned round = 0; round < 3; round++) {
                for (uint64_t id = 0; id < 100; id++)
                        tap_require(nipc__in_flight_add(&set, id) == 0);
                nipc__in_flight_clear(&set);
                tap_eq_uint(nipc__in_flight_count(&set), 0);
                for (uint64_t id = 0; id < 100; id++)
                        tap_require(!nipc__in_flight_remove(&set, id));
        }
        nipc__in_flight_deinit(&set);
        tap_eq_uint(nipc__in_flight_count(&set), 0);
        tap_check(!nipc__in_flight_remove(&set, 5));
        tap_eq_int(nipc__in_flight_add(&set, 5), 0);
        nipc__in_flight_deinit(&set);
}

static void test_many(void)
{
        struct nipc__in_flight set = {.max_ids = 100000};

        for (uint64_t id = 0; id < 100000; id++)
                tap_require(nipc__in_flight_add(&set, id * 3) == 0);
        /* Half as full as it may be at most. */
        tap_check(set.n_slots >= 2 * set.n_ids);
        for (uint64_t id = 0; id < 100000; id += 2)
                tap_require(nipc__in_flight_remove(&set, id * 3));
        for (uint64_t id = 0; id < 100000; id++)
                tap_require(nipc__in_flight_remove(&set, id * 3) == (id % 2 == 1));
        tap_eq_uint(nipc__in_flight_count(&set), 0);
        nipc__in_flight_deinit(&set);
}

UTIL_MAIN(TAP_CASE(test_random), TAP_CASE(test_first_needs_no_table),
          TAP_CASE(test_first_leaves_first), TAP_CASE(test_max), TAP_CASE(test_max_of_zero),
          TAP_CASE(test_clear), TAP_CASE(test_many))
