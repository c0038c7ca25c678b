/* SPDX-License-Identifier: MIT */
/* What `nipc call` calls on Windows: nobody serves cgroups and the like there. */
#include "call.h"

const struct call_service *const call_services[] = {
        &call_increment,
        &call_raw,
        &call_string_reverse,
        NULL,
};

const char call_arguments_text[] = "increment|string-reverse|raw [KEY…]";
