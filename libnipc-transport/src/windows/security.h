/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Who may open what we make: the user we run as, and the system. Without a descriptor of its own an
 * object gets the default of the process's token, which on a server often lets a group in.
 */

#include <stdint.h>

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

struct nipc__security {
        SECURITY_ATTRIBUTES attributes; /* points into the rest: not to be copied */
        SECURITY_DESCRIPTOR descriptor;
        union {
                ACL acl;
                uint8_t acl_bytes[sizeof(ACL) +
                                  2 * (sizeof(ACCESS_ALLOWED_ACE) + SECURITY_MAX_SID_SIZE)];
        };
};

/* Returns 0 or a negative errno. Nothing to release. */
int nipc__security_init(struct nipc__security *security);
