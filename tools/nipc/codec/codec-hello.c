/* SPDX-License-Identifier: MIT */

/*
 * Types "hello" and "hello_ack", the payloads; "hello_message" and "hello_ack_message", the whole
 * packets as the other side judges them: by params' server_config, or else by their form alone.
 */

#include <nipc/hello.h>
#include <nipc/wire.h>

#include "codec-private.h"

static size_t payload_evidence(const uint8_t *bytes, size_t size,
                               const struct codec_options *options)
{
        return size >= sizeof(uint16_t) && nipc_load_u16(bytes) == NIPC_LAYOUT_VERSION;
}

static size_t message_evidence(const uint8_t *bytes, size_t size,
                               const struct codec_options *options)
{
        return size >= sizeof(uint32_t) && nipc_load_u32(bytes) == NIPC_MAGIC;
}

static void hello_set(JsonObject *json, const struct nipc_hello *hello)
{
        codec_set_uint(json, "layout_version", NIPC_LAYOUT_VERSION);
        codec_set_uint(json, "flags", hello->flags);
        codec_set_uint(json, "supported_profiles", hello->supported_profiles);
        codec_set_uint(json, "preferred_profiles", hello->preferred_profiles);
        codec_set_uint(json, "max_request_payload_bytes", hello->max_request_payload_bytes);
        codec_set_uint(json, "max_request_batch_items", hello->max_request_batch_items);
        codec_set_uint(json, "max_response_payload_bytes", hello->max_response_payload_bytes);
        codec_set_uint(json, "max_response_batch_items", hello->max_response_batch_items);
        codec_set_uint(json, "reserved", 0);
        codec_set_uint(json, "auth_token", hello->auth_token);
        codec_set_uint(json, "packet_size", hello->packet_size);
}

static uint32_t read_u32(struct codec_reader *reader, const char *name)
{
        return (uint32_t)codec_read_uint(reader, name, UINT32_MAX, 0);
}

static uint16_t read_layout_version(struct codec_reader *reader)
{
        return (uint16_t)codec_read_uint(reader, "layout_version", UINT16_MAX, NIPC_LAYOUT_VERSION);
}

/* Reads a HELLO and writes its payload over the 44 bytes at payload. */
static void hello_read(struct codec_reader *reader, uint8_t *payload)
{
        const struct nipc_hello hello = {
                .flags = (uint16_t)codec_read_uint(reader, "flags", UINT16_MAX, 0),
                .supported_profiles = read_u32(reader, "supported_profiles"),
                .preferred_profiles = read_u32(reader, "preferred_profiles"),
                .max_request_payload_bytes = read_u32(reader, "max_request_payload_bytes"),
                .max_request_batch_items = read_u32(reader, "max_request_batch_items"),
                .max_response_payload_bytes = read_u32(reader, "max_response_payload_bytes"),
                .max_response_batch_items = read_u32(reader, "max_response_batch_items"),
                .auth_token = codec_read_uint(reader, "auth_token", UINT64_MAX, 0),
                .packet_size = read_u32(reader, "packet_size"),
        };

        nipc_hello_encode(&hello, payload);
        nipc_store_u16(payload, read_layout_version(reader));
        nipc_store_u32(payload + 28, read_u32(reader, "reserved"));
}

static int hello_decode(const uint8_t *bytes, size_t size, const struct codec_options *options,
                        JsonObject *json, struct codec_fault *ret_fault)
{
        struct nipc_hello hello;
        struct nipc_fault fault;

        if (nipc_hello_decode(bytes, size, &hello, &fault))
                return codec_refuse_fault(ret_fault, &fault);
        hello_set(json, &hello);
        return 0;
}

static void hello_encode(struct codec_reader *reader, GByteArray *out)
{
        g_byte_array_set_size(out, NIPC_HELLO_SIZE);
        hello_read(reader, out->data);
}

const struct codec_type codec_type_hello = {
        .name = "hello",
        .evidence = payload_evidence,
        .decode = hello_decode,
        .encode = hello_encode,
};

