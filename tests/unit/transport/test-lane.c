/* SPDX-License-Identifier: MIT */

/* What a lane promises, one promise at a time: writer and reader in one thread. */

#include "lane-private.h"
#include "util-env.h"
#include "util-lane.h"
#include <errno.h>
#include <nipc/lane.h>
#include <poll.h>
#include <pthread.h>

#define RING_RECORDS ((4096u - 128u) / 64u) /* of util_lane_item in the smallest ring */

static struct nipc_lane_pool *pool;
static struct nipc_lane_reader *reader;
static struct nipc_lane *lane;
static uint64_t n_sent;

static bool begin(uint32_t kind, uint32_t policy, const char *path)
{
        struct nipc_lane_pool_config config = NIPC_LANE_POOL_CONFIG_INIT;

        config.path = path;
        config.kind = kind;
        config.policy = policy;
        config.n_lanes = 2;
        config.n_rings = 4;
        config.ring_bytes = 4096;
        config.block_timeout_ms = 10;
        n_sent = 0;
        return tap_eq_int(nipc_lane_pool_new(&config, &pool), 0) &&
               tap_eq_int(nipc_lane_reader_open(nipc_lane_pool_get_fd(pool),
                                                nipc_lane_pool_get_wake_fd(pool), &reader),
                          0) &&
               tap_eq_int(nipc_lane_lease(pool, &lane), 0);
}

static void end(void)
{
        nipc_lane_reader_close(reader);
        nipc_lane_pool_free(pool);
}

static int send_one(void)
{
        const struct util_lane_item item = util_lane_item(n_sent++);

        return nipc_lane_put(lane, 1, &item, sizeof(item));
}

static void send_many(unsigned n)
{
        while (n--)
                send_one();
}

static void check_right(const struct util_lane_tally *tally)
{
        if (tally->wrong)
                tap_fail("at %" PRIu64 ": %s", tally->expected, tally->wrong);
}

static void test_configs(void)
{
        struct nipc_lane_pool_config config = NIPC_LANE_POOL_CONFIG_INIT;
        struct nipc_lane_pool *none = NULL;

        config.n_rings = 2;
        util_eq_error(nipc_lane_pool_new(&config, &none), -EINVAL);
        config.n_rings = 65;
        util_eq_error(nipc_lane_pool_new(&config, &none), -EINVAL);
        config.n_rings = 0;
        config.ring_bytes = 4097;
        util_eq_error(nipc_lane_pool_new(&config, &none), -EINVAL);
        config.ring_bytes = 0;
        config.policy = 3;
        util_eq_error(nipc_lane_pool_new(&config, &none), -EINVAL);
        config.policy = 0;
        config.n_lanes = 4097;
        util_eq_error(nipc_lane_pool_new(&config, &none), -EINVAL);
        tap_eq_ptr(none, NULL);
}

static void test_order(void)
{
        struct util_lane_tally tally = {0};

        tap_require(begin(NIPC_LANE_INDEX, NIPC_LANE_DROP_NEWEST, NULL));
        for (unsigned round = 0; round < 100; round++) {
                send_many(RING_RECORDS * 2 + round % 50);
                util_lane_drain(reader, &tally);
                check_right(&tally);
                /* What is in the ring in use is there, too. */
                tap_eq_uint(tally.n_received, n_sent);
        }
        tap_eq_uint(tally.n_gaps, 0);
        end();
}

static void test_drop_newest(void)
{
        struct util_lane_tally tally = {0};

        tap_require(begin(NIPC_LANE_INDEX, NIPC_LANE_DROP_NEWEST, NULL));
        send_many(RING_RECORDS * 4);
        util_eq_error(send_one(), -ENOBUFS);
        send_many(6);
        util_lane_drain(reader, &tally);
        tap_eq_uint(tally.n_received, RING_RECORDS * 4);
        tap_eq_uint(tally.n_gaps, 0); /* nothing was written behind it */
        tap_eq_int(send_one(), 0);
        util_lane_drain(reader, &tally);
        check_right(&tally);
        tap_eq_uint(tally.n_dropped, 7);
        tap_eq_uint(tally.n_received, RING_RECORDS * 4 + 1);
        end();
}

