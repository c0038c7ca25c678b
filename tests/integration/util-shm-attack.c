/* SPDX-License-Identifier: MIT */

/* See util-shm-attack.h. */

#include "util-shm-attack.h"
#include "util-env.h"
#include "util-ring-peer.h"
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#define FLAG_BATCH 1u

/* Nothing of that depends on the victim. */
static void must(bool done)
{
        if (!done)
                abort();
}

static uint64_t load_seq(const struct shm_peer *peer)
{
        return __atomic_load_n((uint64_t *)shm_peer_word(peer, peer->is_server, SHM_REQUEST_SEQ, 8),
                               __ATOMIC_ACQUIRE);
}

static void store_seq(struct shm_peer *peer, bool of_server, uint64_t seq)
{
        __atomic_store_n((uint64_t *)shm_peer_word(peer, of_server, SHM_REQUEST_SEQ, 8), seq,
                         __ATOMIC_RELEASE);
}

static void store_word(struct shm_peer *peer, bool of_server, size_t of_request, uint32_t value)
{
        __atomic_store_n((uint32_t *)shm_peer_word(peer, of_server, of_request, 4), value,
                         __ATOMIC_RELEASE);
}

void shm_attack_write(struct shm_peer *peer, uint16_t kind, uint32_t payload_len, uint64_t id)
{
        raw_header(shm_peer_area(peer), kind, 1, payload_len, 1, id);
}

/* ---- lengths -------------------------------------------------------------------------------- */

static void send_as(struct shm_peer *peer, uint16_t kind, uint32_t payload_len, uint32_t len)
{
        shm_attack_write(peer, kind, payload_len, 1);
        shm_peer_announce(peer, len);
}

static void play_len_0(struct shm_peer *peer, uint16_t kind)
{
        send_as(peer, kind, 8, 0);
}

static void play_len_1(struct shm_peer *peer, uint16_t kind)
{
        send_as(peer, kind, 8, 1);
}

static void play_len_31(struct shm_peer *peer, uint16_t kind)
{
        send_as(peer, kind, 8, 31);
}

/* All as it must be but for where it ends: in the other area, or behind the end. */
static void play_len_over_capacity(struct shm_peer *peer, uint16_t kind)
{
        uint32_t len = (peer->is_server ? peer->response_capacity : peer->request_capacity) + 1;

        send_as(peer, kind, len - RAW_HEADER_SIZE, len);
}

static void play_len_of_ones(struct shm_peer *peer, uint16_t kind)
{
        send_as(peer, kind, UINT32_MAX - RAW_HEADER_SIZE, UINT32_MAX);
}

static void play_len_above_payload(struct shm_peer *peer, uint16_t kind)
{
        send_as(peer, kind, 8, 41);
}

static void play_len_below_payload(struct shm_peer *peer, uint16_t kind)
{
        send_as(peer, kind, 8, 39);
}

static void play_payload_of_ones(struct shm_peer *peer, uint16_t kind)
{
        send_as(peer, kind, UINT32_MAX, 40);
}

static void play_payload_wraps(struct shm_peer *peer, uint16_t kind)
{
        send_as(peer, kind, UINT32_MAX - RAW_HEADER_SIZE + 1, 32);
}

/* ---- headers -------------------------------------------------------------------------------- */

static void send_broken(struct shm_peer *peer, uint16_t kind, size_t at, uint16_t value)
{
        shm_attack_write(peer, kind, 8, 1);
        raw_put16(shm_peer_area(peer), at, value);
        shm_peer_announce(peer, 40);
}

static void play_no_magic(struct shm_peer *peer, uint16_t kind)
{
        send_broken(peer, kind, RAW_MAGIC, 0x5a5a);
}

static void play_version_0(struct shm_peer *peer, uint16_t kind)
{
        send_broken(peer, kind, RAW_VERSION, 0);
}

static void play_header_len_33(struct shm_peer *peer, uint16_t kind)
{
        send_broken(peer, kind, RAW_HEADER_LEN, 33);
}

