/* SPDX-License-Identifier: MIT */

/* The server's judgement of a HELLO: what it agrees to, its client accepts. */

#include <nipc/hello.h>

#include "fuzz.h"

static const struct nipc_hello_policy policy = {
        .supported_profiles = 3,
        .preferred_profiles = 2,
        .max_request_payload_bytes = 4096,
        .max_response_payload_bytes = 65536,
        .auth_token = 0xabcdef,
        .packet_size = 65536,
        .session_id = 1,
};

static void check_agreed(const struct nipc_hello *hello, const struct nipc_hello_ack *ack)
{
        uint32_t profile = ack->selected_profile;
        uint8_t packet[NIPC_HELLO_ACK_PACKET_SIZE];
        struct nipc_hello_ack received;
        uint16_t status = 99;

        fuzz_assert(hello->auth_token == policy.auth_token);
        fuzz_assert(profile && !(profile & (profile - 1)));
        fuzz_assert(profile & hello->supported_profiles & policy.supported_profiles);
        nipc_hello_ack_encode_packet(ack, NIPC_TRANSPORT_STATUS_OK, packet);
        fuzz_assert(!nipc_hello_ack_judge(packet, sizeof(packet), &received, &status, NULL));
        fuzz_assert(status == NIPC_TRANSPORT_STATUS_OK);
        fuzz_assert(received.agreed_packet_size == ack->agreed_packet_size);
        fuzz_assert(received.session_id == policy.session_id);
}

static void check_payload(const uint8_t *data, size_t size)
{
        uint8_t again[NIPC_HELLO_SIZE];
        struct nipc_hello hello;

        if (nipc_hello_decode(data, size, &hello, NULL))
                return;
        nipc_hello_encode(&hello, again);
        fuzz_assert(!memcmp(again, data, sizeof(again)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct nipc_fault fault = {0};
        struct nipc_hello hello;
        struct nipc_hello_ack ack;
        uint16_t status = 99;
        int r;

        check_payload(data, size);
        r = nipc_hello_judge(data, size, &policy, &hello, &ack, &status, &fault);
        fuzz_assert(r == fault.error && fault.offset <= size);
        fuzz_assert(r ? status == 99 : status <= NIPC_TRANSPORT_STATUS_INTERNAL_ERROR);
        if (status == NIPC_TRANSPORT_STATUS_OK)
                check_agreed(&hello, &ack);
        return 0;
}
