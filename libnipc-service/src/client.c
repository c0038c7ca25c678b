/* SPDX-License-Identifier: MIT */

/*
 * The client's life and its states (client-server §2): connecting, giving up, telling why. Calls
 * are in call.c. No thread, no I/O but in connect; the state is one atomic word that anybody may
 * read, everything else belongs to the owner.
 */

#include <errno.h>
#include <nipc/client.h>
#include <nipc/clock.h>
#include <nipc/endpoint.h>
#include <nipc/poller.h>
#include <stdlib.h>
#include <string.h>

#include "abi.h"
#include "client-private.h"
#include "limits.h"
#include "log-private.h"
#include "stdaux.h"

/* A provider that is being replaced is often back within milliseconds; chosen, not tuned. */
#define RECONNECT_PAUSE_MS 5u
#define RECONNECT_TOTAL_MS 20u

/*
 * How long a profile is not offered that the provider selected and we could not have; chosen, not
 * tuned. Its cause may pass (memory that was full), so it is never given up for good.
 */
#define WITHHOLD_MIN_MS 1000u
#define WITHHOLD_MAX_MS 60000u

/* Stages of opening a session. */
static const char *step_name(uint32_t stage)
{
        switch (stage) {
        case NIPC_FAILURE_CONFIG:
                return "config";
        case NIPC_FAILURE_CONNECT:
                return "connect";
        case NIPC_FAILURE_PEER:
                return "peer";
        case NIPC_FAILURE_HANDSHAKE:
                return "handshake";
        default:
                return "open";
        }
}

int nipc__client_fail(struct nipc_client *client, int error, const char *step)
{
        client->failure = (struct nipc_client_failure){
                .size = sizeof(client->failure),
                .error = error,
                .step = step,
        };
        return error;
}

int nipc__client_fail_rule(struct nipc_client *client, int error, const char *step, int cause,
                           const char *rule)
{
        nipc__client_fail(client, error, step);
        client->failure.fault.error = cause;
        client->failure.fault.rule = rule;
        return error;
}

int nipc__client_fail_not_ready(struct nipc_client *client)
{
        return nipc__client_fail(client,
                                 nipc_cancel_is_inherited(client->cancel) ? -ECHILD : -ENOTCONN,
                                 "call");
}

void nipc__client_set_state(struct nipc_client *client, enum nipc_client_state state)
{
        /* Pairs with the acquire in nipc_client_is_ready(). */
        atomic_store_explicit(&client->state, (uint32_t)state, memory_order_release);
}

void nipc__client_drop(struct nipc_client *client, enum nipc_client_state state)
{
        if (client->session)
                nipc__client_say_failure(client, NIPC_LOG_DISCONNECTED);
        nipc__client_set_state(client, state);
        client->session = nipc_session_close(client->session);
        client->agreed_request_bytes = 0;
        client->agreed_response_bytes = 0;
        client->agreed_items = 0;
}

/* client-server §2: what a failed attempt to connect makes of the client. */
static enum nipc_client_state connect_state(int error, uint32_t stage)
{
        switch (error) {
        case -ENOENT:
                return NIPC_CLIENT_STATE_NOT_FOUND;
        case -EACCES:
                /*
                 * A door that we may not even knock at, or that somebody we do not trust opened, is
                 * as good as absent: the provider we mean may still come.
                 */
                return stage == NIPC_FAILURE_HANDSHAKE ? NIPC_CLIENT_STATE_AUTH_FAILED
                                                       : NIPC_CLIENT_STATE_NOT_FOUND;
        case -EPROTONOSUPPORT:
                return NIPC_CLIENT_STATE_INCOMPATIBLE;
        default:
                return NIPC_CLIENT_STATE_DISCONNECTED;
        }
}

/* Keeps why connecting failed, and names the limit when that was one. */
static void note_connect_failure(struct nipc_client *client, int error,
                                 const struct nipc_failure *failure)
{
        nipc__client_fail(client, error, step_name(failure->stage));
        client->failure.os_error = failure->os_error;
        client->failure.transport_status = failure->transport_status;
        client->failure.fault = failure->fault;
        if (error != -EMSGSIZE)
                return;
        client->failure.fault.error = NIPC_PROTO_E_LIMIT_EXCEEDED;
        client->failure.fault.rule = "the provider refuses the handshake: max_request_bytes above "
                                     "its own, or its max_sessions reached";
}

