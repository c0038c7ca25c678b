/* SPDX-License-Identifier: MIT */

/*
 * A server's numbers as text, for its own process and for whoever asks from outside
 * (doc/metrics.md). Bounded work, no lock, no allocation: it is written where it is sent from.
 */

#include <nipc/metrics.h>

#include "errno-name.h"
#include "server-private.h"
#include "text.h"

static const char *const status_names[NIPC_METRICS_N_STATUSES] = {
        "ok",          "bad_envelope",   "auth_failed",    "incompatible",
        "unsupported", "limit_exceeded", "internal_error", "other",
};

static const char *const profile_names[NIPC_METRICS_N_PROFILES] = {
        "baseline", "shm_hybrid", "shm_busywait", "ring", "other",
};

static const char *const handshake_names[NIPC_METRICS_N_HANDSHAKES] = {
        "ready", "refused", "timed_out", "evicted", "gone", "invalid", "failed",
};

static const char *const refusal_names[NIPC_METRICS_N_REFUSALS] = {
        "auth_failed",          "incompatible",    "unsupported",
        "limit_exceeded",       "max_sessions",    "other",
        "max_sessions_per_uid", "max_descriptors", "max_total_bytes",
        "max_bytes_per_uid",    "memory",
};

static const char *const timeout_names[NIPC_METRICS_N_TIMEOUTS] = {
        "handshake",
        "request",
        "response",
};

static const char *const stage_names[NIPC_METRICS_N_STAGES] = {
        "queue",
        "handle",
        "wake",
        "total",
};

/* A metric of one sample per name. */
static void add_by_name(struct nipc__text *text, const char *name, const char *type,
                        const char *help, const char *label, const char *const *names,
                        const uint64_t *values, unsigned n)
{
        unsigned i;

        nipc__text_describe(text, name, type, help);
        for (i = 0; i < n && names[i]; i++)
                nipc__text_sample(text, name, label, names[i], values[i]);
}

static void add_requests(struct nipc__text *text, const struct nipc_server_metrics *m)
{
        add_by_name(text, "nipc_server_requests_total", "counter",
                    "Requests answered, a batch counts once.", "status", status_names, m->answers,
                    NIPC_METRICS_N_STATUSES);
        nipc__text_metric(text, "nipc_server_dropped_requests_total", "counter",
                          "Broken requests that got no answer.", m->n_dropped);
        nipc__text_metric(text, "nipc_server_request_bytes_total", "counter",
                          "Payload bytes of requests.", m->request_bytes);
        nipc__text_metric(text, "nipc_server_response_bytes_total", "counter",
                          "Payload bytes of successful answers.", m->response_bytes);
        nipc__text_metric(text, "nipc_server_batches_total", "counter", "Requests with items.",
                          m->n_batches);
        nipc__text_metric(text, "nipc_server_batch_items_total", "counter", "Items of batches.",
                          m->n_batch_items);
        nipc__text_metric(text, "nipc_server_stat_requests_total", "counter",
                          "Requests for these metrics.", m->n_stat_requests);
}

static void add_sessions(struct nipc__text *text, const struct nipc_server_metrics *m)
{
        uint64_t now[NIPC_METRICS_N_PROFILES];
        unsigned i;

        for (i = 0; i < NIPC_METRICS_N_PROFILES; i++) /* they are not of the same moment */
                now[i] = m->sessions_opened[i] -
                         NIPC__MIN(m->sessions_closed[i], m->sessions_opened[i]);
        add_by_name(text, "nipc_server_sessions", "gauge", "Sessions now.", "profile",
                    profile_names, now, NIPC_METRICS_N_PROFILES);
        add_by_name(text, "nipc_server_sessions_opened_total", "counter",
                    "Sessions that became ready.", "profile", profile_names, m->sessions_opened,
                    NIPC_METRICS_N_PROFILES);
        nipc__text_metric(text, "nipc_server_pending_handshakes", "gauge",
                          "Clients that are connected and not ready.", m->n_handshakes);
        add_by_name(text, "nipc_server_handshakes_total", "counter", "Handshakes, as they ended.",
                    "outcome", handshake_names, m->handshakes, NIPC_METRICS_N_HANDSHAKES);
        add_by_name(text, "nipc_server_refusals_total", "counter", "Clients refused.", "reason",
                    refusal_names, m->refusals, NIPC_METRICS_N_REFUSALS);
}

static void add_downgrades(struct nipc__text *text, const struct nipc_server_metrics *m)
{
        static const char name[] = "nipc_server_downgrades_total";
        const struct nipc_metrics_reason *reason;
        const char *error_name;
        uint32_t i;

        nipc__text_describe(text, name, "counter",
                            "Sessions that could not have a better profile, and why.");
        for (i = 0; i < m->n_downgrades; i++) {
                reason = &m->downgrades[i];
                error_name = nipc__errno_name(reason->error);
                nipc__text_begin(text, name, "");
                nipc__text_add_label(text, "step", reason->step);
                nipc__text_add(text, ",error=\"");
                if (error_name)
                        nipc__text_add(text, error_name);
                else
                        nipc__text_add_int(text, reason->error);
                nipc__text_add(text, "\"");
                nipc__text_end(text);
                nipc__text_add_uint(text, reason->count);
                nipc__text_add(text, "\n");
        }
}

