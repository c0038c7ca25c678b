/* SPDX-License-Identifier: MIT */

/* See util-service.h. Every wait ends by itself: tests fail, they do not hang. */

#include "util-service.h"

#include <errno.h>
#include <nipc/batch.h>
#include <nipc/increment.h>
#include <nipc/poller.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- a provider that follows a script ------------------------------------------------------- */

void util_script_init(struct util_script *script, const char *service)
{
        *script = (struct util_script){.config = NIPC_LISTENER_CONFIG_INIT};
        script->config.run_dir = util_run_dir();
        script->config.service = service;
        script->config.max_request_payload_bytes = 1024 * 1024;
        script->config.max_response_payload_bytes = 65536;
        script->answer = util_answer_increment;
}

/* Serves one session until its end. Returns false when the endpoint shall go. */
static bool script_serve(struct util_script *script, struct nipc_session *session)
{
        struct nipc_poller_event event;
        struct nipc_message message;
        int r = 0;

        nipc_poller_add_session(script->poller, session, session);
        while (!r && !atomic_load(&script->stop)) {
                if (nipc_poller_wait(script->poller, NIPC_DEADLINE_NEVER, &event, 1) < 1 ||
                    event.userdata != session)
                        continue;
                r = nipc_session_receive(session, NIPC_DEADLINE_NOW, &message);
                if (!r) {
                        script->message_id = message.header.message_id;
                        atomic_fetch_add(&script->n_requests, 1);
                        r = script->answer(script, session, &message);
                } else if (r == -EAGAIN) {
                        r = 0;
                } else {
                        r = UTIL_CLOSE;
                }
        }
        nipc_poller_remove_session(script->poller, session);
        return r != UTIL_LEAVE;
}

static bool script_accept(struct util_script *script)
{
        struct nipc_session *session;
        bool stay = true;

        if (script->before_accept)
                script->before_accept(script);
        if (nipc_listener_accept(script->listener, NIPC_DEADLINE_NOW, &session) < 0)
                return true;
        atomic_fetch_add(&script->n_connects, 1);
        if (script->refuse)
                nipc_session_refuse(session, script->refuse);
        if (nipc_session_handshake(session, nipc_deadline_after_ms(UTIL_WATCHDOG_MS)) == 0)
                stay = script_serve(script, session);
        nipc_session_close(session);
        return stay;
}

/* From mute_from on connections stay in the backlog: their handshakes get no answer. */
static void *script_main(void *userdata)
{
        struct util_script *script = userdata;
        struct nipc_poller_event event;
        bool stay = true;

        while (stay && !atomic_load(&script->stop)) {
                if (script->mute_from &&
                    atomic_load(&script->n_connects) + 1 >= script->mute_from) {
                        nipc_poller_remove_listener(script->poller, script->listener);
                        nipc_poller_wait(script->poller, NIPC_DEADLINE_NEVER, &event, 1);
                        break;
                }
                if (nipc_poller_wait(script->poller, NIPC_DEADLINE_NEVER, &event, 1) == 1 &&
                    event.userdata == script->listener)
                        stay = script_accept(script);
        }
        nipc_poller_remove_listener(script->poller, script->listener);
        script->listener = nipc_listener_close(script->listener);
        return NULL;
}

bool util_script_start(struct util_script *script)
{
        if (nipc_listener_open(&script->config, &script->listener) < 0 ||
            nipc_poller_new(&script->poller) < 0)
                return false;
        nipc_poller_add_listener(script->poller, script->listener, script->listener);
        return pthread_create(&script->thread, NULL, script_main, script) == 0;
}

void util_script_stop(struct util_script *script)
{
        atomic_store(&script->stop, true);
        nipc_poller_wake(script->poller);
        pthread_join(script->thread, NULL);
        nipc_poller_free(script->poller);
}

int util_reply(struct nipc_session *session, const struct nipc_message *request, uint16_t status,
               const void *payload, size_t size)
{
        struct nipc_header header = request->header;

        header.kind = NIPC_KIND_RESPONSE;
        header.transport_status = status;
        if (status) {
                header.flags = 0;
                header.item_count = 1;
        }
        return nipc_session_send(session, &header, payload, size,
                                 nipc_deadline_after_ms(UTIL_WATCHDOG_MS));
}

int util_answer_increment(struct util_script *script, struct nipc_session *session,
                          const struct nipc_message *request)
{
        struct nipc_batch_builder builder;
        struct nipc_batch_view view;
        uint8_t buf[4096], item[8];
        const void *in;
        uint64_t value;
        size_t size;
        uint32_t i;

        if (!(request->header.flags & NIPC_FLAG_BATCH)) {
                nipc_increment_decode(request->payload, request->payload_size, &value, NULL);
                nipc_increment_encode(value + 1, item);
                return util_reply(session, request, 0, item, sizeof(item)) < 0 ? UTIL_CLOSE : 0;
        }
        nipc_batch_view_init(&view, request->payload, request->payload_size,
                             request->header.item_count, NULL);
        nipc_batch_builder_init(&builder, buf, sizeof(buf), request->header.item_count);
        for (i = 0; i < request->header.item_count; i++) {
                nipc_batch_view_get(&view, i, &in, &size);
                nipc_increment_decode(in, size, &value, NULL);
                nipc_increment_encode(value + 1, item);
                nipc_batch_builder_add(&builder, item, sizeof(item));
        }
        nipc_batch_builder_finish(&builder, &size);
        return util_reply(session, request, 0, buf, size) < 0 ? UTIL_CLOSE : 0;
}

