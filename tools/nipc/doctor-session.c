/* SPDX-License-Identifier: MIT */
/*
 * The checks that count: an endpoint in the run directory, a session to it over each profile, one
 * request and its answer. A thread is the server, so that both sides can say why they did without a
 * profile.
 */
#include "doctor.h"

#include "profiles.h"

#include <errno.h>
#include <nipc/client.h>
#include <nipc/increment.h>
#include <nipc/listener.h>
#include <nipc/server.h>
#include <nipc/session.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#define PROBE_SERVICE "probe"
#define TIMEOUT_MS    5000u

/* How late the server learns that the client has given up; chosen. */
#define ACCEPT_SLICE_MS 20u

/* What one side has to say in the end. */
struct side {
        struct nipc_listener *listener; /* of the server */
        atomic_bool must_end;           /* the server: nobody comes any more */
        struct nipc_session_info info;
        const char *step;
        int error; /* negative errno, 0: all went well */
};

static int fail_at(struct side *side, const char *step, int error)
{
        side->step = step;
        side->error = error;
        return error;
}

/* ---- the server ----------------------------------------------------------------------------- */

static int answer(struct nipc_session *session, const struct nipc_message *request,
                  uint64_t deadline_ns)
{
        struct nipc_header header = request->header;
        uint8_t payload[NIPC_INCREMENT_SIZE];
        uint64_t value;

        if (nipc_increment_decode(request->payload, request->payload_size, &value, NULL))
                return -EBADMSG;
        nipc_increment_encode(value + 1, payload);
        header.kind = NIPC_KIND_RESPONSE;
        return nipc_session_send(session, &header, payload, sizeof(payload), deadline_ns);
}

/* Returns whether that was all: a client that cannot take what it was offered connects anew. */
static bool serve(struct side *side, struct nipc_session *session, uint64_t deadline_ns)
{
        struct nipc_message request;
        int r = nipc_session_handshake(session, deadline_ns);

        if (r < 0) {
                fail_at(side, "handshake of the server", r);
                return true;
        }
        nipc_session_get_info(session, &side->info);
        r = nipc_session_receive(session, deadline_ns, &request);
        if (r == -ECONNRESET)
                return false;
        if (r == 0)
                r = answer(session, &request, deadline_ns);
        if (r < 0)
                fail_at(side, "answering", r);
        else /* until the client has it, and goes */
                (void)nipc_session_receive(session, deadline_ns, &request);
        return true;
}

static void *server_main(void *userdata)
{
        const uint64_t deadline_ns = nipc_deadline_after_ms(TIMEOUT_MS);
        struct side *side = userdata;
        struct nipc_session *session;
        bool is_over = false;
        int r;

        /* Pairs with the store in try_session(). */
        while (!is_over && !atomic_load_explicit(&side->must_end, memory_order_relaxed)) {
                r = nipc_listener_accept(side->listener, nipc_deadline_after_ms(ACCEPT_SLICE_MS),
                                         &session);
                if (r == -ETIMEDOUT)
                        continue;
                if (r < 0) {
                        fail_at(side, "accepting", r);
                        break;
                }
                is_over = serve(side, session, deadline_ns);
                nipc_session_close(session);
        }
        /* Whoever waits to be accepted learns that nobody is there any more. */
        side->listener = nipc_listener_close(side->listener);
        return NULL;
}

/* ---- the client ----------------------------------------------------------------------------- */

static int call_once(struct side *side, struct nipc_session *session, uint64_t deadline_ns)
{
        const struct nipc_header header = {
                .kind = NIPC_KIND_REQUEST,
                .code = NIPC_METHOD_INCREMENT,
                .item_count = 1,
                .message_id = 1,
        };
        uint8_t payload[NIPC_INCREMENT_SIZE];
        struct nipc_message message;
        uint64_t value = 0;
        int r;

        nipc_increment_encode(41, payload);
        r = nipc_session_call(session, &header, payload, sizeof(payload), deadline_ns, &message);
        if (r < 0)
                return fail_at(side, "a request and its answer", r);
        if (nipc_increment_decode(message.payload, message.payload_size, &value, NULL) ||
            value != 42)
                return fail_at(side, "the answer is wrong", -EBADMSG);
        return 0;
}

