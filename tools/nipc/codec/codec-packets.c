/* SPDX-License-Identifier: MIT */

/*
 * Type "packets": the transport packets of one message, one after the other, as a session receives
 * them. params: packet_lengths; session, with role (1 client, 2 server), mrp, mrb, msp, msb (the
 * most bytes and items of requests and responses), pkt (packet size), inflight (request ids).
 */

#include <nipc/batch.h>
#include <nipc/chunk.h>
#include <nipc/wire.h>

#include "codec-private.h"

enum { ROLE_CLIENT = 1, ROLE_SERVER = 2 };

struct session {
        uint32_t role;
        struct nipc_limits limits;
        JsonArray *inflight; /* NULL: any id will do */
};

static size_t packets_evidence(const uint8_t *bytes, size_t size,
                               const struct codec_options *options)
{
        return size >= sizeof(uint32_t) && nipc_load_u32(bytes) == NIPC_MAGIC;
}

/* Without a session nothing is limited; the packet size is then that of the first packet. */
static bool session_read(const struct codec_options *options, uint64_t first_len,
                         struct session *ret_session)
{
        bool good = true;
        JsonObject *params = codec_params_object(options->params, "session", &good);
        bool client;

        *ret_session = (struct session){
                .role = (uint32_t)codec_params_uint(params, "role", ROLE_SERVER, ROLE_SERVER,
                                                    &good),
                .inflight = codec_params_array(params, "inflight", &good),
        };
        client = ret_session->role == ROLE_CLIENT;
        ret_session->limits = (struct nipc_limits){
                .max_payload_bytes = (uint32_t)codec_params_uint(params, client ? "msp" : "mrp",
                                                                 UINT32_MAX, UINT32_MAX, &good),
                .max_items = (uint32_t)codec_params_uint(params, client ? "msb" : "mrb", UINT32_MAX,
                                                         UINT32_MAX, &good),
                .packet_size =
                        (uint32_t)codec_params_uint(params, "pkt", UINT32_MAX, first_len, &good),
        };
        return good;
}

/* The lengths of the packets; false if they are no array of numbers or more than the bytes. */
static bool lengths_read(const struct codec_options *options, size_t size, GArray *lengths)
{
        bool good = true;
        JsonArray *array = codec_params_array(options->params, "packet_lengths", &good);
        uint64_t length, sum = 0;
        guint i;

        for (i = 0; array && i < json_array_get_length(array); i++) {
                if (!codec_node_uint(json_array_get_element(array, i), size, &length))
                        return false;
                sum += length;
                g_array_append_val(lengths, length);
        }
        return good && lengths->len && sum == size;
}

static bool id_is_expected(const struct session *session, const struct nipc_header *header)
{
        uint64_t id;
        guint i;

        if (session->role != ROLE_CLIENT || header->kind != NIPC_KIND_RESPONSE ||
            !session->inflight)
                return true;
        for (i = 0; i < json_array_get_length(session->inflight); i++)
                if (codec_node_uint(json_array_get_element(session->inflight, i), UINT64_MAX,
                                    &id) &&
                    id == header->message_id)
                        return true;
        return false;
}

/* Packet 0: header, limits, id (wire-v1 §6, §7), then the beginning of the message. */
static int begin(const uint8_t *bytes, size_t length, const struct session *session,
                 struct nipc_assembly *ret_assembly, struct codec_fault *ret_fault)
{
        struct nipc_header header;
        struct nipc_fault fault;

        if (nipc_header_decode(bytes, length, &header, &fault) ||
            nipc_limits_check(&session->limits, &header, &fault))
                return codec_refuse_fault(ret_fault, &fault);
        if (!id_is_expected(session, &header))
                return codec_refuse(ret_fault, "UNKNOWN_MSG_ID", 24,
                                    "message_id must be that of an outstanding request");
        if (nipc_assembly_begin(ret_assembly, &header, length, session->limits.packet_size, &fault))
                return codec_refuse_fault(ret_fault, &fault);
        return 0;
}

