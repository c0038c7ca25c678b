/* SPDX-License-Identifier: MIT */

/* See pipe.h. */

#include "pipe.h"
#include "link.h"
#include "stdaux.h"
#include <errno.h>
#include <nipc/clock.h>

int nipc__system_error(DWORD error)
{
        switch (error) {
        case ERROR_BROKEN_PIPE:
        case ERROR_NO_DATA:
        case ERROR_PIPE_NOT_CONNECTED:
        case ERROR_OPERATION_ABORTED:
                return -ECONNRESET;
        case ERROR_FILE_NOT_FOUND:
        case ERROR_PATH_NOT_FOUND:
        case ERROR_BAD_PATHNAME:
                return -ENOENT;
        case ERROR_ACCESS_DENIED:
                return -EACCES;
        case ERROR_NOT_ENOUGH_MEMORY:
        case ERROR_OUTOFMEMORY:
                return -ENOMEM;
        case ERROR_NO_SYSTEM_RESOURCES:
        case ERROR_NOT_ENOUGH_QUOTA:
                return -ENOBUFS;
        case ERROR_TOO_MANY_OPEN_FILES:
                return -EMFILE;
        default:
                return -EIO;
        }
}

int nipc__pipe_new(HANDLE handle, struct nipc__pipe **ret_pipe)
{
        struct nipc__pipe *pipe = calloc(1, sizeof(*pipe));

        if (!pipe) {
                CloseHandle(handle);
                return -ENOMEM;
        }
        pipe->handle = handle;
        pipe->read.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL);
        pipe->write.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL);
        if (!pipe->read.hEvent || !pipe->write.hEvent) {
                nipc__pipe_free(pipe);
                return -EMFILE;
        }
        /* What is done at once is not told once more by a completion port. */
        SetFileCompletionNotificationModes(handle, FILE_SKIP_COMPLETION_PORT_ON_SUCCESS);
        *ret_pipe = pipe;
        return 0;
}

static void cancel_io(struct nipc__pipe *pipe, OVERLAPPED *overlapped)
{
        DWORD n;

        /* Quick: a driver of the kernel does it, whatever the peer is up to. */
        CancelIoEx(pipe->handle, overlapped);
        GetOverlappedResult(pipe->handle, overlapped, &n, TRUE);
}

struct nipc__pipe *nipc__pipe_free(struct nipc__pipe *pipe)
{
        if (!pipe)
                return NULL;
        if (pipe->watch)
                nipc__pipe_unwatch(pipe);
        if (pipe->state == NIPC__PIPE_READING)
                cancel_io(pipe, &pipe->read);
        if (pipe->is_writing)
                cancel_io(pipe, &pipe->write);
        /* Not disconnected: the peer can still read what was written. */
        CloseHandle(pipe->handle);
        if (pipe->read.hEvent)
                CloseHandle(pipe->read.hEvent);
        if (pipe->write.hEvent)
                CloseHandle(pipe->write.hEvent);
        free(pipe->tx);
        free(pipe);
        return NULL;
}

/* A read ended, well or not. */
static void note_read(struct nipc__pipe *pipe, DWORD error, DWORD n)
{
        if (error == ERROR_OPERATION_ABORTED) { /* by the end of the thread that began it */
                pipe->state = NIPC__PIPE_IDLE;
                return;
        }
        if (error && error != ERROR_MORE_DATA) {
                pipe->state = NIPC__PIPE_ENDED;
                pipe->error = nipc__system_error(error);
        } else if (!n && !error) { /* transport-windows §2: an empty message is the end */
                pipe->state = NIPC__PIPE_ENDED;
                pipe->error = -ECONNRESET;
        } else {
                pipe->state = NIPC__PIPE_READ;
                pipe->n_ahead = n;
                pipe->has_more = error == ERROR_MORE_DATA;
        }
        if (pipe->is_polled)
                SetEvent(pipe->read.hEvent); /* not all ends that come at once set it */
}

/* As nipc__pipe_look(), which does it again if a read was begun by a thread that is gone. */
static bool look_once(struct nipc__pipe *pipe)
{
        DWORD n = 0, error;

        if (pipe->state == NIPC__PIPE_IDLE) {
                pipe->state = NIPC__PIPE_READING;
                error = ReadFile(pipe->handle, pipe->ahead, sizeof(pipe->ahead), NULL, &pipe->read)
                                ? 0
                                : GetLastError();
                if (error == ERROR_IO_PENDING)
                        return false;
                n = (DWORD)pipe->read.InternalHigh;
                note_read(pipe, error, n);
                return true;
        }
        if (pipe->state != NIPC__PIPE_READING)
                return true;
        if (!HasOverlappedIoCompleted(&pipe->read))
                return false;
        error = GetOverlappedResult(pipe->handle, &pipe->read, &n, FALSE) ? 0 : GetLastError();
        if (error == ERROR_IO_INCOMPLETE)
                return false;
        note_read(pipe, error, n);
        return true;
}

bool nipc__pipe_look(struct nipc__pipe *pipe)
{
        bool is_there;

        do {
                is_there = look_once(pipe);
        } while (is_there && pipe->state == NIPC__PIPE_IDLE);
        return is_there;
}

DWORD nipc__pipe_write(struct nipc__pipe *pipe)
{
        DWORD error = WriteFile(pipe->handle, pipe->tx, (DWORD)pipe->tx_size, NULL, &pipe->write)
                              ? 0
                              : GetLastError();

        pipe->is_writing = error == ERROR_IO_PENDING;
        return pipe->is_writing ? 0 : error;
}

bool nipc__pipe_is_written(struct nipc__pipe *pipe, int *ret_error)
{
        DWORD n, error;

        *ret_error = 0;
        if (!pipe->is_writing)
                return true;
        if (!HasOverlappedIoCompleted(&pipe->write))
                return false;
        error = GetOverlappedResult(pipe->handle, &pipe->write, &n, FALSE) ? 0 : GetLastError();
        if (error == ERROR_IO_INCOMPLETE)
                return false;
        pipe->is_writing = false;
        if (error == ERROR_OPERATION_ABORTED) { /* by the end of the thread that began it */
                error = nipc__pipe_write(pipe);
                if (pipe->is_writing)
                        return false;
        }
        if (error)
                *ret_error = nipc__system_error(error);
        return true;
}

int nipc__event_wait(HANDLE event, const struct nipc_cancel *cancel, uint64_t deadline_ns)
{
        HANDLE handles[2] = {event, cancel ? cancel->event : NULL};
        DWORD timeout_ms, r;

        for (;;) {
                timeout_ms = deadline_ns == NIPC_DEADLINE_LINGER
                                     ? 1
                                     : nipc__deadline_to_wait_ms(deadline_ns);
                r = WaitForMultipleObjects(cancel ? 2 : 1, handles, FALSE, timeout_ms);
                if (r == WAIT_OBJECT_0)
                        return 0;
                if (r == WAIT_OBJECT_0 + 1)
                        return -ECANCELED;
                if (r != WAIT_TIMEOUT)
                        return nipc__system_error(GetLastError());
                if (deadline_ns <= NIPC_DEADLINE_SPIN)
                        return -EAGAIN;
                if (!timeout_ms)
                        return -ETIMEDOUT;
        }
}
