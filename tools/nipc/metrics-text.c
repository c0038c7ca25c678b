/* SPDX-License-Identifier: MIT */
/*
 * The Prometheus text format, as far as our providers write it: no exemplars, no timestamps. All
 * strings of a reading lie in one copy of the text, which is cut up in place.
 */
#include "metrics-text.h"

#include <math.h>
#include <string.h>

/*
 * Far above what our providers write; chosen. A text that is made for it shall not keep us busy for
 * longer than a moment: names are compared with each other, and columns are as wide as their cells.
 */
#define MAX_TEXT_BYTES 1048576
#define MAX_LINE_BYTES 1024
#define MAX_SAMPLES    4096
#define MAX_TYPES      1024

struct metrics {
        char *text;
        GArray *samples;
        GHashTable *counters; /* names whose TYPE is counter, histogram or summary; borrowed */
};

static gboolean is_name(char c)
{
        return g_ascii_isalnum(c) || c == '_' || c == ':';
}

/* Cuts a name off at *at. Returns it, or NULL if there is none; *at is behind it. */
static char *take_name(char **at, char *ret_next)
{
        char *name = *at;

        while (is_name(**at))
                (*at)++;
        *ret_next = **at;
        if (*at == name)
                return NULL;
        if (**at)
                *(*at)++ = '\0';
        return name;
}

/* A quoted value, unescaped in place; *at is behind the quote. NULL if it does not end. */
static char *take_value(char **at)
{
        char *value = *at, *to = *at, *from = *at;

        for (; *from && *from != '"'; from++) {
                if (*from == '\\') {
                        if (!*++from)
                                return NULL;
                        *to++ = *from == 'n' ? '\n' : *from;
                } else {
                        *to++ = *from;
                }
        }
        if (!*from)
                return NULL;
        *at = from + 1;
        *to = '\0';
        return value;
}

/* `name="value",...}`; *at is behind the brace. */
static gboolean take_labels(char **at, struct metrics_sample *sample)
{
        while (**at && **at != '}') {
                struct metrics_label label;
                char next;

                label.name = take_name(at, &next);
                if (!label.name || next != '=' || *(*at)++ != '"')
                        return FALSE;
                label.value = take_value(at);
                if (!label.value || (**at != ',' && **at != '}'))
                        return FALSE;
                if (**at == ',')
                        (*at)++;
                if (strcmp(label.name, "service") == 0)
                        continue;
                if (sample->n_labels == METRICS_MAX_LABELS)
                        return FALSE;
                sample->labels[sample->n_labels++] = label;
        }
        return *(*at)++ == '}';
}

static gboolean parse_sample(struct metrics *metrics, char *line)
{
        struct metrics_sample sample = {NULL};
        char *at = line, *end;
        char next;

        sample.name = take_name(&at, &next);
        if (!sample.name || (next != '{' && next != ' '))
                return FALSE;
        if (next == '{' && (!take_labels(&at, &sample) || *at++ != ' '))
                return FALSE;
        sample.value = g_ascii_strtod(at, &end);
        sample.is_counter = g_hash_table_contains(metrics->counters, sample.name);
        for (gsize i = 0; !sample.is_counter && i < 3; i++) {
                static const char *const suffixes[] = {"_bucket", "_sum", "_count"};
                g_autofree char *base = NULL;

                if (!g_str_has_suffix(sample.name, suffixes[i]))
                        continue;
                base = g_strndup(sample.name, strlen(sample.name) - strlen(suffixes[i]));
                sample.is_counter = g_hash_table_contains(metrics->counters, base);
        }
        if (end == at || *end || !isfinite(sample.value) || metrics->samples->len == MAX_SAMPLES)
                return FALSE;
        g_array_append_val(metrics->samples, sample);
        return TRUE;
}

/* `# TYPE name type`; other comments are nothing to us. */
static gboolean parse_comment(struct metrics *metrics, char *line)
{
        char *name, *type;

        if (!g_str_has_prefix(line, "# TYPE "))
                return TRUE;
        name = line + strlen("# TYPE ");
        type = strchr(name, ' ');
        if (!type)
                return TRUE;
        *type++ = '\0';
        if (strcmp(type, "gauge") != 0)
                g_hash_table_add(metrics->counters, name);
        return g_hash_table_size(metrics->counters) <= MAX_TYPES;
}

