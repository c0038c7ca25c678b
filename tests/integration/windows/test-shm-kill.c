/* SPDX-License-Identifier: MIT */

/*
 * One of two processes that exchange messages through a region is killed, at any point of an
 * exchange. The other one must hear of it from the pipe, without a time-out, and have as many
 * handles afterwards as before.
 *
 * The survivor is this process, in turn the client and the server; the one that is killed is this
 * program once more, with arguments.
 */

#include "pipe.h"
#include "shm-channel.h"
#include <nipc/clock.h>
#include <nipc/hello.h>

#include "tap.h"
#include "util-handles.h"

enum { ROUNDS = 200, CAPACITY = 4096, WATCHDOG_MS = 60000 };

/* One process's half. */
struct side {
        HANDLE handle; /* until it is the pipe's */
        OVERLAPPED connect;
        struct nipc__pipe *pipe;
        struct nipc__shm_region region;
        struct nipc__shm_channel channel;
};

static uint32_t get_profile(void)
{
        const char *name = getenv("NIPC_SHM_PROFILE");

        return name && !strcmp(name, "busywait") ? NIPC_PROFILE_SHM_BUSYWAIT
                                                 : NIPC_PROFILE_SHM_HYBRID;
}

static int make_names(DWORD run, unsigned number, struct nipc__shm_names *ret_names,
                      wchar_t ret_pipe[NIPC__NAME_MAX])
{
        char run_dir[64];

        snprintf(run_dir, sizeof(run_dir), "kill-%lu-%u", (unsigned long)run, number);
        return nipc__name_pipe(run_dir, "kill", ret_pipe) < 0
                       ? -1
                       : nipc__name_shm(run_dir, "kill", 0, get_profile(), number, ret_names);
}

static HANDLE make_pipe(const wchar_t *name)
{
        return CreateNamedPipeW(
                name, PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED | FILE_FLAG_FIRST_PIPE_INSTANCE,
                PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE | PIPE_WAIT, 1, 65536, 65536, 0, NULL);
}

static HANDLE open_pipe(const wchar_t *name)
{
        return CreateFileW(name, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING,
                           FILE_FLAG_OVERLAPPED, NULL);
}

static int side_begin(struct side *side, bool is_server, const struct nipc__shm_names *names,
                      const wchar_t *pipe_name)
{
        const uint32_t profile = get_profile();
        const char *step;
        bool is_early;
        int r;

        *side = (struct side){.handle = INVALID_HANDLE_VALUE};
        r = is_server ? nipc__shm_region_create(names, profile, CAPACITY - 32, CAPACITY - 32,
                                                &side->region, &step)
                      : nipc__shm_region_attach(names, profile, &side->region, &step, &is_early);
        if (r < 0)
                return r;
        side->handle = is_server ? make_pipe(pipe_name) : open_pipe(pipe_name);
        if (side->handle == INVALID_HANDLE_VALUE)
                return -EIO;
        if (is_server) {
                side->connect.hEvent = CreateEventW(NULL, TRUE, FALSE, NULL);
                ConnectNamedPipe(side->handle, &side->connect);
        }
        nipc__shm_channel_init(&side->channel, &side->region, is_server);
        return 0;
}

static void side_end(struct side *side)
{
        nipc__pipe_free(side->pipe);
        if (side->handle != INVALID_HANDLE_VALUE)
                CloseHandle(side->handle);
        if (side->connect.hEvent)
                CloseHandle(side->connect.hEvent);
        nipc__shm_region_release(&side->region);
}

/* Waits for a message or the peer's end, for as long as the watchdog lets us. */
static int side_wait(struct side *side)
{
        const uint64_t deadline_ns = nipc_deadline_after_ms(WATCHDOG_MS);
        void *others[] = {side->pipe->read.hEvent};
        int r;

        for (;;) {
                if (nipc__shm_channel_has_message(&side->channel))
                        return 0;
                if (nipc__pipe_look(side->pipe))
                        return nipc__shm_channel_has_message(&side->channel) ? 0 : -ECONNRESET;
                r = nipc__shm_channel_wait(&side->channel, others, 1, deadline_ns);
                if (r != 1 && r != -EAGAIN)
                        return r;
        }
}

static int side_watch(struct side *side)
{
        HANDLE handle = side->handle;
        DWORD n;

        if (side->connect.hEvent)
                GetOverlappedResult(handle, &side->connect, &n, TRUE);
        side->handle = INVALID_HANDLE_VALUE;
        return nipc__pipe_new(handle, &side->pipe);
}

static void put(struct nipc__shm_channel *channel, uint32_t size, uint8_t value)
{
        memset(channel->tx, value, size);
        nipc__shm_channel_publish(channel, size);
}

/* Returns 0, or -EBADMSG for what a process that was killed must not leave behind either. */
static int take(struct nipc__shm_channel *channel, uint32_t *ret_size)
{
        uint8_t bytes[CAPACITY];
        int r = nipc__shm_channel_begin(channel, ret_size);

        if (r < 0)
                return r;
        memcpy(bytes, channel->rx, *ret_size);
        for (uint32_t i = 1; i < *ret_size; i++)
                if (bytes[i] != bytes[0])
                        return -EBADMSG;
        return nipc__shm_channel_end(channel, *ret_size);
}

