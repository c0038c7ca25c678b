/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * For an application's own SIGBUS handler. The memory of an SHM_HYBRID session is a file that its
 * peer can write to, and so can shorten; whoever touches a page that is gone gets SIGBUS, which
 * ends the process. NetIPC v1 has no way to forbid that (the RING profile does: there is nothing to
 * handle). This library installs no signal handlers. An application that must survive such a peer
 * installs one and asks here whether the address was a session's:
 *
 *      static void on_sigbus(int number, siginfo_t *info, void *context)
 *      {
 *              if (nipc_fault_handle(info->si_addr))
 *                      return;
 *              signal(SIGBUS, SIG_DFL);
 *              raise(SIGBUS);
 *      }
 *
 *      struct sigaction action = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO};
 *      sigaction(SIGBUS, &action, NULL);
 *
 * Threading: any thread, and signal handlers.
 */

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * If the address lies in memory that a session has mapped, puts zeros in the place of all of that
 * memory and marks it: what was interrupted goes on when the handler returns, and the session ends
 * with -EBADMSG. address: si_addr. Async-signal-safe, never blocks, keeps errno. Returns whether it
 * was a session's address and could be helped. Since: 0.1
 */
bool nipc_fault_handle(const void *address);

#ifdef __cplusplus
}
#endif
