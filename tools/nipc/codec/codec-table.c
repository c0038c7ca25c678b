/* SPDX-License-Identifier: MIT */

/* The types, in the order of tests/vectors/index.json. */

#include "codec-private.h"

extern const struct codec_type codec_type_header;
extern const struct codec_type codec_type_chunk_header;
extern const struct codec_type codec_type_hello;
extern const struct codec_type codec_type_hello_ack;
extern const struct codec_type codec_type_hello_message;
extern const struct codec_type codec_type_hello_ack_message;
extern const struct codec_type codec_type_batch_payload;
extern const struct codec_type codec_type_increment;
extern const struct codec_type codec_type_cgroups_snapshot_request;
extern const struct codec_type codec_type_cgroups_snapshot_response;
extern const struct codec_type codec_type_string_reverse;
extern const struct codec_type codec_type_cgroups_lookup_request;
extern const struct codec_type codec_type_cgroups_lookup_response;
extern const struct codec_type codec_type_apps_lookup_request;
extern const struct codec_type codec_type_apps_lookup_response;
extern const struct codec_type codec_type_ip_to_asn_request;
extern const struct codec_type codec_type_ip_to_asn_response;
extern const struct codec_type codec_type_pid_traffic_request;
extern const struct codec_type codec_type_pid_traffic_response;
extern const struct codec_type codec_type_packets;

const struct codec_type *const *codec_table(void)
{
        static const struct codec_type *const types[] = {
                &codec_type_header,
                &codec_type_chunk_header,
                &codec_type_hello,
                &codec_type_hello_ack,
                &codec_type_hello_message,
                &codec_type_hello_ack_message,
                &codec_type_batch_payload,
                &codec_type_increment,
                &codec_type_cgroups_snapshot_request,
                &codec_type_cgroups_snapshot_response,
                &codec_type_string_reverse,
                &codec_type_cgroups_lookup_request,
                &codec_type_cgroups_lookup_response,
                &codec_type_apps_lookup_request,
                &codec_type_apps_lookup_response,
                &codec_type_ip_to_asn_request,
                &codec_type_ip_to_asn_response,
                &codec_type_pid_traffic_request,
                &codec_type_pid_traffic_response,
                &codec_type_packets,
                NULL,
        };

        return types;
}
