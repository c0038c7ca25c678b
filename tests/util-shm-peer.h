/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A peer of NetIPC v1 on shared memory, written from the specification (transport-posix §3) and
 * from nothing else: offsets of its own, plain spinning, a futex that is always woken.
 *
 * How to use: shm_peer_connect() to a server, or shm_peer_serve() in a thread of its own while a
 * client opens; then send and receive in turns; close.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Ends a program of tests that need SHM_HYBRID sessions as skipped, where futexes cannot be watched
 * (before Linux 5.16, and under emulators): servers have no such sessions there.
 */
void shm_peer_skip_unless_watchable(void);

enum {
        SHM_MAGIC = 0,
        SHM_VERSION = 4,
        SHM_HEADER_LEN = 6,
        SHM_PID = 8,
        SHM_GENERATION = 12,
        SHM_REQUEST_OFFSET = 16,
        SHM_REQUEST_CAPACITY = 20,
        SHM_RESPONSE_OFFSET = 24,
        SHM_RESPONSE_CAPACITY = 28,
        SHM_REQUEST_SEQ = 32,
        SHM_RESPONSE_SEQ = 40,
        SHM_REQUEST_LEN = 48,
        SHM_RESPONSE_LEN = 52,
        SHM_REQUEST_SIGNAL = 56,
        SHM_RESPONSE_SIGNAL = 60,
        SHM_HEADER_SIZE = 64,
};

struct shm_peer {
        int fd; /* the connection */
        int region_fd;
        uint8_t *map;
        size_t size;
        /* Own copies: what is in the region may be anything by now. */
        uint32_t request_offset;
        uint32_t request_capacity;
        uint32_t response_offset;
        uint32_t response_capacity;
        bool is_server;
        uint64_t n_received;
        uint64_t session_id;
        char path[256];
};

/* The file of a session. Borrowed until the fourth call after this one. */
const char *shm_peer_path(const char *service, uint64_t session_id);

/* Makes a region as a server of v1 does. generation: 0 for one that looks stale. */
bool shm_peer_create(const char *path, pid_t pid, uint32_t generation, uint32_t request_capacity,
                     uint32_t response_capacity);

/* hello: 76 bytes; its profiles are set to baseline and SHM_HYBRID. */
bool shm_peer_connect(struct shm_peer *peer, const char *service, uint8_t *hello);
/* The same for a connection on which HELLO was sent already. */
bool shm_peer_attach(struct shm_peer *peer, const char *service, int fd);

/* One client of a listening socket: makes its region, takes HELLO, answers ack (80 bytes). */
bool shm_peer_serve(struct shm_peer *peer, const char *service, int listen_fd, uint8_t *ack);

/* A whole message, header included. */
bool shm_peer_send(struct shm_peer *peer, const void *message, uint32_t len);

/* What is announced is given away, whatever lies in the area. */
void shm_peer_announce(struct shm_peer *peer, uint32_t len);

/* The beginning of what this side writes, and the words of either. */
uint8_t *shm_peer_area(const struct shm_peer *peer);
void *shm_peer_word(const struct shm_peer *peer, bool of_server, size_t of_request, size_t width);

/* Wakes whoever waits for this side, for nothing. */
void shm_peer_wake(const struct shm_peer *peer);

/* Returns the length, even above `size`; -ETIMEDOUT. */
int64_t shm_peer_receive(struct shm_peer *peer, void *buf, size_t size, unsigned timeout_ms);

void shm_peer_close(struct shm_peer *peer);
