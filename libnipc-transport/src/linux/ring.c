/* SPDX-License-Identifier: MIT */

/*
 * The ring plane (doc/ring.md): messages as records of two rings in memory, without the kernel as
 * long as both sides are awake. The link carries doorbells, packets whose content means nothing, to
 * a side that said that it sleeps; its end is the peer's end.
 *
 * Invariants: nothing that the peer can write is read twice; what was told last (rx_told, tx_limit,
 * last_rung) is kept here and only ever moves forward. Between tx_pos and tx_limit lies one free
 * cell more than is ever used: the next word, zeroed before the record in front of it is published.
 */

#include "header-words.h"
#include "ring-words.h"
#include <errno.h>

/* How far ahead cells are prepared, see prepare_ahead(). */
#define CELLS_CLEARED 1u
#define CELLS_FETCHED 2u

/*
 * Looks without a pause between them, some 400 ns of them, and how many records must have come one
 * by one before. Chosen, not tuned.
 */
#define CLOSE_LOOKS 40u
#define MIN_LONELY  32u

/*
 * The wait before the first look, in turns of about a cycle: a step is some 3 ns, the most 300 ns.
 * `nipc bench ping-pong`.
 */
#define PATIENCE_STEP 8u
#define MAX_PATIENCE  1000u

/*
 * One receive in so many of an exchange begins with a look, and so many and one more the next time:
 * of three such looks not all can be at the first message of a burst, whatever its length.
 */
#define BLIND_RECEIVES 64u

/* Records of one message for which a caller with other sessions is kept; chosen, not tuned. */
#define RECORD_BUDGET 64u

/* ---- sending -------------------------------------------------------------------------------- */

/*
 * Off the way of the message that was just published: a cell a little ahead is made ours and its
 * word zero, so that the next messages need not wait for either. Only a hint; see publish().
 */
static inline void prepare_ahead(const struct nipc__ring *ring, uint64_t next)
{
        _Atomic uint64_t *ahead = tx_word(ring, next + CELLS_CLEARED * NIPC__RING_CELL);

        __builtin_prefetch(tx_word(ring, next + CELLS_FETCHED * NIPC__RING_CELL), 1);
        if (next + (CELLS_CLEARED + 1) * NIPC__RING_CELL <= ring->tx_limit &&
            atomic_load_explicit(ahead, memory_order_relaxed))
                atomic_store_explicit(ahead, 0, memory_order_relaxed);
}

/* The peer waits for something, perhaps for what was just published. */
static NIPC__COLD int published_to_waiting(struct nipc_session *session, uint32_t wait)
{
        int r = 0;

        if ((wait & NIPC__RING_SPACE) && session->ring->rx_told != session->ring->rx_pos)
                nipc__ring_tell(session);
        if (wait & (NIPC__RING_DATA | NIPC__RING_CLOSED))
                r = nipc__ring_doorbell(session, wait);
        return nipc__session_result(session, NIPC_FAILURE_SEND, r);
}

/* Publishes the record of `size` bytes, in so many cells, that was written at tx_pos. */
static NIPC__ALWAYS_INLINE int publish_cells(struct nipc_session *session, uint32_t size,
                                             uint64_t cells)
{
        struct nipc__ring *ring = session->ring;
        uint64_t pos = ring->tx_pos, next = pos + cells;
        _Atomic uint64_t *next_word = tx_word(ring, next);
        uint32_t wait;

        ring->tx_pos = next;
        ring->wanted_cells = 0;
        /* What lies there is of an earlier round: whoever has read this record must not see it. */
        if (NIPC__UNLIKELY(atomic_load_explicit(next_word, memory_order_relaxed)))
                atomic_store_explicit(next_word, 0, memory_order_relaxed);
        /* Releases the record and the zero behind it to peek(); pairs with sleep_for(). */
        announce_64(tx_word(ring, pos), ((pos / NIPC__RING_CELL) << 32) | size);
        wait = atomic_load_explicit(ring->peer_wait, LOAD_AFTER_FENCE);
        prepare_ahead(ring, next);
        if (NIPC__LIKELY(!(wait & NIPC__RING_WHY)))
                return 0;
        return published_to_waiting(session, wait);
}

