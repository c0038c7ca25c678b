/* SPDX-License-Identifier: MIT */

/* Names of causes: each has one, all differ, the values are those of the ABI. */

#include <nipc/proto.h>

#include "tap.h"

static void test_names(void)
{
        tap_eq_str(nipc_proto_error_name(1), "TRUNCATED");
        tap_eq_str(nipc_proto_error_name(2), "BAD_MAGIC");
        tap_eq_str(nipc_proto_error_name(3), "BAD_VERSION");
        tap_eq_str(nipc_proto_error_name(4), "BAD_HEADER_LEN");
        tap_eq_str(nipc_proto_error_name(5), "BAD_KIND");
        tap_eq_str(nipc_proto_error_name(6), "BAD_LAYOUT");
        tap_eq_str(nipc_proto_error_name(7), "OUT_OF_BOUNDS");
        tap_eq_str(nipc_proto_error_name(8), "MISSING_NUL");
        tap_eq_str(nipc_proto_error_name(9), "BAD_ALIGNMENT");
        tap_eq_str(nipc_proto_error_name(10), "BAD_ITEM_COUNT");
        tap_eq_str(nipc_proto_error_name(11), "OVERFLOW");
        tap_eq_str(nipc_proto_error_name(12), "LIMIT_EXCEEDED");
        tap_eq_str(nipc_proto_error_name(13), "BAD_CHUNK");
        tap_eq_str(nipc_proto_error_name(14), "UNKNOWN_MSG_ID");
        tap_eq_str(nipc_proto_error_name(15), "DUPLICATE_MSG_ID");
}

static void test_unknown(void)
{
        tap_eq_str(nipc_proto_error_name(0), "UNKNOWN");
        tap_eq_str(nipc_proto_error_name(-1), "UNKNOWN");
        tap_eq_str(nipc_proto_error_name(16), "UNKNOWN");
}

TAP_MAIN(TAP_CASE(test_names), TAP_CASE(test_unknown))
