/* SPDX-License-Identifier: MIT */

/* See util-conformance.h. */

#include "util-conformance.h"
#include <unistd.h>

static const struct conformance_profile profiles[] = {
        {"baseline", NIPC_PROFILE_BASELINE},
};

const struct conformance_profile *conformance_profile(void)
{
        const char *name = getenv("NIPC_CONFORMANCE_PROFILE");

        if (!name)
                return &profiles[0];
        for (size_t i = 0; i < sizeof(profiles) / sizeof(profiles[0]); i++)
                if (!strcmp(profiles[i].name, name))
                        return &profiles[i];
        printf("Bail out! no profile %s\n", name);
        exit(99);
}

bool conformance_is_baseline(void)
{
        return conformance_profile()->bits == NIPC_PROFILE_BASELINE;
}

/* ---- two ends ------------------------------------------------------------------------------- */

void pair_config_init(struct pair_config *config)
{
        uint32_t bits = conformance_profile()->bits;

        *config = (struct pair_config){
                .listener = NIPC_LISTENER_CONFIG_INIT,
                .session = NIPC_SESSION_CONFIG_INIT,
        };
        config->listener.run_dir = config->session.run_dir = util_dir();
        config->listener.service = config->session.service = "pair";
        config->listener.supported_profiles = config->session.supported_profiles = bits;
        config->listener.preferred_profiles = config->session.preferred_profiles = bits;
}

void pair_config_init_large(struct pair_config *config, uint32_t packet_size)
{
        pair_config_init(config);
        config->listener.max_request_payload_bytes = 16 * 1024 * 1024;
        config->listener.max_response_payload_bytes = 16 * 1024 * 1024;
        config->session.max_request_payload_bytes = 16 * 1024 * 1024;
        config->session.max_request_batch_items = 65536;
        config->listener.packet_size = packet_size;
        config->session.packet_size = packet_size;
}

struct acceptor {
        struct nipc_listener *listener;
        struct nipc_session *session;
        int error;
};

static void *acceptor_main(void *userdata)
{
        struct acceptor *acceptor = userdata;

        acceptor->error = nipc_listener_accept(acceptor->listener, util_soon(), &acceptor->session);
        if (acceptor->error == 0)
                acceptor->error = nipc_session_handshake(acceptor->session, util_soon());
        return NULL;
}

bool pair_open_more(struct pair *pair, const struct pair_config *config,
                    struct nipc_session **ret_client, struct nipc_session **ret_server)
{
        struct acceptor acceptor = {.listener = pair->listener};
        struct nipc_session *client = NULL;
        pthread_t thread;
        int r;

        util_waiting_for("a handshake");
        if (pthread_create(&thread, NULL, acceptor_main, &acceptor) != 0)
                return tap_fail("no thread");
        r = nipc_session_open(&config->session, util_soon(), &client, NULL);
        pthread_join(thread, NULL);
        if (util_eq_error(r, 0) && util_eq_error(acceptor.error, 0)) {
                *ret_client = client;
                *ret_server = acceptor.session;
                return true;
        }
        nipc_session_close(client);
        nipc_session_close(acceptor.session);
        return false;
}

bool pair_open(struct pair *pair, const struct pair_config *config)
{
        *pair = (struct pair){NULL, NULL, NULL};
        if (!util_eq_error(nipc_listener_open(&config->listener, &pair->listener), 0))
                return false;
        if (pair_open_more(pair, config, &pair->client, &pair->server))
                return true;
        pair_close(pair);
        return false;
}

void pair_close(struct pair *pair)
{
        pair->client = nipc_session_close(pair->client);
        pair->server = nipc_session_close(pair->server);
        pair->listener = nipc_listener_close(pair->listener);
}

/* ---- one end of ours, one that is raw ------------------------------------------------------- */

struct nipc_session *open_server(const struct nipc_listener_config *config, const uint8_t *hello,
                                 int *ret_fd)
{
        struct nipc_listener *listener = NULL;
        struct nipc_session *session = NULL;
        uint8_t packet[RAW_ACK_SIZE];

        raw_hello(packet);
        if (!util_eq_error(nipc_listener_open(config, &listener), 0))
                return NULL;
        *ret_fd = raw_connect(config->service, SOCK_SEQPACKET);
        tap_check(raw_send(*ret_fd, hello ? hello : packet, RAW_HELLO_SIZE));
        if (util_eq_error(nipc_listener_accept(listener, util_soon(), &session), 0) &&
            util_eq_error(nipc_session_handshake(session, util_soon()), 0))
                tap_eq_int(raw_receive(*ret_fd, packet, sizeof(packet)), RAW_ACK_SIZE);
        nipc_listener_close(listener);
        return session;
}