static void test_drops_at_the_end(void)
{
        struct util_lane_tally tally = {0};

        tap_require(begin(NIPC_LANE_INDEX, NIPC_LANE_DROP_NEWEST, NULL));
        send_many(RING_RECORDS * 4 + 9);
        lane = nipc_lane_return(lane);
        util_lane_drain(reader, &tally);
        check_right(&tally);
        tap_eq_uint(tally.n_dropped, 9);
        tap_eq_uint(util_lane_total(&tally), n_sent);
        end();
}

static void test_overwrite_oldest(void)
{
        struct util_lane_tally tally = {0};

        tap_require(begin(NIPC_LANE_INDEX, NIPC_LANE_OVERWRITE_OLDEST, NULL));
        send_many(RING_RECORDS * 40 + 5);
        lane = nipc_lane_return(lane);
        util_lane_drain(reader, &tally);
        check_right(&tally);
        tap_eq_uint(util_lane_total(&tally), n_sent);
        tap_eq_uint(tally.n_received, RING_RECORDS * 3 + 5);
        tap_eq_uint(tally.n_gaps, 1);
        end();
}

static void test_block(void)
{
        struct util_lane_tally tally = {0};

        tap_require(begin(NIPC_LANE_INDEX, NIPC_LANE_BLOCK, NULL));
        send_many(RING_RECORDS * 4);
        util_eq_error(send_one(), -ETIMEDOUT);
        util_lane_drain(reader, &tally);
        tap_eq_int(send_one(), 0);
        util_lane_drain(reader, &tally);
        check_right(&tally);
        tap_eq_uint(tally.n_dropped, 1);
        end();
}

/* Nobody marked: nothing comes, and nothing is dropped. */
static void test_detail_unmarked(void)
{
        struct util_lane_tally tally = {0};
        struct nipc_lane_stats stats = NIPC_LANE_STATS_INIT;

        tap_require(begin(NIPC_LANE_DETAIL, NIPC_LANE_DROP_NEWEST, NULL));
        send_many(RING_RECORDS * 100);
        util_lane_drain(reader, &tally);
        tap_eq_uint(util_lane_total(&tally), 0);
        lane = nipc_lane_return(lane);
        tap_eq_int(nipc_lane_reader_get_stats(reader, 0, &stats), 0);
        tap_eq_uint(stats.is_leased, 0);
        tap_eq_uint(stats.n_dropped, 0);
        tap_eq_uint(stats.n_recycled, n_sent);
        tap_eq_uint(stats.n_sent, n_sent);
        end();
}

/* The ring that was in use, and the one before it: the last moments. */
static void check_marked(bool by_reader)
{
        struct util_lane_tally tally = {0};

        tap_require(begin(NIPC_LANE_DETAIL, NIPC_LANE_DROP_NEWEST, NULL));
        send_many(RING_RECORDS * 10 + 7);
        if (by_reader)
                tap_eq_int(nipc_lane_reader_mark(reader, UINT32_MAX), 0);
        else
                nipc_lane_mark(lane);
        send_many(RING_RECORDS * 5);
        util_lane_drain(reader, &tally);
        check_right(&tally);
        tap_eq_uint(tally.n_recycled, RING_RECORDS * 9);
        tap_eq_uint(tally.n_received, RING_RECORDS * 2);
        nipc_lane_mark(lane);
        tap_eq_int(nipc_lane_flush(lane), 0);
        util_lane_drain(reader, &tally);
        check_right(&tally);
        tap_eq_uint(tally.n_dropped, 0);
        tap_eq_uint(util_lane_total(&tally), n_sent);
        end();
}

static void test_detail_marked(void)
{
        check_marked(false);
        check_marked(true);
}

/* A mark counts when no ring is left to write to, as well. */
static void test_detail_marked_and_full(void)
{
        struct util_lane_tally tally = {0};

        tap_require(begin(NIPC_LANE_DETAIL, NIPC_LANE_DROP_NEWEST, NULL));
        send_many(RING_RECORDS);
        for (unsigned i = 0; i < 3; i++) {
                nipc_lane_mark(lane);
                send_many(RING_RECORDS);
        }
        util_eq_error(send_one(), -ENOBUFS); /* three are submitted, one is kept */
        nipc_lane_mark(lane);
        nipc_lane_return(lane);
        util_lane_drain(reader, &tally);
        check_right(&tally);
        tap_eq_uint(tally.n_received, RING_RECORDS * 4);
        tap_eq_uint(util_lane_total(&tally), n_sent);
        end();
}

