/* SPDX-License-Identifier: MIT */
#pragma once

/* inet_ntop() and inet_pton(). */

#include <winsock2.h>
#include <ws2tcpip.h>