static void add_trouble(struct nipc__text *text, const struct nipc_server_metrics *m)
{
        static const char waited[] = "nipc_server_backpressure_seconds_total";

        add_downgrades(text, m);
        add_by_name(text, "nipc_server_timeouts_total", "counter",
                    "Sessions that ended because the client took too long.", "kind", timeout_names,
                    m->timeouts, NIPC_METRICS_N_TIMEOUTS);
        nipc__text_metric(text, "nipc_server_backpressure_total", "counter",
                          "Answers that the client was not ready to take.", m->n_backpressure);
        nipc__text_describe(text, waited, "counter", "Time that such answers waited.");
        nipc__text_begin(text, waited, "");
        nipc__text_end(text);
        nipc__text_add_seconds(text, m->backpressure_ns);
        nipc__text_add(text, "\n");
        nipc__text_metric(text, "nipc_server_evictions_total", "counter",
                          "Silent clients that had to make room.", m->n_evictions);
        nipc__text_metric(text, "nipc_server_shortages_total", "counter",
                          "Times that no client could be accepted for lack of descriptors or "
                          "memory.",
                          m->n_shortages);
        nipc__text_metric(text, "nipc_server_stale_files_removed_total", "counter",
                          "Files of dead owners that were removed.", m->n_stale);
        nipc__text_metric(text, "nipc_server_log_suppressed_total", "counter",
                          "Log records that were too many.", m->n_log_suppressed);
}

static void add_ring(struct nipc__text *text, const struct nipc_server_metrics *m)
{
        static const char name[] = "nipc_server_ring_used_bytes";

        nipc__text_describe(text, name, "summary", "Answers that lay in a ring after a timed one.");
        nipc__text_begin(text, name, "_sum");
        nipc__text_end(text);
        nipc__text_add_uint(text, m->ring_used_bytes);
        nipc__text_add(text, "\n");
        nipc__text_begin(text, name, "_count");
        nipc__text_end(text);
        nipc__text_add_uint(text, m->n_ring_samples);
        nipc__text_add(text, "\n");
        nipc__text_metric(text, "nipc_server_ring_used_max_bytes", "gauge",
                          "The most of them that was seen.", m->ring_used_max_bytes);
}

static void add_stage(struct nipc__text *text, const char *name, const char *stage,
                      const struct nipc_metrics_histogram *histogram)
{
        uint64_t n = 0;
        uint32_t i;

        for (i = 0; i < NIPC_METRICS_N_BUCKETS; i++) {
                n += histogram->buckets[i];
                nipc__text_begin(text, name, "_bucket");
                nipc__text_add_label(text, "stage", stage);
                nipc__text_add(text, ",le=\"");
                if (i < NIPC_METRICS_N_BUCKETS - 1)
                        nipc__text_add_seconds(text, nipc_metrics_bucket_ns(i));
                else
                        nipc__text_add(text, "+Inf");
                nipc__text_add(text, "\"");
                nipc__text_end(text);
                nipc__text_add_uint(text, n);
                nipc__text_add(text, "\n");
        }
        nipc__text_begin(text, name, "_sum");
        nipc__text_add_label(text, "stage", stage);
        nipc__text_end(text);
        nipc__text_add_seconds(text, histogram->sum_ns);
        nipc__text_add(text, "\n");
        nipc__text_begin(text, name, "_count");
        nipc__text_add_label(text, "stage", stage);
        nipc__text_end(text);
        nipc__text_add_uint(text, n);
        nipc__text_add(text, "\n");
}

static void add_stages(struct nipc__text *text, const struct nipc_server_metrics *m)
{
        static const char name[] = "nipc_server_stage_seconds";
        unsigned i;

        nipc__text_describe(text, name, "histogram", "Stages of the requests that were timed.");
        for (i = 0; i < NIPC_METRICS_N_STAGES; i++)
                add_stage(text, name, stage_names[i], &m->stages[i]);
}

NIPC__EXPORT int nipc_server_format_metrics(const struct nipc_server *server, char *buf,
                                            size_t capacity, size_t *ret_size)
{
        struct nipc__text text = {.buf = buf, .capacity = capacity};
        struct nipc_server_metrics metrics;

        if (!server || !ret_size || (!buf && capacity))
                return -EINVAL;
        text.service = server->service;
        nipc__server_collect(server, &metrics);
        nipc__text_metric(&text, "nipc_server_workers", "gauge", "Workers.", metrics.n_workers);
        nipc__text_metric(&text, "nipc_server_sample_every", "gauge",
                          "One request in so many is timed, 0: none.", metrics.sample_every);
        add_requests(&text, &metrics);
        add_sessions(&text, &metrics);
        add_trouble(&text, &metrics);
        add_ring(&text, &metrics);
        add_stages(&text, &metrics);
        return nipc__text_finish(&text, ret_size);
}
