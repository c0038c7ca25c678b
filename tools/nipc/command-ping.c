/* SPDX-License-Identifier: MIT */
/*
 * nipc ping: one session, round trips one after the other. What it sends is a request of increment;
 * a service of another method answers UNSUPPORTED and keeps the session (client-server §7.1), which
 * is a round trip just as well. Shows what was agreed with whom, and why a better profile was not.
 */
#include "command.h"
#include "endpoints.h"
#include "failure.h"
#include "interrupt.h"
#include "number.h"
#include "output.h"
#include "profiles.h"

#include <errno.h>
#include <nipc/increment.h>
#include <nipc/session.h>
#include <stdio.h>

#define PING_MAX_REQUEST_BYTES 1024u
#define PING_MAX_TIMES         1000000u /* the last that many make the percentiles */

struct ping_options {
        const char *service;
        uint32_t count; /* 0: until interrupted */
        double interval_s;
        uint32_t timeout_ms;
        uint32_t profiles;
        bool quiet;
        bool json;
};

/* One ping run: the session and what was measured. */
struct pinger {
        const struct command_context *context;
        const struct ping_options *options;
        struct nipc_cancel *cancel;
        struct nipc_session *session;
        uint64_t sequence;
        uint64_t n_answers;
        GArray *times_us; /* double, of the last answers */
};

static void on_interrupt(void *data)
{
        nipc_cancel_trigger(data);
}

static int say_failure(const struct pinger *pinger, const struct nipc_failure *failure, int error)
{
        struct failure described = failure_from_session(failure, error);
        g_autofree char *reason = NULL;

        described.service = pinger->options->service;
        described.run_dir = pinger->context->run_dir;
        reason = failure_describe(&described);
        return command_fail(&command_ping, "%s", reason);
}

static int open_session(struct pinger *pinger)
{
        struct nipc_session_config config = NIPC_SESSION_CONFIG_INIT;
        struct nipc_failure failure = NIPC_FAILURE_INIT;
        int r;

        config.run_dir = pinger->context->run_dir;
        config.service = pinger->options->service;
        config.supported_profiles = pinger->options->profiles;
        config.preferred_profiles = pinger->options->profiles;
        config.max_request_payload_bytes = PING_MAX_REQUEST_BYTES;
        config.auth_token = pinger->context->auth_token;
        config.cancel = pinger->cancel;
        r = nipc_session_open(&config, nipc_deadline_after_ms(pinger->options->timeout_ms),
                              &pinger->session, &failure);
        return r ? say_failure(pinger, &failure, r) : COMMAND_SUCCESS;
}

static void print_info(const struct pinger *pinger, const struct nipc_session_info *info)
{
        g_autofree char *profile = profiles_format(info->profile);
        g_autofree char *refused = profiles_format(info->refused_profiles);

        printf("PING %s in %s: profile %s, peer pid %" G_GINT64_FORMAT " uid %" G_GINT64_FORMAT
               ", session %" G_GUINT64_FORMAT "\n",
               pinger->options->service, pinger->context->run_dir, profile, info->peer.pid,
               info->peer.uid, info->session_id);
        printf("packet size %u, requests up to %u bytes and %u items, responses up to %u bytes and "
               "%u items\n",
               info->packet_size, info->max_request_payload_bytes, info->max_request_batch_items,
               info->max_response_payload_bytes, info->max_response_batch_items);
        if (info->refused_profiles)
                printf("not usable: %s: %s: %s\n", refused,
                       info->downgrade_step ? info->downgrade_step : "reason unknown",
                       g_strerror(-info->downgrade_error));
}

/* One round trip. Returns 0 with its time, or a negative errno with the failure said. */
static int round_trip(struct pinger *pinger, double *ret_us, uint16_t *ret_status)
{
        const uint64_t deadline_ns = nipc_deadline_after_ms(pinger->options->timeout_ms);
        struct nipc_failure failure = NIPC_FAILURE_INIT;
        struct nipc_message message;
        struct nipc_header header = {
                .kind = NIPC_KIND_REQUEST,
                .code = NIPC_METHOD_INCREMENT,
                .item_count = 1,
                .message_id = ++pinger->sequence,
        };
        uint8_t payload[NIPC_INCREMENT_SIZE];
        uint64_t start_ns;
        int r;

        nipc_increment_encode(pinger->sequence, payload);
        start_ns = nipc_clock_now_ns();
        r = nipc_session_send(pinger->session, &header, payload, sizeof(payload), deadline_ns);
        if (!r)
                r = nipc_session_receive(pinger->session, deadline_ns, &message);
        *ret_us = (double)(nipc_clock_now_ns() - start_ns) / 1000.0;
        if (r == -ECANCELED)
                return r;
        if (r) {
                nipc_session_get_failure(pinger->session, &failure);
                say_failure(pinger, &failure, r);
                return r;
        }
        *ret_status = message.header.transport_status;
        return 0;
}

