/* SPDX-License-Identifier: MIT */
#pragma once

/* What both ends of the nipc subjects of `nipc bench` know. */

#include "subject.h"

#define SUBJECT_SERVICE    "bench"
#define SUBJECT_TIMEOUT_MS 30000u
#define SUBJECT_METHOD     0x8100u /* of large: the payload comes back as it was */

/* Payload limits that suit the scenario: no larger than it needs, so that buffers stay in cache. */
uint32_t subject_nipc_request_bytes(const struct subject_options *options);
uint32_t subject_nipc_response_bytes(const struct subject_options *options);

/* The server's end, see struct subject. */
int subject_nipc_serve(const struct subject_options *options, int ready_fd);