static void play_bad_kind(struct shm_peer *peer, uint16_t kind)
{
        send_broken(peer, kind, RAW_KIND, 4);
}

/* ---- batches and limits --------------------------------------------------------------------- */

static void send_batch(struct shm_peer *peer, uint16_t kind, uint32_t payload_len,
                       uint32_t item_count)
{
        uint8_t *area = shm_peer_area(peer);

        raw_header(area, kind, 1, payload_len, item_count, 1);
        raw_put16(area, RAW_FLAGS, FLAG_BATCH);
        memset(area + RAW_HEADER_SIZE, 0xff, 64); /* no offset of that lies inside */
        shm_peer_announce(peer, RAW_HEADER_SIZE + payload_len);
}

static void play_batch(struct shm_peer *peer, uint16_t kind)
{
        send_batch(peer, kind, 64, 3);
}

static void play_batch_without_directory(struct shm_peer *peer, uint16_t kind)
{
        send_batch(peer, kind, 4, 16);
}

static void play_items_over_limit(struct shm_peer *peer, uint16_t kind)
{
        send_batch(peer, kind, 64, UINT32_MAX);
}

/* There is room for it, but it was not agreed upon. */
static void play_payload_over_limit(struct shm_peer *peer, uint16_t kind)
{
        send_as(peer, kind, 1025, RAW_HEADER_SIZE + 1025);
}

/* ---- counters and signals ------------------------------------------------------------------- */

static void jump_to(struct shm_peer *peer, uint16_t kind, uint64_t seq)
{
        uint32_t *signal = shm_peer_word(peer, peer->is_server, SHM_REQUEST_SIGNAL, 4);

        shm_attack_write(peer, kind, 8, 1);
        store_word(peer, peer->is_server, SHM_REQUEST_LEN, 40);
        store_seq(peer, peer->is_server, seq);
        __atomic_add_fetch(signal, 1, __ATOMIC_RELEASE);
        shm_peer_wake(peer);
}

/* As one who sends twice and does not wait. */
static void play_seq_by_2(struct shm_peer *peer, uint16_t kind)
{
        jump_to(peer, kind, load_seq(peer) + 2);
}

static void play_seq_ahead(struct shm_peer *peer, uint16_t kind)
{
        jump_to(peer, kind, load_seq(peer) + (UINT64_C(1) << 40));
}

static void play_seq_of_ones(struct shm_peer *peer, uint16_t kind)
{
        jump_to(peer, kind, UINT64_MAX);
}

static void play_seq_wraps(struct shm_peer *peer, uint16_t kind)
{
        jump_to(peer, kind, 0);
}

static void play_seq_stays(struct shm_peer *peer, uint16_t kind)
{
        jump_to(peer, kind, load_seq(peer));
}

static void play_signals(struct shm_peer *peer, uint16_t kind)
{
        uint64_t random = 1;

        for (unsigned i = 0; i < 2000; i++) {
                store_word(peer, i % 4 == 0, SHM_REQUEST_SIGNAL, (uint32_t)tap_random(&random));
                shm_peer_wake(peer);
        }
}

/* ---- what is not its own -------------------------------------------------------------------- */

static void play_layout(struct shm_peer *peer, uint16_t kind)
{
        memset(peer->map, 0xff, SHM_REQUEST_SEQ);
}

static void play_words_of_victim(struct shm_peer *peer, uint16_t kind)
{
        store_seq(peer, !peer->is_server, 0);
        store_word(peer, !peer->is_server, SHM_REQUEST_LEN, UINT32_MAX);
        store_word(peer, !peer->is_server, SHM_REQUEST_SIGNAL, UINT32_MAX);
}

static void play_area_of_victim(struct shm_peer *peer, uint16_t kind)
{
        memset(peer->map + (peer->is_server ? peer->request_offset : peer->response_offset), 0xff,
               1000);
}

/* ---- the file, and the connection ----------------------------------------------------------- */

