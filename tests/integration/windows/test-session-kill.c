/* SPDX-License-Identifier: MIT */

/*
 * One of the two processes of a session is killed, at any point of an exchange or of the handshake.
 * The other one must hear of it, though it waits without a deadline, in a call or in a poller, and
 * have as many handles afterwards as before.
 *
 * The survivor is this process, in turn the client and the server; the one that is killed is this
 * program once more, with arguments.
 */

#include "util-env.h"
#include "util-handles.h"
#include <errno.h>
#include <nipc/hello.h>
#include <nipc/listener.h>
#include <nipc/poller.h>
#include <nipc/session.h>

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

enum { ROUNDS = 200, MAX_BYTES = 4000 };

static uint32_t get_profile(void)
{
        const char *name = getenv("NIPC_SHM_PROFILE");

        if (!name)
                return NIPC_PROFILE_BASELINE;
        return !strcmp(name, "busywait") ? NIPC_PROFILE_SHM_BUSYWAIT : NIPC_PROFILE_SHM_HYBRID;
}

/* ---- what both do --------------------------------------------------------------------------- */

static int open_listener(const char *run_dir, const char *service,
                         struct nipc_listener **ret_listener)
{
        struct nipc_listener_config config = NIPC_LISTENER_CONFIG_INIT;

        config.run_dir = run_dir;
        config.service = service;
        config.supported_profiles = config.preferred_profiles = get_profile();
        config.max_request_payload_bytes = config.max_response_payload_bytes = MAX_BYTES;
        return nipc_listener_open(&config, ret_listener);
}

static int open_client(const char *run_dir, const char *service, uint64_t deadline_ns,
                       struct nipc_session **ret_session)
{
        struct nipc_session_config config = NIPC_SESSION_CONFIG_INIT;

        config.run_dir = run_dir;
        config.service = service;
        config.supported_profiles = config.preferred_profiles = get_profile();
        config.max_request_payload_bytes = config.max_response_payload_bytes = MAX_BYTES;
        return nipc_session_open(&config, deadline_ns, ret_session, NULL);
}

/* All bytes of a message are alike: also one that is cut off in the middle shows. */
static bool is_whole(const struct nipc_message *message)
{
        const uint8_t *bytes = message->payload;

        for (size_t i = 1; i < message->payload_size; i++)
                if (bytes[i] != bytes[0])
                        return false;
        return true;
}

/* Waits without a deadline. poller: NULL, or the one that watches the session. */
static int receive(struct nipc_session *session, struct nipc_poller *poller,
                   struct nipc_message *ret_message)
{
        struct nipc_poller_event event;
        int r;

        if (!poller)
                return nipc_session_receive(session, NIPC_DEADLINE_NEVER, ret_message);
        do {
                nipc_poller_wait(poller, NIPC_DEADLINE_NEVER, &event, 1);
                r = nipc_session_receive(session, NIPC_DEADLINE_NOW, ret_message);
        } while (r == -EAGAIN);
        return r;
}

/* Talks for so many messages; returns 0, or why it ended. */
static int talk(struct nipc_session *session, struct nipc_poller *poller, bool is_server,
                unsigned limit, uint64_t seed)
{
        struct nipc_header request = {.kind = NIPC_KIND_REQUEST, .item_count = 1};
        static uint8_t bytes[MAX_BYTES];
        struct nipc_message message;
        int r = 0;

        for (unsigned i = 0; i < limit && r == 0; i++) {
                if (!is_server) {
                        size_t size = 1 + tap_random(&seed) % MAX_BYTES;

                        memset(bytes, (uint8_t)i, size);
                        request.message_id++;
                        r = nipc_session_send(session, &request, bytes, size, NIPC_DEADLINE_NEVER);
                }
                if (r == 0)
                        r = receive(session, poller, &message);
                if (r == 0 && !is_whole(&message))
                        r = -EILSEQ;
                if (r == 0 && is_server) {
                        message.header.kind = NIPC_KIND_RESPONSE;
                        r = nipc_session_send(session, &message.header, message.payload,
                                              message.payload_size, NIPC_DEADLINE_NEVER);
                }
        }
        return r;
}

/* ---- the one that is killed ----------------------------------------------------------------- */

static int run_child(char **argv)
{
        const bool is_server = atoi(argv[3]) != 0;
        HANDLE ready = (HANDLE)(uintptr_t)strtoull(argv[4], NULL, 10);
        struct nipc_listener *listener = NULL;
        struct nipc_session *session = NULL;
        int r;

        if (!is_server) {
                SetEvent(ready);
                r = open_client(argv[1], argv[2], util_soon(), &session);
        } else {
                r = open_listener(argv[1], argv[2], &listener);
                SetEvent(ready);
                if (r == 0)
                        r = nipc_listener_accept(listener, util_soon(), &session);
                if (r == 0)
                        r = nipc_session_handshake(session, util_soon());
        }
        if (r == 0)
                r = talk(session, NULL, is_server, UINT32_MAX, 1);
        return r < 0;
}

static HANDLE start_child(const char *service, bool is_server, HANDLE ready)
{
        STARTUPINFOA startup = {.cb = sizeof(startup)};
        PROCESS_INFORMATION process;
        char program[MAX_PATH], line[3 * MAX_PATH];

        GetModuleFileNameA(NULL, program, MAX_PATH);
        snprintf(line, sizeof(line), "\"%s\" \"%s\" %s %d %llu", program, util_dir(), service,
                 is_server, (unsigned long long)(uintptr_t)ready);
        if (!CreateProcessA(program, line, NULL, NULL, TRUE, 0, NULL, NULL, &startup, &process))
                return NULL;
        CloseHandle(process.hThread);
        return process.hProcess;
}

