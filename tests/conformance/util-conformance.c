/* SPDX-License-Identifier: MIT */

/* See util-conformance.h. */

#include "util-conformance.h"
#include "link.h"
#include "util-shm-peer.h"
#include <stdarg.h>
#include <unistd.h>

static char failure[256];

/* Keeps the first failure until it is taken. Returns false. */
static TAP__PRINTF(1, 2) bool fail(const char *format, ...)
{
        va_list args;

        va_start(args, format);
        if (!failure[0])
                vsnprintf(failure, sizeof(failure), format, args);
        va_end(args);
        return false;
}

const char *conformance_take_failure(void)
{
        static char taken[sizeof(failure)];

        memcpy(taken, failure, sizeof(taken));
        failure[0] = 0;
        return taken[0] ? taken : NULL;
}

static bool works(const char *what, int r)
{
        return r == 0 || fail("%s: %d (%s)", what, r, strerror(r < 0 ? -r : 0));
}

static bool equals(const char *what, uintmax_t a, uintmax_t b)
{
        return a == b || fail("%s: %" PRIuMAX " instead of %" PRIuMAX, what, a, b);
}

static const struct conformance_profile profiles[] = {
        {"baseline", NIPC_PROFILE_BASELINE, NIPC_PROFILE_BASELINE},
        {"shm-hybrid", NIPC_PROFILE_BASELINE | NIPC_PROFILE_SHM_HYBRID, NIPC_PROFILE_SHM_HYBRID},
        {"shm-busywait", NIPC_PROFILE_BASELINE | NIPC_PROFILE_SHM_BUSYWAIT,
         NIPC_PROFILE_SHM_BUSYWAIT},
        {"ring", NIPC_PROFILE_BASELINE | NIPC_PROFILE_RING, NIPC_PROFILE_RING},
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

/* Before anything else is done: what is not built in, or what the kernel cannot do. */
__attribute__((__constructor__)) static void skip_unless_available(void)
{
        const struct conformance_profile *profile = conformance_profile();

        if (!(profile->selected & nipc_profile_get_available())) {
                printf("1..0 # SKIP the profile is not built in\n");
                exit(0);
        }
        if (profile->selected == NIPC_PROFILE_SHM_HYBRID)
                shm_peer_skip_unless_watchable();
}

bool conformance_is_baseline(void)
{
        return conformance_profile()->selected == NIPC_PROFILE_BASELINE;
}

bool conformance_can_pipeline(void)
{
        return !(conformance_profile()->selected &
                 (NIPC_PROFILE_SHM_HYBRID | NIPC_PROFILE_SHM_BUSYWAIT));
}

bool conformance_keeps_packets(void)
{
        return NIPC__LINK_HOLDS_PACKETS && conformance_is_baseline();
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

static uint32_t profile_of(const struct nipc_session *session)
{
        struct nipc_session_info info = NIPC_SESSION_INFO_INIT;

        nipc_session_get_info(session, &info);
        return info.profile;
}

bool conformance_pair_open_more(struct pair *pair, const struct pair_config *config,
                                struct nipc_session **ret_client, struct nipc_session **ret_server)
{
        struct acceptor acceptor = {.listener = pair->listener};
        struct nipc_session *client = NULL;
        pthread_t thread;
        int r;

        util_waiting_for("a handshake");
        if (pthread_create(&thread, NULL, acceptor_main, &acceptor) != 0)
                return fail("no thread");
        r = nipc_session_open(&config->session, util_soon(), &client, NULL);
        pthread_join(thread, NULL);
        if (works("open", r) && works("accept and handshake", acceptor.error) &&
            equals("profile of the client", profile_of(client), conformance_profile()->selected) &&
            equals("profile of the server", profile_of(acceptor.session),
                   conformance_profile()->selected)) {
                *ret_client = client;
                *ret_server = acceptor.session;
                return true;
        }
        nipc_session_close(client);
        nipc_session_close(acceptor.session);
        return false;
}

bool conformance_pair_open(struct pair *pair, const struct pair_config *config)
{
        *pair = (struct pair){NULL, NULL, NULL};
        if (!works("listen", nipc_listener_open(&config->listener, &pair->listener)))
                return false;
        if (conformance_pair_open_more(pair, config, &pair->client, &pair->server))
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

struct nipc_session *conformance_open_server(const struct nipc_listener_config *config,
                                             const uint8_t *hello, int *ret_fd)
{
        struct nipc_listener *listener = NULL;
        struct nipc_session *session = NULL;
        uint8_t packet[RAW_ACK_SIZE];

        raw_hello(packet);
        if (!works("listen", nipc_listener_open(config, &listener)))
                return NULL;
        *ret_fd = raw_connect(config->service, SOCK_SEQPACKET);
        if (!raw_send(*ret_fd, hello ? hello : packet, RAW_HELLO_SIZE))
                fail("HELLO was not sent");
        if (works("accept", nipc_listener_accept(listener, util_soon(), &session)) &&
            works("handshake", nipc_session_handshake(session, util_soon())))
                equals("HELLO_ACK", (uintmax_t)raw_receive(*ret_fd, packet, sizeof(packet)),
                       RAW_ACK_SIZE);
        nipc_listener_close(listener);
        return session;
}

struct nipc_session *conformance_open_client(const struct nipc_session_config *config,
                                             const uint8_t *ack, int *ret_fd)
{
        struct nipc_session *session = NULL;
        uint8_t packet[RAW_ACK_SIZE];
        struct raw_server server;

        raw_ack(packet);
        if (!raw_server_start(&server, config->service, ack ? ack : packet, sizeof(packet))) {
                fail("no raw server");
                return NULL;
        }
        works("open", nipc_session_open(config, util_soon(), &session, NULL));
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

bool conformance_pattern_check(const void *buf, size_t size, uint64_t seed)
{
        const uint8_t *bytes = buf;
        size_t i;

        for (i = 0; i + 8 <= size; i += 8)
                if (raw_get64(bytes, i) != pattern_at(i, seed))
                        return fail("payload differs within 8 bytes of %zu of %zu", i, size);
        for (; i < size; i++)
                if (bytes[i] != (uint8_t)pattern_at(i, seed))
                        return fail("payload differs at %zu of %zu", i, size);
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

bool conformance_transfer(struct nipc_session *from, struct nipc_session *to,
                          const struct nipc_header *header, size_t size, enum send_way way)
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
        if (sent == -EAGAIN && received == 0) /* the peer may know before we do */
                sent = nipc_session_flush(from, NIPC_DEADLINE_NOW);
        if (!works("send", sent) || !works("receive", received))
                return false;
        return (message.payload || fail("no payload")) &&
               equals("payload_size", message.payload_size, size) &&
               equals("payload_len", message.header.payload_len, size) &&
               equals("kind", message.header.kind, header->kind) &&
               equals("flags", message.header.flags, header->flags) &&
               equals("code", message.header.code, header->code) &&
               equals("transport_status", message.header.transport_status,
                      header->transport_status) &&
               equals("item_count", message.header.item_count, header->item_count) &&
               equals("message_id", message.header.message_id, header->message_id) &&
               conformance_pattern_check(message.payload, size, header->message_id);
}

bool conformance_take_turn(const struct pair *pair, uint64_t id)
{
        struct nipc_header response = make_response(id);

        return conformance_can_pipeline() ||
               conformance_transfer(pair->server, pair->client, &response, 8, SEND_COPY);
}

struct nipc_failure session_failure(const struct nipc_session *session)
{
        struct nipc_failure first = NIPC_FAILURE_INIT;

        nipc_session_get_failure(session, &first);
        return first;
}

struct nipc_fault session_fault(const struct nipc_session *session)
{
        return session_failure(session).fault;
}