static inline int publish(struct nipc_session *session, uint32_t size)
{
        return publish_cells(session, size, record_cells(size));
}

/* The same of a record that is one cell. */
static inline int publish_small(struct nipc_session *session, uint32_t size)
{
        return publish_cells(session, size, NIPC__RING_CELL);
}

static inline uint8_t *record_at(const struct nipc__ring *ring)
{
        return ring->tx + (ring->tx_pos & ring->tx_mask) + NIPC__RING_WORD_BYTES;
}

static inline bool has_space(const struct nipc__ring *ring, size_t size)
{
        return ring->tx_pos + record_cells(size) <= ring->tx_limit;
}

static int ring_send_now(struct nipc_session *session, const struct nipc_header *header,
                         const void *payload, size_t payload_size)
{
        struct nipc__ring *ring = session->ring;
        uint8_t *record;
        int r;

        if (NIPC__UNLIKELY(payload_size + NIPC_HEADER_SIZE > ring->tx_whole_bytes))
                return -EAGAIN;
        if (NIPC__UNLIKELY(!has_space(ring, NIPC_HEADER_SIZE + payload_size))) {
                r = nipc__ring_look_for_space(session,
                                              record_cells(NIPC_HEADER_SIZE + payload_size));
                if (r <= 0)
                        return r < 0 ? r : -EAGAIN; /* the long way asks once more */
        }
        record = record_at(ring);
        nipc__header_write_with(header, record, (uint32_t)payload_size);
        if (NIPC__LIKELY(payload_size == sizeof(uint64_t))) /* one number, and no call */
                memcpy(record + NIPC_HEADER_SIZE, payload, sizeof(uint64_t));
        else
                memcpy(record + NIPC_HEADER_SIZE, payload, payload_size);
        return publish(session, NIPC_HEADER_SIZE + (uint32_t)payload_size);
}

/* There is no room for so much in one piece, or none now. */
static NIPC__COLD int reserve_unusual(struct nipc_session *session, size_t capacity,
                                      void **ret_payload)
{
        struct nipc__ring *ring = session->ring;
        int r = 0;

        if (capacity + NIPC_HEADER_SIZE <= ring->tx_whole_bytes)
                r = nipc__ring_look_for_space(session, record_cells(NIPC_HEADER_SIZE + capacity));
        if (r < 0)
                return r;
        if (r == 0)
                return nipc__session_reserve_buffer(session, capacity, ret_payload);
        nipc__session_lend(session, capacity);
        *ret_payload = record_at(ring) + NIPC_HEADER_SIZE;
        return 0;
}

static int ring_reserve(struct nipc_session *session, size_t capacity, void **ret_payload)
{
        struct nipc__ring *ring = session->ring;

        if (NIPC__UNLIKELY(capacity + NIPC_HEADER_SIZE > ring->tx_whole_bytes ||
                           !has_space(ring, NIPC_HEADER_SIZE + capacity)))
                return reserve_unusual(session, capacity, ret_payload);
        nipc__session_lend(session, capacity);
        *ret_payload = record_at(ring) + NIPC_HEADER_SIZE;
        return 0;
}

static int ring_commit(struct nipc_session *session, const struct nipc_header *header,
                       size_t payload_size)
{
        nipc__header_write_with(header, record_at(session->ring), (uint32_t)payload_size);
        if (NIPC__LIKELY(payload_size <= NIPC__RING_SMALL_BYTES))
                return publish_small(session, NIPC_HEADER_SIZE + (uint32_t)payload_size);
        return publish(session, NIPC_HEADER_SIZE + (uint32_t)payload_size);
}

