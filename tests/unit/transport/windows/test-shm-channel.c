/* SPDX-License-Identifier: MIT */

/*
 * Messages through a region of Windows: between us and a peer of NetIPC v1, on both sides and in
 * both profiles, and what a peer may not do.
 */

#include "shm-channel.h"
#include "util-v1-shm.h"
#include <nipc/clock.h>
#include <nipc/hello.h>

#include "tap.h"

enum { ROUNDS = 2000, CAPACITY = 1024 };

struct pair {
        struct nipc__shm_region region;
        struct nipc__shm_channel channel;
        struct v1_shm v1;
        bool is_server; /* we are */
};

static bool begin(struct pair *pair, uint32_t profile, bool is_server)
{
        static uint64_t session_id;
        struct nipc__shm_names names;
        wchar_t stem[NIPC__NAME_MAX];
        const char *step = "v1 peer";
        char run_dir[64];
        bool is_early;
        int r = 0;

        *pair = (struct pair){.is_server = is_server};
        snprintf(run_dir, sizeof(run_dir), "C:/run/%lu", (unsigned long)GetCurrentProcessId());
        nipc__name_shm(run_dir, "channel", 1, profile, ++session_id, &names);
        wcscpy(stem, names.mapping);
        stem[wcslen(stem) - wcslen(L"-mapping")] = 0;
        if (is_server) {
                r = nipc__shm_region_create(&names, profile, CAPACITY - 32, CAPACITY - 32,
                                            &pair->region, &step);
                if (r < 0 || !v1_shm_attach(stem, profile, &pair->v1))
                        return tap_fail("%s: %d", step, r);
        } else {
                if (v1_shm_create(stem, profile, CAPACITY - 32, CAPACITY - 32, &pair->v1))
                        r = nipc__shm_region_attach(&names, profile, &pair->region, &step,
                                                    &is_early);
                if (r < 0 || !pair->region.map)
                        return tap_fail("%s: %d", step, r);
        }
        nipc__shm_channel_init(&pair->channel, &pair->region, is_server);
        return true;
}

static void end(struct pair *pair)
{
        v1_shm_drop(&pair->v1);
        nipc__shm_region_release(&pair->region);
}

static uint64_t in_ms(uint64_t ms)
{
        return nipc_deadline_after_ms(ms);
}

/* A word of the region, by its offset in the table. */
static volatile LONG *word(struct pair *pair, size_t at)
{
        return (volatile LONG *)(void *)(pair->region.map + at);
}

/* ---- to and fro ----------------------------------------------------------------------------- */

static uint32_t size_of_round(uint32_t i)
{
        return 1 + i * 37 % CAPACITY;
}

static void fill(uint8_t *p, uint32_t size, uint32_t seed)
{
        for (uint32_t i = 0; i < size; i++)
                p[i] = (uint8_t)(seed + i * 7);
}

static bool is_filled(const uint8_t *p, uint32_t size, uint32_t seed)
{
        for (uint32_t i = 0; i < size; i++)
                if (p[i] != (uint8_t)(seed + i * 7))
                        return false;
        return true;
}

/* As the library does: a wake for nothing is none. */
static int wait_for(struct nipc__shm_channel *channel, HANDLE *others, unsigned n_others,
                    uint64_t deadline_ns)
{
        int r;

        do {
                r = nipc__shm_channel_wait(channel, others, n_others, deadline_ns);
        } while (r == -EAGAIN);
        return r;
}

static bool take(struct nipc__shm_channel *channel, uint32_t size, uint32_t seed)
{
        uint8_t buf[CAPACITY];
        uint32_t len = 0;

        if (!tap_eq_int(wait_for(channel, NULL, 0, in_ms(30000)), 0) ||
            !tap_eq_int(nipc__shm_channel_begin(channel, &len), 0) || !tap_eq_uint(len, size))
                return false;
        memcpy(buf, channel->rx, len);
        return tap_eq_int(nipc__shm_channel_end(channel, len), 0) &&
               tap_check(is_filled(buf, len, seed));
}

static void put(struct nipc__shm_channel *channel, uint32_t size, uint32_t seed)
{
        fill(channel->tx, size, seed);
        nipc__shm_channel_publish(channel, size);
}

