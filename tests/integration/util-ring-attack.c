/* SPDX-License-Identifier: MIT */

/* See util-ring-attack.h. */

#include "util-ring-attack.h"
#include "util-env.h"
#include <errno.h>

#define FLAG_BATCH 1u

/* A message that says payload_len, in a record of `size` bytes. */
static void send_as(struct ring_peer *peer, uint16_t kind, uint32_t payload_len, uint32_t size)
{
        raw_header(ring_peer_record(peer), kind, 1, payload_len, 1, 1);
        ring_peer_publish(peer, size);
}

/* ---- words ----------------------------------------------------------------------------------- */

static void play_tag_of_next(struct ring_peer *peer, uint16_t kind)
{
        raw_header(ring_peer_record(peer), kind, 1, 8, 1, 1);
        ring_peer_publish_word(peer, ring_peer_word(peer, 40) + (UINT64_C(1) << 32));
}

static void play_tag_of_last_round(struct ring_peer *peer, uint16_t kind)
{
        raw_header(ring_peer_record(peer), kind, 1, 8, 1, 1);
        ring_peer_publish_word(peer, ring_peer_word(peer, 40) -
                                             ((uint64_t)peer->own_size / RING_CELL << 32));
}

static void play_word_of_ones(struct ring_peer *peer, uint16_t kind)
{
        ring_peer_publish_word(peer, UINT64_MAX);
}

static void play_size_31(struct ring_peer *peer, uint16_t kind)
{
        ring_peer_publish_word(peer, 31);
}

static void play_size_1(struct ring_peer *peer, uint16_t kind)
{
        ring_peer_publish_word(peer, 1);
}

/* All as it must be but for where it ends. */
static void play_size_of_ring(struct ring_peer *peer, uint16_t kind)
{
        raw_header(ring_peer_record(peer), kind, 1, peer->own_size - RAW_HEADER_SIZE, 1, 1);
        ring_peer_publish_word(peer, ring_peer_word(peer, peer->own_size));
}

static void play_size_over_the_end(struct ring_peer *peer, uint16_t kind)
{
        /* All cells, and none left for the next word. */
        raw_header(ring_peer_record(peer), kind, 1, peer->own_size - 8 - RAW_HEADER_SIZE, 1, 1);
        ring_peer_publish_word(peer, ring_peer_word(peer, peer->own_size - 8));
}

static void play_size_of_ones(struct ring_peer *peer, uint16_t kind)
{
        ring_peer_publish_word(peer, ring_peer_word(peer, UINT32_MAX));
}

/* ---- headers --------------------------------------------------------------------------------- */

static void play_no_magic(struct ring_peer *peer, uint16_t kind)
{
        memset(ring_peer_record(peer), 0x5a, 40);
        ring_peer_publish(peer, 40);
}

static void play_bad_kind(struct ring_peer *peer, uint16_t kind)
{
        send_as(peer, 4, 8, 40);
}

static void play_too_large(struct ring_peer *peer, uint16_t kind)
{
        send_as(peer, kind, UINT32_MAX, 40);
}

static void play_largest_record(struct ring_peer *peer, uint16_t kind)
{
        uint32_t size = peer->own_size - RING_CELL - 8;

        send_as(peer, kind, 8, size);
}

static void play_record_too_long(struct ring_peer *peer, uint16_t kind)
{
        send_as(peer, kind, 8, 41);
}

static void play_empty_too_long(struct ring_peer *peer, uint16_t kind)
{
        send_as(peer, kind, 0, 4096);
}

static void play_batch(struct ring_peer *peer, uint16_t kind)
{
        uint8_t *record = ring_peer_record(peer);

        raw_header(record, kind, 1, 64, 3, 1);
        raw_put16(record, RAW_FLAGS, FLAG_BATCH);
        memset(record + RAW_HEADER_SIZE, 0xff, 64); /* no offset of that lies inside */
        ring_peer_publish(peer, RAW_HEADER_SIZE + 64);
}

