/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A handler of SIGBUS, as an application has it that is to survive a region cut short: victims are
 * helped by nipc_fault_handle(), and the peer that did it, who may fall into his own trap, in the
 * same way.
 */

#include "util-shm-peer.h"

void shm_survive_faults(void);
void shm_let_faults(void);

/* The peer to be helped, one at a time; before its memory is touched by anybody. */
void shm_guard(const struct shm_peer *peer);

/* How many there were in the memory of victims, so far. */
unsigned shm_count_faults(void);
