/* SPDX-License-Identifier: MIT */

/*
 * The part of util-service.h that is Windows: pipes, as in util-raw.h, and handles. What waits too
 * long is ended by the watchdog of util-env.h.
 */

#include "util-service.h"

#include "util-env.h"
#include "util-raw.h"

#include "names.h"
#include <fcntl.h>
#include <io.h>

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

/*
 * What the system opens once and keeps, its pool of threads among it. A leak shows as one for each
 * session or server of a test.
 */
#define SYSTEM_HANDLES 8
#define SYSTEM_THREADS 3

/* What is written and not yet read: the buffers of pipes are small, and tests have one thread. */
struct packet {
        OVERLAPPED overlapped; /* without an event: the handle is looked at */
        struct packet *next;
        char bytes[];
};

static int n_fds, n_threads;
static struct packet *_Atomic packets;

const char *util_run_dir(void)
{
        if (!n_fds) {
                util_begin();
                n_fds = util_count_fds();
                n_threads = util_count_threads();
        }
        return util_dir();
}

int util_more_fds(void)
{
        int n = util_count_fds() - n_fds - SYSTEM_HANDLES;

        return n < 0 ? 0 : n;
}

int util_more_threads(void)
{
        int n = util_count_threads() - n_threads - SYSTEM_THREADS;

        return n < 0 ? 0 : n;
}

static HANDLE handle_of(int fd)
{
        return (HANDLE)_get_osfhandle(fd);
}

int util_raw_connect(const char *service)
{
        DWORD mode = PIPE_READMODE_MESSAGE;
        wchar_t name[NIPC__NAME_MAX];
        HANDLE handle;

        if (nipc__name_pipe(util_run_dir(), service, name) < 0)
                return -1;
        do {
                handle = CreateFileW(name, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING,
                                     FILE_FLAG_OVERLAPPED, NULL);
        } while (handle == INVALID_HANDLE_VALUE && GetLastError() == ERROR_PIPE_BUSY &&
                 WaitNamedPipeW(name, UTIL_WATCHDOG_MS));
        if (handle == INVALID_HANDLE_VALUE)
                return -1;
        SetNamedPipeHandleState(handle, &mode, NULL, NULL);
        return _open_osfhandle((intptr_t)handle, 0);
}

/* Frees what has been read by now. Packets of a pipe that was closed are done, too. */
static void forget_packets(void)
{
        struct packet *packet = atomic_exchange(&packets, NULL), *next;

        for (; packet; packet = next) {
                next = packet->next;
                if (HasOverlappedIoCompleted(&packet->overlapped)) {
                        free(packet);
                        continue;
                }
                packet->next = atomic_load(&packets);
                while (!atomic_compare_exchange_weak(&packets, &packet->next, packet))
                        ;
        }
}

bool util_raw_packet(int fd, const void *bytes, size_t size)
{
        struct packet *packet = calloc(1, sizeof(*packet) + size);

        forget_packets();
        memcpy(packet->bytes, bytes, size);
        if (!WriteFile(handle_of(fd), packet->bytes, (DWORD)size, NULL, &packet->overlapped) &&
            GetLastError() != ERROR_IO_PENDING) {
                free(packet);
                return false;
        }
        packet->next = atomic_load(&packets);
        while (!atomic_compare_exchange_weak(&packets, &packet->next, packet))
                ;
        return true;
}

ssize_t util_raw_receive_packet(int fd, void *buf, size_t size)
{
        OVERLAPPED overlapped = {.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL)};
        DWORD n = 0;
        bool good;

        util_waiting_for("a peer to say something");
        good = ReadFile(handle_of(fd), buf, (DWORD)size, NULL, &overlapped) ||
               GetLastError() == ERROR_IO_PENDING || GetLastError() == ERROR_MORE_DATA;
        good = good && GetOverlappedResult(handle_of(fd), &overlapped, &n, TRUE);
        CloseHandle(overlapped.hEvent);
        return good ? (ssize_t)n : -1;
}

bool util_wait_fd(int fd, int timeout_ms)
{
        return WaitForSingleObject((HANDLE)(intptr_t)fd, (DWORD)timeout_ms) == WAIT_OBJECT_0;
}

bool util_pump(struct nipc_server *server, int fd)
{
        const uint64_t deadline_ns = nipc_deadline_after_ms(UTIL_WATCHDOG_MS);

        while (!raw_is_readable(fd))
                if (nipc_server_dispatch(server, 1) < 0 || nipc_clock_now_ns() > deadline_ns)
                        return false;
        return true;
}

void util_run_interrupting(pthread_t thread, void (*run)(void))
{
        run();
}

bool util_has_quiet_signals(void)
{
        return true;
}

bool util_is_own_uid(int64_t uid)
{
        return uid == util_own_uid();
}

bool util_limit_fds(unsigned n)
{
        return false;
}

bool util_has_room_for_fds(unsigned n)
{
        return n <= 1024; /* of the C library's */
}

bool util_can_serve(uint32_t profile)
{
        return true;
}

unsigned util_rounds(unsigned n)
{
        return n / 50 + 1; /* Wine's pipes are slow */
}

bool util_sees_end_behind_data(void)
{
        return false;
}

bool util_becomes_quiet(struct nipc_server *server)
{
        unsigned n;

        /* Hints of a completion port may be late. */
        for (n = 0; n < 10 && util_wait_fd(nipc_server_get_fd(server), 0); n++)
                if (nipc_server_dispatch(server, 0) != 0)
                        return false;
        return n < 10;
}

const char *util_path_suffix(void)
{
        return "new";
}
