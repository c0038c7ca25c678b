/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * One service that `nipc call` can call. command-call.c lists them, reads the options, keeps the
 * client; a service knows its keys, its calls and how an answer looks as a table. As JSON an answer
 * is what `nipc decode` prints for it.
 */

#include "command.h"

#include <glib.h>
#include <nipc/client.h>

struct call_options {
        bool batch;
        bool has_method;
        uint16_t method;
        const char *hex;
};

struct call {
        const struct call_options *options;
        const char *endpoint; /* name of it */
        bool json;
        char **keys; /* as on the command line */
        guint n_keys;
        GByteArray *request; /* keys or payload in binary, made by prepare */
        struct nipc_client *client;
        GPtrArray *answers; /* GByteArray, payloads of the last round */
};

struct call_service {
        const char *name;          /* SERVICE on the command line, and the default endpoint */
        const char *response_type; /* of the codec; NULL: bytes that mean nothing to us */
        bool takes_batch;
        bool takes_bytes; /* --method and --hex */
        /* Judges the keys before anything is sent. FALSE with `error` is wrong usage. */
        gboolean (*prepare)(struct call *call, GError **error);
        /* All calls once; fills call->answers. Returns 0 or what the client returned. */
        int (*ask)(struct call *call);
        /* Prints call->answers: as a table, or as JSON if there is no type. Returns COMMAND_*. */
        int (*print)(const struct call *call);
        /* NULL, or whether all that was asked for is in the printed answers. Returns COMMAND_*. */
        int (*check)(const struct call *call);
};

extern const struct call_service call_apps_lookup;
extern const struct call_service call_cgroups_lookup;
extern const struct call_service call_cgroups_snapshot;
extern const struct call_service call_increment;
extern const struct call_service call_ip_to_asn;
extern const struct call_service call_pid_traffic;
extern const struct call_service call_raw;
extern const struct call_service call_string_reverse;

/* Those of this system, NULL at the end. */
extern const struct call_service *const call_services[];

/* The same for the usage line. */
extern const char call_arguments_text[];

/* Keeps a copy of an answer. */
void call_add_answer(struct call *call, const void *payload, size_t size);
