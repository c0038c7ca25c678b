/* SPDX-License-Identifier: MIT */

/*
 * What is counted and said about sessions as they come and go, on the worker that they belong to.
 * Nothing here decides anything, and none of it is on the way of a request that goes well.
 */

#include <errno.h>
#include <nipc/hello.h>
#include <nipc/log.h>
#include <string.h>

#include "log-private.h"
#include "server-private.h"
#include "stdaux.h"

static struct nipc_log_record record_of(const struct nipc__conn *conn, uint32_t event)
{
        struct nipc_session_info info = NIPC_SESSION_INFO_INIT;
        struct nipc_log_record record = NIPC__LOG_RECORD(event);

        (void)nipc_session_get_info(conn->session, &info);
        record.session_id = info.session_id;
        record.peer_pid = info.peer.pid;
        record.peer_uid = info.peer.uid;
        record.profile = info.profile;
        return record;
}

void nipc__observe_ready(struct nipc__worker *worker, struct nipc__conn *conn,
                         const struct nipc_session_info *info)
{
        struct nipc__metrics *metrics = &worker->metrics;
        struct nipc_log_record record;

        conn->profile = (uint8_t)nipc__metrics_profile(info->profile);
        nipc__count(&metrics->sessions_opened[conn->profile]);
        nipc__count(&metrics->handshakes[NIPC_METRICS_HANDSHAKE_READY]);
        if (info->downgrade_error)
                nipc__metrics_add_downgrade(metrics,
                                            info->downgrade_step ? info->downgrade_step : "unknown",
                                            info->downgrade_error);
        if (NIPC__LIKELY(!worker->log))
                return;
        nipc__log_say(worker->log, record_of(conn, NIPC_LOG_SESSION_ACCEPTED));
        if (!info->downgrade_error)
                return;
        record = record_of(conn, NIPC_LOG_DOWNGRADE);
        record.profile = info->refused_profiles;
        record.step = info->downgrade_step;
        record.error = info->downgrade_error;
        nipc__log_say(worker->log, record);
}

/* What nipc__quota_charge() named, as a reason; and what there is of it. */
static enum nipc_metrics_refusal refusal_by(const struct nipc_server_config *c, const char *limit,
                                            uint64_t *ret_value)
{
        const struct {
                const char *limit;
                enum nipc_metrics_refusal refusal;
                uint64_t value;
        } limits[] = {
                {"max_sessions", NIPC_METRICS_REFUSAL_MAX_SESSIONS, c->max_sessions},
                {"max_sessions_per_uid", NIPC_METRICS_REFUSAL_MAX_SESSIONS_PER_UID,
                 c->max_sessions_per_uid},
                {"max_descriptors", NIPC_METRICS_REFUSAL_MAX_DESCRIPTORS, c->max_descriptors},
                {"max_total_bytes", NIPC_METRICS_REFUSAL_MAX_TOTAL_BYTES, c->max_total_bytes},
                {"max_bytes_per_uid", NIPC_METRICS_REFUSAL_MAX_BYTES_PER_UID, c->max_bytes_per_uid},
                {"memory", NIPC_METRICS_REFUSAL_MEMORY, 0},
        };

        for (size_t i = 0; i < NIPC__ARRAY_SIZE(limits); i++) {
                if (strcmp(limits[i].limit, limit))
                        continue;
                *ret_value = limits[i].value;
                return limits[i].refusal;
        }
        *ret_value = 0;
        return NIPC_METRICS_REFUSAL_OTHER;
}

static enum nipc_metrics_refusal refusal_of(uint32_t status)
{
        switch (status) {
        case NIPC_TRANSPORT_STATUS_AUTH_FAILED:
                return NIPC_METRICS_REFUSAL_AUTH_FAILED;
        case NIPC_TRANSPORT_STATUS_INCOMPATIBLE:
                return NIPC_METRICS_REFUSAL_INCOMPATIBLE;
        case NIPC_TRANSPORT_STATUS_UNSUPPORTED:
                return NIPC_METRICS_REFUSAL_UNSUPPORTED;
        case NIPC_TRANSPORT_STATUS_LIMIT_EXCEEDED:
                return NIPC_METRICS_REFUSAL_LIMIT_EXCEEDED;
        default:
                return NIPC_METRICS_REFUSAL_OTHER;
        }
}

static enum nipc_metrics_handshake outcome_of(int error)
{
        switch (error) {
        case -ECONNREFUSED:
                return NIPC_METRICS_HANDSHAKE_REFUSED;
        case -ECONNRESET:
                return NIPC_METRICS_HANDSHAKE_GONE;
        case -EBADMSG:
                return NIPC_METRICS_HANDSHAKE_INVALID;
        default:
                return NIPC_METRICS_HANDSHAKE_FAILED;
        }
}