/* Talks for `limit` messages; returns 0, or why it ended. */
static int talk(struct side *side, bool is_server, unsigned limit, uint64_t seed)
{
        int r = 0;
        uint32_t size;

        for (unsigned i = 0; i < limit && r == 0; i++) {
                if (!is_server)
                        put(&side->channel, 1 + (uint32_t)(tap_random(&seed) % CAPACITY),
                            (uint8_t)i);
                r = side_wait(side);
                if (r == 0)
                        r = take(&side->channel, &size);
                if (r == 0 && is_server)
                        put(&side->channel, size, (uint8_t)i);
        }
        return r;
}

/* ---- the one that is killed ----------------------------------------------------------------- */

static int run_child(char **argv)
{
        const bool is_server = atoi(argv[3]) != 0;
        HANDLE ready = (HANDLE)(uintptr_t)strtoull(argv[4], NULL, 10);
        struct nipc__shm_names names;
        wchar_t pipe_name[NIPC__NAME_MAX];
        struct side side;

        if (make_names((DWORD)strtoul(argv[1], NULL, 10), (unsigned)atoi(argv[2]), &names,
                       pipe_name) < 0 ||
            side_begin(&side, is_server, &names, pipe_name) < 0)
                return 1;
        SetEvent(ready);
        if (side_watch(&side) < 0)
                return 1;
        return talk(&side, is_server, UINT32_MAX, 1) < 0;
}

static HANDLE start_child(unsigned number, bool is_server, HANDLE ready)
{
        STARTUPINFOW startup = {.cb = sizeof(startup)};
        PROCESS_INFORMATION process;
        wchar_t program[MAX_PATH], line[MAX_PATH + 128];

        GetModuleFileNameW(NULL, program, MAX_PATH);
        swprintf(line, MAX_PATH + 128, L"\"%ls\" %lu %u %d %llu", program,
                 (unsigned long)GetCurrentProcessId(), number, is_server,
                 (unsigned long long)(uintptr_t)ready);
        if (!CreateProcessW(program, line, NULL, NULL, TRUE, 0, NULL, NULL, &startup, &process))
                return NULL;
        CloseHandle(process.hThread);
        return process.hProcess;
}

/* ---- the survivor --------------------------------------------------------------------------- */

struct killer {
        HANDLE process;
        unsigned n_yields;
};

/* Kills it while we wait, or work, or have not begun to. */
static DWORD WINAPI run_killer(void *arg)
{
        struct killer *killer = arg;

        for (unsigned i = 0; i < killer->n_yields; i++)
                SwitchToThread();
        TerminateProcess(killer->process, 9);
        return 0;
}

static bool meet(struct side *side, bool is_server, unsigned number, HANDLE ready,
                 HANDLE *ret_child)
{
        struct nipc__shm_names names;
        wchar_t pipe_name[NIPC__NAME_MAX];
        HANDLE any[2] = {ready};

        *side = (struct side){.handle = INVALID_HANDLE_VALUE};
        *ret_child = NULL;
        if (!tap_eq_int(make_names(GetCurrentProcessId(), number, &names, pipe_name), 0) ||
            (is_server && !tap_eq_int(side_begin(side, true, &names, pipe_name), 0)))
                return false;
        any[1] = *ret_child = start_child(number, !is_server, ready);
        return tap_check(*ret_child != NULL) &&
               tap_eq_uint(WaitForMultipleObjects(2, any, FALSE, WATCHDOG_MS), WAIT_OBJECT_0) &&
               (is_server || tap_eq_int(side_begin(side, false, &names, pipe_name), 0));
}

static void kill_one(unsigned number, uint64_t *seed)
{
        const bool is_server = number % 2;
        /* Also at once, and in the middle of a talk that has long begun. */
        const unsigned n_before = number % 3 ? (unsigned)(tap_random(seed) % 200) : 0;
        struct killer killer = {.n_yields = (unsigned)(tap_random(seed) % 2000)};
        SECURITY_ATTRIBUTES inherit = {.nLength = sizeof(inherit), .bInheritHandle = TRUE};
        HANDLE ready = CreateEventW(&inherit, TRUE, FALSE, NULL), thread;
        struct side side;

        if (meet(&side, is_server, number, ready, &killer.process) &&
            tap_eq_int(side_watch(&side), 0)) {
                tap_eq_int(talk(&side, is_server, n_before, number), 0);
                thread = CreateThread(NULL, 0, run_killer, &killer, 0, NULL);
                if (!tap_eq_int(talk(&side, is_server, UINT32_MAX, number), -ECONNRESET))
                        tap_note("round %u", number);
                WaitForSingleObject(thread, INFINITE);
                CloseHandle(thread);
        }
        if (killer.process) {
                TerminateProcess(killer.process, 9);
                WaitForSingleObject(killer.process, INFINITE);
                CloseHandle(killer.process);
        }
        side_end(&side);
        CloseHandle(ready);
}

static void test_kill(void)
{
        uint64_t seed = 6;
        unsigned n_handles;
        HANDLE one_more;

        kill_one(0, &seed); /* what the system opens once, for itself */
        n_handles = util_count_handles();
        one_more = CreateEventW(NULL, FALSE, FALSE, NULL);
        tap_eq_uint(util_count_handles(), n_handles + 1); /* it does count */
        CloseHandle(one_more);
        for (unsigned i = 1; i <= ROUNDS; i++)
                kill_one(i, &seed);
        tap_eq_uint(util_count_handles(), n_handles);
}

int main(int argc, char **argv)
{
        static const struct tap_case cases[] = {TAP_CASE(test_kill)};

        return argc == 5 ? run_child(argv) : tap_run(cases, 1, argc, argv);
}