static int ping_once(struct pinger *pinger)
{
        uint16_t status;
        double us;
        int r = round_trip(pinger, &us, &status);

        if (r)
                return r;
        if (status != NIPC_TRANSPORT_STATUS_OK && status != NIPC_TRANSPORT_STATUS_UNSUPPORTED) {
                g_autofree char *name = failure_name_status(status);

                command_fail(&command_ping, "%s answered %s", pinger->options->service, name);
                return -EREMOTEIO;
        }
        if (pinger->times_us->len < PING_MAX_TIMES)
                g_array_append_val(pinger->times_us, us);
        else
                g_array_index(pinger->times_us, double, pinger->n_answers % PING_MAX_TIMES) = us;
        pinger->n_answers++;
        if (!pinger->options->quiet && !pinger->options->json) {
                printf("answer from %s: seq=%" G_GUINT64_FORMAT " status=%s time=%.3f ms\n",
                       pinger->options->service, pinger->sequence,
                       nipc_transport_status_name(status), us / 1000.0);
                fflush(stdout);
        }
        return 0;
}

static int compare_times(const void *a, const void *b)
{
        const double *left = a;
        const double *right = b;

        return (*left > *right) - (*left < *right);
}

static double percentile(const GArray *times, double share)
{
        guint index = (guint)(share * (double)(times->len - 1) + 0.5);

        return g_array_index(times, double, index);
}

static const struct {
        const char *name;
        double share;
} percentiles[] = {
        {"min", 0.0}, {"p50", 0.50}, {"p90", 0.90}, {"p99", 0.99}, {"max", 1.0},
};

static void print_summary(const struct pinger *pinger)
{
        GArray *times = pinger->times_us;

        printf("--- %s ---\n%" G_GUINT64_FORMAT " requests, %" G_GUINT64_FORMAT " answers\n",
               pinger->options->service, pinger->sequence, pinger->n_answers);
        if (!times->len)
                return;
        printf("round trip in us:");
        for (size_t i = 0; i < G_N_ELEMENTS(percentiles); i++)
                printf(" %s %.1f%s", percentiles[i].name, percentile(times, percentiles[i].share),
                       i + 1 < G_N_ELEMENTS(percentiles) ? "," : "\n");
}

static void add_info(JsonBuilder *builder, const struct nipc_session_info *info)
{
        g_autofree char *profile = profiles_format(info->profile);
        g_autofree char *refused = profiles_format(info->refused_profiles);

        output_add_string(builder, "profile", profile);
        output_add_string(builder, "refused_profiles", refused);
        output_add_string(builder, "downgrade_step", info->downgrade_step);
        output_add_string(builder, "downgrade_error",
                          info->downgrade_error ? g_strerror(-info->downgrade_error) : NULL);
        output_add_number(builder, "peer_pid", info->peer.pid);
        output_add_number(builder, "peer_uid", info->peer.uid);
        output_add_number(builder, "packet_size", info->packet_size);
        output_add_number(builder, "max_request_payload_bytes", info->max_request_payload_bytes);
        output_add_number(builder, "max_request_batch_items", info->max_request_batch_items);
        output_add_number(builder, "max_response_payload_bytes", info->max_response_payload_bytes);
        output_add_number(builder, "max_response_batch_items", info->max_response_batch_items);
}

static void print_json(const struct pinger *pinger, const struct nipc_session_info *info)
{
        g_autoptr(JsonBuilder) builder = json_builder_new();

        json_builder_begin_object(builder);
        output_add_string(builder, "service", pinger->options->service);
        output_add_string(builder, "run_dir", pinger->context->run_dir);
        add_info(builder, info);
        output_add_number(builder, "requests", (int64_t)pinger->sequence);
        output_add_number(builder, "answers", (int64_t)pinger->n_answers);
        json_builder_set_member_name(builder, "round_trip_us");
        json_builder_begin_object(builder);
        for (size_t i = 0; pinger->times_us->len && i < G_N_ELEMENTS(percentiles); i++) {
                json_builder_set_member_name(builder, percentiles[i].name);
                json_builder_add_double_value(builder,
                                              percentile(pinger->times_us, percentiles[i].share));
        }
        json_builder_end_object(builder);
        json_builder_end_object(builder);
        output_json_builder(builder, FALSE);
}

