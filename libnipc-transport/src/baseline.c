/* SPDX-License-Identifier: MIT */

/*
 * The baseline plane: messages as packets of the link, a SOCK_SEQPACKET socket or a pipe that keeps
 * messages apart, chunked when they are larger than the agreed packet size (wire-v1 §4). No payload
 * byte is copied here: packets are received where the message will lie, and sent from where it
 * lies.
 *
 * A message that is built in place is sent in place: the 32 bytes before a continuation's payload
 * are payload that has been sent already, so its chunk header is written over them.
 */

#include "header-fast.h"
#include "link-fast.h"
#include "stdaux.h"
#include "transport-private.h"
#include <errno.h>

/*
 * Packets of one message that a caller who does not want to wait is kept busy with at most, before
 * the other sessions of his thread have their turn; chosen, not tuned.
 */
#define PACKET_BUDGET 64u

/* ---- sending -------------------------------------------------------------------------------- */

/* Writes the header of the next packet at buf. */
static void encode_packet_header(const struct nipc_session *session, uint32_t part, void *buf)
{
        const struct nipc__outgoing *out = &session->out;
        uint32_t packet_size = session->rx_limits.packet_size;
        uint32_t first = NIPC__MIN(out->header.payload_len, packet_size - NIPC_HEADER_SIZE);
        struct nipc_chunk_header chunk;

        if (out->chunk_index == 0) {
                nipc__header_write(&out->header, buf);
                return;
        }
        chunk = (struct nipc_chunk_header){
                .message_id = out->header.message_id,
                .total_message_len = NIPC_HEADER_SIZE + out->header.payload_len,
                .chunk_index = out->chunk_index,
                .chunk_count = nipc_chunk_count(out->header.payload_len, first, packet_size),
                .chunk_payload_len = part,
        };
        nipc_chunk_header_encode(&chunk, buf);
}

static ssize_t send_packet(struct nipc_session *session, uint32_t part, uint64_t deadline_ns)
{
        struct nipc__outgoing *out = &session->out;
        uint8_t separate[NIPC_HEADER_SIZE];
        struct iovec iov[2];

        if (out->in_place) {
                uint8_t *packet = out->in_place + out->sent;

                encode_packet_header(session, part, packet);
                iov[0] = (struct iovec){packet, NIPC_HEADER_SIZE + (size_t)part};
                return nipc__link_send(session, iov, 1, deadline_ns);
        }
        encode_packet_header(session, part, separate);
        iov[0] = (struct iovec){separate, sizeof(separate)};
        iov[1] = (struct iovec){(void *)(uintptr_t)(out->payload + out->sent), part};
        return nipc__link_send(session, iov, part ? 2 : 1, deadline_ns);
}

/* A message of one packet, which is nearly all of them. */
static int send_single(struct nipc_session *session, uint64_t deadline_ns)
{
        struct nipc__outgoing *out = &session->out;
        uint8_t separate[NIPC_HEADER_SIZE];
        struct iovec iov[2];
        size_t n_iov = 1;
        ssize_t n;

        if (out->in_place) {
                nipc__header_write(&out->header, out->in_place);
                iov[0] = (struct iovec){out->in_place,
                                        NIPC_HEADER_SIZE + (size_t)out->header.payload_len};
        } else {
                nipc__header_write(&out->header, separate);
                iov[0] = (struct iovec){separate, sizeof(separate)};
                if (out->header.payload_len)
                        iov[n_iov++] = (struct iovec){(void *)(uintptr_t)out->payload,
                                                      out->header.payload_len};
        }
        n = nipc__link_send(session, iov, n_iov, deadline_ns);
        if (n < 0)
                return (int)n;
        if (NIPC__LINK_HOLDS_PACKETS) { /* all of it, and it may hold this one */
                out->sent = out->header.payload_len;
                out->chunk_index = 1;
                return nipc__link_flush(session, deadline_ns);
        }
        return 0;
}

static int baseline_send(struct nipc_session *session, uint64_t deadline_ns)
{
        struct nipc__outgoing *out = &session->out;
        uint32_t room = session->rx_limits.packet_size - NIPC_HEADER_SIZE;
        unsigned n_packets = 0;

        if (NIPC__LINK_HOLDS_PACKETS && out->chunk_index && out->sent == out->header.payload_len)
                return nipc__link_flush(session, deadline_ns);
        if (NIPC__LIKELY(out->header.payload_len <= room))
                return send_single(session, deadline_ns);
        do {
                uint32_t part = NIPC__MIN(out->header.payload_len - out->sent, room);
                ssize_t n = -EAGAIN;

                if (n_packets++ < PACKET_BUDGET || deadline_ns > NIPC_DEADLINE_LINGER)
                        n = send_packet(session, part, deadline_ns);
                if (n < 0)
                        return (int)n;
                out->sent += part;
                out->chunk_index++;
        } while (out->sent < out->header.payload_len);
        return nipc__link_flush(session, deadline_ns);
}

/* ---- receiving ------------------------------------------------------------------------------ */

static int fault_packet_too_long(struct nipc_session *session)
{
        /* Longer than packets may be, and the kernel has dropped what did not fit. */
        struct nipc_fault fault = {NIPC_PROTO_E_BAD_CHUNK, 0,
                                   "packet longer than the agreed packet size"};

        return nipc__session_fail_fault(session, NIPC_FAILURE_RECEIVE, -EBADMSG, &fault);
}