/* The v1 peer: answers what it gets, or asks and wants the same back. */
static DWORD WINAPI run_v1(void *arg)
{
        struct pair *pair = arg;
        uint8_t buf[CAPACITY];
        int n;

        for (uint32_t i = 0; i < ROUNDS; i++) {
                const uint32_t size = size_of_round(i);

                if (!pair->is_server) {
                        n = v1_shm_receive(&pair->v1, buf, sizeof(buf), 30000);
                        if (n <= 0)
                                return 1;
                        v1_shm_send(&pair->v1, buf, (uint32_t)n);
                        continue;
                }
                fill(buf, size, i);
                v1_shm_send(&pair->v1, buf, size);
                n = v1_shm_receive(&pair->v1, buf, sizeof(buf), 30000);
                if (n != (int)size || !is_filled(buf, size, i + 1))
                        return 1;
        }
        return 0;
}

static void run_rounds(uint32_t profile, bool is_server)
{
        struct pair pair;
        DWORD status = 2;
        HANDLE thread;

        if (!begin(&pair, profile, is_server)) {
                end(&pair);
                return;
        }
        thread = CreateThread(NULL, 0, run_v1, &pair, 0, NULL);
        for (uint32_t i = 0; i < ROUNDS; i++) {
                const uint32_t size = size_of_round(i);

                if (!is_server)
                        put(&pair.channel, size, i);
                if (!take(&pair.channel, size, i))
                        break;
                if (is_server)
                        put(&pair.channel, size, i + 1);
        }
        tap_eq_uint(WaitForSingleObject(thread, INFINITE), WAIT_OBJECT_0);
        GetExitCodeThread(thread, &status);
        tap_eq_uint(status, 0);
        CloseHandle(thread);
        end(&pair);
}

static void test_hybrid_server(void)
{
        run_rounds(NIPC_PROFILE_SHM_HYBRID, true);
}

static void test_hybrid_client(void)
{
        run_rounds(NIPC_PROFILE_SHM_HYBRID, false);
}

static void test_busywait_server(void)
{
        run_rounds(NIPC_PROFILE_SHM_BUSYWAIT, true);
}

static void test_busywait_client(void)
{
        run_rounds(NIPC_PROFILE_SHM_BUSYWAIT, false);
}

/* ---- waiting -------------------------------------------------------------------------------- */

/* Only one who waits is woken. */
static void test_wake(void)
{
        struct pair pair;

        if (begin(&pair, NIPC_PROFILE_SHM_HYBRID, true)) {
                put(&pair.channel, 40, 0);
                tap_eq_uint(WaitForSingleObject(pair.v1.response_event, 0), WAIT_TIMEOUT);
                *word(&pair, 56) = 1;
                put(&pair.channel, 40, 0);
                tap_eq_uint(WaitForSingleObject(pair.v1.response_event, 0), WAIT_OBJECT_0);
                tap_eq_int(*word(&pair, 40), 40);
                tap_eq_int(*word(&pair, 72), 2);
        }
        end(&pair);
}

static void run_ends(uint32_t profile)
{
        HANDLE others[2] = {CreateEventW(NULL, TRUE, FALSE, NULL),
                            CreateEventW(NULL, TRUE, FALSE, NULL)};
        struct pair pair;
        uint64_t deadline_ns;
        uint8_t bytes[32] = {0};
        uint32_t len = 0;

        if (begin(&pair, profile, true)) {
                struct nipc__shm_channel *channel = &pair.channel;

                deadline_ns = in_ms(40); /* longer than a busy wait is busy */
                tap_eq_int(wait_for(channel, others, 2, deadline_ns), -ETIMEDOUT);
                tap_check(nipc_clock_now_ns() >= deadline_ns);
                tap_eq_int(*word(&pair, 48), 0);
                SetEvent(others[1]);
                tap_eq_int(wait_for(channel, others, 2, in_ms(30000)), 2);
                tap_eq_int(*word(&pair, 48), 0);
                /* A message goes first, and what was said before the end counts. */
                v1_shm_send(&pair.v1, bytes, sizeof(bytes));
                tap_eq_int(wait_for(channel, others, 2, in_ms(30000)), 0);
                v1_shm_close(&pair.v1);
                tap_eq_int(wait_for(channel, NULL, 0, in_ms(30000)), 0);
                tap_eq_int(nipc__shm_channel_begin(channel, &len), 0);
                tap_eq_int(nipc__shm_channel_end(channel, len), 0);
                tap_eq_int(wait_for(channel, NULL, 0, in_ms(30000)), -ECONNRESET);
                tap_eq_int(*word(&pair, 48), 0);
        }
        end(&pair);
        CloseHandle(others[0]);
        CloseHandle(others[1]);
}

static void test_ends_hybrid(void)
{
        run_ends(NIPC_PROFILE_SHM_HYBRID);
}

