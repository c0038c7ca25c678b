/* SPDX-License-Identifier: MIT */

/*
 * A peer that went through the handshake and now sends whatever it likes. It may end its own
 * session and nothing else: no byte beyond a buffer, no memory, no descriptor.
 */

#include "util-conformance.h"
#include <nipc/error.h>
#include <unistd.h>

static struct nipc_session *open_victim(int *ret_fd)
{
        struct pair_config config;
        uint8_t hello[RAW_HELLO_SIZE];

        pair_config_init(&config);
        config.listener.max_request_payload_bytes = 4096;
        raw_hello(hello);
        raw_put32(hello, RAW_HELLO_MAX_REQUEST, 4096);
        raw_put32(hello, RAW_HELLO_MAX_REQUEST_ITEMS, 1000);
        raw_put32(hello, RAW_HELLO_PACKET_SIZE, 1024);
        return open_server(&config.listener, hello, ret_fd);
}

struct hostile {
        const char *name;
        uint8_t at;
        uint8_t width;
        uint64_t value;
        size_t size; /* of the packet */
        int expected;
        int cause;
};

static void try_packet(const struct hostile *row)
{
        struct nipc_message message = {.payload = NULL};
        uint8_t packet[70000] = {0};
        int fd;
        struct nipc_session *session = open_victim(&fd);

        tap_require(session != NULL);
        raw_header(packet, 1, 7, 8, 1, 5);
        if (row->width == 2)
                raw_put16(packet, row->at, (uint16_t)row->value);
        else if (row->width == 4)
                raw_put32(packet, row->at, (uint32_t)row->value);
        tap_check(raw_send(fd, packet, row->size));
        if (!util_eq_error(nipc_session_receive(session, NIPC_DEADLINE_NOW, &message),
                           row->expected))
                tap_note("packet: %s", row->name);
        if (row->cause)
                tap_eq_int(session_fault(session).error, row->cause);
        nipc_session_close(session);
        close(fd);
}

static void test_packets(void)
{
        static const struct hostile rows[] = {
                {"good", 0, 0, 0, 40, 0, 0},
                {"empty", 0, 0, 0, 0, -ECONNRESET, 0}, /* looks like the end, and so it is */
                {"1 byte", 0, 0, 0, 1, -EBADMSG, NIPC_PROTO_E_TRUNCATED},
                {"31 bytes", 0, 0, 0, 31, -EBADMSG, NIPC_PROTO_E_TRUNCATED},
                {"magic", 0, 4, 0x43504e49, 40, -EBADMSG, NIPC_PROTO_E_BAD_MAGIC},
                {"magic of a chunk", 0, 4, 0x4e43484b, 40, -EBADMSG, NIPC_PROTO_E_BAD_MAGIC},
                {"version 0", 4, 2, 0, 40, -EBADMSG, NIPC_PROTO_E_BAD_VERSION},
                {"version 2", 4, 2, 2, 40, -EBADMSG, NIPC_PROTO_E_BAD_VERSION},
                {"header_len", 6, 2, 40, 40, -EBADMSG, NIPC_PROTO_E_BAD_HEADER_LEN},
                {"kind 0", 8, 2, 0, 40, -EBADMSG, NIPC_PROTO_E_BAD_KIND},
                {"kind 4", 8, 2, 4, 40, -EBADMSG, NIPC_PROTO_E_BAD_KIND},
                {"another HELLO", 8, 2, 3, 40, 0, 0},
                {"payload_len 7", 16, 4, 7, 40, -EBADMSG, NIPC_PROTO_E_BAD_LAYOUT},
                {"payload_len 0", 16, 4, 0, 40, -EBADMSG, NIPC_PROTO_E_BAD_LAYOUT},
                {"payload_len 9", 16, 4, 9, 40, -EAGAIN, 0}, /* the rest may come */
                {"payload_len 4097", 16, 4, 4097, 40, -EMSGSIZE, NIPC_PROTO_E_LIMIT_EXCEEDED},
                {"payload_len 2^32-1", 16, 4, 0xffffffff, 40, -EMSGSIZE,
                 NIPC_PROTO_E_LIMIT_EXCEEDED},
                {"payload_len 2^32-32", 16, 4, 0xffffffe0, 40, -EMSGSIZE,
                 NIPC_PROTO_E_LIMIT_EXCEEDED},
                {"item_count", 20, 4, 1001, 40, -EMSGSIZE, NIPC_PROTO_E_LIMIT_EXCEEDED},
                {"as long as a message may be", 16, 4, 4096, 4128, 0, 0},
                {"longer", 16, 4, 4096, 4129, -EBADMSG, 0},
                {"longer than any buffer", 16, 4, 4096, 70000, -EBADMSG, 0},
                {"long, says little", 16, 4, 8, 70000, -EBADMSG, 0},
        };

        if (!conformance_is_baseline())
                tap_skip("packets of the baseline");
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
                try_packet(&rows[i]);
}