static void test_begin_commit(void)
{
        struct nipc_lane_record record;
        void *data = NULL;

        tap_require(begin(NIPC_LANE_INDEX, NIPC_LANE_DROP_NEWEST, NULL));
        tap_eq_int(nipc_lane_begin(lane, 5, 100, &data), 0);
        util_eq_error(nipc_lane_begin(lane, 5, 100, &data), -EBUSY);
        util_eq_error(nipc_lane_flush(lane), -EBUSY);
        memcpy(data, "hello", 5);
        tap_eq_int(nipc_lane_commit(lane, 5), 0);
        util_eq_error(nipc_lane_commit(lane, 5), -EINVAL);
        tap_eq_int(nipc_lane_begin(lane, 5, 8, &data), 0);
        util_eq_error(nipc_lane_commit(lane, 9), -EINVAL);
        tap_eq_int(nipc_lane_write(lane, 6, NULL, 0), 0);
        tap_eq_int(nipc_lane_reader_wait(reader, 0), 0);
        tap_eq_int(nipc_lane_reader_next(reader, &record), 0);
        tap_eq_mem(record.data, record.size, "hello", 5);
        tap_eq_uint(record.type, 5);
        tap_eq_int(nipc_lane_reader_next(reader, &record), 0);
        tap_eq_uint(record.type, 6);
        tap_eq_uint(record.size, 0);
        tap_eq_uint(record.sequence, 1);
        tap_eq_uint(record.tid, (uint32_t)util_gettid());
        util_eq_error(nipc_lane_reader_next(reader, &record), -EAGAIN);
        end();
}

static void test_refused(void)
{
        static const uint8_t large[4096];
        struct nipc_lane *kept, *other = NULL, *third = NULL;

        tap_require(begin(NIPC_LANE_INDEX, NIPC_LANE_DROP_NEWEST, NULL));
        util_eq_error(nipc_lane_put(lane, 1, large, 4096 - 128 - 7), -EMSGSIZE);
        tap_eq_int(nipc_lane_put(lane, 1, large, 4096 - 128 - 8), 0);
        util_eq_error(nipc_lane_put(lane, NIPC_LANE_RESERVED_TYPES, large, 1), -EINVAL);
        util_eq_error(nipc_lane_put(lane, 1, large, UINT32_MAX), -EMSGSIZE);
        util_eq_error(nipc_lane_write(NULL, 1, large, 1), -EINVAL);
        tap_eq_int(nipc_lane_lease(pool, &other), 0);
        util_eq_error(nipc_lane_lease(pool, &third), -EAGAIN);
        kept = lane;
        nipc_lane_return(lane);
        util_eq_error(nipc_lane_put(kept, 1, large, 1), -ESTALE);
        util_eq_error(nipc_lane_lease(pool, &third), -EAGAIN); /* it is to be drained first */
        end();
}

/* A lane goes from hand to hand; its numbers go on, its epochs too. */
static void test_epochs(void)
{
        struct util_lane_tally tally = {0};
        struct nipc_lane_record record;

        tap_require(begin(NIPC_LANE_INDEX, NIPC_LANE_DROP_NEWEST, NULL));
        for (unsigned round = 0; round < 20; round++) {
                send_many(RING_RECORDS * 4 + round);
                nipc_lane_return(lane);
                util_lane_drain(reader, &tally);
                check_right(&tally);
                tap_eq_uint(util_lane_total(&tally), n_sent);
                /* Both lanes are free: the other one is passed by. */
                tap_eq_int(nipc_lane_lease(pool, &lane), 0);
                if (nipc_lane_get_index(lane) != 0) {
                        struct nipc_lane *other = lane;

                        tap_eq_int(nipc_lane_lease(pool, &lane), 0);
                        nipc_lane_return(other);
                }
                tap_eq_uint(nipc_lane_get_index(lane), 0);
        }
        send_one();
        nipc_lane_reader_wait(reader, 0);
        while (nipc_lane_reader_next(reader, &record) == -EAGAIN)
                nipc_lane_reader_wait(reader, 0);
        tap_check(record.epoch > 20);
        end();
}

