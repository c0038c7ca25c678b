/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Who somebody is. Windows names users by SIDs of varying length; what the API calls a uid is the
 * FNV-1a 64 hash of the SID's bytes without its highest bit: the same for the same user everywhere
 * and always, enough to count sessions by, and no more than that. Trust compares SIDs.
 */

#include <stdbool.h>
#include <stdint.h>

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

struct nipc__sid {
        union {
                SID sid;
                uint8_t bytes[SECURITY_MAX_SID_SIZE];
        };
};

/* The user that a process runs as. Returns 0 or a negative errno. */
int nipc__identity_of_process(HANDLE process, struct nipc__sid *ret_sid);

/* The same by its id; the id may be that of another process by now. */
int nipc__identity_of_pid(DWORD pid, struct nipc__sid *ret_sid);

/* The owner of an open kernel object. */
int nipc__identity_of_owner(HANDLE object, struct nipc__sid *ret_sid);

/* Whether that is us, the system, an administrator, or the owner of this directory. */
bool nipc__identity_is_trusted(const struct nipc__sid *sid, const char *run_dir);

int64_t nipc__identity_hash(const struct nipc__sid *sid);
