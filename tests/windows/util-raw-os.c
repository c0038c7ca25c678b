/* SPDX-License-Identifier: MIT */

/* The part of util-raw.h that is pipes: synchronous ones, as a NetIPC v1 peer has them. */

#include "names.h"
#include "util-env.h"
#include "util-raw.h"
#include <errno.h>
#include <fcntl.h>
#include <io.h>

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

static HANDLE handle_of(int fd)
{
        return (HANDLE)_get_osfhandle(fd);
}

int raw_listen(const char *service, int type, int backlog)
{
        wchar_t name[NIPC__NAME_MAX];
        HANDLE handle;

        if (nipc__name_pipe(util_dir(), service, name) < 0)
                return -ENAMETOOLONG;
        handle = CreateNamedPipeW(name, PIPE_ACCESS_DUPLEX,
                                  PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE | PIPE_WAIT,
                                  PIPE_UNLIMITED_INSTANCES, 65536, 65536, 0, NULL);
        return handle == INVALID_HANDLE_VALUE ? -EADDRINUSE : _open_osfhandle((intptr_t)handle, 0);
}

int raw_connect(const char *service, int type)
{
        DWORD mode = PIPE_READMODE_MESSAGE;
        wchar_t name[NIPC__NAME_MAX];
        HANDLE handle;

        if (nipc__name_pipe(util_dir(), service, name) < 0)
                return -ENAMETOOLONG;
        do {
                handle = CreateFileW(name, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING, 0,
                                     NULL);
        } while (handle == INVALID_HANDLE_VALUE && GetLastError() == ERROR_PIPE_BUSY &&
                 WaitNamedPipeW(name, NMPWAIT_WAIT_FOREVER));
        if (handle == INVALID_HANDLE_VALUE)
                return -ENOENT;
        SetNamedPipeHandleState(handle, &mode, NULL, NULL);
        return _open_osfhandle((intptr_t)handle, 0);
}

int raw_accept(int listen_fd)
{
        HANDLE handle = handle_of(listen_fd), copy;

        util_waiting_for("a client to connect");
        /* The last: he has left already, and what he said is still there. */
        if (!ConnectNamedPipe(handle, NULL) && GetLastError() != ERROR_PIPE_CONNECTED &&
            GetLastError() != ERROR_NO_DATA)
                return -EIO;
        if (!DuplicateHandle(GetCurrentProcess(), handle, GetCurrentProcess(), &copy, 0, FALSE,
                             DUPLICATE_SAME_ACCESS))
                return -EMFILE;
        return _open_osfhandle((intptr_t)copy, 0);
}

size_t raw_fill_backlog(const char *service, int *ret_fds, size_t max_fds)
{
        wchar_t name[NIPC__NAME_MAX];
        size_t n = 0;

        if (nipc__name_pipe(util_dir(), service, name) < 0)
                return 0;
        while (n < max_fds) {
                HANDLE handle = CreateFileW(name, GENERIC_READ | GENERIC_WRITE, 0, NULL,
                                            OPEN_EXISTING, 0, NULL);

                if (handle == INVALID_HANDLE_VALUE)
                        break;
                ret_fds[n++] = _open_osfhandle((intptr_t)handle, 0);
        }
        return n;
}

void raw_unlisten(int listen_fd)
{
        close(listen_fd);
}

void raw_hang_up(int fd)
{
        DisconnectNamedPipe(handle_of(fd));
        close(fd);
}

bool raw_send(int fd, const void *packet, size_t size)
{
        DWORD n;

        util_waiting_for("a peer to read");
        return WriteFile(handle_of(fd), packet, (DWORD)size, &n, NULL) && n == size;
}

ssize_t raw_receive(int fd, void *buf, size_t size)
{
        char rest[4096];
        ssize_t total;
        DWORD n = 0;
        BOOL good;

        util_waiting_for("a peer to say something");
        good = ReadFile(handle_of(fd), buf, (DWORD)size, &n, NULL);
        total = (ssize_t)n;
        while (!good && GetLastError() == ERROR_MORE_DATA) {
                good = ReadFile(handle_of(fd), rest, sizeof(rest), &n, NULL);
                total += (ssize_t)n;
        }
        return good ? total : 0;
}

bool raw_is_readable(int fd)
{
        DWORD n;

        if (!PeekNamedPipe(handle_of(fd), NULL, 0, NULL, &n, NULL))
                return GetLastError() != ERROR_BAD_PIPE; /* nobody has come yet */
        return n;
}

bool raw_is_closed(int fd)
{
        char byte;

        return raw_receive(fd, &byte, 1) == 0;
}
