/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The functions of a method that comes with nipc: the mechanism, compiled for one class. A file has
 * one method and uses this once, behind the class, which has `.own = &own`.
 */

#include "lookup-read.h"
#include "lookup-write.h"

/* Before the class. */
#define NIPC__LOOKUP_OWN_DECLARE static const struct nipc__lookup_own own

/* Behind it. */
#define NIPC__LOOKUP_OWN_DEFINE(own_class)                                                        \
        static int read_request(struct nipc_lookup_request_view *ret_view, const void *payload,   \
                                size_t size, struct nipc_fault *ret_fault)                        \
        {                                                                                         \
                return nipc__lookup_read_request(ret_view, own_class, payload, size, ret_fault);  \
        }                                                                                         \
        static int read_response(struct nipc_lookup_view *ret_view, const void *payload,          \
                                 size_t size, struct nipc_fault *ret_fault)                       \
        {                                                                                         \
                return nipc__lookup_read_response(ret_view, own_class, payload, size, ret_fault); \
        }                                                                                         \
        static int add_status(struct nipc_lookup_builder *builder, const void *key,               \
                              size_t key_size, uint16_t status)                                   \
        {                                                                                         \
                return nipc__lookup_add_status(builder, own_class, key, key_size, status);        \
        }                                                                                         \
        static const struct nipc__lookup_own own = {                                              \
                .class_ = own_class,                                                              \
                .read_request = read_request,                                                     \
                .read_response = read_response,                                                   \
                .add_status = add_status,                                                         \
        }