/* The size of the next record of session->out, header included. */
uint32_t nipc__ring_next_record(const struct nipc_session *session)
{
        const struct nipc__outgoing *out = &session->out;
        const struct nipc__ring *ring = session->ring;
        uint32_t left = out->header.payload_len - out->sent;

        if (!out->chunk_index && left <= ring->tx_whole_bytes - NIPC_HEADER_SIZE)
                return NIPC_HEADER_SIZE + left;
        return NIPC__MIN(NIPC_HEADER_SIZE + (uint64_t)left, ring->tx_packet_size);
}

static void write_record(const struct nipc_session *session, uint32_t part, uint8_t *record)
{
        const struct nipc__outgoing *out = &session->out;
        uint32_t packet_size = session->ring->tx_packet_size;

        if (out->chunk_index == 0) {
                nipc__header_write(&out->header, record);
        } else {
                struct nipc_chunk_header chunk = {
                        .message_id = out->header.message_id,
                        .total_message_len = NIPC_HEADER_SIZE + out->header.payload_len,
                        .chunk_index = out->chunk_index,
                        .chunk_count =
                                nipc_chunk_count(out->header.payload_len,
                                                 packet_size - NIPC_HEADER_SIZE, packet_size),
                        .chunk_payload_len = part,
                };

                nipc_chunk_header_encode(&chunk, record);
        }
        memcpy(record + NIPC_HEADER_SIZE, out->payload + out->sent, part);
}

static int ring_send(struct nipc_session *session, uint64_t deadline_ns)
{
        struct nipc__outgoing *out = &session->out;
        uint32_t size;
        int r;

        do {
                size = nipc__ring_next_record(session);
                r = nipc__ring_wait_for_space(session, record_cells(size), deadline_ns);
                if (r < 0)
                        return r;
                write_record(session, size - NIPC_HEADER_SIZE, record_at(session->ring));
                r = publish(session, size);
                if (r < 0)
                        return r;
                out->sent += size - NIPC_HEADER_SIZE;
                out->chunk_index++;
        } while (out->sent < out->header.payload_len);
        return 0;
}

/* ---- receiving ------------------------------------------------------------------------------ */

/* What a word says. Returns the record's size, or a negative errno. */
static inline int64_t check_word(struct nipc_session *session, uint64_t word)
{
        static const struct nipc_fault fault = {
                NIPC_PROTO_E_BAD_LAYOUT, 0, "a record must bear the number of its cell, and fit"};
        const struct nipc__ring *ring = session->ring;
        uint32_t size = (uint32_t)word;

        if (NIPC__LIKELY((uint32_t)(word >> 32) == (uint32_t)(ring->rx_pos / NIPC__RING_CELL) &&
                         size >= NIPC_HEADER_SIZE && size <= ring->rx_max_bytes))
                return size;
        return nipc__session_fail_fault(session, NIPC_FAILURE_RECEIVE, -EBADMSG, &fault);
}

/*
 * The payload of a record. What fits the rest of the first cell is copied without a call, and
 * without a look at how much it is: all of a cell is there to be read, and room enough to write.
 */
static inline void copy_payload(uint8_t *to, const uint8_t *record, size_t size)
{
        if (size <= NIPC__RING_SMALL_BYTES)
                memcpy(to, record + NIPC_HEADER_SIZE, NIPC__RING_SMALL_BYTES);
        else
                memcpy(to, record + NIPC_HEADER_SIZE, size);
}

/* So many bytes more were read. A peer that waits for less is told when we answer, or wait. */
static NIPC__ALWAYS_INLINE void consume_cells(struct nipc_session *session, uint64_t cells)
{
        struct nipc__ring *ring = session->ring;

        ring->rx_pos += cells;
        ring->n_unbroken++;
        if (NIPC__UNLIKELY(ring->rx_pos - ring->rx_told >= ring->rx_quarter))
                nipc__ring_tell(session);
}

static inline void consume(struct nipc_session *session, uint32_t size)
{
        consume_cells(session, record_cells(size));
}