static void play_batch_without_directory(struct ring_peer *peer, uint16_t kind)
{
        uint8_t *record = ring_peer_record(peer);

        raw_header(record, kind, 1, 4, 16, 1);
        raw_put16(record, RAW_FLAGS, FLAG_BATCH);
        ring_peer_publish(peer, RAW_HEADER_SIZE + 4);
}

/* ---- chunks: packet 0 is good, with 1000 bytes still to come --------------------------------- */

#define CHUNK_ROOM(peer) ((peer)->own_size / 4 - RING_CELL - RAW_HEADER_SIZE)

static void begin(struct ring_peer *peer, uint16_t kind)
{
        send_as(peer, kind, CHUNK_ROOM(peer) + 1000, RAW_HEADER_SIZE + CHUNK_ROOM(peer));
}

static void play_chunk_is_message(struct ring_peer *peer, uint16_t kind)
{
        begin(peer, kind);
        send_as(peer, kind, 8, 40);
}

/* At cell 0 such a word would be none at all. */
static void play_size_0(struct ring_peer *peer, uint16_t kind)
{
        begin(peer, kind);
        ring_peer_publish_word(peer, ring_peer_word(peer, 0));
}

static void go_on(struct ring_peer *peer, uint64_t id, uint32_t index, uint32_t count,
                  uint32_t says, uint32_t carries)
{
        raw_chunk(ring_peer_record(peer), id, RAW_HEADER_SIZE + CHUNK_ROOM(peer) + 1000, index,
                  count, says);
        ring_peer_publish(peer, RAW_HEADER_SIZE + carries);
}

static void play_chunk_id(struct ring_peer *peer, uint16_t kind)
{
        begin(peer, kind);
        go_on(peer, 2, 1, 2, 1000, 1000);
}

static void play_chunk_index(struct ring_peer *peer, uint16_t kind)
{
        begin(peer, kind);
        go_on(peer, 1, 2, 2, 1000, 1000);
}

static void play_chunk_count(struct ring_peer *peer, uint16_t kind)
{
        begin(peer, kind);
        go_on(peer, 1, 1, UINT32_MAX, 1000, 1000);
}

static void play_chunk_says_more(struct ring_peer *peer, uint16_t kind)
{
        begin(peer, kind);
        go_on(peer, 1, 1, 2, 1000, 999);
}

static void play_chunk_runs_over(struct ring_peer *peer, uint16_t kind)
{
        begin(peer, kind);
        go_on(peer, 1, 1, 2, 1001, 1001);
}

static void play_chunk_above_packet(struct ring_peer *peer, uint16_t kind)
{
        uint32_t part = CHUNK_ROOM(peer) + 1;

        send_as(peer, kind, 2 * part, RAW_HEADER_SIZE + part);
        raw_chunk(ring_peer_record(peer), 1, RAW_HEADER_SIZE + 2 * part, 1, 3, part);
        ring_peer_publish(peer, RAW_HEADER_SIZE + part);
}

/* ---- what it says of itself ------------------------------------------------------------------ */

static void play_consumed_ahead(struct ring_peer *peer, uint16_t kind)
{
        ring_peer_set_consumed(peer, RING_CELL << 20);
}

static void play_consumed_of_ones(struct ring_peer *peer, uint16_t kind)
{
        ring_peer_set_consumed(peer, UINT64_MAX - RING_CELL + 1);
}

static void play_consumed_unaligned(struct ring_peer *peer, uint16_t kind)
{
        ring_peer_set_consumed(peer, 1);
}

static void play_consumed_back(struct ring_peer *peer, uint16_t kind)
{
        uint8_t record[64];

        /* Until something was consumed that the other side must know of. */
        while (peer->rx_pos < peer->peer_size)
                if (ring_peer_receive(peer, record, sizeof(record)) < 0)
                        return;
        ring_peer_set_consumed(peer, 0);
}

static void play_closed(struct ring_peer *peer, uint16_t kind)
{
        ring_peer_set_wait(peer, RING_IS_CLOSED);
}

static void play_hang_up(struct ring_peer *peer, uint16_t kind)
{
        shutdown(peer->fd, SHUT_RDWR);
}

#define RECEIVE(name, error)                     \
        {                                        \
#name, play_##name, error, false \
        }