static void test_ends_busywait(void)
{
        run_ends(NIPC_PROFILE_SHM_BUSYWAIT);
}

static void run_close(uint32_t profile, bool is_server)
{
        struct pair pair;
        uint8_t buf[CAPACITY];

        if (begin(&pair, profile, is_server)) {
                put(&pair.channel, 100, 5);
                nipc__shm_channel_close(&pair.channel);
                tap_eq_int(v1_shm_receive(&pair.v1, buf, sizeof(buf), 30000), 100);
                tap_eq_int(v1_shm_receive(&pair.v1, buf, sizeof(buf), 30000), -2);
        }
        end(&pair);
}

/* A v1 peer hears of our end. */
static void test_close(void)
{
        run_close(NIPC_PROFILE_SHM_HYBRID, true);
        run_close(NIPC_PROFILE_SHM_HYBRID, false);
        run_close(NIPC_PROFILE_SHM_BUSYWAIT, true);
        run_close(NIPC_PROFILE_SHM_BUSYWAIT, false);
}

/* ---- peers that break the rules ------------------------------------------------------------- */

static void test_bad_length(void)
{
        static const LONG bad[] = {0, -1, CAPACITY + 1, INT32_MAX, INT32_MIN};
        struct pair pair;
        uint32_t len = 0;

        if (begin(&pair, NIPC_PROFILE_SHM_HYBRID, true)) {
                for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                        *word(&pair, 36) = bad[i];
                        *word(&pair, 64) = 1;
                        tap_check(nipc__shm_channel_has_message(&pair.channel));
                        tap_eq_int(nipc__shm_channel_begin(&pair.channel, &len), -EBADMSG);
                }
                *word(&pair, 36) = CAPACITY;
                tap_eq_int(nipc__shm_channel_begin(&pair.channel, &len), 0);
        }
        end(&pair);
}

static void test_bad_counter(void)
{
        static const LONG64 bad[] = {2, INT64_MAX, -1, INT64_MIN};
        struct pair pair;
        uint32_t len = 0;

        if (begin(&pair, NIPC_PROFILE_SHM_HYBRID, true)) {
                *word(&pair, 36) = 32;
                for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                        memcpy(pair.region.map + 64, &bad[i], sizeof(bad[i]));
                        tap_check(nipc__shm_channel_has_message(&pair.channel));
                        tap_eq_int(nipc__shm_channel_begin(&pair.channel, &len), -EBADMSG);
                }
        }
        end(&pair);
}

/* The next one is written while this one is read. */
static void test_overwritten(void)
{
        struct pair pair;
        uint8_t bytes[64] = {0};
        uint32_t len = 0;

        if (begin(&pair, NIPC_PROFILE_SHM_HYBRID, true)) {
                v1_shm_send(&pair.v1, bytes, 40);
                tap_eq_int(nipc__shm_channel_begin(&pair.channel, &len), 0);
                *word(&pair, 36) = 41;
                tap_eq_int(nipc__shm_channel_end(&pair.channel, len), -EBADMSG);
                *word(&pair, 36) = 40;
                *word(&pair, 64) = 2;
                tap_eq_int(nipc__shm_channel_end(&pair.channel, len), -EBADMSG);
        }
        end(&pair);
}

/* Counters begin wherever they are. */
static void test_used_before(void)
{
        struct pair pair;
        uint8_t bytes[64] = {0};

        if (begin(&pair, NIPC_PROFILE_SHM_HYBRID, true)) {
                *word(&pair, 64) = 41;
                *word(&pair, 72) = 7;
                nipc__shm_channel_init(&pair.channel, &pair.region, true);
                tap_check(!nipc__shm_channel_has_message(&pair.channel));
                v1_shm_send(&pair.v1, bytes, 40);
                tap_check(nipc__shm_channel_has_message(&pair.channel));
                put(&pair.channel, 40, 0);
                tap_eq_int(*word(&pair, 72), 8);
        }
        end(&pair);
}

TAP_MAIN(TAP_CASE(test_hybrid_server), TAP_CASE(test_hybrid_client), TAP_CASE(test_busywait_server),
         TAP_CASE(test_busywait_client), TAP_CASE(test_wake), TAP_CASE(test_ends_hybrid),
         TAP_CASE(test_ends_busywait), TAP_CASE(test_close), TAP_CASE(test_bad_length),
         TAP_CASE(test_bad_counter), TAP_CASE(test_overwritten), TAP_CASE(test_used_before))
