/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A peer of the ring profile that is no peer of ours: written from libnipc-transport/doc/ring.md
 * alone, with the numbers of that document, so that it can be as good or as bad as a test likes.
 * Nothing here uses the library.
 *
 * A good one: connect or accept, send and receive records, close. A bad one: whatever it writes
 * into its own memory with the functions in the middle.
 *
 * All paths are services of util_dir(). All waits end with the watchdog at the latest.
 */

#include "util-raw.h"

#define RING_CELL         64u
#define RING_HEADER_BYTES 4096u /* on machines with pages of that size, see ring_page_size() */
#define RING_PROFILE      0x0100u

/* Offsets in a memory, doc/ring.md §2. */
enum {
        RING_MAGIC = 0,
        RING_VERSION = 8,
        RING_HEADER_SIZE = 12,
        RING_SIZE = 16,
        RING_WAIT = 64,
        RING_N_RUNG = 68,
        RING_CPU = 72,
        RING_CONSUMED = 128,
};

enum {
        RING_WAITS_DATA = 1,
        RING_WAITS_SPACE = 2,
        RING_IS_CLOSED = 4,
        RING_SEQ = 8,
};

struct ring_peer {
        int fd;            /* the socket */
        int memory_fd;     /* of our memory, kept to see what can be done to it */
        uint8_t *own;      /* our memory, its ring mapped twice; NULL: baseline was selected */
        uint8_t *peer;     /* the other's */
        uint32_t own_size; /* of the rings */
        uint32_t peer_size;
        uint64_t tx_pos;
        uint64_t rx_pos;
        uint32_t wait_seq;
        uint32_t rung; /* the wait word that we rang for last */
        uint32_t n_rung;
        uint32_t selected; /* profile */
};

size_t ring_page_size(void);

/* A memory as it must be. ret_map: where we have it. Returns its descriptor, or a negative errno.
 */
int ring_memory_new(uint32_t size, uint8_t **ret_map);
/* One that is not sealed yet, and the seals there must be. */
int ring_memory_new_unsealed(uint32_t size, uint8_t **ret_map);
int ring_memory_seals(void);
/* Maps the memory of a descriptor, its ring twice; NULL if that fails. */
uint8_t *ring_memory_map(int fd, uint32_t size, int protection);
void ring_memory_unmap(uint8_t *map, uint32_t size);

/* One packet with descriptors (n of them, up to 4); and back: -1 if there was none. */
bool ring_send_fds(int fd, const void *packet, size_t size, const int *fds, size_t n);
ssize_t ring_receive_fd(int fd, void *packet, size_t size, int *ret_fd);

/*
 * A handshake in which all is as it must be, for payloads of up to max_payload bytes and a ring of
 * `size` bytes. Returns whether it went well. Close in any case.
 */
bool ring_peer_connect(struct ring_peer *peer, const char *service, uint32_t size,
                       uint32_t max_payload);
bool ring_peer_accept(struct ring_peer *peer, int listen_fd, uint32_t size, uint32_t max_payload);
/* Says nothing, as one that died. */
void ring_peer_close(struct ring_peer *peer);

/* ---- by hand ---- */

/* Where the bytes of a record at tx_pos are, behind its word. */
uint8_t *ring_peer_record(struct ring_peer *peer);
/* The word of a record of `size` bytes at tx_pos. */
uint64_t ring_peer_word(const struct ring_peer *peer, uint32_t size);
/* Stores any word at tx_pos, as if it published a record; rings if the other waits. */
void ring_peer_publish_word(struct ring_peer *peer, uint64_t word);
/* Publishes the record that was written, with all that belongs to it. Needs space. */
void ring_peer_publish(struct ring_peer *peer, uint32_t size);
void ring_peer_set_consumed(struct ring_peer *peer, uint64_t consumed);
void ring_peer_set_wait(struct ring_peer *peer, uint32_t wait);
void ring_peer_set_n_rung(struct ring_peer *peer, uint32_t n_rung);
/* A doorbell, whether anybody waits or not; false when the socket is full or at its end. */
bool ring_peer_ring(struct ring_peer *peer);
/* Whether the other side has ended. */
bool ring_peer_is_closed(struct ring_peer *peer);

/* ---- as it should be ---- */

/* One record; waits for space. false: the other side has gone. */
bool ring_peer_send(struct ring_peer *peer, const void *record, uint32_t size);
/* A whole message of method `code`. */
bool ring_peer_send_message(struct ring_peer *peer, uint16_t kind, uint16_t code, uint64_t id,
                            const void *payload, uint32_t size);
/*
 * The next record, of which at most `size` bytes are copied; waits for it. Returns its size,
 * -ECONNRESET or -EBADMSG.
 */
ssize_t ring_peer_receive(struct ring_peer *peer, void *record, size_t size);
