/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * How servers and clients say what happened (<nipc/log.h>). One of these belongs to each worker and
 * to each client that has a callback, so that nothing is shared; those that have none have no log.
 */

#include <nipc/log.h>
#include <stdatomic.h>
#include <stdint.h>

#define NIPC__LOG_N_EVENTS 40u

struct nipc__log {
        void (*callback)(void *userdata, const struct nipc_log_record *record);
        void *userdata;
        const char *service;           /* borrowed */
        _Atomic uint64_t n_suppressed; /* of all events; written by the owner, read relaxed */
        struct {
                uint64_t since_ns; /* when this second began */
                uint32_t n_said;   /* in it */
                uint64_t n_suppressed;
        } events[NIPC__LOG_N_EVENTS];
};

#define NIPC__LOG_RECORD(event_)                                          \
        ((struct nipc_log_record){.size = sizeof(struct nipc_log_record), \
                                  .event = (event_),                      \
                                  .peer_pid = -1,                         \
                                  .peer_uid = -1})

/* *ret_log: NULL without a callback. Returns 0 or -ENOMEM. */
int nipc__log_new(void (*callback)(void *userdata, const struct nipc_log_record *record),
                  void *userdata, const char *service, struct nipc__log **ret_log);

/* Says it, unless there was too much of it lately. log may be NULL. */
void nipc__log_say(struct nipc__log *log, struct nipc_log_record record);
