/* SPDX-License-Identifier: MIT */
#pragma once

/* What tests need of the system: for util-env.h and util-raw.h. Endpoints have one type here. */

#include <sys/types.h>
#include <unistd.h>

#define SOCK_SEQPACKET 5
