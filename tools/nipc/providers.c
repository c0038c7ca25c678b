/* SPDX-License-Identifier: MIT */
/* What `nipc serve` serves. */
#include "provider.h"

const struct provider *const providers[] = {
        &provider_apps_lookup, &provider_cgroups_lookup, &provider_cgroups_snapshot,
        &provider_echo,        &provider_increment,      &provider_ip_to_asn,
        &provider_pid_traffic, &provider_string_reverse, NULL,
};

const char providers_text[] = "apps-lookup|cgroups-lookup|cgroups-snapshot|ip-to-asn|pid-traffic|"
                              "increment|string-reverse|echo";
