/* SPDX-License-Identifier: MIT */

/* The client's judgement of a HELLO_ACK: what it accepts encodes to the same payload. */

#include <nipc/hello.h>

#include "fuzz.h"

static void check_payload(const uint8_t *data, size_t size)
{
        uint8_t again[NIPC_HELLO_ACK_SIZE];
        struct nipc_hello_ack ack;

        if (nipc_hello_ack_decode(data, size, &ack, NULL))
                return;
        nipc_hello_ack_encode(&ack, again);
        fuzz_assert(!memcmp(again, data, sizeof(again)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct nipc_fault fault = {0};
        struct nipc_hello_ack ack;
        uint16_t status = 0xffff;
        int r;

        check_payload(data, size);
        r = nipc_hello_ack_judge(data, size, &ack, &status, &fault);
        fuzz_assert(r == fault.error && fault.offset <= size);
        if (r || status != NIPC_TRANSPORT_STATUS_OK)
                return 0;
        fuzz_assert(ack.agreed_packet_size > NIPC_HEADER_SIZE);
        check_payload(data + NIPC_HEADER_SIZE, size - NIPC_HEADER_SIZE);
        return 0;
}
