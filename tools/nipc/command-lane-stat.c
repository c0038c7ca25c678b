/* SPDX-License-Identifier: MIT */
/*
 * nipc lane stat: what the lanes of a pool are doing, beside whoever reads them. Nothing is taken.
 * With --interval again and again, with rates.
 */
#include "interrupt.h"
#include "lane.h"
#include "number.h"
#include "output.h"

#include <nipc/clock.h>

struct look {
        struct nipc_lane_stats *lanes;
        struct nipc_lane_file_info info;
        uint64_t time_ns;
        bool is_orphan;
};

static const char *const kinds[] = {"index", "detail"};
static const char *const policies[] = {"drop-newest", "overwrite-oldest", "block"};

/* Anew each time: how far the reader is, is what its pool said when it was opened. */
static int look_at(const struct lane_pool_options *options, struct look *look)
{
        struct nipc_lane_reader *reader;
        int r = lane_pool_open(options, &reader, &look->info);

        if (r < 0)
                return r;
        look->lanes = g_new(struct nipc_lane_stats, look->info.n_lanes);
        look->time_ns = nipc_clock_now_ns();
        look->is_orphan = nipc_lane_reader_is_orphan(reader);
        for (uint32_t i = 0; i < look->info.n_lanes; i++) {
                look->lanes[i] = (struct nipc_lane_stats)NIPC_LANE_STATS_INIT;
                nipc_lane_reader_get_stats(reader, i, &look->lanes[i]);
        }
        nipc_lane_reader_close(reader);
        return 0;
}

static double get_rate(const struct look *now, const struct look *before, uint32_t lane)
{
        const uint64_t n_sent = now->lanes[lane].n_sent;

        /* Read while it is written: it may seem to go back. */
        return (double)(n_sent - MIN(n_sent, before->lanes[lane].n_sent)) * 1e9 /
               (double)MAX(now->time_ns - before->time_ns, 1);
}

static char *format(uint64_t number)
{
        return g_strdup_printf("%" G_GUINT64_FORMAT, number);
}

static void add_row(struct output_table *table, const struct look *now, const struct look *before,
                    uint32_t lane)
{
        const struct nipc_lane_stats *stats = &now->lanes[lane];
        g_autofree char *number = format(lane);
        g_autofree char *epoch = format(stats->epoch);
        g_autofree char *tid = format(stats->tid);
        g_autofree char *waiting = g_strdup_printf("%u/%u", stats->n_waiting, now->info.n_rings);
        g_autofree char *sent = format(stats->n_sent);
        g_autofree char *consumed = format(stats->n_consumed);
        g_autofree char *dropped = format(stats->n_dropped);
        g_autofree char *recycled = format(stats->n_recycled);
        g_autofree char *submitted = format(stats->n_submitted);
        g_autofree char *blocked = format(stats->n_blocked);
        g_autofree char *violations = format(stats->n_violations);
        g_autofree char *rate =
                before ? g_strdup_printf("%.1f", get_rate(now, before, lane)) : NULL;

        output_table_add(table, number, stats->is_leased ? "leased" : "free", epoch, tid, waiting,
                         sent, consumed, dropped, recycled, submitted, blocked, violations, rate,
                         NULL);
}

static void print_table(const struct look *now, const struct look *before)
{
        struct output_table *table = output_table_new(before ? 13 : 12);

        printf("pid %u, %s; %s, %s; %u lanes of %u rings of %u bytes\n", now->info.pid,
               now->is_orphan ? "ended" : "alive", kinds[now->info.kind],
               policies[now->info.policy], now->info.n_lanes, now->info.n_rings,
               now->info.ring_bytes);
        output_table_add(table, "LANE", "STATE", "EPOCH", "TID", "WAITING", "SENT", "CONSUMED",
                         "DROPPED", "RECYCLED", "RINGS", "BLOCKED", "VIOLATIONS",
                         before ? "PER_SECOND" : NULL, NULL);
        for (uint32_t i = 0; i < now->info.n_lanes; i++)
                if (now->lanes[i].epoch)
                        add_row(table, now, before, i);
        output_table_finish(table, TRUE);
}