/* Packet 0. Most messages are complete with it: then ret_message is filled and 1 returned. */
static int receive_first(struct nipc_session *session, uint64_t deadline_ns,
                         struct nipc_message *ret_message)
{
        struct nipc__buffer *rx = nipc__session_rx(session);
        struct nipc_header header;
        struct nipc_fault fault;
        struct iovec iov;
        ssize_t n;
        int r;

        if (NIPC__UNLIKELY(rx->capacity < session->rx_first_room)) {
                r = nipc__buffer_reserve(rx, session->rx_first_room, 0);
                if (r < 0)
                        return r;
        }
        iov = (struct iovec){rx->bytes, rx->capacity};
        n = nipc__link_receive(session, &iov, 1, deadline_ns);
        if (n < 0)
                return (int)n;
        if (NIPC__UNLIKELY(!nipc__header_read(rx->bytes, (size_t)n, &header))) {
                nipc_header_decode(rx->bytes, (size_t)n, &header, &fault); /* says why */
                return nipc__session_fail_fault(session, NIPC_FAILURE_RECEIVE, -EBADMSG, &fault);
        }
        r = nipc__session_check_inbound(session, &header);
        if (NIPC__UNLIKELY(r < 0)) {
                if (r == -EMSGSIZE)
                        *ret_message = (struct nipc_message){.header = header, .payload = ""};
                return r;
        }
        if (NIPC__UNLIKELY((size_t)n > rx->capacity))
                return fault_packet_too_long(session);
        if (NIPC__LIKELY((size_t)n == NIPC_HEADER_SIZE + (size_t)header.payload_len))
                return nipc__session_finish(session, &header, rx->bytes + NIPC_HEADER_SIZE,
                                            ret_message);
        r = nipc_assembly_begin(&session->assembly, &header, (size_t)n,
                                session->rx_limits.packet_size, &fault);
        if (r > 0)
                return nipc__session_fail_fault(session, NIPC_FAILURE_RECEIVE, -EBADMSG, &fault);
        session->receiving = true;
        return 0;
}

static int receive_next(struct nipc_session *session, uint64_t deadline_ns)
{
        struct nipc_assembly *assembly = &session->assembly;
        uint8_t chunk[NIPC_CHUNK_HEADER_SIZE];
        size_t filled = NIPC_HEADER_SIZE + (size_t)assembly->received;
        size_t missing = nipc_assembly_missing(assembly);
        struct nipc_fault fault;
        struct iovec iov[2];
        ssize_t n;
        int r;

        r = nipc__session_room_for_next(session, session->rx_limits.packet_size);
        if (r < 0)
                return r;
        iov[0] = (struct iovec){chunk, sizeof(chunk)};
        iov[1] = (struct iovec){session->rx.bytes + filled,
                                NIPC__MIN(missing, session->rx.capacity - filled)};
        n = nipc__link_receive(session, iov, 2, deadline_ns);
        if (n < 0)
                return (int)n;
        r = nipc_assembly_continue(assembly, chunk, (size_t)n, &fault);
        if (r > 0)
                return nipc__session_fail_fault(session, NIPC_FAILURE_RECEIVE, -EBADMSG, &fault);
        return 0;
}

static inline int receive_message(struct nipc_session *session, uint64_t deadline_ns,
                                  struct nipc_message *ret_message)
{
        unsigned n;
        int r;

        if (deadline_ns == NIPC_DEADLINE_SPIN) /* every look here is a system call */
                return -EAGAIN;
        if (NIPC__LIKELY(!session->receiving)) {
                r = receive_first(session, deadline_ns, ret_message);
                if (r != 0)
                        return r < 0 ? r : 0;
        }
        /* It has begun: from here on its peer is only owed what any half message is. */
        if (deadline_ns == NIPC_DEADLINE_LINGER)
                deadline_ns = NIPC_DEADLINE_NOW;
        for (n = 0; nipc_assembly_missing(&session->assembly); n++) {
                if (deadline_ns == NIPC_DEADLINE_NOW && n == PACKET_BUDGET)
                        return -EAGAIN;
                r = receive_next(session, deadline_ns);
                if (r < 0)
                        return r;
        }
        session->receiving = false;
        r = nipc__session_finish(session, &session->assembly.header,
                                 session->rx.bytes + NIPC_HEADER_SIZE, ret_message);
        return NIPC__MIN(r, 0);
}

static int baseline_receive(struct nipc_session *session, uint64_t deadline_ns,
                            struct nipc_message *ret_message)
{
        int r = receive_message(session, deadline_ns, ret_message);

        return NIPC__LIKELY(r == 0) ? 0 : nipc__session_result(session, NIPC_FAILURE_RECEIVE, r);
}

static int baseline_get_fd(struct nipc_session *session)
{
        return nipc__link_get_fd(&session->link);
}

const struct nipc__plane_ops nipc__baseline_ops = {
        .profile = NIPC_PROFILE_BASELINE,
        .send = baseline_send,
        .receive = baseline_receive,
        .wait = nipc__link_wait,
        .get_fd = baseline_get_fd,
};
