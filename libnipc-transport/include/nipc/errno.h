/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * <errno.h>, and those of the errors named in our headers that not every system has. Numbers are
 * not the same everywhere: use the names.
 */

#include <errno.h>

#ifndef EREMOTEIO
#define EREMOTEIO 160
#endif
#ifndef ESTALE
#define ESTALE 161
#endif
#ifndef ESHUTDOWN
#define ESHUTDOWN 162
#endif