void nipc__observe_handshake_failed(struct nipc__worker *worker, struct nipc__conn *conn, int error)
{
        struct nipc_failure failure = NIPC_FAILURE_INIT;
        enum nipc_metrics_refusal refusal;
        uint64_t value = 0;

        conn->error = error;
        conn->outcome = (uint8_t)outcome_of(error);
        if (error != -ECONNREFUSED)
                return;
        (void)nipc_session_get_failure(conn->session, &failure);
        conn->refusal = (uint16_t)failure.transport_status;
        if (conn->refused_by)
                refusal = refusal_by(&worker->server->config, conn->refused_by, &value);
        else
                refusal = refusal_of(failure.transport_status);
        nipc__count(&worker->metrics.refusals[refusal]);
        if (conn->refused_by)
                nipc__observe_limit(worker, conn, conn->refused_by, value);
        else if (failure.transport_status == NIPC_TRANSPORT_STATUS_LIMIT_EXCEEDED)
                nipc__observe_limit(worker, conn, "max_request_bytes",
                                    atomic_load_explicit(&worker->server->request_bytes,
                                                         memory_order_relaxed)); /* a hint */
}

void nipc__observe_end(struct nipc__worker *worker, const struct nipc__conn *conn)
{
        struct nipc_log_record record;
        bool was_ready = conn->state != NIPC__CONN_HANDSHAKE;

        if (was_ready)
                nipc__count(&worker->metrics.sessions_closed[conn->profile]);
        else
                nipc__count(&worker->metrics.handshakes[conn->outcome]);
        if (NIPC__LIKELY(!worker->log))
                return;
        record = record_of(conn, was_ready ? NIPC_LOG_SESSION_ENDED : NIPC_LOG_SESSION_REFUSED);
        record.error = conn->error;
        record.transport_status = conn->refusal;
        record.step = was_ready ? NULL : conn->refused_by;
        nipc__log_say(worker->log, record);
}

void nipc__observe_timeout(struct nipc__worker *worker, struct nipc__conn *conn)
{
        static const struct {
                enum nipc_metrics_timeout kind;
                const char *step;
        } kinds[NIPC__N_WAITS] = {
                [NIPC__WAIT_HANDSHAKE] = {NIPC_METRICS_TIMEOUT_HANDSHAKE, "handshake"},
                [NIPC__WAIT_REQUEST] = {NIPC_METRICS_TIMEOUT_REQUEST, "request"},
                [NIPC__WAIT_RESPONSE] = {NIPC_METRICS_TIMEOUT_RESPONSE, "response"},
        };
        struct nipc_log_record record;

        conn->error = -ETIMEDOUT;
        conn->outcome = NIPC_METRICS_HANDSHAKE_TIMED_OUT;
        if (conn->wait >= NIPC__N_WAITS)
                return;
        nipc__count(&worker->metrics.timeouts[kinds[conn->wait].kind]);
        if (NIPC__LIKELY(!worker->log))
                return;
        record = record_of(conn, NIPC_LOG_TIMEOUT);
        record.step = kinds[conn->wait].step;
        record.error = -ETIMEDOUT;
        nipc__log_say(worker->log, record);
}

void nipc__observe_evicted(struct nipc__worker *worker, struct nipc__conn *conn)
{
        conn->outcome = NIPC_METRICS_HANDSHAKE_EVICTED;
        nipc__count(&worker->metrics.n_evictions);
        if (worker->log)
                nipc__log_say(worker->log, record_of(conn, NIPC_LOG_EVICTED));
}

void nipc__observe_limit(struct nipc__worker *worker, const struct nipc__conn *conn,
                         const char *limit, uint64_t value)
{
        struct nipc_log_record record;

        if (NIPC__LIKELY(!worker->log))
                return;
        record = record_of(conn, NIPC_LOG_LIMIT_HIT);
        record.step = limit;
        record.value = value;
        nipc__log_say(worker->log, record);
}

void nipc__observe_shortage(struct nipc__worker *worker, int error)
{
        struct nipc_log_record record = NIPC__LOG_RECORD(NIPC_LOG_SHORTAGE_BEGAN);

        if (worker->is_short == !!error)
                return;
        worker->is_short = !!error;
        if (error)
                nipc__count(&worker->metrics.n_shortages);
        else
                record.event = NIPC_LOG_SHORTAGE_ENDED;
        record.error = error;
        nipc__log_say(worker->log, record);
}

/* When a wait began is known from when it would end. */
void nipc__observe_pressure_end(struct nipc__worker *worker, const struct nipc__conn *conn)
{
        uint64_t timeout_ns = UINT64_C(1000000) * worker->server->config.response_timeout_ms;
        uint64_t now_ns;

        if (conn->wait != NIPC__WAIT_RESPONSE)
                return;
        now_ns = nipc_clock_now_ns();
        if (now_ns + timeout_ns > conn->wait_until_ns)
                nipc__count_more(&worker->metrics.backpressure_ns,
                                 now_ns + timeout_ns - conn->wait_until_ns);
}
