/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a provider says of itself, in the Prometheus text format: read into samples, and looked up.
 * It comes from another process: it is judged line by line, and limited.
 */

#include <glib.h>

#define METRICS_MAX_LABELS 8

struct metrics_label {
        const char *name;
        const char *value;
};

struct metrics_sample {
        const char *name;
        struct metrics_label labels[METRICS_MAX_LABELS]; /* all but "service" */
        guint n_labels;
        double value;
        gboolean is_counter; /* its TYPE says so, or it is a part of a histogram or summary */
};

struct metrics; /* one reading; from parse to free */

/* NULL if it is not of that format. */
struct metrics *metrics_parse(const char *text, gsize size);

void metrics_free(struct metrics *metrics);

guint metrics_get_count(const struct metrics *metrics);
const struct metrics_sample *metrics_get(const struct metrics *metrics, guint index);

/* Of all samples of that name, where `label` (or NULL) has that value: the sum. */
double metrics_sum(const struct metrics *metrics, const char *name, const char *label,
                   const char *value);

/* The sample of another reading with the same name and labels; NULL if there is none. */
const struct metrics_sample *metrics_find_same(const struct metrics *metrics,
                                               const struct metrics_sample *sample);

/*
 * The value that a share of a stage's times since `before` (or NULL: ever) does not exceed, in
 * seconds, from the middle of its bucket; below 0 if there was none.
 */
double metrics_percentile(const struct metrics *now, const struct metrics *before,
                          const char *stage, double share);