/* A proposal that grew in vain would keep us out for ever (wire-v1, pitfall 6). */
static void take_growth_back(struct nipc_client *client, int error)
{
        if (error == -EMSGSIZE && client->accepted_bytes)
                client->request_bytes = client->accepted_bytes;
}

/* All but those that failed a moment ago; never none at all, which would mean something else. */
static uint32_t profiles_to_offer(struct nipc_client *client)
{
        uint32_t profiles = client->config.profiles & ~client->withheld_profiles;

        if (client->withheld_profiles && profiles && nipc_clock_now_ns() < client->withheld_until)
                return profiles;
        client->withheld_profiles = 0;
        return client->config.profiles;
}

/* Which of the profiles that were offered cost a connection in vain. */
static void note_unusable(struct nipc_client *client, uint32_t unusable_profiles)
{
        if (unusable_profiles) {
                client->withheld_profiles |= unusable_profiles;
                client->withheld_ms = NIPC__MIN(NIPC__MAX(2 * client->withheld_ms, WITHHOLD_MIN_MS),
                                                WITHHOLD_MAX_MS);
                client->withheld_until = nipc_deadline_after_ms(client->withheld_ms);
        } else if (!client->withheld_profiles) { /* all were offered, and none failed */
                client->withheld_ms = 0;
        }
}

static void note_agreed(struct nipc_client *client)
{
        struct nipc_session_info info = NIPC_SESSION_INFO_INIT;

        (void)nipc_session_get_info(client->session, &info);
        note_unusable(client, info.unusable_profiles);
        client->accepted_bytes = client->request_bytes;
        client->agreed_request_bytes = info.max_request_payload_bytes;
        client->agreed_response_bytes = info.max_response_payload_bytes;
        client->agreed_items = info.max_request_batch_items;
        nipc__client_say_connected(client, &info);
}

int nipc__client_connect(struct nipc_client *client, uint64_t deadline_ns)
{
        struct nipc_session_config config = NIPC_SESSION_CONFIG_INIT;
        struct nipc_failure failure = NIPC_FAILURE_INIT;
        int r;

        config.run_dir = client->run_dir;
        config.service = client->service;
        config.supported_profiles = profiles_to_offer(client);
        config.preferred_profiles = config.supported_profiles;
        config.max_request_payload_bytes = client->request_bytes;
        config.max_request_batch_items = client->config.max_batch_items;
        config.max_response_payload_bytes = client->response_bytes;
        config.max_receive_bytes = client->config.max_receive_bytes;
        config.auth_token = client->config.auth_token;
        config.cancel = client->cancel;
        config.trust_any_server = client->config.trust_any_server;

        nipc__client_drop(client, NIPC_CLIENT_STATE_CONNECTING);
        r = nipc_session_open(&config, deadline_ns, &client->session, &failure);
        if (r < 0) {
                client->session = NULL;
                note_connect_failure(client, r, &failure);
                nipc__client_say_failure(client, NIPC_LOG_CONNECT_FAILED);
                nipc__client_set_state(client, connect_state(r, failure.stage));
                return r;
        }
        note_agreed(client);
        client->failure.error = 0;
        nipc__client_set_state(client, NIPC_CLIENT_STATE_READY);
        return 0;
}

/* Whether the same attempt can end differently a few milliseconds later. */
static bool is_worth_another_try(int error)
{
        switch (error) {
        case -ENOENT:
        case -EMSGSIZE:     /* a full provider whose last client has just left */
        case -ECONNREFUSED: /* it is starting or stopping */
        case -ECONNRESET:
        case -EBADMSG:
        case -EAGAIN:
                return true;
        default:
                return false;
        }
}

/* Waits for a short while; the poller has nothing to watch. Returns 0, -ECANCELED, -ETIMEDOUT. */
static int pause_reconnect(struct nipc_client *client, struct nipc_poller *poller,
                           uint64_t deadline_ns)
{
        uint64_t until_ns = nipc_deadline_after_ms(RECONNECT_PAUSE_MS);
        struct nipc_poller_event event;
        int r;

        r = nipc_poller_wait(poller, NIPC__MIN(until_ns, deadline_ns), &event, 1);
        if (nipc_cancel_is_triggered(client->cancel))
                return nipc__client_fail(client, -ECANCELED, "connect");
        if (nipc_clock_now_ns() >= deadline_ns)
                return nipc__client_fail(client, -ETIMEDOUT, "connect");
        return NIPC__MIN(r, 0);
}

