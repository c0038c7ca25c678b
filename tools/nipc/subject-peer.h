/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Others that do the same work: programs of bench/peers, one each, that are client or server. They
 * are told and tell in lines, so that they may be written in any language:
 *
 *      PROGRAM server DIR      DIR is private to the pair; writes "READY" once it can be asked,
 *                              serves until it is killed
 *      PROGRAM client DIR      writes "READY [PID]", PID: of the server, if it has its own; then
 *                              reads "run DEPTH RATE NS VALUE" lines, does it, and writes
 *                              "done N NS", as many lines "MIDDLE COUNT" as its histogram has
 *                              buckets in use, and "end"; or "error REASON", and ends
 *
 * DEPTH 1 is one request at a time, RATE per second, 0: as many as possible, NS: how long, VALUE:
 * the first number to be incremented; each answer is checked to be its request's number plus one.
 * MIDDLE is in ns. Messages have 40 bytes, of which the last 8 are the number, wherever the peer
 * takes bytes at all.
 */

#include "subject.h"

/* Those there are, NULL in the end. */
extern const struct subject *const subject_peers[];

/* Where programs are looked for; NULL: where the build leaves them, seen from this program. */
void subject_peer_set_directory(const char *directory);

/* Whether the program is there. ret_reason: why not, owned, release with g_free(). */
bool subject_peer_is_there(const struct subject *subject, char **ret_reason);

/* A program of bench/ that is no peer: owned, NULL if it is not there. */
char *subject_peer_find_program(const char *name);