static void test_wake(void)
{
        struct util_lane_tally tally = {0};
        struct pollfd pollfd = {.events = POLLIN};

        tap_require(begin(NIPC_LANE_INDEX, NIPC_LANE_DROP_NEWEST, NULL));
        pollfd.fd = nipc_lane_pool_get_wake_fd(pool);
        send_many(RING_RECORDS + 1);
        tap_eq_int(poll(&pollfd, 1, 0), 0); /* it did not say that it sleeps */
        tap_check(nipc_lane_reader_arm(reader));
        util_lane_drain(reader, &tally);
        tap_check(!nipc_lane_reader_arm(reader));
        send_one();
        tap_eq_int(poll(&pollfd, 1, 0), 0);
        send_many(RING_RECORDS);
        tap_eq_int(poll(&pollfd, 1, 0), 1);
        tap_check(nipc_lane_reader_arm(reader));
        tap_eq_int(nipc_lane_reader_wait(reader, util_soon()), 0);
        tap_eq_int(poll(&pollfd, 1, 0), 0);
        end();
}

/* A reader dies anywhere in a ring: the next one goes on behind what was consumed. */
static void test_next_reader(void)
{
        struct util_lane_tally tally = {0};
        struct nipc_lane_record record;
        unsigned step = 0;

        tap_require(begin(NIPC_LANE_INDEX, NIPC_LANE_DROP_NEWEST, NULL));
        while (tally.n_received < RING_RECORDS * 50) {
                while (n_sent < tally.expected + RING_RECORDS * 3)
                        send_one();
                for (unsigned n = step++ % 130 + 1; n; n--)
                        if (nipc_lane_reader_next(reader, &record) == 0 &&
                            !util_lane_count(&tally, &record))
                                break;
                check_right(&tally);
                tap_require(!tally.wrong);
                /* As if killed: what it had stays as it is; only memory is given back. */
                nipc_lane_reader_close(reader);
                tap_eq_int(nipc_lane_reader_open(nipc_lane_pool_get_fd(pool), -1, &reader), 0);
        }
        tap_eq_uint(tally.n_dropped, 0);
        end();
}

static void in_child(void *userdata)
{
        struct nipc_lane *other = NULL;

        util_eq_error(send_one(), -ECHILD);
        util_eq_error(nipc_lane_flush(lane), -ECHILD);
        util_eq_error(nipc_lane_lease(pool, &other), -ECHILD);
        util_eq_error(nipc_lane_lease_thread(pool, &other), -ECHILD);
        nipc_lane_mark(lane);
        nipc_lane_return(lane);
        nipc_lane_pool_free(pool);
}

static void test_fork(void)
{
        struct util_lane_tally tally = {0};

        tap_require(begin(NIPC_LANE_INDEX, NIPC_LANE_DROP_NEWEST, NULL));
        send_many(10);
        util_in_child(in_child, NULL);
        send_many(10);
        tap_check(!nipc_lane_reader_is_orphan(reader));
        nipc_lane_return(lane);
        util_lane_drain(reader, &tally);
        check_right(&tally);
        tap_eq_uint(tally.n_received, 20);
        end();
}

static void *write_and_end(void *arg)
{
        struct nipc_lane *own = NULL, *same = NULL;

        tap_eq_int(nipc_lane_lease_thread(pool, &own), 0);
        tap_eq_int(nipc_lane_lease_thread(pool, &same), 0);
        tap_eq_ptr(own, same);
        tap_eq_int(nipc_lane_put(own, 1, "x", 1), 0);
        return NULL;
}

static void test_thread_ends(void)
{
        struct nipc_lane_record record;
        pthread_t thread;

        tap_require(begin(NIPC_LANE_INDEX, NIPC_LANE_DROP_NEWEST, NULL));
        for (unsigned i = 0; i < 20; i++) {
                tap_require(pthread_create(&thread, NULL, write_and_end, NULL) == 0);
                pthread_join(thread, NULL);
                tap_eq_int(nipc_lane_reader_next(reader, &record), 0);
                tap_eq_mem(record.data, record.size, "x", 1);
                util_eq_error(nipc_lane_reader_next(reader, &record), -EAGAIN);
        }
        end();
}

UTIL_MAIN(TAP_CASE(test_configs), TAP_CASE(test_order), TAP_CASE(test_drop_newest),
          TAP_CASE(test_drops_at_the_end), TAP_CASE(test_overwrite_oldest), TAP_CASE(test_block),
          TAP_CASE(test_detail_unmarked), TAP_CASE(test_detail_marked),
          TAP_CASE(test_detail_marked_and_full), TAP_CASE(test_begin_commit),
          TAP_CASE(test_refused), TAP_CASE(test_epochs), TAP_CASE(test_wake),
          TAP_CASE(test_next_reader), TAP_CASE(test_fork), TAP_CASE(test_thread_ends))
