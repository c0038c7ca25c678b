/* SPDX-License-Identifier: MIT */
#pragma once

/* The planes of Windows, beside the baseline. */

#include <nipc/hello.h>

struct nipc__plane_ops;

/* Profiles this build has a plane for. */
#define NIPC__AVAILABLE_PROFILES \
        (NIPC_PROFILE_BASELINE | NIPC_PROFILE_SHM_HYBRID | NIPC_PROFILE_SHM_BUSYWAIT)

extern const struct nipc__plane_ops nipc__shm_hybrid_ops;
extern const struct nipc__plane_ops nipc__shm_busywait_ops;