/* ---- the survivor --------------------------------------------------------------------------- */

struct round {
        char service[32];
        bool is_server;  /* we are */
        bool is_early;   /* it is killed while we shake hands */
        bool has_poller; /* we wait in one */
        unsigned n_before;
        unsigned n_yields;
        HANDLE child;
        HANDLE killer;
        struct nipc_listener *listener;
        struct nipc_session *session;
};

/* Kills it while we wait, or work, or have not begun to. */
static DWORD WINAPI run_killer(void *arg)
{
        struct round *round = arg;

        for (unsigned i = 0; i < round->n_yields; i++)
                SwitchToThread();
        TerminateProcess(round->child, 9);
        return 0;
}

static void start_killer(struct round *round)
{
        round->killer = CreateThread(NULL, 0, run_killer, round, 0, NULL);
}

/* A client that is killed may never have come. */
static int accept_one(struct round *round)
{
        bool is_dead;
        int r;

        do {
                is_dead = WaitForSingleObject(round->child, 0) == WAIT_OBJECT_0;
                r = nipc_listener_accept(round->listener, nipc_deadline_after_ms(20),
                                         &round->session);
        } while (r == -ETIMEDOUT && !is_dead);
        return r == 0 ? nipc_session_handshake(round->session, NIPC_DEADLINE_NEVER) : -ECONNRESET;
}

static int meet(struct round *round, HANDLE ready)
{
        HANDLE any[2] = {ready};
        int r = 0;

        if (round->is_server)
                r = open_listener(util_dir(), round->service, &round->listener);
        if (!util_eq_error(r, 0))
                return r;
        any[1] = round->child = start_child(round->service, !round->is_server, ready);
        if (!tap_check(round->child != NULL) ||
            !tap_eq_uint(WaitForMultipleObjects(2, any, FALSE, INFINITE), WAIT_OBJECT_0))
                return -EIO;
        if (round->is_early)
                start_killer(round);
        if (round->is_server)
                return accept_one(round);
        r = open_client(util_dir(), round->service, util_soon(), &round->session);
        return round->is_early && r == -ENOENT ? -ECONNRESET : r; /* nobody any more */
}

static int survive(struct round *round, uint64_t seed)
{
        struct nipc_poller *poller = NULL;
        int r = 0;

        if (round->has_poller) {
                util_eq_error(nipc_poller_new(&poller), 0);
                util_eq_error(nipc_poller_add_session(poller, round->session, round), 0);
        }
        if (!round->is_early) {
                util_eq_error(talk(round->session, poller, round->is_server, round->n_before, seed),
                              0);
                start_killer(round);
        }
        r = talk(round->session, poller, round->is_server, UINT32_MAX, seed);
        if (poller)
                nipc_poller_remove_session(poller, round->session);
        nipc_poller_free(poller);
        return r;
}

static void kill_one(unsigned number, uint64_t *seed)
{
        SECURITY_ATTRIBUTES inherit = {.nLength = sizeof(inherit), .bInheritHandle = TRUE};
        HANDLE ready = CreateEventW(&inherit, TRUE, FALSE, NULL);
        struct round round = {
                .is_server = number % 2,
                .is_early = number % 5 == 0,
                .has_poller = number / 2 % 2,
                .n_before = (unsigned)(tap_random(seed) % 200),
                .n_yields = (unsigned)(tap_random(seed) % (number % 3 ? 2000 : 50)),
        };
        int r;

        util_waiting_for("the survivor to hear of the end");
        snprintf(round.service, sizeof(round.service), "kill-%u", number);
        r = meet(&round, ready);
        if (r == 0)
                r = survive(&round, number);
        if (!util_eq_error(r, -ECONNRESET))
                tap_note("round %u", number);
        if (round.child) {
                TerminateProcess(round.child, 9);
                WaitForSingleObject(round.child, INFINITE);
        }
        if (round.killer) {
                WaitForSingleObject(round.killer, INFINITE);
                CloseHandle(round.killer);
        }
        if (round.child)
                CloseHandle(round.child);
        nipc_session_close(round.session);
        nipc_listener_close(round.listener);
        CloseHandle(ready);
}

static void test_kill(void)
{
        uint64_t seed = 6;
        unsigned n_handles;
        HANDLE one_more;

        for (unsigned i = 0; i < 4; i++) /* what the system opens once, for itself */
                kill_one(i, &seed);
        n_handles = util_count_handles();
        one_more = CreateEventW(NULL, FALSE, FALSE, NULL);
        tap_eq_uint(util_count_handles(), n_handles + 1); /* it does count */
        CloseHandle(one_more);
        for (unsigned i = 0; i < ROUNDS; i++) {
                kill_one(i + 4, &seed);
                util_arm_watchdog();
        }
        tap_eq_uint(util_count_handles(), n_handles);
}

int main(int argc, char **argv)
{
        static const struct tap_case cases[] = {TAP_CASE(test_kill)};

        if (argc == 5)
                return run_child(argv);
        util_arm_watchdog();
        return tap_run(cases, 1, argc, argv);
}
