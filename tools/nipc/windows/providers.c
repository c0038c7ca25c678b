/* SPDX-License-Identifier: MIT */
/* What `nipc serve` serves on Windows. */
#include "provider.h"

const struct provider *const providers[] = {
        &provider_echo,
        &provider_increment,
        &provider_string_reverse,
        NULL,
};

const char providers_text[] = "increment|string-reverse|echo";
