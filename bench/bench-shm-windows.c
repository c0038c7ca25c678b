/* SPDX-License-Identifier: MIT */

/*
 * Round trips through the shared memory of Windows between two processes, ours and those of a peer
 * that does what NetIPC v1 asks for and nothing else, in turn: tests/util-v1-shm.c, 1,024 looks and
 * then a sleep, a wake for each sleeper, no checks of messages.
 *
 *         bench-shm-windows [--quick]
 */

#define HARNESS_MAX_ROUNDS 21
#include "harness.h"
#include "names.h"
#include "util-v1-shm.h"
#include <nipc/clock.h>
#include <nipc/hello.h>
#include <nipc/listener.h>
#include <nipc/session.h>

enum { PAYLOAD = 40, MESSAGE = 32 + PAYLOAD, TRIPS_PER_CLOCK = 64 };

#define MEASURE_NS UINT64_C(300000000)

static const struct row {
        const char *name;
        uint32_t profile;
        bool is_ours;
} rows[] = {
        {"v1 hybrid", NIPC_PROFILE_SHM_HYBRID, false},
        {"nipc hybrid", NIPC_PROFILE_SHM_HYBRID, true},
        {"v1 busywait", NIPC_PROFILE_SHM_BUSYWAIT, false},
        {"nipc busywait", NIPC_PROFILE_SHM_BUSYWAIT, true},
};

enum { N_ROWS = sizeof(rows) / sizeof(rows[0]) };

static const char *run_dir(void)
{
        static char dir[MAX_PATH];

        GetTempPathA(sizeof(dir), dir);
        return dir;
}

static const wchar_t *stem_of(uint32_t profile)
{
        static struct nipc__shm_names names;

        CHECK(nipc__name_shm(run_dir(), "bench-v1", 0, profile, 1, &names) == 0);
        names.mapping[wcslen(names.mapping) - wcslen(L"-mapping")] = 0;
        return names.mapping;
}

/* ---- the process that answers, until it is ended -------------------------------------------- */

static void serve_v1(uint32_t profile, HANDLE ready)
{
        uint8_t message[MESSAGE];
        struct v1_shm v1;

        CHECK(v1_shm_create(stem_of(profile), profile, PAYLOAD, PAYLOAD, &v1));
        SetEvent(ready);
        while (v1_shm_receive(&v1, message, sizeof(message), 60000) == MESSAGE)
                v1_shm_send(&v1, message, MESSAGE);
}

static void serve_ours(uint32_t profile, HANDLE ready)
{
        struct nipc_listener_config config = NIPC_LISTENER_CONFIG_INIT;
        struct nipc_session *session = NULL;
        struct nipc_listener *listener;
        struct nipc_message message;

        config.run_dir = run_dir();
        config.service = "bench";
        config.supported_profiles = config.preferred_profiles = profile;
        CHECK(nipc_listener_open(&config, &listener) == 0);
        SetEvent(ready);
        CHECK(nipc_listener_accept(listener, NIPC_DEADLINE_NEVER, &session) == 0);
        CHECK(nipc_session_handshake(session, NIPC_DEADLINE_NEVER) == 0);
        while (nipc_session_receive(session, NIPC_DEADLINE_NEVER, &message) == 0) {
                message.header.kind = NIPC_KIND_RESPONSE;
                CHECK(nipc_session_send(session, &message.header, message.payload,
                                        message.payload_size, NIPC_DEADLINE_NEVER) == 0);
        }
}

static HANDLE start_server(unsigned index)
{
        SECURITY_ATTRIBUTES inherit = {.nLength = sizeof(inherit), .bInheritHandle = TRUE};
        HANDLE ready = CreateEventW(&inherit, TRUE, FALSE, NULL);
        STARTUPINFOA startup = {.cb = sizeof(startup)};
        PROCESS_INFORMATION process;
        char program[MAX_PATH], line[2 * MAX_PATH];

        GetModuleFileNameA(NULL, program, MAX_PATH);
        snprintf(line, sizeof(line), "\"%s\" serve %u %llu", program, index,
                 (unsigned long long)(uintptr_t)ready);
        CHECK(CreateProcessA(program, line, NULL, NULL, TRUE, 0, NULL, NULL, &startup, &process));
        CHECK(WaitForSingleObject(ready, 30000) == WAIT_OBJECT_0);
        CloseHandle(process.hThread);
        CloseHandle(ready);
        return process.hProcess;
}