static int ask(struct side *side, uint32_t profiles)
{
        const uint64_t deadline_ns = nipc_deadline_after_ms(TIMEOUT_MS);
        struct nipc_session_config config = NIPC_SESSION_CONFIG_INIT;
        struct nipc_session *session = NULL;
        int r;

        config.run_dir = ".";
        config.service = PROBE_SERVICE;
        config.supported_profiles = config.preferred_profiles = profiles;
        r = nipc_session_open(&config, deadline_ns, &session, NULL);
        if (r < 0)
                return fail_at(side, "connecting", r);
        nipc_session_get_info(session, &side->info);
        r = call_once(side, session, deadline_ns);
        nipc_session_close(session);
        return r;
}

static int open_listener(struct side *side, uint32_t profiles)
{
        struct nipc_listener_config config = NIPC_LISTENER_CONFIG_INIT;
        int r;

        config.run_dir = ".";
        config.service = PROBE_SERVICE;
        config.supported_profiles = config.preferred_profiles = profiles;
        r = nipc_listener_open(&config, &side->listener);
        return r < 0 ? fail_at(side, "making an endpoint", r) : 0;
}

/* ---- one session ---------------------------------------------------------------------------- */

/* One side knows why; of what the server has stripped the client knows just that. */
static void say_downgrade(const struct side *server, const struct side *client, uint32_t profile,
                          struct doctor_finding *finding)
{
        const struct side *one = server->info.downgrade_error ? server : client;
        g_autofree char *used = profiles_format(client->info.profile);

        if (one->info.downgrade_error)
                doctor_fail(finding, -one->info.downgrade_error, "%s instead: %s (%s)", used,
                            one->info.downgrade_step, one == client ? "client" : "server");
        else
                doctor_fail(finding, 0, "%s instead", used);
}

static void judge(const struct side *server, const struct side *client, uint32_t profile,
                  struct doctor_finding *finding)
{
        /* What the client sees of a server that failed is only that it went. */
        const struct side *one = server->error ? server : client;

        finding->profiles = client->info.profile;
        if (client->error)
                doctor_fail(finding, -one->error, "%s", one->step);
        else if (client->info.profile != profile)
                say_downgrade(server, client, profile, finding);
        else
                doctor_found(finding, "connected, asked, answered");
}

static void try_session(uint32_t profile, struct doctor_finding *finding)
{
        struct side server = {.info = NIPC_SESSION_INFO_INIT};
        struct side client = {.info = NIPC_SESSION_INFO_INIT};
        const uint32_t profiles = profile | NIPC_PROFILE_BASELINE;
        pthread_t thread;
        int r;

        if (open_listener(&server, profiles) < 0) {
                doctor_fail(finding, -server.error, "%s", server.step);
                return;
        }
        r = pthread_create(&thread, NULL, server_main, &server);
        if (r) {
                doctor_fail(finding, r, "making a thread");
                nipc_listener_close(server.listener);
                return;
        }
        ask(&client, profiles);
        /* Pairs with the load in server_main(); nothing else goes with it. */
        atomic_store_explicit(&server.must_end, true, memory_order_relaxed);
        pthread_join(thread, NULL);
        judge(&server, &client, profile, finding);
}

/* Addresses may not be longer than 107 bytes: from within they are short. */
static bool enter(const struct doctor_place *place, struct doctor_finding *finding)
{
        if (!place->scratch)
                doctor_fail_scratch(place, finding);
        else if (chdir(place->scratch) < 0)
                doctor_fail(finding, errno, "%s", place->scratch);
        else
                return true;
        return false;
}

static void probe_baseline(const struct doctor_place *place, struct doctor_finding *finding)
{
        if (enter(place, finding))
                try_session(NIPC_PROFILE_BASELINE, finding);
}