/* A message in one packet that is far larger than agreed: the kernel cut it, so it is not whole. */
static void test_oversized_packets(void)
{
        static uint8_t packet[150000];
        struct nipc_message message;
        struct pair_config config;
        uint8_t hello[RAW_HELLO_SIZE];

        if (!conformance_is_baseline())
                tap_skip("packets of the baseline");
        for (uint32_t payload_len = 60000; payload_len <= 140000; payload_len += 10000) {
                struct nipc_session *session;
                int fd, r;

                pair_config_init_large(&config, 0);
                raw_hello(hello);
                raw_put32(hello, RAW_HELLO_MAX_REQUEST, 1024 * 1024);
                raw_put32(hello, RAW_HELLO_PACKET_SIZE, 1024);
                session = open_server(&config.listener, hello, &fd);
                tap_require(session != NULL);
                pattern_fill(packet + 32, sizeof(packet) - 32, 5);
                raw_header(packet, 1, 7, payload_len, 1, 5);
                tap_check(raw_send(fd, packet, 32 + payload_len));
                r = nipc_session_receive(session, NIPC_DEADLINE_NOW, &message);
                if (r == 0)
                        pattern_check(message.payload, payload_len, 5); /* if so, all of it */
                else
                        util_eq_error(r, -EBADMSG);
                nipc_session_close(session);
                close(fd);
        }
}

/* The same with a continuation: more than there is room for, less than the message lacks. */
static void test_oversized_continuations(void)
{
        static uint8_t packet[150000];
        struct nipc_message message;
        struct pair_config config;
        uint8_t hello[RAW_HELLO_SIZE];

        if (!conformance_is_baseline())
                tap_skip("packets of the baseline");
        for (uint32_t part = 993; part <= 140000; part += 1 + part / 2) {
                struct nipc_session *session;
                int fd;

                pair_config_init_large(&config, 0);
                raw_hello(hello);
                raw_put32(hello, RAW_HELLO_MAX_REQUEST, 1024 * 1024);
                raw_put32(hello, RAW_HELLO_PACKET_SIZE, 1024);
                session = open_server(&config.listener, hello, &fd);
                tap_require(session != NULL);
                raw_header(packet, 1, 7, 1024 * 1024, 1, 5);
                tap_check(raw_send(fd, packet, 1024));
                raw_chunk(packet, 5, 32 + 1024 * 1024, 1, 1058, part); /* 1 + ceil(1047584 / 992) */
                tap_check(raw_send(fd, packet, 32 + part));
                util_eq_error(nipc_session_receive(session, NIPC_DEADLINE_NOW, &message), -EBADMSG);
                nipc_session_close(session);
                close(fd);
        }
}

/* ---- batches -------------------------------------------------------------------------------- */

struct batch {
        const char *name;
        uint16_t flags;
        uint32_t item_count;
        uint32_t payload_len;
        uint32_t directory[4]; /* offset, length, offset, length */
        int expected;
};

static void try_batch(const struct batch *row)
{
        struct nipc_message message = {.payload = NULL};
        uint8_t packet[32 + 64] = {0};
        int fd;
        struct nipc_session *session = open_victim(&fd);

        tap_require(session != NULL);
        raw_header(packet, 1, 7, row->payload_len, row->item_count, 5);
        raw_put16(packet, RAW_FLAGS, row->flags);
        for (unsigned i = 0; i < 4; i++)
                raw_put32(packet, 32 + 4 * i, row->directory[i]);
        tap_check(raw_send(fd, packet, 32 + row->payload_len));
        if (!util_eq_error(nipc_session_receive(session, util_soon(), &message), row->expected))
                tap_note("batch: %s", row->name);
        nipc_session_close(session);
        close(fd);
}