static inline const uint8_t *next_bytes(const struct nipc__ring *ring)
{
        return ring->rx + (ring->rx_pos & ring->rx_mask) + NIPC__RING_WORD_BYTES;
}

/* What receive_first() does when it is not all as usual. Returns as it does. */
static NIPC__COLD int receive_unusual(struct nipc_session *session,
                                      const uint64_t words[NIPC__HEADER_WORDS],
                                      const struct nipc_header *header, size_t size)
{
        struct nipc__ring *ring = session->ring;
        struct nipc_header ignored;
        struct nipc_fault fault;
        int r;

        if (nipc_header_decode(words, NIPC_HEADER_SIZE, &ignored, &fault))
                return nipc__session_fail_fault(session, NIPC_FAILURE_RECEIVE, -EBADMSG, &fault);
        r = nipc_assembly_begin(&session->assembly, header, size, ring->rx_packet_size, &fault);
        if (r > 0)
                return nipc__session_fail_fault(session, NIPC_FAILURE_RECEIVE, -EBADMSG, &fault);
        /* Others receive before the rest has come: a shared buffer, large enough, becomes ours. */
        r = nipc__session_own_rx(session, size, 0);
        if (r < 0)
                return r;
        memcpy(session->rx.bytes + NIPC_HEADER_SIZE, next_bytes(ring) + NIPC_HEADER_SIZE,
               size - NIPC_HEADER_SIZE);
        consume(session, (uint32_t)size);
        session->receiving = true;
        return 0;
}

/* The first record of a message. Returns 1 when that is all of it, else 0 or an error. */
static NIPC__ALWAYS_INLINE int receive_first(struct nipc_session *session, uint64_t word,
                                             struct nipc_message *ret_message)
{
        struct nipc_header *header = &ret_message->header;
        const uint8_t *record = next_bytes(session->ring);
        int64_t size = check_word(session, word);
        uint64_t words[NIPC__HEADER_WORDS];
        struct nipc__buffer *rx;
        int r;

        if (NIPC__UNLIKELY(size < 0))
                return (int)size;
        nipc__header_read_once(words, record);
        if (NIPC__UNLIKELY(
                    !nipc__header_from_words(words[0], words[1], words[2], words[3], header)))
                return receive_unusual(session, words, header, (size_t)size);
        rx = nipc__session_rx(session);
        if (NIPC__UNLIKELY(rx->capacity < (size_t)size)) {
                r = nipc__session_make_room(session, rx, (size_t)size);
                if (r < 0)
                        return r;
        }
        r = nipc__session_check_inbound(session, header);
        if (NIPC__UNLIKELY(r < 0)) {
                ret_message->payload = "";
                ret_message->payload_size = 0;
                return r;
        }
        if (NIPC__UNLIKELY((uint64_t)size != NIPC_HEADER_SIZE + (uint64_t)header->payload_len))
                return receive_unusual(session, words, header, (size_t)size);
        copy_payload(rx->bytes + NIPC_HEADER_SIZE, record, header->payload_len);
        consume(session, (uint32_t)size);
        return nipc__session_finish(session, header, rx->bytes + NIPC_HEADER_SIZE, ret_message);
}

static int receive_next(struct nipc_session *session, uint64_t word)
{
        struct nipc__ring *ring = session->ring;
        struct nipc_assembly *assembly = &session->assembly;
        const uint8_t *record = next_bytes(ring);
        int64_t size = check_word(session, word);
        size_t filled = NIPC_HEADER_SIZE + (size_t)assembly->received;
        uint64_t words[NIPC__HEADER_WORDS];
        struct nipc_fault fault;
        int r;

        if (size < 0)
                return (int)size;
        r = nipc__session_room_for_next(session, ring->rx_packet_size);
        if (r < 0)
                return r;
        nipc__header_read_once(words, record);
        r = nipc_assembly_continue(assembly, words, (size_t)size, &fault);
        if (r > 0)
                return nipc__session_fail_fault(session, NIPC_FAILURE_RECEIVE, -EBADMSG, &fault);
        /* Not more than a packet, says the assembly: there is room for that. */
        memcpy(session->rx.bytes + filled, record + NIPC_HEADER_SIZE,
               (size_t)size - NIPC_HEADER_SIZE);
        consume(session, (uint32_t)size);
        return 0;
}

