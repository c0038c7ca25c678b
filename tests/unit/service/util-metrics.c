/* SPDX-License-Identifier: MIT */

/* See util-metrics.h. */

#include "util-metrics.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util-service.h"

#define MAX_SERIES 2048

struct reader {
        const char *at;
        const char *end;
        char name[128]; /* that HELP and TYPE were about */
        char type[16];
        char seen[64][128]; /* names before */
        unsigned n_seen;
        char *series[MAX_SERIES];
        unsigned n_series;
        double last_bucket;
        bool has_inf;
};

/* strndup(), which not all have. */
static char *copy_of(const char *text, size_t size)
{
        const char *end = memchr(text, 0, size);
        size_t n = end ? (size_t)(end - text) : size;
        char *copy = malloc(n + 1);

        memcpy(copy, text, n);
        copy[n] = '\0';
        return copy;
}

static bool take(struct reader *reader, const char *str)
{
        size_t n = strlen(str);

        if ((size_t)(reader->end - reader->at) < n || memcmp(reader->at, str, n) != 0)
                return false;
        reader->at += n;
        return true;
}

static bool take_name(struct reader *reader, char *ret_name, size_t capacity)
{
        size_t n = 0;

        while (reader->at < reader->end &&
               (isalpha((unsigned char)*reader->at) || *reader->at == '_' ||
                (n && isdigit((unsigned char)*reader->at)))) {
                if (n + 1 >= capacity)
                        return false;
                ret_name[n++] = *reader->at++;
        }
        ret_name[n] = '\0';
        return n > 0;
}

static bool take_line(struct reader *reader)
{
        const char *end = memchr(reader->at, '\n', (size_t)(reader->end - reader->at));

        if (!end || end == reader->at)
                return false;
        reader->at = end + 1;
        return true;
}

static const char *check_header(struct reader *reader)
{
        static const char *const types[] = {"counter", "gauge", "histogram", "summary"};
        char name[128];
        unsigned i;

        if (!take_name(reader, reader->name, sizeof(reader->name)) || !take(reader, " ") ||
            !take_line(reader))
                return "HELP";
        for (i = 0; i < reader->n_seen; i++)
                if (!strcmp(reader->seen[i], reader->name))
                        return "a name twice";
        if (reader->n_seen == 64)
                return "too many names";
        snprintf(reader->seen[reader->n_seen++], 128, "%s", reader->name);
        if (!take(reader, "# TYPE ") || !take_name(reader, name, sizeof(name)) ||
            strcmp(name, reader->name) != 0 || !take(reader, " ") ||
            !take_name(reader, reader->type, sizeof(reader->type)) || !take(reader, "\n"))
                return "TYPE";
        for (i = 0; i < 4; i++)
                if (!strcmp(types[i], reader->type))
                        return NULL;
        return "an unknown type";
}

/* A label's value: UTF-8 in general, ASCII here. */
static const char *check_value(struct reader *reader)
{
        if (!take(reader, "\""))
                return "quote";
        while (reader->at < reader->end && *reader->at != '"') {
                if (*reader->at == '\n' || (unsigned char)*reader->at >= 0x80)
                        return "a byte that must not be in a value";
                if (*reader->at == '\\') {
                        reader->at++;
                        if (reader->at == reader->end || !strchr("\\\"n", *reader->at))
                                return "an unknown escape";
                }
                reader->at++;
        }
        return take(reader, "\"") ? NULL : "the end of a value";
}

static const char *check_labels(struct reader *reader)
{
        const char *reason;
        char name[64];

        if (!take(reader, "{"))
                return NULL;
        do {
                if (!take_name(reader, name, sizeof(name)) || !take(reader, "="))
                        return "a label";
                reason = check_value(reader);
                if (reason)
                        return reason;
        } while (take(reader, ","));
        return take(reader, "}") ? NULL : "the end of labels";
}

