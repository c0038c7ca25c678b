/* SPDX-License-Identifier: MIT */
#pragma once

/* The planes of Windows, beside the baseline: none yet. */

#include <nipc/hello.h>

/* Profiles this build has a plane for. */
#define NIPC__AVAILABLE_PROFILES NIPC_PROFILE_BASELINE