/* Appends the payload of all packets to payload. */
static int assemble(const uint8_t *bytes, GArray *lengths, const struct session *session,
                    struct nipc_assembly *assembly, GByteArray *payload,
                    struct codec_fault *ret_fault)
{
        size_t at = 0, length = g_array_index(lengths, uint64_t, 0);
        struct nipc_fault fault;
        guint i;
        int r;

        r = begin(bytes, length, session, assembly, ret_fault);
        if (r)
                return r;
        for (i = 0;; i++) {
                g_byte_array_append(payload, bytes + at + NIPC_HEADER_SIZE,
                                    (guint)(length - NIPC_HEADER_SIZE));
                at += length;
                if (i + 1 == lengths->len)
                        break;
                if (!nipc_assembly_missing(assembly))
                        return codec_refuse(ret_fault, "BAD_CHUNK", at,
                                            "packets follow a complete message");
                length = g_array_index(lengths, uint64_t, i + 1);
                if (nipc_assembly_continue(assembly, bytes + at, length, &fault)) {
                        fault.offset += at;
                        return codec_refuse_fault(ret_fault, &fault);
                }
        }
        if (nipc_assembly_missing(assembly))
                return codec_refuse(ret_fault, "TRUNCATED", at, "packets are missing");
        return 0;
}

static void packets_set(JsonObject *json, const struct nipc_header *header, GByteArray *payload,
                        uint32_t packet_size, uint32_t n_packets)
{
        g_autofree char *hex = codec_hex(payload->data, payload->len);
        JsonObject *object = json_object_new();

        codec_set_uint(object, "kind", header->kind);
        codec_set_uint(object, "flags", header->flags);
        codec_set_uint(object, "code", header->code);
        codec_set_uint(object, "transport_status", header->transport_status);
        codec_set_uint(object, "item_count", header->item_count);
        codec_set_uint(object, "message_id", header->message_id);
        codec_set_uint(object, "payload_len", header->payload_len);
        json_object_set_object_member(json, "header", object);
        json_object_set_string_member(json, "payload_hex", hex);
        codec_set_uint(json, "packet_size", packet_size);
        codec_set_uint(json, "packet_count", n_packets);
}

/* Where a byte of the payload lies among the packets, headers included. */
static size_t payload_offset(GArray *lengths, size_t at)
{
        size_t packet = 0;
        guint i;

        for (i = 0; i + 1 < lengths->len; i++) {
                size_t carried = g_array_index(lengths, uint64_t, i) - NIPC_HEADER_SIZE;

                if (at < carried)
                        break;
                at -= carried;
                packet += g_array_index(lengths, uint64_t, i);
        }
        return packet + NIPC_HEADER_SIZE + at;
}

static int packets_decode(const uint8_t *bytes, size_t size, const struct codec_options *options,
                          JsonObject *json, struct codec_fault *ret_fault)
{
        g_autoptr(GArray) lengths = g_array_new(FALSE, FALSE, sizeof(uint64_t));
        g_autoptr(GByteArray) payload = g_byte_array_new();
        struct nipc_assembly assembly;
        struct nipc_batch_view view;
        struct session session;
        struct nipc_fault fault;
        int r;

        if (!lengths_read(options, size, lengths))
                return codec_usage(ret_fault, "params must have the packet_lengths of the bytes");
        if (!session_read(options, g_array_index(lengths, uint64_t, 0), &session))
                return codec_usage(ret_fault, "session must be an object of numbers");
        r = assemble(bytes, lengths, &session, &assembly, payload, ret_fault);
        if (r)
                return r;
        if ((assembly.header.flags & NIPC_FLAG_BATCH) && assembly.header.item_count > 1 &&
            nipc_batch_view_init(&view, payload->data, payload->len, assembly.header.item_count,
                                 &fault)) {
                fault.offset = payload_offset(lengths, fault.offset);
                return codec_refuse_fault(ret_fault, &fault);
        }
        packets_set(json, &assembly.header, payload, session.limits.packet_size, lengths->len);
        return 0;
}