/* Whether a sample of that name belongs to the family that was announced. */
static bool is_of_family(const struct reader *reader, const char *name)
{
        size_t n = strlen(reader->name);

        if (strncmp(name, reader->name, n) != 0)
                return false;
        name += n;
        if (!strcmp(reader->type, "histogram"))
                return !strcmp(name, "_bucket") || !strcmp(name, "_sum") || !strcmp(name, "_count");
        if (!strcmp(reader->type, "summary"))
                return !strcmp(name, "_sum") || !strcmp(name, "_count");
        return !*name;
}

static const char *check_histogram(struct reader *reader, const char *series, double value)
{
        if (strcmp(reader->type, "histogram") != 0 || strstr(series, "_sum{"))
                return NULL;
        if (strstr(series, "_bucket{")) {
                if (!strstr(series, ",le=\""))
                        return "a bucket without a bound";
                if (value < reader->last_bucket)
                        return "buckets that shrink";
                reader->last_bucket = value;
                reader->has_inf = strstr(series, "le=\"+Inf\"") != NULL;
                return NULL;
        }
        if (!reader->has_inf || value != reader->last_bucket)
                return "a count that is not the last bucket";
        reader->last_bucket = 0;
        return NULL;
}

static const char *check_sample(struct reader *reader)
{
        const char *start = reader->at, *reason;
        char name[128], *end;
        double value;
        unsigned i;
        char *series;

        if (!take_name(reader, name, sizeof(name)) || !is_of_family(reader, name))
                return "a name that was not announced";
        reason = check_labels(reader);
        if (reason)
                return reason;
        series = copy_of(start, (size_t)(reader->at - start));
        if (reader->n_series == MAX_SERIES)
                return "too many series";
        reader->series[reader->n_series++] = series;
        for (i = 0; i + 1 < reader->n_series; i++)
                if (!strcmp(reader->series[i], series))
                        return "a series twice";
        if (!take(reader, " "))
                return "a space";
        value = strtod(reader->at, &end);
        if (end == reader->at || value < 0)
                return "a value";
        reader->at = end;
        return take(reader, "\n") ? check_histogram(reader, series, value) : "the end of a line";
}

const char *util_prometheus_check(const char *text, size_t size)
{
        struct reader *reader = calloc(1, sizeof(*reader));
        char *copy = copy_of(text, size);
        const char *reason = strlen(copy) == size ? NULL : "a NUL";
        unsigned i;

        reader->at = copy;
        reader->end = copy + size;
        while (!reason && reader->at < reader->end)
                reason = take(reader, "# HELP ") ? check_header(reader) : check_sample(reader);
        for (i = 0; i < reader->n_series; i++)
                free(reader->series[i]);
        free(reader);
        free(copy);
        return reason;
}

double util_prometheus_get(const char *text, size_t size, const char *series)
{
        size_t n = strlen(series);
        const char *line = text, *end = text + size, *next;

        for (; line < end; line = next + 1) {
                next = memchr(line, '\n', (size_t)(end - line));
                if (!next)
                        break;
                if ((size_t)(next - line) > n && !memcmp(line, series, n) && line[n] == ' ')
                        return strtod(line + n + 1, NULL);
        }
        return -1;
}

int util_ask(const char *service, uint32_t profile, uint16_t code, const void *payload, size_t size)
{
        const uint64_t deadline_ns = nipc_deadline_after_ms(20000);
        struct nipc_session_config config = NIPC_SESSION_CONFIG_INIT;
        struct nipc_header header = util_request(1, (uint32_t)size);
        struct nipc_session *session;
        struct nipc_message message;
        int r;

        config.run_dir = util_run_dir();
        config.service = service;
        config.supported_profiles = config.preferred_profiles = profile;
        header.code = code;
        if (nipc_session_open(&config, deadline_ns, &session, NULL) < 0)
                return -1;
        r = nipc_session_send(session, &header, payload, size, deadline_ns);
        if (!r)
                r = nipc_session_receive(session, deadline_ns, &message);
        if (!r)
                r = message.header.transport_status;
        nipc_session_close(session);
        return r < 0 ? -1 : r;
}

struct nipc_server_metrics util_metrics(const struct nipc_server *server)
{
        struct nipc_server_metrics metrics = NIPC_SERVER_METRICS_INIT;

        nipc_server_get_metrics(server, &metrics);
        return metrics;
}