static NIPC__COLD int receive_rest(struct nipc_session *session, uint64_t deadline_ns,
                                   struct nipc_message *ret_message)
{
        unsigned n;
        int r;

        /* It has begun: from here on its peer is only owed what any half message is. */
        if (deadline_ns <= NIPC_DEADLINE_SPIN)
                deadline_ns = NIPC_DEADLINE_NOW;
        for (n = 0; nipc_assembly_missing(&session->assembly); n++) {
                if (session->watch.is_hot && n == RECORD_BUDGET && deadline_ns == NIPC_DEADLINE_NOW)
                        return -EAGAIN;
                r = peek(session->ring) ? 0 : nipc__ring_wait_for_data(session, deadline_ns);
                if (r == 0)
                        r = receive_next(session, peek(session->ring));
                if (r < 0)
                        return r;
        }
        session->receiving = false;
        r = nipc__session_finish(session, &session->assembly.header,
                                 session->rx.bytes + NIPC_HEADER_SIZE, ret_message);
        return NIPC__MIN(r, 0);
}

static NIPC__COLD int fail_receive(struct nipc_session *session, int r)
{
        return nipc__session_result(session, NIPC_FAILURE_RECEIVE, r);
}

/* Whether the next message is waited for by looks alone: nobody sleeps, or has spun in vain. */
static NIPC__ALWAYS_INLINE bool is_looked_at(const struct nipc_session *session)
{
        const struct nipc__ring *ring = session->ring;

        return !ring->is_waiting && !ring->has_spun && !session->watch.active &&
               nipc__spinner_is_sure(&ring->spinner);
}

/*
 * In an exchange of one message at a time at full speed what is waited for is an answer, some
 * hundred nanoseconds away. Whoever looks at a line that the peer is about to write takes it from
 * him, and both pay for that: so the first look is made when the answer ought to be there, by what
 * the last ones took: a little earlier each time, and later once it was too early. From then on
 * there is no pause of the processor between looks, which is long for this.
 *
 * Returns the word, or 0 if it is not there in some 400 ns more.
 */
static NIPC__ALWAYS_INLINE uint64_t look_in_time(struct nipc__ring *ring,
                                                 const _Atomic uint64_t *place)
{
        uint64_t word;
        unsigned i;

        for (i = ring->patience; i > 0; i--)
                __asm__ volatile("" : "+r"(i) : : "memory");  /* one turn is about a cycle */
        word = atomic_load_explicit(place, LOAD_AFTER_FENCE); /* see peek() */
        if (word) {
                ring->patience -= ring->patience > 0;
                return word;
        }
        for (i = 0; i < CLOSE_LOOKS; i++) {
                nipc__spin_breath();
                word = atomic_load_explicit(place, LOAD_AFTER_FENCE);
                if (word) {
                        ring->patience = NIPC__MIN(ring->patience + PATIENCE_STEP, MAX_PATIENCE);
                        return word;
                }
        }
        ring->patience = 0;
        return 0;
}

/*
 * Whether an answer is waited for in such an exchange, which has been one for a while (MIN_LONELY):
 * we must have said something since we received. Where more than one message is on its way a look
 * finds one, and to wait before it would be a waste; so now and then there is a look first.
 */
static NIPC__ALWAYS_INLINE bool is_exchange(const struct nipc_session *session,
                                            uint64_t deadline_ns)
{
        const struct nipc__ring *ring = session->ring;

        return ring->n_unbroken == 1 && ring->tx_pos != ring->tx_pos_received &&
               deadline_ns != NIPC_DEADLINE_NOW && is_looked_at(session);
}

