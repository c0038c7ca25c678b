/* SPDX-License-Identifier: MIT */
/* What `nipc call` calls. */
#include "call.h"

const struct call_service *const call_services[] = {
        &call_apps_lookup, &call_cgroups_lookup, &call_cgroups_snapshot,
        &call_increment,   &call_ip_to_asn,      &call_pid_traffic,
        &call_raw,         &call_string_reverse, NULL,
};

const char call_arguments_text[] = "apps-lookup|cgroups-lookup|cgroups-snapshot|ip-to-asn|"
                                   "pid-traffic|increment|string-reverse|raw [KEY…]";