/* A victim that sleeps looks when something happens; a byte on the connection will do. */
static void shorten(struct shm_peer *peer, off_t size)
{
        must(ftruncate(peer->region_fd, size) == 0);
        raw_send(peer->fd, "x", 1); /* unless it has looked already */
}

static void play_shorten_to_0(struct shm_peer *peer, uint16_t kind)
{
        shorten(peer, 0);
}

static void play_shorten_to_header(struct shm_peer *peer, uint16_t kind)
{
        shorten(peer, SHM_HEADER_SIZE);
}

static void play_shorten_to_half(struct shm_peer *peer, uint16_t kind)
{
        shorten(peer, (off_t)peer->size / 2);
}

static void play_lengthen(struct shm_peer *peer, uint16_t kind)
{
        must(ftruncate(peer->region_fd, (off_t)peer->size * 8) == 0);
}

static void play_unlink(struct shm_peer *peer, uint16_t kind)
{
        must(unlink(peer->path) == 0);
}

static void play_nothing(struct shm_peer *peer, uint16_t kind)
{
}

/* Packets without a meaning, until there is no room for more. */
static void play_chatter(struct shm_peer *peer, uint16_t kind)
{
        static const uint8_t bytes[500];

        while (send(peer->fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
                ;
}

static void play_descriptors(struct shm_peer *peer, uint16_t kind)
{
        int fds[4] = {peer->fd, peer->region_fd, peer->fd, peer->region_fd};

        for (unsigned i = 0; i < 20; i++)
                must(ring_send_fds(peer->fd, "x", 1, fds, 4));
}

static void play_half_close(struct shm_peer *peer, uint16_t kind)
{
        shutdown(peer->fd, SHUT_WR);
}

static void play_hang_up(struct shm_peer *peer, uint16_t kind)
{
        shutdown(peer->fd, SHUT_RDWR);
}

#define ATTACK(name, error)               \
        {                                 \
#name, play_##name, error \
        }

const struct shm_attack shm_attacks[] = {
        ATTACK(len_0, -EBADMSG),
        ATTACK(len_1, -EBADMSG),
        ATTACK(len_31, -EBADMSG),
        ATTACK(len_over_capacity, -EBADMSG),
        ATTACK(len_of_ones, -EBADMSG),
        ATTACK(len_above_payload, -EBADMSG),
        ATTACK(len_below_payload, -EBADMSG),
        ATTACK(payload_of_ones, -EBADMSG),
        ATTACK(payload_wraps, -EBADMSG),
        ATTACK(no_magic, -EBADMSG),
        ATTACK(version_0, -EBADMSG),
        ATTACK(header_len_33, -EBADMSG),
        ATTACK(bad_kind, -EBADMSG),
        ATTACK(batch, -EBADMSG),
        ATTACK(batch_without_directory, -EBADMSG),
        ATTACK(items_over_limit, -EMSGSIZE),
        ATTACK(payload_over_limit, -EMSGSIZE),
        ATTACK(seq_by_2, -EBADMSG),
        ATTACK(seq_ahead, -EBADMSG),
        ATTACK(seq_of_ones, -EBADMSG),
        ATTACK(seq_wraps, -ETIMEDOUT),
        ATTACK(seq_stays, -ETIMEDOUT),
        ATTACK(signals, 0),
        ATTACK(layout, 0),
        ATTACK(words_of_victim, 0),
        ATTACK(area_of_victim, 0),
        ATTACK(shorten_to_0, -EBADMSG),
        ATTACK(shorten_to_header, -EBADMSG),
        ATTACK(shorten_to_half, -EBADMSG),
        ATTACK(lengthen, 0),
        ATTACK(unlink, 0),
        ATTACK(nothing, -ETIMEDOUT),
        ATTACK(chatter, 0),
        ATTACK(descriptors, 0),
        ATTACK(half_close, -ECONNRESET),
        ATTACK(hang_up, -ECONNRESET),
};

const size_t n_shm_attacks = sizeof(shm_attacks) / sizeof(shm_attacks[0]);

/* ---- from a thread of its own --------------------------------------------------------------- */

/* It races with whoever reads or writes there, that is what it is for. */
static __attribute__((no_sanitize("thread"))) void flip(struct shm_peer *peer, uint32_t within,
                                                        uint64_t *random)
{
        volatile uint8_t *byte = shm_peer_area(peer) + tap_random(random) % within;

        *byte = (uint8_t)(*byte ^ 1u << tap_random(random) % 8);
}

static void *meddler_main(void *userdata)
{
        static const off_t sizes[] = {0, SHM_HEADER_SIZE, 1000, 1200, 66000, 200000};
        struct shm_meddler *meddler = userdata;
        uint64_t *random = &meddler->random;

        while (!atomic_load(&meddler->stop)) {
                if (!meddler->shortens)
                        flip(meddler->peer, RAW_HEADER_SIZE + 1000, random);
                else if (tap_random(random) % 64)
                        sched_yield();
                else if (ftruncate(meddler->peer->region_fd, sizes[tap_random(random) % 6]) < 0)
                        break;
        }
        return NULL;
}

void shm_meddler_start(struct shm_meddler *meddler, struct shm_peer *peer, bool shortens,
                       uint64_t random)
{
        meddler->peer = peer;
        meddler->shortens = shortens;
        meddler->random = random;
        atomic_init(&meddler->stop, false);
        must(pthread_create(&meddler->thread, NULL, meddler_main, meddler) == 0);
}

void shm_meddler_stop(struct shm_meddler *meddler)
{
        atomic_store(&meddler->stop, true);
        pthread_join(meddler->thread, NULL);
}

/* ---- at random ------------------------------------------------------------------------------ */

/* Good for a number that is nearly right, or not at all. */
static uint64_t near(uint64_t value, uint64_t *random)
{
        switch (tap_random(random) % 8) {
        case 0:
                return tap_random(random);
        case 1:
                return value + 1;
        case 2:
                return value - 1;
        case 3:
                return value ^ UINT64_C(1) << tap_random(random) % 64;
        default:
                return value;
        }
}

static void write_anywhere(struct shm_peer *peer, uint64_t *random)
{
        uint64_t value = tap_random(random);

        memcpy(peer->map + tap_random(random) % (peer->size / 8) * 8, &value, sizeof(value));
}

void shm_attack_at_random(struct shm_peer *peer, uint16_t kind, uint64_t *random, unsigned n)
{
        unsigned n_unanswered = 0;
        uint8_t answer[64];
        uint32_t size;

        for (unsigned i = 0; i < n && n_unanswered < 5; i++) {
                size = (uint32_t)(tap_random(random) % 1100);
                switch (tap_random(random) % 32) {
                case 0:
                        store_seq(peer, peer->is_server, near(load_seq(peer), random));
                        break;
                case 1:
                        store_word(peer, tap_random(random) % 2, SHM_REQUEST_SIGNAL,
                                   (uint32_t)tap_random(random));
                        shm_peer_wake(peer);
                        break;
                case 2:
                        store_seq(peer, !peer->is_server, tap_random(random));
                        break;
                case 3:
                        memset(peer->map, (int)tap_random(random), SHM_REQUEST_SEQ);
                        break;
                case 4:
                        send_as(peer, kind, size,
                                (uint32_t)near((uint64_t)RAW_HEADER_SIZE + size, random));
                        break;
                case 5:
                        send_batch(peer, kind, size, (uint32_t)near(size / 8, random));
                        break;
                case 6:
                        shm_attack_write(peer, kind, size, 1);
                        flip(peer, RAW_HEADER_SIZE, random);
                        shm_peer_announce(peer, RAW_HEADER_SIZE + size);
                        break;
                case 7:
                        write_anywhere(peer, random);
                        break;
                case 8:
                        unlink(peer->path); /* if it is there still */
                        break;
                default:
                        send_as(peer, kind, size, RAW_HEADER_SIZE + size);
                        if (shm_peer_receive(peer, answer, sizeof(answer), 1) < 0)
                                n_unanswered++;
                        break;
                }
        }
}