static NIPC__ALWAYS_INLINE bool is_look_due(struct nipc__ring *ring)
{
        if (NIPC__LIKELY(ring->n_blind++ < BLIND_RECEIVES + ring->is_odd_look))
                return false;
        ring->n_blind = 0;
        ring->is_odd_look = !ring->is_odd_look;
        return true;
}

/*
 * The word of the next record, or 0: everything that takes longer, and all that it teaches, is
 * nipc__ring_wait_for_data()'s.
 */
static inline uint64_t look_for_record(const struct nipc_session *session, uint64_t deadline_ns,
                                       const _Atomic uint64_t *place)
{
        struct nipc__ring *ring = session->ring;
        bool exchange = false;
        uint64_t word = 0;

        if (ring->n_lonely == MIN_LONELY) {
                exchange = is_exchange(session, deadline_ns);
                ring->tx_pos_received = ring->tx_pos;
        }
        if (!exchange || is_look_due(ring))
                word = atomic_load_explicit(place, LOAD_AFTER_FENCE); /* see peek() */
        if (word)
                return word;
        ring->n_lonely = ring->n_unbroken == 1 ? NIPC__MIN(ring->n_lonely + 1, MIN_LONELY) : 0;
        ring->n_unbroken = 0;
        return exchange ? look_in_time(ring, place) : 0;
}

/*
 * A whole message in one cell, as it is mostly: from the record into registers, from there to where
 * the caller finds it, without a look at anything but what is expected. Returns whether it was
 * that; otherwise nothing happened, and nothing of what was read is kept.
 *
 * kind_to_status: the second word of the header, of which `mask` says what must be as there.
 */
static NIPC__ALWAYS_INLINE bool receive_small(struct nipc_session *session, uint64_t word,
                                              uint64_t kind_to_status, uint64_t mask,
                                              const uint64_t *message_id,
                                              struct nipc_message *ret_message)
{
        struct nipc__ring *ring = session->ring;
        const uint8_t *record = next_bytes(ring);
        const uint32_t payload_size = (uint32_t)word - NIPC_HEADER_SIZE;
        uint64_t words[NIPC__HEADER_WORDS];

        if (NIPC__UNLIKELY((uint32_t)(word >> 32) != (uint32_t)(ring->rx_pos / NIPC__RING_CELL) ||
                           payload_size > ring->rx_small_bytes))
                return false;
        nipc__header_read_once(words, record);
        if (NIPC__UNLIKELY(words[0] != NIPC__HEADER_START || (words[1] & mask) != kind_to_status ||
                           words[2] != NIPC__HEADER_SIZES(payload_size, 1) ||
                           (message_id && words[3] != *message_id)))
                return false;
        memcpy(ring->rx_small, record + NIPC_HEADER_SIZE, NIPC__RING_SMALL_BYTES);
        nipc__header_from_good_words(words[1], words[2], words[3], &ret_message->header);
        ret_message->payload = ring->rx_small;
        ret_message->payload_size = payload_size;
        consume_cells(session, NIPC__RING_CELL);
        return true;
}

/* A record of a message that has not begun is there. */
static NIPC__ALWAYS_INLINE int receive_word(struct nipc_session *session, uint64_t word,
                                            uint64_t deadline_ns, struct nipc_message *ret_message)
{
        int r;

        if (NIPC__LIKELY(receive_small(session, word, session->ring->rx_kind,
                                       NIPC__HEADER_KIND_AND_FLAGS, NULL, ret_message)))
                return 0;
        r = receive_first(session, word, ret_message);
        if (NIPC__LIKELY(r > 0))
                return 0;
        if (r == 0)
                r = receive_rest(session, deadline_ns, ret_message);
        return fail_receive(session, r);
}

/* The same, out of the way of those who found it at once. */
static __attribute__((__noinline__)) int receive_found(struct nipc_session *session, uint64_t word,
                                                       uint64_t deadline_ns,
                                                       struct nipc_message *ret_message)
{
        return receive_word(session, word, deadline_ns, ret_message);
}