static int reconnect_until(struct nipc_client *client, uint64_t deadline_ns, uint64_t give_up_ns)
{
        struct nipc_poller *poller = NULL;
        unsigned n_attempts;
        int r, k;

        for (n_attempts = 1;; n_attempts++) {
                r = nipc__client_connect(client, deadline_ns);
                /* However long one took: what it was refused for may be learned from by now. */
                if (!is_worth_another_try(r) ||
                    (n_attempts > 1 && nipc_clock_now_ns() >= give_up_ns))
                        break;
                if (!poller && nipc_poller_new(&poller) < 0)
                        break;
                k = pause_reconnect(client, poller, deadline_ns);
                if (k < 0) {
                        r = k;
                        break;
                }
        }
        nipc_poller_free(poller);
        return r;
}

int nipc__client_reconnect(struct nipc_client *client, uint64_t deadline_ns)
{
        int r;

        r = reconnect_until(client, deadline_ns, nipc_deadline_after_ms(RECONNECT_TOTAL_MS));
        if (r == -ETIMEDOUT || r == -ECANCELED)
                nipc__client_set_state(client, NIPC_CLIENT_STATE_BROKEN);
        else if (!r)
                client->n_reconnects++;
        take_growth_back(client, r);
        return r;
}

NIPC__EXPORT int nipc_client_new(const struct nipc_client_config *config,
                                 struct nipc_client **ret_client)
{
        struct nipc_client_config c;
        struct nipc_client *client;
        char path[NIPC_ENDPOINT_PATH_MAX];
        int r;

        if (!ret_client)
                return -EINVAL;
        r = nipc__abi_load(&c, sizeof(c), config);
        if (r < 0)
                return r;
        if (!c.run_dir || !c.service)
                return -EINVAL;
        r = nipc__lookup_config_init(&c);
        if (r < 0)
                return r;
        r = nipc_endpoint_format_path(c.run_dir, c.service, path, sizeof(path));
        if (r < 0)
                return r;

        client = calloc(1, sizeof(*client));
        if (!client)
                return -ENOMEM;
        atomic_init(&client->state, NIPC_CLIENT_STATE_DISCONNECTED);
        client->run_dir = strdup(c.run_dir);
        client->service = strdup(c.service);
        r = client->run_dir && client->service ? nipc_cancel_new(&client->cancel) : -ENOMEM;
        if (!r)
                r = nipc__log_new(c.log, c.log_userdata, client->service, &client->log);
        if (r < 0) {
                nipc_client_free(client);
                return r;
        }
        if (!c.timeout_ms)
                c.timeout_ms = NIPC_DEFAULT_TIMEOUT_MS;
        c.run_dir = client->run_dir;
        c.service = client->service;
        client->config = c;
        client->request_bytes =
                c.max_request_bytes ? c.max_request_bytes : NIPC__DEFAULT_REQUEST_BYTES;
        client->response_bytes =
                c.max_response_bytes ? c.max_response_bytes : NIPC__DEFAULT_RESPONSE_BYTES;
        *ret_client = client;
        return 0;
}

NIPC__EXPORT struct nipc_client *nipc_client_free(struct nipc_client *client)
{
        if (!client)
                return NULL;
        nipc_session_close(client->session);
        nipc__lookup_store_deinit(&client->lookup_store);
        nipc_cancel_free(client->cancel);
        free(client->log);
        free(client->service);
        free(client->run_dir);
        free(client);
        return NULL;
}

static bool state_asks_to_connect(enum nipc_client_state state)
{
        return state == NIPC_CLIENT_STATE_DISCONNECTED || state == NIPC_CLIENT_STATE_NOT_FOUND ||
               state == NIPC_CLIENT_STATE_BROKEN;
}

int nipc__client_refresh_until(struct nipc_client *client, uint64_t deadline_ns)
{
        const enum nipc_client_state before = nipc_client_get_state(client);
        int r;

        if (nipc_cancel_is_inherited(client->cancel))
                return nipc__client_fail(client, -ECHILD, "connect");
        if (!state_asks_to_connect(before))
                return 0;
        r = nipc__client_connect(client, deadline_ns);
        if (r == -ECANCELED)
                nipc__client_set_state(client, before);
        take_growth_back(client, r);
        if (!r && before == NIPC_CLIENT_STATE_BROKEN)
                client->n_reconnects++;
        else if (!r)
                client->n_connects++;
        return nipc_client_get_state(client) != before;
}