#define SEND(name, error)                       \
        {                                       \
#name, play_##name, error, true \
        }

const struct ring_attack ring_attacks[] = {
        RECEIVE(tag_of_next, -EBADMSG),
        RECEIVE(tag_of_last_round, -EBADMSG),
        RECEIVE(word_of_ones, -EBADMSG),
        RECEIVE(size_0, -EBADMSG),
        RECEIVE(size_1, -EBADMSG),
        RECEIVE(size_31, -EBADMSG),
        RECEIVE(size_of_ring, -EBADMSG),
        RECEIVE(size_over_the_end, -EBADMSG),
        RECEIVE(size_of_ones, -EBADMSG),
        RECEIVE(no_magic, -EBADMSG),
        RECEIVE(bad_kind, -EBADMSG),
        RECEIVE(too_large, -EMSGSIZE),
        RECEIVE(largest_record, -EBADMSG),
        RECEIVE(record_too_long, -EBADMSG),
        RECEIVE(empty_too_long, -EBADMSG),
        RECEIVE(batch, -EBADMSG),
        RECEIVE(batch_without_directory, -EBADMSG),
        RECEIVE(chunk_is_message, -EBADMSG),
        RECEIVE(chunk_id, -EBADMSG),
        RECEIVE(chunk_index, -EBADMSG),
        RECEIVE(chunk_count, -EBADMSG),
        RECEIVE(chunk_says_more, -EBADMSG),
        RECEIVE(chunk_runs_over, -EBADMSG),
        RECEIVE(chunk_above_packet, -EBADMSG),
        RECEIVE(hang_up, -ECONNRESET),
        SEND(consumed_ahead, -EBADMSG),
        SEND(consumed_of_ones, -EBADMSG),
        SEND(consumed_unaligned, -EBADMSG),
        {"consumed_back", play_consumed_back, -EBADMSG, true, true},
        SEND(closed, -ECONNRESET),
};

const size_t n_ring_attacks = sizeof(ring_attacks) / sizeof(ring_attacks[0]);

/* ---- at random ------------------------------------------------------------------------------- */

/* Good for a number that is nearly right, or not at all. */
static uint64_t near(uint64_t value, uint64_t *random)
{
        switch (tap_random(random) % 8) {
        case 0:
                return tap_random(random);
        case 1:
                return value + RING_CELL;
        case 2:
                return value - RING_CELL;
        case 3:
                return value ^ UINT64_C(1) << tap_random(random) % 64;
        default:
                return value;
        }
}

static void flip_bits(struct ring_peer *peer, uint64_t *random)
{
        const size_t at = ring_page_size() + tap_random(random) % peer->own_size;

        peer->own[at] ^= (uint8_t)(1u << tap_random(random) % 8);
}

void ring_attack_at_random(struct ring_peer *peer, uint16_t kind, uint64_t *random, unsigned n)
{
        uint32_t size;

        for (unsigned i = 0; i < n; i++) {
                size = (uint32_t)(tap_random(random) % 2000);
                switch (tap_random(random) % 16) {
                case 0:
                        ring_peer_publish_word(peer, near(ring_peer_word(peer, size), random));
                        break;
                case 1:
                        ring_peer_set_consumed(peer, near(peer->rx_pos, random));
                        break;
                case 2:
                        ring_peer_set_wait(peer, (uint32_t)tap_random(random) & ~4u);
                        break;
                case 3:
                        ring_peer_set_n_rung(peer, (uint32_t)tap_random(random));
                        break;
                case 4:
                        for (unsigned k = 0; k < size % 100 && ring_peer_ring(peer); k++)
                                ;
                        break;
                case 5:
                        raw_chunk(ring_peer_record(peer), 1, size, 1, 2, size);
                        ring_peer_publish(peer, (uint32_t)near(RAW_HEADER_SIZE + size, random));
                        break;
                case 6:
                        send_as(peer, kind, (uint32_t)near(size, random), RAW_HEADER_SIZE + size);
                        break;
                case 7:
                case 8:
                        flip_bits(peer, random);
                        break;
                default:
                        send_as(peer, kind, size, RAW_HEADER_SIZE + size);
                        break;
                }
        }
}
