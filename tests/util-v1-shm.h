/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A NetIPC v1 peer of Windows shared memory, written from transport-windows §3 and nothing else:
 * plain calls to the system and interlocked words, names given by the test.
 */

#include <stdbool.h>
#include <stdint.h>
#include <wchar.h>

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

struct v1_shm {
        HANDLE mapping, request_event, response_event;
        uint8_t *map;
        bool is_server;
        LONG64 expected; /* of the direction we receive */
};

/* Names end in -mapping, -req_event and -resp_event; the stem is what they have in common. */
bool v1_shm_create(const wchar_t *stem, uint32_t profile, uint32_t max_request,
                   uint32_t max_response, struct v1_shm *ret_shm);
bool v1_shm_attach(const wchar_t *stem, uint32_t profile, struct v1_shm *ret_shm);

/* As an implementation of v1 sends: copy, length, counter, and a wake if the peer waits. */
void v1_shm_send(struct v1_shm *shm, const void *bytes, uint32_t size);

/* Returns the length; -1: time-out, -2: the peer is closed, -3: the peer broke a rule. */
int v1_shm_receive(struct v1_shm *shm, void *buf, uint32_t size, uint32_t timeout_ms);

/* Says that it goes, and goes. */
void v1_shm_close(struct v1_shm *shm);

/* Goes like one that was killed. */
void v1_shm_drop(struct v1_shm *shm);