NIPC__EXPORT int nipc_client_refresh(struct nipc_client *client)
{
        if (!client || (!state_asks_to_connect(nipc_client_get_state(client)) &&
                        !nipc_cancel_is_inherited(client->cancel)))
                return 0;
        return nipc__client_refresh_until(client,
                                          nipc_deadline_after_ms(client->config.timeout_ms));
}

NIPC__EXPORT bool nipc_client_is_ready(const struct nipc_client *client)
{
        return client && nipc_client_get_state(client) == NIPC_CLIENT_STATE_READY;
}

NIPC__EXPORT enum nipc_client_state nipc_client_get_state(const struct nipc_client *client)
{
        if (!client)
                return NIPC_CLIENT_STATE_DISCONNECTED;
        /* Pairs with the release in nipc__client_set_state(). */
        return (enum nipc_client_state)atomic_load_explicit(&client->state, memory_order_acquire);
}

NIPC__EXPORT const char *nipc_client_state_name(enum nipc_client_state state)
{
        switch (state) {
        case NIPC_CLIENT_STATE_DISCONNECTED:
                return "DISCONNECTED";
        case NIPC_CLIENT_STATE_CONNECTING:
                return "CONNECTING";
        case NIPC_CLIENT_STATE_READY:
                return "READY";
        case NIPC_CLIENT_STATE_NOT_FOUND:
                return "NOT_FOUND";
        case NIPC_CLIENT_STATE_AUTH_FAILED:
                return "AUTH_FAILED";
        case NIPC_CLIENT_STATE_INCOMPATIBLE:
                return "INCOMPATIBLE";
        case NIPC_CLIENT_STATE_BROKEN:
                return "BROKEN";
        default:
                return "UNKNOWN";
        }
}

NIPC__EXPORT int nipc_client_get_status(const struct nipc_client *client,
                                        struct nipc_client_status *ret_status)
{
        struct nipc_session_info info = NIPC_SESSION_INFO_INIT;
        struct nipc_client_status status = NIPC_CLIENT_STATUS_INIT;

        if (!client)
                return -EINVAL;
        info.peer.pid = info.peer.uid = -1;
        if (client->session)
                (void)nipc_session_get_info(client->session, &info);
        status.state = nipc_client_get_state(client);
        status.profile = info.profile;
        status.refused_profiles = info.refused_profiles;
        status.downgrade_error = info.downgrade_error;
        status.downgrade_step = info.downgrade_step;
        status.session_id = info.session_id;
        status.max_request_bytes = info.max_request_payload_bytes;
        status.max_response_bytes = info.max_response_payload_bytes;
        status.max_batch_items = info.max_request_batch_items;
        status.packet_size = info.packet_size;
        status.peer_pid = info.peer.pid;
        status.peer_uid = info.peer.uid;
        status.n_calls = client->n_calls;
        status.n_errors = client->n_errors;
        status.n_connects = client->n_connects;
        status.n_reconnects = client->n_reconnects;
        return nipc__abi_store(ret_status, &status, sizeof(status));
}

NIPC__EXPORT int nipc_client_get_failure(const struct nipc_client *client,
                                         struct nipc_client_failure *ret_failure)
{
        struct nipc_client_failure failure = NIPC_CLIENT_FAILURE_INIT;

        if (!client)
                return -EINVAL;
        failure.step = "none";
        return nipc__abi_store(ret_failure, client->failure.error ? &client->failure : &failure,
                               sizeof(failure));
}

NIPC__EXPORT void nipc_client_cancel(struct nipc_client *client)
{
        if (client)
                nipc_cancel_trigger(client->cancel);
}

NIPC__EXPORT void nipc_client_reset_cancel(struct nipc_client *client)
{
        if (!client || !nipc_cancel_is_triggered(client->cancel) ||
            nipc_cancel_is_inherited(client->cancel))
                return;
        /* Being cancelled ended the session, whether a call noticed or not. */
        if (client->session) {
                nipc__client_fail(client, -ECANCELED, "call"); /* as a call would have said */
                nipc__client_drop(client, NIPC_CLIENT_STATE_BROKEN);
        }
        nipc_cancel_reset(client->cancel);
}