static void ack_set(JsonObject *json, const struct nipc_hello_ack *ack)
{
        codec_set_uint(json, "layout_version", NIPC_LAYOUT_VERSION);
        codec_set_uint(json, "flags", ack->flags);
        codec_set_uint(json, "server_supported_profiles", ack->server_supported_profiles);
        codec_set_uint(json, "intersection_profiles", ack->intersection_profiles);
        codec_set_uint(json, "selected_profile", ack->selected_profile);
        codec_set_uint(json, "agreed_max_request_payload_bytes",
                       ack->agreed_max_request_payload_bytes);
        codec_set_uint(json, "agreed_max_request_batch_items", ack->agreed_max_request_batch_items);
        codec_set_uint(json, "agreed_max_response_payload_bytes",
                       ack->agreed_max_response_payload_bytes);
        codec_set_uint(json, "agreed_max_response_batch_items",
                       ack->agreed_max_response_batch_items);
        codec_set_uint(json, "agreed_packet_size", ack->agreed_packet_size);
        codec_set_uint(json, "reserved", ack->reserved);
        codec_set_uint(json, "session_id", ack->session_id);
}

/* Reads a HELLO_ACK and writes its payload over the 48 bytes at payload. */
static void ack_read(struct codec_reader *reader, uint8_t *payload)
{
        const struct nipc_hello_ack ack = {
                .flags = (uint16_t)codec_read_uint(reader, "flags", UINT16_MAX, 0),
                .server_supported_profiles = read_u32(reader, "server_supported_profiles"),
                .intersection_profiles = read_u32(reader, "intersection_profiles"),
                .selected_profile = read_u32(reader, "selected_profile"),
                .agreed_max_request_payload_bytes =
                        read_u32(reader, "agreed_max_request_payload_bytes"),
                .agreed_max_request_batch_items =
                        read_u32(reader, "agreed_max_request_batch_items"),
                .agreed_max_response_payload_bytes =
                        read_u32(reader, "agreed_max_response_payload_bytes"),
                .agreed_max_response_batch_items =
                        read_u32(reader, "agreed_max_response_batch_items"),
                .agreed_packet_size = read_u32(reader, "agreed_packet_size"),
                .reserved = read_u32(reader, "reserved"),
                .session_id = codec_read_uint(reader, "session_id", UINT64_MAX, 0),
        };

        nipc_hello_ack_encode(&ack, payload);
        nipc_store_u16(payload, read_layout_version(reader));
}

static int ack_decode(const uint8_t *bytes, size_t size, const struct codec_options *options,
                      JsonObject *json, struct codec_fault *ret_fault)
{
        struct nipc_hello_ack ack;
        struct nipc_fault fault;

        if (nipc_hello_ack_decode(bytes, size, &ack, &fault))
                return codec_refuse_fault(ret_fault, &fault);
        ack_set(json, &ack);
        return 0;
}

static void ack_encode(struct codec_reader *reader, GByteArray *out)
{
        g_byte_array_set_size(out, NIPC_HELLO_ACK_SIZE);
        ack_read(reader, out->data);
}

const struct codec_type codec_type_hello_ack = {
        .name = "hello_ack",
        .evidence = payload_evidence,
        .decode = ack_decode,
        .encode = ack_encode,
};

/* What a judge's INCOMPATIBLE is about, for the fault: it says no offset. */
static int refuse_incompatible(struct codec_fault *ret_fault, const uint8_t *packet)
{
        if (nipc_load_u16(packet + 4) != NIPC_VERSION)
                return codec_refuse(ret_fault, "INCOMPATIBLE", 4, "version must be 1");
        if (nipc_load_u16(packet + NIPC_HEADER_SIZE) != NIPC_LAYOUT_VERSION)
                return codec_refuse(ret_fault, "INCOMPATIBLE", NIPC_HEADER_SIZE,
                                    "layout_version must be 1");
        return codec_refuse(ret_fault, "INCOMPATIBLE", NIPC_HEADER_SIZE + 40,
                            "the smaller packet_size must be above 32");
}

static int refuse_hello(struct codec_fault *ret_fault, uint16_t status, const uint8_t *packet)
{
        switch (status) {
        case NIPC_TRANSPORT_STATUS_UNSUPPORTED:
                return codec_refuse(ret_fault, "UNSUPPORTED", NIPC_HEADER_SIZE + 4,
                                    "client and server must share a profile");
        case NIPC_TRANSPORT_STATUS_AUTH_FAILED:
                return codec_refuse(ret_fault, "AUTH_FAILED", NIPC_HEADER_SIZE + 32,
                                    "auth_token must be the server's");
        case NIPC_TRANSPORT_STATUS_LIMIT_EXCEEDED:
                return codec_refuse(
                        ret_fault, "LIMIT_EXCEEDED", NIPC_HEADER_SIZE + 12,
                        "max_request_payload_bytes must not be above the server's maximum");
        default:
                return refuse_incompatible(ret_fault, packet);
        }
}

