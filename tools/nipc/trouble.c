/* SPDX-License-Identifier: MIT */

/*
 * Clients that do not behave: one that floods, through a session, and a crowd of 200 that say
 * nothing, 20 that send half a message and 5 that never read, by plain sockets. Whoever the server
 * cuts off comes again.
 */

#include "trouble.h"
#include "subject-nipc.h"

#include <errno.h>
#include <nipc/endpoint.h>
#include <nipc/increment.h>
#include <nipc/session.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define N_SILENT   200
#define N_HALF     20
#define N_DEAF     5
#define N_CROWD    (N_SILENT + N_HALF + N_DEAF)
#define FLOOD_LOW  128u /* answers are taken until no more requests than that are in flight */
#define N_DEAF_ASK 2000

/* ---- a flood -------------------------------------------------------------------------------- */

static int open_flood(const struct subject_options *options, struct nipc_session **ret_session)
{
        struct nipc_session_config config = NIPC_SESSION_CONFIG_INIT;

        config.run_dir = options->run_dir;
        config.service = SUBJECT_SERVICE;
        config.supported_profiles = NIPC_PROFILE_BASELINE | options->profile;
        config.preferred_profiles = config.supported_profiles;
        return nipc_session_open(&config, nipc_deadline_after_ms(SUBJECT_TIMEOUT_MS), ret_session,
                                 NULL);
}

/* Asks as long as there is room, then takes answers. */
static int flood_once(struct nipc_session *session, struct nipc_header *header)
{
        const uint64_t deadline_ns = nipc_deadline_after_ms(SUBJECT_TIMEOUT_MS);
        struct nipc_message message;
        uint8_t payload[NIPC_INCREMENT_SIZE];
        int r;

        do {
                header->message_id++;
                nipc_increment_encode(header->message_id, payload);
                r = nipc_session_send(session, header, payload, sizeof(payload), NIPC_DEADLINE_NOW);
        } while (r == 0);
        if (r != -EAGAIN && r != -EBUSY)
                return r;
        do {
                r = nipc_session_receive(session, deadline_ns, &message);
        } while (r == 0 && nipc_session_get_in_flight(session) > FLOOD_LOW);
        if (r == 0 && nipc_session_has_pending(session)) {
                r = nipc_session_flush(session, NIPC_DEADLINE_NOW);
                if (r == -EAGAIN)
                        r = 0;
        }
        return r;
}

static int flood(const struct subject_options *options)
{
        struct nipc_header header = {.kind = NIPC_KIND_REQUEST,
                                     .code = NIPC_METHOD_INCREMENT,
                                     .item_count = 1};
        struct nipc_session *session = NULL;
        int r;

        for (;;) {
                r = session ? flood_once(session, &header) : open_flood(options, &session);
                if (r == -ECONNRESET)
                        session = nipc_session_close(session);
                else if (r < 0)
                        return r;
        }
}

/* ---- a crowd -------------------------------------------------------------------------------- */

static int connect_raw(const struct subject_options *options)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd, r;

        r = nipc_endpoint_format_path(options->run_dir, SUBJECT_SERVICE, address.sun_path,
                                      sizeof(address.sun_path));
        if (r < 0)
                return r;
        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
                r = -errno;
                close(fd);
                return r;
        }
        return fd < 0 ? -errno : fd;
}

/* Says HELLO and takes the answer, whatever it is. */
static void greet(int fd)
{
        const struct nipc_hello hello = {.supported_profiles = NIPC_PROFILE_BASELINE,
                                         .max_request_payload_bytes = 64,
                                         .max_request_batch_items = 1,
                                         .max_response_payload_bytes = 64,
                                         .max_response_batch_items = 1,
                                         .packet_size = 4096};
        uint8_t packet[NIPC_HELLO_PACKET_SIZE], ack[NIPC_HELLO_ACK_PACKET_SIZE];

        nipc_hello_encode_packet(&hello, packet);
        if (send(fd, packet, sizeof(packet), MSG_NOSIGNAL) > 0)
                (void)!recv(fd, ack, sizeof(ack), 0);
}

static void send_request(int fd, size_t payload_size, int *ret_sent)
{
        uint8_t packet[NIPC_HEADER_SIZE + NIPC_INCREMENT_SIZE] = {0};
        const struct nipc_header header = {.kind = NIPC_KIND_REQUEST,
                                           .code = NIPC_METHOD_INCREMENT,
                                           .payload_len = NIPC_INCREMENT_SIZE,
                                           .item_count = 1,
                                           .message_id = 1};

        nipc_header_encode(&header, packet);
        *ret_sent =
                send(fd, packet, NIPC_HEADER_SIZE + payload_size, MSG_NOSIGNAL | MSG_DONTWAIT) > 0;
}

static int make_member(const struct subject_options *options, unsigned index)
{
        int fd = connect_raw(options), sent = 1;

        if (fd < 0 || index >= N_HALF + N_DEAF)
                return fd;
        greet(fd);
        if (index < N_HALF)
                send_request(fd, 0, &sent); /* of which the payload never comes */
        for (unsigned n = 0; index >= N_HALF && sent && n < N_DEAF_ASK; n++)
                send_request(fd, NIPC_INCREMENT_SIZE, &sent);
        return fd;
}

static int crowd(const struct subject_options *options)
{
        struct pollfd fds[N_CROWD];

        for (unsigned i = 0; i < N_CROWD; i++)
                fds[i] = (struct pollfd){.fd = -1};
        for (;;) {
                for (unsigned i = 0; i < N_CROWD; i++) {
                        if (fds[i].fd >= 0 && !fds[i].revents)
                                continue;
                        if (fds[i].fd >= 0)
                                close(fds[i].fd);
                        fds[i].revents = 0;
                        fds[i].fd = make_member(options, i);
                        if (fds[i].fd < 0)
                                return fds[i].fd;
                }
                if (poll(fds, N_CROWD, -1) < 0 && errno != EINTR)
                        return -errno;
        }
}

int trouble_make(const struct subject_options *options)
{
        return options->trouble == SUBJECT_TROUBLE_CROWD ? crowd(options) : flood(options);
}