static void probe_shm_hybrid(const struct doctor_place *place, struct doctor_finding *finding)
{
        if (enter(place, finding))
                try_session(NIPC_PROFILE_SHM_HYBRID, finding);
}

static void probe_ring(const struct doctor_place *place, struct doctor_finding *finding)
{
        if (enter(place, finding))
                try_session(NIPC_PROFILE_RING, finding);
}

/* ---- a server and a client as programs have them -------------------------------------------- */

static int increment(void *userdata, uint64_t value, uint64_t *ret_value)
{
        *ret_value = value + 1;
        return 0;
}

static void say_service(const struct nipc_client *client, int r, uint64_t value,
                        struct doctor_finding *finding)
{
        struct nipc_client_failure failure = NIPC_CLIENT_FAILURE_INIT;
        struct nipc_client_status status = NIPC_CLIENT_STATUS_INIT;
        g_autofree char *profile = NULL;

        nipc_client_get_status(client, &status);
        nipc_client_get_failure(client, &failure);
        finding->profiles = status.profile;
        profile = profiles_format(status.profile);
        if (r == 0 && value != 42)
                doctor_fail(finding, EBADMSG, "the answer is wrong");
        else if (r < 0)
                doctor_fail(finding, failure.error ? -failure.error : -r, "%s", failure.step);
        else
                doctor_found(finding, "profile in use: %s", profile);
}

static void call_service(struct doctor_finding *finding)
{
        struct nipc_client_config config = NIPC_CLIENT_CONFIG_INIT;
        struct nipc_client *client = NULL;
        uint64_t value = 0;
        int r;

        config.run_dir = ".";
        config.service = PROBE_SERVICE;
        config.profiles = nipc_profile_get_available();
        config.timeout_ms = TIMEOUT_MS;
        r = nipc_client_new(&config, &client);
        if (r < 0) {
                doctor_fail(finding, -r, "making a client");
                return;
        }
        nipc_client_refresh(client);
        if (nipc_client_is_ready(client)) /* else it remembers why not */
                r = nipc_client_increment(client, 41, TIMEOUT_MS, &value);
        else
                r = -ENOTCONN;
        say_service(client, r, value, finding);
        nipc_client_free(client);
}

static void probe_service(const struct doctor_place *place, struct doctor_finding *finding)
{
        const struct nipc_increment_handler handler = {
                .size = sizeof(handler),
                .increment = increment,
        };
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_server *server = NULL;
        int r;

        if (!enter(place, finding))
                return;
        config.run_dir = ".";
        config.service = PROBE_SERVICE;
        config.profiles = nipc_profile_get_available();
        config.n_workers = 1;
        r = nipc_server_new_increment(&config, &handler, &server);
        if (r == 0)
                r = nipc_server_start(server);
        if (r < 0)
                doctor_fail(finding, -r, "starting a server");
        else
                call_service(finding);
        nipc_server_free(server);
}

const struct doctor_check doctor_session_checks[] = {
        {"session-baseline", DOCTOR_MISSING, probe_baseline, "nothing works here", NULL,
         "see the checks above that failed", NIPC_PROFILE_BASELINE},
        {"session-shm-hybrid", DOCTOR_LIMITED, probe_shm_hybrid,
         "peers of NetIPC v1 use the baseline instead",
         "a server that offers SHM_HYBRID is killed: leave it out of its profiles",
         "see futex-waitv, run-dir-space and descriptors", NIPC_PROFILE_SHM_HYBRID},
        {"session-ring", DOCTOR_LIMITED, probe_ring,
         "peers of ours use SHM_HYBRID or the baseline instead",
         "a program that offers RING is killed: leave it out of its profiles",
         "see memfd, seals, double-mapping, fd-passing and descriptors", NIPC_PROFILE_RING},
        {"service", DOCTOR_MISSING, probe_service,
         "a server and a client that offer all profiles do not work here",
         "a program that offers all profiles is killed: name those that work",
         "see the checks above that failed", 0},
};
const size_t doctor_n_session_checks =
        sizeof(doctor_session_checks) / sizeof(doctor_session_checks[0]);
