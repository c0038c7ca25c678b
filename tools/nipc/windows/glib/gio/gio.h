/* SPDX-License-Identifier: MIT */
#pragma once

/* See ../glib.h: nothing of GIO is used. */

#include <glib.h>
