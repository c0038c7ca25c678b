/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A provider of lookups whose items follow from their keys, so that every answer can be checked:
 * key number n of cgroups is "/k/n", of apps it is n itself. One of ten is unknown.
 */

#include "util-service.h"

/* Atomic: what tests set between requests, and workers read. */
struct util_lookup {
        bool is_apps;
        /* Bytes of the one label of key n, or 0: no label. NULL: none has one. */
        uint32_t (*_Atomic label_size)(uint32_t n);
        /* Called for each request before it is answered; what it returns but 0 is the answer. */
        int (*_Atomic before)(struct util_lookup *lookup,
                              const struct nipc_lookup_request_view *request,
                              struct nipc_lookup_builder *builder);
        void *_Atomic userdata;
        atomic_uint n_requests;
        atomic_uint n_items; /* that were asked for */
        atomic_ullong generation;
        struct nipc_server_config config;
        struct nipc_server *server;
};

/* Defaults: one worker, limits of a megabyte. Then set fields, then start. */
void util_lookup_init(struct util_lookup *lookup, const char *service, bool is_apps);
bool util_lookup_start(struct util_lookup *lookup);
void util_lookup_stop(struct util_lookup *lookup);

/* What its handler does; userdata: the struct util_lookup. */
int util_lookup_handle(void *userdata, const struct nipc_lookup_request_view *request,
                       struct nipc_lookup_builder *builder);

/* A client config for it. */
struct nipc_client_config util_lookup_client_config(const struct util_lookup *lookup);

/* A client, refreshed; NULL if it is not ready. */
struct nipc_client *util_lookup_client(const struct nipc_client_config *config);

/* Asks for the keys first to first + n_keys - 1. Returns as nipc_client_lookup(). */
int util_lookup_ask(const struct util_lookup *lookup, struct nipc_client *client, uint32_t first,
                    uint32_t n_keys, struct nipc_lookup_view *ret_view);

/* Whether item `index` of an answer is that of key n; or says that it is oversized. */
bool util_lookup_is_item(const struct util_lookup *lookup, const struct nipc_lookup_view *view,
                         uint32_t index, uint32_t n);
bool util_lookup_is_oversized(const struct util_lookup *lookup, const struct nipc_lookup_view *view,
                              uint32_t index, uint32_t n);

/* Whether an answer has exactly the items of these keys. */
bool util_lookup_is_all(const struct util_lookup *lookup, const struct nipc_lookup_view *view,
                        uint32_t first, uint32_t n_keys);