/* The packets of a message, as a sender makes them. Returns their number. */
static uint32_t packets_append(const struct nipc_header *header, const uint8_t *payload,
                               uint32_t packet_size, GByteArray *out)
{
        const uint32_t room = packet_size - NIPC_HEADER_SIZE;
        uint32_t at = MIN(header->payload_len, room);
        struct nipc_chunk_header chunk = {
                .message_id = header->message_id,
                .total_message_len = NIPC_HEADER_SIZE + header->payload_len,
                .chunk_count = nipc_chunk_count(header->payload_len, at, packet_size),
        };
        uint8_t bytes[NIPC_HEADER_SIZE];

        nipc_header_encode(header, bytes);
        g_byte_array_append(out, bytes, sizeof(bytes));
        g_byte_array_append(out, payload, at);
        while (at < header->payload_len) {
                chunk.chunk_index++;
                chunk.chunk_payload_len = MIN(header->payload_len - at, room);
                nipc_chunk_header_encode(&chunk, bytes);
                g_byte_array_append(out, bytes, sizeof(bytes));
                g_byte_array_append(out, payload + at, chunk.chunk_payload_len);
                at += chunk.chunk_payload_len;
        }
        return chunk.chunk_count;
}

static bool header_read(struct codec_reader *reader, uint32_t payload_len,
                        struct nipc_header *ret_header)
{
        struct codec_reader inner;

        codec_read_object(reader, "header", &inner);
        *ret_header = (struct nipc_header){
                .kind = (uint16_t)codec_read_required_uint(&inner, "kind", UINT16_MAX),
                .flags = (uint16_t)codec_read_uint(&inner, "flags", UINT16_MAX, 0),
                .code = (uint16_t)codec_read_uint(&inner, "code", UINT16_MAX, 0),
                .transport_status =
                        (uint16_t)codec_read_uint(&inner, "transport_status", UINT16_MAX, 0),
                .item_count = (uint32_t)codec_read_uint(&inner, "item_count", UINT32_MAX, 1),
                .message_id = codec_read_uint(&inner, "message_id", UINT64_MAX, 0),
                .payload_len = payload_len,
        };
        if (codec_read_uint(&inner, "payload_len", UINT32_MAX, payload_len) != payload_len)
                codec_reader_fail(&inner, "payload_len", "is not that of payload_hex");
        return codec_reader_deinit(&inner);
}

static void packets_encode(struct codec_reader *reader, GByteArray *out)
{
        size_t size;
        g_autofree uint8_t *payload = codec_read_hex(reader, "payload_hex", &size);
        uint64_t packet_size = codec_read_required_uint(reader, "packet_size", UINT32_MAX);
        uint64_t n_packets = codec_read_uint(reader, "packet_count", UINT32_MAX, 0);
        struct nipc_header header;

        if (packet_size <= NIPC_HEADER_SIZE)
                codec_reader_fail(reader, "packet_size", "must be above 32");
        /* Each packet costs a header: keep what a small packet size makes of it in bounds. */
        if (size > UINT32_MAX / 128)
                codec_reader_fail(reader, "payload_hex", "is too long");
        if (!header_read(reader, (uint32_t)size, &header))
                reader->object = NULL;
        if (!reader->object)
                return;
        if (packets_append(&header, payload, (uint32_t)packet_size, out) != n_packets && n_packets)
                codec_reader_fail(reader, "packet_count", "is not what packet_size makes it");
}

const struct codec_type codec_type_packets = {
        .name = "packets",
        .evidence = packets_evidence,
        .decode = packets_decode,
        .encode = packets_encode,
};