static void test_batches(void)
{
        static const struct batch rows[] = {
                {"good", 1, 2, 32, {0, 8, 8, 8}, 0},
                {"empty items", 1, 2, 16, {0, 0, 0, 0}, 0},
                {"empty at the end", 1, 2, 32, {16, 0, 16, 0}, 0},
                {"no padding at the end", 1, 2, 29, {0, 8, 8, 5}, 0},
                {"out of order", 1, 2, 32, {8, 8, 0, 8}, 0},
                {"overlapping", 1, 2, 32, {0, 16, 8, 8}, 0},
                {"directory cut", 1, 2, 15, {0, 0, 0, 0}, -EBADMSG},
                {"no directory", 1, 2, 0, {0, 0, 0, 0}, -EBADMSG},
                {"many items, no room", 1, 1000, 32, {0, 0, 0, 0}, -EBADMSG},
                {"offset 4", 1, 2, 32, {0, 8, 4, 8}, -EBADMSG},
                {"offset 1", 1, 2, 32, {1, 1, 8, 8}, -EBADMSG},
                {"length over", 1, 2, 32, {0, 8, 8, 9}, -EBADMSG},
                {"offset over", 1, 2, 32, {24, 0, 8, 8}, -EBADMSG},
                {"wrap", 1, 2, 32, {0xfffffff8, 16, 8, 8}, -EBADMSG},
                {"length, all", 1, 2, 32, {0, 8, 8, 0xffffffff}, -EBADMSG},
                /* What is no batch, or one of one item, is not judged here. */
                {"no flag", 0, 2, 32, {1, 0xffffffff, 1, 0xffffffff}, 0},
                {"another flag", 2, 2, 32, {1, 0xffffffff, 1, 0xffffffff}, 0},
                {"one item", 1, 1, 32, {1, 0xffffffff, 1, 0xffffffff}, 0},
                {"no item", 1, 0, 32, {1, 0xffffffff, 1, 0xffffffff}, 0},
        };

        if (!conformance_is_baseline())
                tap_skip("packets of the baseline");
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
                try_batch(&rows[i]);
}

/* ---- anything at all ------------------------------------------------------------------------ */

/* A packet that was good before some of its bits fell over. */
static size_t make_mutant(uint8_t *packet, uint64_t *seed, uint32_t index)
{
        size_t size = 32 + tap_random(seed) % 1200;
        unsigned n_flips = (unsigned)(tap_random(seed) % 4);

        for (size_t i = 32; i < size; i++)
                packet[i] = (uint8_t)tap_random(seed);
        if (tap_random(seed) % 3)
                raw_header(packet, 1, 7, (uint32_t)(size - 32 + tap_random(seed) % 3 * 992), 1, 5);
        else
                raw_chunk(packet, 5, 32 + 2000, index, 3, (uint32_t)(size - 32));
        if (tap_random(seed) % 4 == 0)
                raw_put16(packet, RAW_FLAGS, 1);
        while (n_flips--)
                packet[tap_random(seed) % 32] ^= (uint8_t)(1u << (tap_random(seed) % 8));
        return size - (tap_random(seed) % 16 == 0 ? tap_random(seed) % 32 : 0);
}

static void test_mutants(void)
{
        uint64_t seed = 20240229;
        unsigned n_messages = 0, n_bad = 0;
        uint8_t packet[1300];

        if (!conformance_is_baseline())
                tap_skip("packets of the baseline");
        for (unsigned i = 0; i < 3000; i++) {
                struct nipc_message message;
                int fd, r = 0;
                struct nipc_session *session = open_victim(&fd);

                tap_require(session != NULL);
                for (uint32_t n = 0; n < 6 && (r == 0 || r == -EAGAIN); n++) {
                        tap_check(raw_send(fd, packet, make_mutant(packet, &seed, n)));
                        r = nipc_session_receive(session, NIPC_DEADLINE_NOW, &message);
                        if (r != 0)
                                continue;
                        n_messages++;
                        tap_check(message.payload_size == message.header.payload_len &&
                                  message.payload_size <= 4096 &&
                                  message.header.item_count <= 1000);
                        pattern_check(message.payload, 0, 0);
                        memcpy(packet, message.payload,
                               message.payload_size < 1300 ? message.payload_size : 1300);
                }
                n_bad += r == -EBADMSG || r == -EMSGSIZE;
                tap_check(r == 0 || r == -EAGAIN || r == -EBADMSG || r == -EMSGSIZE);
                nipc_session_close(session);
                close(fd);
        }
        tap_note("%u messages, %u sessions ended", n_messages, n_bad);
        tap_check(n_messages > 100 && n_bad > 100);
}

UTIL_MAIN(TAP_CASE(test_packets), TAP_CASE(test_oversized_packets),
          TAP_CASE(test_oversized_continuations), TAP_CASE(test_batches), TAP_CASE(test_mutants))