static void add_lane(JsonBuilder *builder, const struct look *now, const struct look *before,
                     uint32_t lane)
{
        const struct nipc_lane_stats *stats = &now->lanes[lane];

        json_builder_begin_object(builder);
        output_add_number(builder, "lane", lane);
        output_add_string(builder, "state", stats->is_leased ? "leased" : "free");
        output_add_number(builder, "epoch", stats->epoch);
        output_add_number(builder, "tid", stats->tid);
        output_add_number(builder, "waiting", stats->n_waiting);
        output_add_number(builder, "sent", (int64_t)stats->n_sent);
        output_add_number(builder, "consumed", (int64_t)stats->n_consumed);
        output_add_number(builder, "dropped", (int64_t)stats->n_dropped);
        output_add_number(builder, "recycled", (int64_t)stats->n_recycled);
        output_add_number(builder, "rings", (int64_t)stats->n_submitted);
        output_add_number(builder, "blocked", (int64_t)stats->n_blocked);
        output_add_number(builder, "violations", (int64_t)stats->n_violations);
        if (before)
                output_add_double(builder, "per_second", get_rate(now, before, lane));
        json_builder_end_object(builder);
}

static void print_json(const struct look *now, const struct look *before, bool compact)
{
        g_autoptr(JsonBuilder) builder = json_builder_new();

        json_builder_begin_object(builder);
        output_add_number(builder, "pid", now->info.pid);
        output_add_string(builder, "agent", now->is_orphan ? "ended" : "alive");
        output_add_string(builder, "kind", kinds[now->info.kind]);
        output_add_string(builder, "policy", policies[now->info.policy]);
        output_add_number(builder, "n_lanes", now->info.n_lanes);
        output_add_number(builder, "n_rings", now->info.n_rings);
        output_add_number(builder, "ring_bytes", now->info.ring_bytes);
        json_builder_set_member_name(builder, "lanes");
        json_builder_begin_array(builder);
        for (uint32_t i = 0; i < now->info.n_lanes; i++)
                if (now->lanes[i].epoch)
                        add_lane(builder, now, before, i);
        json_builder_end_array(builder);
        json_builder_end_object(builder);
        output_json_builder(builder, compact);
}

static int watch(const struct command_context *context, const struct lane_pool_options *options,
                 double interval_s, uint32_t count)
{
        struct look before = {0}, now = {0};
        int r = 0;

        for (uint32_t i = 0; !interrupt_is_set(); i++) {
                if (i > 0 && !interrupt_pause_us((int64_t)(interval_s * 1e6)))
                        break;
                r = look_at(options, &now);
                if (r < 0)
                        break;
                /* Another pool may be there under that name. */
                if (before.lanes &&
                    (before.info.n_lanes != now.info.n_lanes || before.info.pid != now.info.pid))
                        g_clear_pointer(&before.lanes, g_free);
                if (context->json)
                        print_json(&now, before.lanes ? &before : NULL, interval_s > 0);
                else
                        print_table(&now, before.lanes ? &before : NULL);
                fflush(stdout);
                g_free(before.lanes);
                before = now;
                now.lanes = NULL;
                if (ferror(stdout) || interval_s <= 0 || (count && i + 1 >= count))
                        break;
        }
        g_free(before.lanes);
        return r < 0 ? command_fail(&command_lane_stat, "%s: %s", lane_pool_name(options),
                                    lane_error_name(r))
                     : COMMAND_SUCCESS;
}

static int run(const struct command_context *context, int argc, char **argv)
{
        struct lane_pool_options options = {-1, -1, NULL};
        double interval_s = 0;
        gint64 count = 0;
        const GOptionEntry entries[] = {
                {"interval", 'i', 0, G_OPTION_ARG_DOUBLE, &interval_s,
                 "Look again every S seconds, until interrupted", "S"},
                {"count", 'c', 0, G_OPTION_ARG_INT64, &count,
                 "Looks to take (default: until interrupted)", "N"},
                LANE_POOL_OPTIONS(options),
                {NULL},
        };
        uint32_t n_looks;
        int status, r;

        if (!command_parse(&command_lane_stat, entries, &argc, &argv, &status))
                return status;
        if (!lane_pool_parse(&command_lane_stat, &options, argc, argv))
                return COMMAND_USAGE;
        if (!(interval_s >= 0 && interval_s <= 86400) || (interval_s > 0 && interval_s < 0.01))
                return command_usage(&command_lane_stat,
                                     "--interval needs seconds from 0.01 to 86400");
        if (!number_check_u32(&command_lane_stat, "--count", count, 0, UINT32_MAX, &n_looks))
                return COMMAND_USAGE;
        r = interrupt_init(NULL, NULL);
        if (r < 0)
                return command_fail(&command_lane_stat, "%s", g_strerror(-r));
        lane_pool_catch_faults();
        status = watch(context, &options, interval_s, n_looks);
        interrupt_deinit();
        return status;
}

const struct command command_lane_stat = {
        .name = "lane stat",
        .arguments = "POOL",
        .summary = "Show what the lanes of a pool are doing, beside who reads them",
        .run = run,
};
