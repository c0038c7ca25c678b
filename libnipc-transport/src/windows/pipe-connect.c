/* SPDX-License-Identifier: MIT */

/*
 * A client's way to the pipe of an endpoint, and who it is that serves there. The server may learn
 * who we are, and no more: it cannot act in our name.
 */

#include "identity.h"
#include "names.h"
#include "pipe.h"
#include "stdaux.h"
#include "transport-private.h"
#include <errno.h>

/*
 * All instances of the pipe are taken until the server makes another one. The system's wait for
 * that cannot be woken: it waits in slices of this length, and looks at the cancel object.
 */
#define BUSY_SLICE_MS 20u

/*
 * Between two instances of a NetIPC v1 server there may be none; so long a missing pipe is given to
 * appear, in steps of a millisecond. Chosen, not tuned.
 */
#define ABSENT_NS UINT64_C(4000000)

static int open_pipe(const wchar_t *name, HANDLE *ret_handle, DWORD *ret_error)
{
        DWORD mode = PIPE_READMODE_MESSAGE;
        HANDLE handle;

        handle = CreateFileW(name, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING,
                             FILE_FLAG_OVERLAPPED | SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION,
                             NULL);
        if (handle == INVALID_HANDLE_VALUE) {
                *ret_error = GetLastError();
                return -EAGAIN;
        }
        if (!SetNamedPipeHandleState(handle, &mode, NULL, NULL)) {
                /* A pipe of bytes, which is no endpoint; or its server is gone already. */
                *ret_error = GetLastError();
                CloseHandle(handle);
                return *ret_error == ERROR_BROKEN_PIPE || *ret_error == ERROR_PIPE_NOT_CONNECTED
                               ? -ECONNRESET
                               : -ENOENT;
        }
        *ret_handle = handle;
        return 0;
}

/* Before the next attempt. Returns 0, or why there is none. */
static int wait_for_pipe(struct nipc_session *session, const wchar_t *name, DWORD error,
                         uint64_t started_ns, uint64_t deadline_ns)
{
        const uint64_t now = nipc_clock_now_ns();
        int r = nipc__session_cancelled_or(session, 0);

        if (r < 0)
                return r;
        if (error == ERROR_FILE_NOT_FOUND) {
                if (deadline_ns == NIPC_DEADLINE_NOW || now - started_ns >= ABSENT_NS ||
                    now >= deadline_ns)
                        return -ENOENT;
                Sleep(1);
                return 0;
        }
        if (error != ERROR_PIPE_BUSY && error != ERROR_SEM_TIMEOUT)
                return nipc__system_error(error);
        if (deadline_ns == NIPC_DEADLINE_NOW)
                return -EAGAIN;
        if (now >= deadline_ns)
                return -ETIMEDOUT;
        WaitNamedPipeW(name, NIPC__MIN(nipc__deadline_to_wait_ms(deadline_ns), BUSY_SLICE_MS));
        return 0; /* whatever it says, the next attempt says it better */
}

static int connect_to(struct nipc_session *session, const wchar_t *name, uint64_t deadline_ns)
{
        const uint64_t started_ns = nipc_clock_now_ns();
        HANDLE handle;
        DWORD error = 0;
        int r;

        for (;;) {
                r = nipc__session_cancelled_or(session, 0);
                if (r == 0)
                        r = open_pipe(name, &handle, &error);
                if (r == 0)
                        return nipc__pipe_new(handle, &session->link.pipe);
                if (r == -EAGAIN)
                        r = wait_for_pipe(session, name, error, started_ns, deadline_ns);
                if (r < 0)
                        return r;
        }
}

int nipc__link_connect(struct nipc_session *session, const struct nipc_session_config *config,
                       uint64_t deadline_ns)
{
        wchar_t name[NIPC__NAME_MAX];
        int r;

        r = nipc__name_pipe(config->run_dir, config->service, name);
        if (r < 0)
                return nipc__session_fail(session, NIPC_FAILURE_CONFIG, r, 0);
        if (config->cancel) {
                r = nipc__cancel_bind(config->cancel, &session->link);
                if (r < 0)
                        return nipc__session_fail(session, NIPC_FAILURE_CONNECT, r, 0);
                session->cancel = config->cancel;
        }
        r = connect_to(session, name, deadline_ns);
        if (r < 0)
                nipc__session_fail(session, NIPC_FAILURE_CONNECT, r, nipc__os_error(r));
        return r;
}

/* Only its creator, or who may act for everybody, can make somebody the owner of a pipe. */
int nipc__link_check_server(struct nipc_session *session, const struct nipc_session_config *config)
{
        HANDLE handle = session->link.pipe->handle;
        struct nipc__sid owner;
        ULONG pid;
        int r;

        if (GetNamedPipeServerProcessId(handle, &pid))
                session->peer.pid = (int64_t)pid;
        r = nipc__identity_of_owner(handle, &owner);
        if (r < 0 && session->peer.pid >= 0) /* no owner that we could see: whose process is it? */
                r = nipc__identity_of_pid((DWORD)session->peer.pid, &owner);
        if (r == 0)
                session->peer.uid = nipc__identity_hash(&owner);
        if (config->trust_any_server)
                return 0;
        return r == 0 && nipc__identity_is_trusted(&owner, config->run_dir) ? 0 : -EACCES;
}
