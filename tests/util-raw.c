/* SPDX-License-Identifier: MIT */

/* See util-raw.h. */

#include "util-raw.h"
#include "util-env.h"

/* ---- bytes ---------------------------------------------------------------------------------- */

void raw_header(void *buf, uint16_t kind, uint16_t code, uint32_t payload_len, uint32_t item_count,
                uint64_t message_id)
{
        memset(buf, 0, RAW_HEADER_SIZE);
        raw_put32(buf, RAW_MAGIC, 0x4e495043);
        raw_put16(buf, RAW_VERSION, 1);
        raw_put16(buf, RAW_HEADER_LEN, 32);
        raw_put16(buf, RAW_KIND, kind);
        raw_put16(buf, RAW_CODE, code);
        raw_put32(buf, RAW_PAYLOAD_LEN, payload_len);
        raw_put32(buf, RAW_ITEM_COUNT, item_count);
        raw_put64(buf, RAW_MESSAGE_ID, message_id);
}

void raw_chunk(void *buf, uint64_t message_id, uint32_t total, uint32_t index, uint32_t count,
               uint32_t payload_len)
{
        memset(buf, 0, RAW_HEADER_SIZE);
        raw_put32(buf, 0, 0x4e43484b);
        raw_put16(buf, 4, 1);
        raw_put64(buf, 8, message_id);
        raw_put32(buf, 16, total);
        raw_put32(buf, 20, index);
        raw_put32(buf, 24, count);
        raw_put32(buf, 28, payload_len);
}

void raw_hello(void *packet)
{
        memset(packet, 0, RAW_HELLO_SIZE);
        raw_header(packet, 3, 1, 44, 1, 0);
        raw_put16(packet, RAW_HELLO_LAYOUT, 1);
        raw_put32(packet, RAW_HELLO_PROFILES, 1);
        raw_put32(packet, RAW_HELLO_MAX_REQUEST, 1024);
        raw_put32(packet, RAW_HELLO_MAX_REQUEST_ITEMS, 1);
        raw_put32(packet, RAW_HELLO_MAX_RESPONSE, 1024);
        raw_put32(packet, RAW_HELLO_MAX_RESPONSE_ITEMS, 1);
        raw_put32(packet, RAW_HELLO_PACKET_SIZE, 65536);
}

void raw_ack(void *packet)
{
        memset(packet, 0, RAW_ACK_SIZE);
        raw_header(packet, 3, 2, 48, 1, 0);
        raw_put16(packet, RAW_ACK_LAYOUT, 1);
        raw_put32(packet, RAW_ACK_PROFILES, 1);
        raw_put32(packet, RAW_ACK_INTERSECTION, 1);
        raw_put32(packet, RAW_ACK_SELECTED, 1);
        raw_put32(packet, RAW_ACK_MAX_REQUEST, 1024);
        raw_put32(packet, RAW_ACK_MAX_REQUEST_ITEMS, 1);
        raw_put32(packet, RAW_ACK_MAX_RESPONSE, 1024);
        raw_put32(packet, RAW_ACK_MAX_RESPONSE_ITEMS, 1);
        raw_put32(packet, RAW_ACK_PACKET_SIZE, 65536);
        raw_put64(packet, RAW_ACK_SESSION_ID, 1);
}

/* ---- a server for one client ---------------------------------------------------------------- */

static void *raw_server_main(void *userdata)
{
        struct raw_server *server = userdata;

        server->fd = raw_accept(server->listen_fd);
        if (server->fd < 0)
                return NULL;
        server->hello_size = raw_receive(server->fd, server->hello, sizeof(server->hello));
        if (server->answer) {
                raw_send(server->fd, server->answer, server->answer_size);
        } else if (!server->silent) {
                raw_hang_up(server->fd);
                server->fd = -1;
        }
        return NULL;
}

static bool server_start(struct raw_server *server, const char *service)
{
        server->fd = -1;
        server->listen_fd = raw_listen(service, SOCK_SEQPACKET, 16);
        if (server->listen_fd < 0)
                return false;
        return pthread_create(&server->thread, NULL, raw_server_main, server) == 0;
}

bool raw_server_start(struct raw_server *server, const char *service, const void *answer,
                      size_t answer_size)
{
        *server = (struct raw_server){.answer = answer, .answer_size = answer_size};
        return server_start(server, service);
}

bool raw_server_start_silent(struct raw_server *server, const char *service)
{
        *server = (struct raw_server){.silent = true};
        return server_start(server, service);
}

int raw_server_join(struct raw_server *server)
{
        util_waiting_for("the raw server");
        pthread_join(server->thread, NULL);
        raw_unlisten(server->listen_fd);
        return server->fd;
}