struct nipc_session *open_client(const struct nipc_session_config *config, const uint8_t *ack,
                                 int *ret_fd)
{
        struct nipc_session *session = NULL;
        uint8_t packet[RAW_ACK_SIZE];
        struct raw_server server;

        raw_ack(packet);
        if (!tap_check(
                    raw_server_start(&server, config->service, ack ? ack : packet, sizeof(packet))))
                return NULL;
        util_eq_error(nipc_session_open(config, util_soon(), &session, NULL), 0);
        *ret_fd = raw_server_join(&server);
        return session;
}

/* ---- messages ------------------------------------------------------------------------------- */

static uint64_t pattern_at(size_t index, uint64_t seed)
{
        return (index + 1) * UINT64_C(0x9e3779b97f4a7c15) ^ seed * UINT64_C(0xff51afd7ed558ccd);
}

void pattern_fill(void *buf, size_t size, uint64_t seed)
{
        uint8_t *bytes = buf;
        size_t i;

        for (i = 0; i + 8 <= size; i += 8)
                raw_put64(bytes, i, pattern_at(i, seed));
        for (; i < size; i++)
                bytes[i] = (uint8_t)pattern_at(i, seed);
}

bool pattern_check(const void *buf, size_t size, uint64_t seed)
{
        const uint8_t *bytes = buf;
        size_t i;

        for (i = 0; i + 8 <= size; i += 8)
                if (raw_get64(bytes, i) != pattern_at(i, seed))
                        return tap_fail("payload differs within 8 bytes of %zu of %zu", i, size);
        for (; i < size; i++)
                if (bytes[i] != (uint8_t)pattern_at(i, seed))
                        return tap_fail("payload differs at %zu of %zu", i, size);
        return true;
}

int pattern_send(struct nipc_session *session, const struct nipc_header *header, size_t size,
                 uint64_t seed, enum send_way way, uint64_t deadline_ns)
{
        void *payload;
        int r;

        if (way == SEND_IN_PLACE) {
                r = nipc_session_reserve(session, size, &payload);
                if (r < 0)
                        return r;
                pattern_fill(payload, size, seed);
                return nipc_session_commit(session, header, size, deadline_ns);
        }
        payload = malloc(size ? size : 1);
        if (!payload)
                return -ENOMEM;
        pattern_fill(payload, size, seed);
        r = nipc_session_send(session, header, payload, size, deadline_ns);
        /* Borrowed for the call: whatever is still to be sent must not come from here. */
        memset(payload, 0xee, size);
        free(payload);
        return r;
}

bool transfer(struct nipc_session *from, struct nipc_session *to, const struct nipc_header *header,
              size_t size, enum send_way way)
{
        struct nipc_message message = {.payload = NULL};
        int sent = pattern_send(from, header, size, header->message_id, way, NIPC_DEADLINE_NOW);
        int received;

        util_waiting_for("a message to arrive");
        for (;;) {
                received = nipc_session_receive(to, NIPC_DEADLINE_NOW, &message);
                if (received != -EAGAIN || (sent != 0 && sent != -EAGAIN))
                        break;
                if (sent == -EAGAIN)
                        sent = nipc_session_flush(from, NIPC_DEADLINE_NOW);
        }
        if (!util_eq_error(sent, 0) || !util_eq_error(received, 0))
                return false;
        return tap_check(message.payload != NULL) && tap_eq_uint(message.payload_size, size) &&
               tap_eq_uint(message.header.payload_len, size) &&
               tap_eq_uint(message.header.kind, header->kind) &&
               tap_eq_uint(message.header.flags, header->flags) &&
               tap_eq_uint(message.header.code, header->code) &&
               tap_eq_uint(message.header.transport_status, header->transport_status) &&
               tap_eq_uint(message.header.item_count, header->item_count) &&
               tap_eq_uint(message.header.message_id, header->message_id) &&
               pattern_check(message.payload, size, header->message_id);
}

struct nipc_failure session_failure(const struct nipc_session *session)
{
        struct nipc_failure failure = NIPC_FAILURE_INIT;

        util_eq_error(nipc_session_get_failure(session, &failure), 0);
        return failure;
}

struct nipc_fault session_fault(const struct nipc_session *session)
{
        return session_failure(session).fault;
}