/* One that ends with a newline. */
static gboolean parse_line(struct metrics *metrics, char *line, gsize size)
{
        if (!size)
                return TRUE;
        if (size > MAX_LINE_BYTES)
                return FALSE;
        return *line == '#' ? parse_comment(metrics, line) : parse_sample(metrics, line);
}

struct metrics *metrics_parse(const char *text, gsize size)
{
        struct metrics *metrics;
        char *line, *next;

        if (size > MAX_TEXT_BYTES || memchr(text, '\0', size))
                return NULL;
        metrics = g_new0(struct metrics, 1);
        metrics->text = g_strndup(text, size);
        metrics->samples = g_array_new(FALSE, FALSE, sizeof(struct metrics_sample));
        metrics->counters = g_hash_table_new(g_str_hash, g_str_equal);
        for (line = metrics->text; *line; line = next) {
                next = strchr(line, '\n');
                if (next)
                        *next++ = '\0';
                else if (*line == '#') /* cut off, and means nothing */
                        break;
                if (!next || !parse_line(metrics, line, (gsize)(next - line) - 1)) {
                        metrics_free(metrics);
                        return NULL;
                }
        }
        return metrics;
}

void metrics_free(struct metrics *metrics)
{
        if (!metrics)
                return;
        g_hash_table_unref(metrics->counters);
        g_array_unref(metrics->samples);
        g_free(metrics->text);
        g_free(metrics);
}

guint metrics_get_count(const struct metrics *metrics)
{
        return metrics->samples->len;
}

const struct metrics_sample *metrics_get(const struct metrics *metrics, guint index)
{
        return &g_array_index(metrics->samples, struct metrics_sample, index);
}

static const char *label_of(const struct metrics_sample *sample, const char *name)
{
        for (guint i = 0; i < sample->n_labels; i++)
                if (strcmp(sample->labels[i].name, name) == 0)
                        return sample->labels[i].value;
        return NULL;
}

double metrics_sum(const struct metrics *metrics, const char *name, const char *label,
                   const char *value)
{
        double sum = 0;

        for (guint i = 0; i < metrics->samples->len; i++) {
                const struct metrics_sample *sample = metrics_get(metrics, i);

                if (strcmp(sample->name, name) == 0 &&
                    (!label || g_strcmp0(label_of(sample, label), value) == 0))
                        sum += sample->value;
        }
        return sum;
}

const struct metrics_sample *metrics_find_same(const struct metrics *metrics,
                                               const struct metrics_sample *sample)
{
        for (guint i = 0; i < metrics->samples->len; i++) {
                const struct metrics_sample *other = metrics_get(metrics, i);
                gboolean same = other->n_labels == sample->n_labels &&
                                strcmp(other->name, sample->name) == 0;

                for (guint k = 0; same && k < sample->n_labels; k++)
                        same = g_strcmp0(label_of(other, sample->labels[k].name),
                                         sample->labels[k].value) == 0;
                if (same)
                        return other;
        }
        return NULL;
}

/* How many times the bucket that ends at sample `index` and those below it hold. */
static double get_cumulative(const struct metrics *now, const struct metrics *before, guint index)
{
        const struct metrics_sample *sample = metrics_get(now, index);
        const struct metrics_sample *old = before ? metrics_find_same(before, sample) : NULL;

        return sample->value - (old ? old->value : 0);
}

double metrics_percentile(const struct metrics *now, const struct metrics *before,
                          const char *stage, double share)
{
        static const char name[] = "nipc_server_stage_seconds";
        const double total =
                metrics_sum(now, "nipc_server_stage_seconds_count", "stage", stage) -
                (before ? metrics_sum(before, "nipc_server_stage_seconds_count", "stage", stage)
                        : 0);
        double below = 0;

        if (total <= 0)
                return -1;
        for (guint i = 0; i < now->samples->len; i++) {
                const struct metrics_sample *sample = metrics_get(now, i);
                const char *le = label_of(sample, "le");
                double bound;

                if (!le || !g_str_has_prefix(sample->name, name) ||
                    g_strcmp0(label_of(sample, "stage"), stage) != 0)
                        continue;
                bound = strcmp(le, "+Inf") == 0 ? below : g_ascii_strtod(le, NULL);
                if (get_cumulative(now, before, i) >= share * total)
                        return (below + bound) / 2;
                below = bound;
        }
        return below;
}