static int ping(struct pinger *pinger)
{
        struct nipc_session_info info = NIPC_SESSION_INFO_INIT;
        const struct ping_options *options = pinger->options;
        int status = open_session(pinger);

        if (status)
                return status;
        nipc_session_get_info(pinger->session, &info);
        if (!options->json)
                print_info(pinger, &info);
        while (!interrupt_is_set()) {
                int r = ping_once(pinger);

                if (r && r != -ECANCELED)
                        status = COMMAND_FAILURE;
                if (r || (options->count && pinger->sequence >= options->count) ||
                    !interrupt_pause_us((int64_t)(options->interval_s * 1e6)))
                        break;
        }
        g_array_sort(pinger->times_us, compare_times);
        if (options->json)
                print_json(pinger, &info);
        else
                print_summary(pinger);
        pinger->session = nipc_session_close(pinger->session);
        return status;
}

static int ping_with_options(const struct command_context *context,
                             const struct ping_options *options)
{
        struct pinger pinger = {.context = context, .options = options};
        g_autofree char *reason = NULL;
        int status;
        int r = nipc_cancel_new(&pinger.cancel);

        if (!r)
                r = interrupt_init(on_interrupt, pinger.cancel);
        if (r) {
                nipc_cancel_free(pinger.cancel);
                reason = failure_describe_local(r);
                return command_fail(&command_ping, "cannot begin: %s", reason);
        }
        pinger.times_us = g_array_new(FALSE, FALSE, sizeof(double));
        status = ping(&pinger);
        interrupt_deinit();
        g_array_unref(pinger.times_us);
        nipc_cancel_free(pinger.cancel);
        return status;
}

static int run(const struct command_context *context, int argc, char **argv)
{
        struct ping_options options = {.interval_s = 1.0};
        g_autofree gchar *profiles = NULL;
        gint64 count = 0;
        gint64 timeout_ms = 5000;
        gboolean quiet = FALSE;
        const GOptionEntry entries[] = {
                {"count", 'c', 0, G_OPTION_ARG_INT64, &count,
                 "Round trips to make (default: until interrupted)", "N"},
                {"interval", 'i', 0, G_OPTION_ARG_DOUBLE, &options.interval_s,
                 "Seconds between them; 0: none (default: 1)", "S"},
                {"timeout", 0, 0, G_OPTION_ARG_INT64, &timeout_ms,
                 "Milliseconds to wait for an answer (default: 5000)", "MS"},
                {"profiles", 0, 0, G_OPTION_ARG_STRING, &profiles,
                 "Profiles to offer, separated by commas (default: all)", "LIST"},
                {"quiet", 'q', 0, G_OPTION_ARG_NONE, &quiet, "Print the summary only", NULL},
                {NULL},
        };
        int status;

        if (!command_parse(&command_ping, entries, &argc, &argv, &status))
                return status;
        if (argc != 2)
                return command_usage(&command_ping, "name one endpoint");
        if (!endpoints_check_name(&command_ping, argv[1]))
                return COMMAND_USAGE;
        if (!(options.interval_s >= 0 && options.interval_s <= 86400))
                return command_usage(&command_ping, "--interval needs seconds from 0 to 86400");
        if (!number_check_u32(&command_ping, "--count", count, 0, UINT32_MAX, &options.count) ||
            !number_check_u32(&command_ping, "--timeout", timeout_ms, 1, UINT32_MAX,
                              &options.timeout_ms) ||
            !profiles_parse(&command_ping, profiles, &options.profiles))
                return COMMAND_USAGE;
        options.service = argv[1];
        options.quiet = quiet;
        options.json = context->json;
        return ping_with_options(context, &options);
}

const struct command command_ping = {
        .name = "ping",
        .arguments = "NAME",
        .summary = "Measure round trips to an endpoint, show what was agreed with it",
        .uses_run_dir = true,
        .run = run,
};
