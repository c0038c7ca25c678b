/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A peer that is no peer of ours: plain sockets (on Windows: pipes, as descriptors of the C
 * library) and bytes, so that the tests can say and see exactly what is on the wire. Nothing here
 * uses the library: it is not to be judged by itself.
 *
 * All paths are services of util_dir(). All waits end with the watchdog at the latest.
 */

#include "util-os.h"
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#define RAW_HEADER_SIZE 32u
#define RAW_HELLO_SIZE  76u
#define RAW_ACK_SIZE    80u

/* Offsets in a HELLO and a HELLO_ACK packet, outer header included (wire-v1 §2, §5). */
enum {
        RAW_MAGIC = 0,
        RAW_VERSION = 4,
        RAW_HEADER_LEN = 6,
        RAW_KIND = 8,
        RAW_FLAGS = 10,
        RAW_CODE = 12,
        RAW_STATUS = 14,
        RAW_PAYLOAD_LEN = 16,
        RAW_ITEM_COUNT = 20,
        RAW_MESSAGE_ID = 24,

        RAW_HELLO_LAYOUT = 32,
        RAW_HELLO_FLAGS = 34,
        RAW_HELLO_PROFILES = 36,
        RAW_HELLO_PREFERRED = 40,
        RAW_HELLO_MAX_REQUEST = 44,
        RAW_HELLO_MAX_REQUEST_ITEMS = 48,
        RAW_HELLO_MAX_RESPONSE = 52,
        RAW_HELLO_MAX_RESPONSE_ITEMS = 56,
        RAW_HELLO_RESERVED = 60,
        RAW_HELLO_TOKEN = 64,
        RAW_HELLO_PACKET_SIZE = 72,

        RAW_ACK_LAYOUT = 32,
        RAW_ACK_FLAGS = 34,
        RAW_ACK_PROFILES = 36,
        RAW_ACK_INTERSECTION = 40,
        RAW_ACK_SELECTED = 44,
        RAW_ACK_MAX_REQUEST = 48,
        RAW_ACK_MAX_REQUEST_ITEMS = 52,
        RAW_ACK_MAX_RESPONSE = 56,
        RAW_ACK_MAX_RESPONSE_ITEMS = 60,
        RAW_ACK_PACKET_SIZE = 64,
        RAW_ACK_RESERVED = 68,
        RAW_ACK_SESSION_ID = 72,
};

static inline void raw_put16(void *buf, size_t at, uint16_t v)
{
        memcpy((uint8_t *)buf + at, &v, sizeof(v));
}

static inline void raw_put32(void *buf, size_t at, uint32_t v)
{
        memcpy((uint8_t *)buf + at, &v, sizeof(v));
}

static inline void raw_put64(void *buf, size_t at, uint64_t v)
{
        memcpy((uint8_t *)buf + at, &v, sizeof(v));
}

static inline uint16_t raw_get16(const void *buf, size_t at)
{
        uint16_t v;

        memcpy(&v, (const uint8_t *)buf + at, sizeof(v));
        return v;
}

static inline uint32_t raw_get32(const void *buf, size_t at)
{
        uint32_t v;

        memcpy(&v, (const uint8_t *)buf + at, sizeof(v));
        return v;
}

static inline uint64_t raw_get64(const void *buf, size_t at)
{
        uint64_t v;

        memcpy(&v, (const uint8_t *)buf + at, sizeof(v));
        return v;
}

/* The 32 bytes in front of a message, and those in front of a continuation packet. */
void raw_header(void *buf, uint16_t kind, uint16_t code, uint32_t payload_len, uint32_t item_count,
                uint64_t message_id);
void raw_chunk(void *buf, uint64_t message_id, uint32_t total, uint32_t index, uint32_t count,
               uint32_t payload_len);

/* A good HELLO (76 bytes) and a good HELLO_ACK (80): everything at its default. */
void raw_hello(void *packet);
void raw_ack(void *packet);

/* Sockets of any type; type as for socket(2). Return a descriptor or a negative errno. */
int raw_bind(const char *service, int type);
int raw_listen(const char *service, int type, int backlog);
int raw_connect(const char *service, int type);
int raw_accept(int listen_fd);

/* Takes the endpoint away, and closes the descriptor. */
void raw_unlisten(int listen_fd);

/* Connects until the backlog is full. Returns how many descriptors were put into ret_fds. */
size_t raw_fill_backlog(const char *service, int *ret_fds, size_t max_fds);

/* Ends a connection that was accepted, whoever else has it. */
void raw_hang_up(int fd);

bool raw_send(int fd, const void *packet, size_t size);

/* One packet; its full length even if buf is shorter, 0 at the end, a negative errno. */
ssize_t raw_receive(int fd, void *buf, size_t size);

/* Whether a packet waits, or the end. Never blocks. */
bool raw_is_readable(int fd);

/* Waits for the end of a connection on which nothing must come any more. */
bool raw_is_closed(int fd);

/* A server for one client: takes HELLO, answers, and leaves the connection to the test. */
struct raw_server {
        int listen_fd;
        int fd;             /* the connection, -1 if it was closed; the test closes it */
        uint8_t hello[128]; /* what the client said */
        ssize_t hello_size;
        const void *answer; /* borrowed until join; NULL: hang up instead */
        size_t answer_size;
        bool silent; /* neither answer nor hang up */
        pthread_t thread;
};

/* Starts listening. answer as in the struct. */
bool raw_server_start(struct raw_server *server, const char *service, const void *answer,
                      size_t answer_size);
bool raw_server_start_silent(struct raw_server *server, const char *service);

/* After the client connected. Returns the connection, which the caller closes. */
int raw_server_join(struct raw_server *server);