static int receive_later(struct nipc_session *session, uint64_t deadline_ns,
                         struct nipc_message *ret_message)
{
        int r = nipc__ring_wait_for_data(session, deadline_ns);

        if (NIPC__UNLIKELY(r < 0))
                return fail_receive(session, r);
        return receive_found(session, peek(session->ring), deadline_ns, ret_message);
}

static int ring_receive(struct nipc_session *session, uint64_t deadline_ns,
                        struct nipc_message *ret_message)
{
        uint64_t word;

        if (NIPC__UNLIKELY(session->receiving))
                return fail_receive(session, receive_rest(session, deadline_ns, ret_message));
        word = look_for_record(session, deadline_ns, rx_word(session->ring));
        if (NIPC__UNLIKELY(!word))
                return receive_later(session, deadline_ns, ret_message);
        return receive_word(session, word, deadline_ns, ret_message);
}

/*
 * The request was sent, or not (r). word: what there is of an answer, and is not what was expected;
 * 0: nothing yet.
 */
static NIPC__COLD int receive_answer(struct nipc_session *session, const struct nipc_header *header,
                                     uint64_t word, uint64_t deadline_ns, int r,
                                     struct nipc_message *ret_message)
{
        if (r == 0)
                r = nipc__in_flight_add(&session->in_flight, header->message_id);
        if (r < 0)
                return r;
        if (!word)
                word = peek(session->ring);
        if (word)
                session->ring->has_spun = false; /* and if it was in vain, now it would not be */
        return word ? receive_found(session, word, deadline_ns, ret_message)
                    : receive_later(session, deadline_ns, ret_message);
}

/*
 * A client's round trip of one small request, when none is in flight: its id is in the set of those
 * only if it has to be waited for, since nobody else could ask for it meanwhile.
 */
static int ring_call(struct nipc_session *session, const struct nipc_header *header,
                     const void *payload, size_t payload_size, uint64_t deadline_ns,
                     struct nipc_message *ret_message)
{
        struct nipc__ring *ring = session->ring;
        uint8_t *record = record_at(ring);
        uint64_t word = 0;
        int r;

        if (NIPC__UNLIKELY(!has_space(ring, NIPC__RING_SMALL_BYTES + NIPC_HEADER_SIZE)))
                return nipc__session_call_in_steps(session, header, payload, payload_size,
                                                   deadline_ns, ret_message);
        session->tx_is_lent = false;
        nipc__header_write_with(header, record, (uint32_t)payload_size);
        if (NIPC__LIKELY(payload_size == sizeof(uint64_t)))
                memcpy(record + NIPC_HEADER_SIZE, payload, sizeof(uint64_t));
        else
                memcpy(record + NIPC_HEADER_SIZE, payload ? payload : "", payload_size);
        r = publish_small(session, NIPC_HEADER_SIZE + (uint32_t)payload_size);
        if (NIPC__LIKELY(r == 0)) {
                if (deadline_ns != NIPC_DEADLINE_NOW && is_looked_at(session))
                        word = look_in_time(ring, rx_word(ring));
                if (NIPC__LIKELY(word &&
                                 receive_small(session, word,
                                               nipc__header_response_to(header->code), UINT64_MAX,
                                               &header->message_id, ret_message)))
                        return 0;
        }
        return receive_answer(session, header, word, deadline_ns, r, ret_message);
}

const struct nipc__plane_ops nipc__ring_ops = {
        .profile = NIPC_PROFILE_RING,
        .send = ring_send,
        .receive = ring_receive,
        .wait = nipc__ring_wait,
        .get_fd = nipc__ring_get_fd,
        .send_now = ring_send_now,
        .call = ring_call,
        .reserve = ring_reserve,
        .commit = ring_commit,
        .look = nipc__ring_look,
        .arm = nipc__ring_arm,
        .disarm = nipc__ring_disarm,
        .hear = nipc__ring_hear,
};
