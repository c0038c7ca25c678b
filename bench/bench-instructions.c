/* SPDX-License-Identifier: MIT */

/*
 * Round trips of which every instruction counts, for callgrind: both ends in one thread, each step
 * done when it can be done, so that nobody waits, spins or is woken, and a run is like the other.
 * What is left is what a round trip costs: framing, checks, copies, system calls, dispatch.
 *
 *      bench-instructions PROFILE ROUNDS
 *
 * bench/instructions runs it and compares with what was recorded.
 */

#include <errno.h>
#include <nipc/hello.h>
#include <nipc/increment.h>
#include <nipc/server.h>
#include <nipc/session.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SERVICE    "instructions"
#define TIMEOUT_MS 10000u

static struct nipc_server *server;
static struct nipc_session *session;
static atomic_bool is_open;

static void check(int r, const char *what)
{
        if (r >= 0)
                return;
        fprintf(stderr, "bench-instructions: %s: %s\n", what, strerror(-r));
        exit(EXIT_FAILURE);
}

static int increment(void *userdata, uint64_t value, uint64_t *ret_value)
{
        (void)userdata;
        *ret_value = value + 1;
        return 0;
}

static void start_server(const char *run_dir, uint32_t profile)
{
        const struct nipc_increment_handler handler = {sizeof(handler), increment, NULL};
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;

        config.run_dir = run_dir;
        config.service = SERVICE;
        config.profiles = NIPC_PROFILE_BASELINE | profile;
        check(nipc_server_new_increment(&config, &handler, &server), "server");
}

/* The handshake takes both ends: the client's is made by a thread that is gone before we count. */
static void *open_session(void *userdata)
{
        nipc_session_open(userdata, nipc_deadline_after_ms(TIMEOUT_MS), &session, NULL);
        atomic_store(&is_open, true);
        return NULL;
}

static void connect_to(const char *run_dir, uint32_t profile)
{
        struct nipc_session_config config = NIPC_SESSION_CONFIG_INIT;
        struct nipc_session_info info = NIPC_SESSION_INFO_INIT;
        pthread_t thread;

        config.run_dir = run_dir;
        config.service = SERVICE;
        config.supported_profiles = config.preferred_profiles = NIPC_PROFILE_BASELINE | profile;
        check(-pthread_create(&thread, NULL, open_session, &config), "thread");
        while (!atomic_load(&is_open))
                check(nipc_server_dispatch(server, 10), "dispatch");
        pthread_join(thread, NULL);
        check(session ? 0 : -ENOTCONN, "session");
        nipc_session_get_info(session, &info);
        if (info.profile != profile)
                check(-EPROTONOSUPPORT, "profile");
}

static void round_trip(uint64_t value)
{
        const struct nipc_header header = {
                .kind = NIPC_KIND_REQUEST,
                .code = NIPC_METHOD_INCREMENT,
                .item_count = 1,
                .message_id = value,
        };
        const uint64_t deadline_ns = nipc_deadline_after_ms(TIMEOUT_MS);
        struct nipc_message message;
        uint64_t answer = 0;
        void *payload;

        check(nipc_session_reserve(session, NIPC_INCREMENT_SIZE, &payload), "reserve");
        nipc_increment_encode(value, payload);
        check(nipc_session_commit(session, &header, NIPC_INCREMENT_SIZE, deadline_ns), "commit");
        if (nipc_server_dispatch(server, 0) != 1)
                check(-EIO, "dispatch");
        check(nipc_session_receive(session, deadline_ns, &message), "receive");
        if (message.header.message_id != value || message.header.transport_status ||
            nipc_increment_decode(message.payload, message.payload_size, &answer, NULL) ||
            answer != value + 1)
                check(-EBADMSG, "answer");
}

int main(int argc, char **argv)
{
        char run_dir[] = "/tmp/bench-instructions-XXXXXX", path[64];
        const bool is_ring = argc == 3 && strcmp(argv[1], "ring") == 0;
        const uint32_t profile = is_ring ? NIPC_PROFILE_RING : NIPC_PROFILE_BASELINE;
        unsigned long n_rounds;

        if (argc != 3 || (!is_ring && strcmp(argv[1], "baseline") != 0)) {
                fprintf(stderr, "usage: %s ring|baseline ROUNDS\n", argv[0]);
                return 2;
        }
        n_rounds = strtoul(argv[2], NULL, 10);
        if (!mkdtemp(run_dir))
                check(-errno, "directory");
        start_server(run_dir, profile);
        connect_to(run_dir, profile);
        for (unsigned long i = 0; i < n_rounds; i++)
                round_trip(i);
        nipc_session_close(session);
        nipc_server_free(server);
        snprintf(path, sizeof(path), "%s/" SERVICE ".lock", run_dir);
        unlink(path);
        rmdir(run_dir);
        return 0;
}
