/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * libnipc-proto: the bytes of NetIPC version 1. Envelope, handshake, chunk and batch framing, and
 * the codec of every method: borrowed views, encoders, builders into a caller's buffer. It does no
 * I/O, allocates nothing, keeps no state and has no undefined behaviour on any bytes.
 *
 * This header is all of it; each part can be included alone. The layer has no threads: every
 * function works on its arguments only.
 */

#include <nipc/apps-lookup.h>
#include <nipc/batch.h>
#include <nipc/cgroups-lookup.h>
#include <nipc/cgroups-snapshot.h>
#include <nipc/chunk.h>
#include <nipc/error.h>
#include <nipc/header.h>
#include <nipc/hello.h>
#include <nipc/increment.h>
#include <nipc/ip-to-asn.h>
#include <nipc/lookup.h>
#include <nipc/pid-traffic.h>
#include <nipc/string-reverse.h>
#include <nipc/wire.h>

#define NIPC_WIRE_VERSION 1 /* NetIPC v1 */