struct nipc_client *util_client(const char *service)
{
        struct nipc_client_config config = NIPC_CLIENT_CONFIG_INIT;
        struct nipc_client *client = NULL;

        config.run_dir = util_run_dir();
        config.service = service;
        config.max_batch_items = 64;
        if (nipc_client_new(&config, &client) == 0)
                nipc_client_refresh(client);
        return client;
}

/* ---- a client that sends bytes -------------------------------------------------------------- */

bool util_raw_hello(int fd, uint32_t max_items)
{
        const struct nipc_hello hello = {
                .supported_profiles = NIPC_PROFILE_BASELINE,
                .max_request_payload_bytes = 1024,
                .max_request_batch_items = max_items,
                .max_response_payload_bytes = 1024,
                .max_response_batch_items = max_items,
                .packet_size = 65536,
        };
        uint8_t packet[NIPC_HELLO_PACKET_SIZE];

        nipc_hello_encode_packet(&hello, packet);
        return util_raw_packet(fd, packet, sizeof(packet));
}

int util_raw_ack(int fd, struct nipc_hello_ack *ret_ack)
{
        struct nipc_hello_ack ack;
        uint8_t packet[128];
        uint16_t status;
        ssize_t n;

        n = util_raw_receive_packet(fd, packet, sizeof(packet));
        if (n <= 0 || nipc_hello_ack_judge(packet, (size_t)n, &ack, &status, NULL))
                return -1;
        if (ret_ack)
                *ret_ack = ack;
        return status;
}

int util_raw_open(const char *service, uint32_t max_items)
{
        int fd = util_raw_connect(service);

        if (fd >= 0 && util_raw_hello(fd, max_items) && util_raw_ack(fd, NULL) == 0)
                return fd;
        if (fd >= 0)
                close(fd);
        return -1;
}

bool util_raw_send(int fd, const struct nipc_header *header, const void *payload, size_t size)
{
        uint8_t packet[65536];

        nipc_header_encode(header, packet);
        if (size)
                memcpy(packet + NIPC_HEADER_SIZE, payload, size);
        return util_raw_packet(fd, packet, NIPC_HEADER_SIZE + size);
}

int util_raw_receive(int fd, struct nipc_header *ret_header, void *buf, size_t size)
{
        static _Thread_local uint8_t packet[NIPC_HEADER_SIZE + 65536];
        ssize_t n;

        n = util_raw_receive_packet(fd, packet, sizeof(packet));
        if (n < (ssize_t)NIPC_HEADER_SIZE ||
            nipc_header_decode(packet, (size_t)n, ret_header, NULL))
                return -1;
        n -= NIPC_HEADER_SIZE;
        if (buf && (size_t)n <= size)
                memcpy(buf, packet + NIPC_HEADER_SIZE, (size_t)n);
        return (int)n;
}

struct nipc_header util_request(uint64_t id, uint32_t payload_len)
{
        return (struct nipc_header){
                .kind = NIPC_KIND_REQUEST,
                .code = UTIL_CODE,
                .payload_len = payload_len,
                .item_count = 1,
                .message_id = id,
        };
}

/* ---- a service whose behaviour the request chooses ------------------------------------------ */

int util_handle(void *userdata, const struct nipc_request *request, void *response, size_t capacity,
                size_t *ret_size)
{
        const char *in = request->payload;

        switch (request->payload_size ? in[0] : 'e') {
        case 'b':
                return NIPC_PROTO_E_BAD_LAYOUT;
        case 'o':
                return NIPC_PROTO_E_OVERFLOW;
        case 'm':
                return -EMSGSIZE;
        case 'n':
                return -EIO;
        case 'l':
                *ret_size = capacity + 1;
                return 0;
        case 'f':
                memset(response, 'f', capacity);
                *ret_size = capacity;
                return 0;
        case 'z':
                if (capacity < 100000)
                        return NIPC_PROTO_E_OVERFLOW;
                memset(response, 'z', 100000);
                *ret_size = 100000;
                return 0;
        default:
                if (capacity < request->payload_size)
                        return NIPC_PROTO_E_OVERFLOW;
                memcpy(response, in, request->payload_size);
                *ret_size = request->payload_size;
                return 0;
        }
}

struct nipc_server *util_server(struct nipc_server_config *config, const char *service)
{
        const struct nipc_handler handler = {
                .size = sizeof(handler),
                .code = UTIL_CODE,
                .handle = util_handle,
        };
        struct nipc_server *server = NULL;

        config->run_dir = util_run_dir();
        config->service = service;
        if (nipc_server_new(config, &handler, &server) < 0)
                return NULL;
        if (config->n_workers && nipc_server_start(server) < 0)
                return nipc_server_free(server);
        return server;
}

int util_pump_open(struct nipc_server *server, const char *service)
{
        int fd = util_raw_connect(service);

        if (fd >= 0 && util_raw_hello(fd, 1) && util_pump(server, fd) &&
            util_raw_ack(fd, NULL) == 0)
                return fd;
        if (fd >= 0)
                close(fd);
        return -1;
}
