/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Failures of clients, sessions and servers in one line: what was wrong, and the remedy.
 */

#include <nipc/client.h>
#include <nipc/session.h>

/* All that is known of a failure; what is unknown is 0 or NULL. */
struct failure {
        const char *service;
        const char *run_dir;
        int error; /* negative errno */
        int os_error;
        const char *step; /* "connect", "receive", ... */
        uint32_t transport_status;
        struct nipc_fault fault;
};

/* "increment: connect: No such file or directory; start a provider ...". Owned by the caller. */
char *failure_describe(const struct failure *failure);

/* From what the client or the session remembers; `error` is what the call returned. */
struct failure failure_from_client(const struct nipc_client_failure *failure, int error);
struct failure failure_from_session(const struct nipc_failure *failure, int error);

/* Were the answers to the parts of a lookup of different generations? To be asked again. */
bool failure_is_changed_data(const struct nipc_fault *fault);

/* "UNSUPPORTED", or "status 99" for one that has no name. Owned by the caller. */
char *failure_name_status(uint32_t status);

/* An error of this process, with the remedy if it ran out of descriptors. Owned by the caller. */
char *failure_describe_local(int error);

/*
 * Why an endpoint could not be looked at or removed, or with service NULL the run directory. Owned
 * by the caller.
 */
char *failure_describe_endpoint(int error, const char *run_dir, const char *service);

/* Why nipc_server_new() refused, in one line. Owned by the caller. */
char *failure_describe_server(int error, const char *run_dir, const char *service);
