/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The names of kernel objects on Windows (transport-windows §1): pipes, mappings and events have
 * one name space for all, so a name carries a hash of the run directory, byte for byte, and those
 * of memory one of the token as well.
 */

#include <stddef.h>
#include <stdint.h>
#include <wchar.h>

#define NIPC__NAME_MAX      256u /* UTF-16 units, with the NUL */
#define NIPC__NAME_TEXT_MAX 512u /* what is hashed for the name of a mapping, with a NUL */

#define NIPC__FNV_BASIS UINT64_C(0xcbf29ce484222325)

/* FNV-1a 64 of bytes that go on from what gave `hash`; NIPC__FNV_BASIS: they are the first. */
uint64_t nipc__fnv1a64(uint64_t hash, const void *bytes, size_t size);

struct nipc__shm_names {
        wchar_t mapping[NIPC__NAME_MAX];
        wchar_t request_event[NIPC__NAME_MAX];
        wchar_t response_event[NIPC__NAME_MAX];
};

/* The name of a service's pipe. Returns 0 or -ENAMETOOLONG. */
int nipc__name_pipe(const char *run_dir, const char *service, wchar_t ret_name[NIPC__NAME_MAX]);

/* Those of the region of a session. Returns 0, -ENAMETOOLONG, or -EINVAL for a hash of 0. */
int nipc__name_shm(const char *run_dir, const char *service, uint64_t auth_token, uint32_t profile,
                   uint64_t session_id, struct nipc__shm_names *ret_names);

/* That of the mutex which the owner of a pipe holds, from the pipe's. Returns as nipc__name_pipe.
 */
int nipc__name_owner(const wchar_t *pipe, wchar_t ret_name[NIPC__NAME_MAX]);