/* The server of params; where it says nothing, one that takes what it is asked for. */
static bool policy_read(const struct codec_options *options, const uint8_t *packet, size_t size,
                        struct nipc_hello_policy *ret_policy)
{
        bool good = true;
        JsonObject *config = codec_params_object(options->params, "server_config", &good);
        uint64_t token = 0;

        if (size >= NIPC_HELLO_PACKET_SIZE)
                token = nipc_load_u64(packet + NIPC_HEADER_SIZE + 32);
        *ret_policy = (struct nipc_hello_policy){
                .supported_profiles = (uint32_t)codec_params_uint(config, "supported_profiles",
                                                                  UINT32_MAX, UINT32_MAX, &good),
                .preferred_profiles = (uint32_t)codec_params_uint(config, "preferred_profiles",
                                                                  UINT32_MAX, 0, &good),
                .max_request_payload_bytes =
                        (uint32_t)codec_params_uint(config, "max_request_payload_bytes", UINT32_MAX,
                                                    UINT32_MAX, &good),
                .max_response_payload_bytes =
                        (uint32_t)codec_params_uint(config, "max_response_payload_bytes",
                                                    UINT32_MAX, UINT32_MAX, &good),
                .auth_token = codec_params_uint(config, "auth_token", UINT64_MAX, token, &good),
                .packet_size = (uint32_t)codec_params_uint(config, "packet_size", UINT32_MAX,
                                                           UINT32_MAX, &good),
        };
        return good;
}

static int hello_message_decode(const uint8_t *bytes, size_t size,
                                const struct codec_options *options, JsonObject *json,
                                struct codec_fault *ret_fault)
{
        struct nipc_hello_policy policy;
        struct nipc_hello hello = {0};
        struct nipc_hello_ack ack;
        struct nipc_fault fault;
        uint16_t status = 0;

        if (!policy_read(options, bytes, size, &policy))
                return codec_usage(ret_fault, "server_config must be an object of numbers");
        if (nipc_hello_judge(bytes, size, &policy, &hello, &ack, &status, &fault))
                return codec_refuse_fault(ret_fault, &fault);
        if (status != NIPC_TRANSPORT_STATUS_OK)
                return refuse_hello(ret_fault, status, bytes);
        hello_set(json, &hello);
        return 0;
}

static void hello_message_encode(struct codec_reader *reader, GByteArray *out)
{
        static const struct nipc_hello none;

        g_byte_array_set_size(out, NIPC_HELLO_PACKET_SIZE);
        nipc_hello_encode_packet(&none, out->data);
        hello_read(reader, out->data + NIPC_HEADER_SIZE);
}

const struct codec_type codec_type_hello_message = {
        .name = "hello_message",
        .evidence = message_evidence,
        .decode = hello_message_decode,
        .encode = hello_message_encode,
};

static int ack_message_decode(const uint8_t *bytes, size_t size,
                              const struct codec_options *options, JsonObject *json,
                              struct codec_fault *ret_fault)
{
        struct nipc_hello_ack ack = {0};
        struct nipc_fault fault;
        uint16_t status = 0;

        if (nipc_hello_ack_judge(bytes, size, &ack, &status, &fault))
                return codec_refuse_fault(ret_fault, &fault);
        /* A refusal by the server itself, or by the judge because of a version. */
        if (status != NIPC_TRANSPORT_STATUS_OK && nipc_load_u16(bytes + 14) == status)
                return codec_refuse(ret_fault, nipc_transport_status_name(status), 14,
                                    "transport_status says that the server refused");
        if (status != NIPC_TRANSPORT_STATUS_OK)
                return refuse_incompatible(ret_fault, bytes);
        codec_set_uint(json, "transport_status", status);
        ack_set(json, &ack);
        return 0;
}

static void ack_message_encode(struct codec_reader *reader, GByteArray *out)
{
        uint16_t status = (uint16_t)codec_read_uint(reader, "transport_status", UINT16_MAX, 0);
        static const struct nipc_hello_ack none;

        g_byte_array_set_size(out, NIPC_HELLO_ACK_PACKET_SIZE);
        nipc_hello_ack_encode_packet(&none, status, out->data);
        ack_read(reader, out->data + NIPC_HEADER_SIZE);
}

const struct codec_type codec_type_hello_ack_message = {
        .name = "hello_ack_message",
        .evidence = message_evidence,
        .decode = ack_message_decode,
        .encode = ack_message_encode,
};