/* ---- the process that asks ------------------------------------------------------------------ */

/* ns of a round trip */
static double ask_v1(uint32_t profile)
{
        uint8_t message[MESSAGE] = {0}, answer[MESSAGE];
        struct v1_shm v1;
        uint64_t start_ns, now, n = 0;

        CHECK(v1_shm_attach(stem_of(profile), profile, &v1));
        start_ns = now = nipc_clock_now_ns();
        while (now - start_ns < MEASURE_NS) {
                for (unsigned i = 0; i < TRIPS_PER_CLOCK; i++) {
                        memcpy(message + 24, &(uint64_t){n + i}, 8);
                        v1_shm_send(&v1, message, MESSAGE);
                        CHECK(v1_shm_receive(&v1, answer, sizeof(answer), 30000) == MESSAGE);
                        CHECK(!memcmp(answer, message, MESSAGE));
                }
                n += TRIPS_PER_CLOCK;
                now = nipc_clock_now_ns();
        }
        v1_shm_drop(&v1);
        return (double)(now - start_ns) / (double)n;
}

static double ask_ours(uint32_t profile)
{
        struct nipc_session_config config = NIPC_SESSION_CONFIG_INIT;
        struct nipc_session_info info = NIPC_SESSION_INFO_INIT;
        struct nipc_header request = {.kind = NIPC_KIND_REQUEST, .code = 1, .item_count = 1};
        uint8_t payload[PAYLOAD] = {0};
        struct nipc_session *session;
        struct nipc_message message;
        uint64_t start_ns, now, n = 0;

        config.run_dir = run_dir();
        config.service = "bench";
        config.supported_profiles = config.preferred_profiles = profile;
        CHECK(nipc_session_open(&config, nipc_deadline_after_ms(30000), &session, NULL) == 0);
        nipc_session_get_info(session, &info);
        CHECK(info.profile == profile);
        start_ns = now = nipc_clock_now_ns();
        while (now - start_ns < MEASURE_NS) {
                for (unsigned i = 0; i < TRIPS_PER_CLOCK; i++) {
                        request.message_id = n + i;
                        memcpy(payload, &request.message_id, 8);
                        CHECK(nipc_session_call(session, &request, payload, PAYLOAD,
                                                NIPC_DEADLINE_NEVER, &message) == 0);
                        CHECK(message.payload_size == PAYLOAD &&
                              !memcmp(message.payload, payload, PAYLOAD));
                }
                n += TRIPS_PER_CLOCK;
                now = nipc_clock_now_ns();
        }
        nipc_session_close(session);
        return (double)(now - start_ns) / (double)n;
}

static double measure(unsigned index)
{
        HANDLE server = start_server(index);
        double ns =
                rows[index].is_ours ? ask_ours(rows[index].profile) : ask_v1(rows[index].profile);

        TerminateProcess(server, 0);
        WaitForSingleObject(server, INFINITE);
        CloseHandle(server);
        return ns;
}

int main(int argc, char **argv)
{
        static double ns[N_ROWS][HARNESS_MAX_ROUNDS];
        unsigned i, k;

        if (argc == 4 && !strcmp(argv[1], "serve")) {
                const struct row *row = &rows[atoi(argv[2]) % N_ROWS];
                HANDLE ready = (HANDLE)(uintptr_t)strtoull(argv[3], NULL, 10);

                if (row->is_ours)
                        serve_ours(row->profile, ready);
                else
                        serve_v1(row->profile, ready);
                return 0;
        }
        read_arguments(argc, argv);
        for (k = 0; k < n_rounds; k++)
                for (i = 0; i < N_ROWS; i++)
                        ns[i][k] = measure(i);
        printf("%-16s", "a round trip");
        print_heading();
        for (i = 0; i < N_ROWS; i++) {
                printf("%-16s", rows[i].name);
                print_medians(ns[i], ns[i & ~1u]);
        }
        return 0;
}
