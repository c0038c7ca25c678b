/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Text into a caller's buffer, without stdio and so without a locale: what does not fit is counted
 * and not written. Also how the Prometheus text format (0.0.4) spells things. Internal.
 */

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct nipc__text {
        char *buf;
        size_t capacity;
        size_t size;         /* needed so far, may be above capacity */
        const char *service; /* label of every metric, NULL: none */
};

static inline void nipc__text_add_bytes(struct nipc__text *text, const char *bytes, size_t n)
{
        if (text->size <= text->capacity && n <= text->capacity - text->size && n)
                memcpy(text->buf + text->size, bytes, n);
        text->size += n;
}

static inline void nipc__text_add(struct nipc__text *text, const char *str)
{
        nipc__text_add_bytes(text, str, strlen(str));
}

static inline void nipc__text_add_uint(struct nipc__text *text, uint64_t value)
{
        char digits[20];
        size_t i = sizeof(digits);

        do {
                digits[--i] = (char)('0' + value % 10);
                value /= 10;
        } while (value);
        nipc__text_add_bytes(text, digits + i, sizeof(digits) - i);
}

static inline void nipc__text_add_int(struct nipc__text *text, int64_t value)
{
        if (value < 0)
                nipc__text_add(text, "-");
        nipc__text_add_uint(text, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

/* Seconds with as many decimals as nanoseconds need. */
static inline void nipc__text_add_seconds(struct nipc__text *text, uint64_t ns)
{
        char decimals[10] = ".";
        uint64_t fraction = ns % 1000000000u;
        size_t i, n = 0;

        nipc__text_add_uint(text, ns / 1000000000u);
        for (i = 9; i > 0; i--) {
                decimals[i] = (char)('0' + fraction % 10);
                if (!n && decimals[i] != '0')
                        n = i + 1;
                fraction /= 10;
        }
        nipc__text_add_bytes(text, decimals, n);
}

/* The value of a label, quoted. Values are UTF-8 in the format: other bytes become '?'. */
static inline void nipc__text_add_quoted(struct nipc__text *text, const char *value)
{
        const char *p;

        nipc__text_add(text, "\"");
        for (p = value; *p; p++)
                switch (*p) {
                case '\\':
                        nipc__text_add(text, "\\\\");
                        break;
                case '"':
                        nipc__text_add(text, "\\\"");
                        break;
                case '\n':
                        nipc__text_add(text, "\\n");
                        break;
                default:
                        nipc__text_add_bytes(text, (unsigned char)*p < 0x80 ? p : "?", 1);
                }
        nipc__text_add(text, "\"");
}

/* HELP and TYPE of what follows. */
static inline void nipc__text_describe(struct nipc__text *text, const char *name, const char *type,
                                       const char *help)
{
        nipc__text_add(text, "# HELP ");
        nipc__text_add(text, name);
        nipc__text_add(text, " ");
        nipc__text_add(text, help);
        nipc__text_add(text, "\n# TYPE ");
        nipc__text_add(text, name);
        nipc__text_add(text, " ");
        nipc__text_add(text, type);
        nipc__text_add(text, "\n");
}

static inline void nipc__text_add_label(struct nipc__text *text, const char *label,
                                        const char *value)
{
        nipc__text_add(text, ",");
        nipc__text_add(text, label);
        nipc__text_add(text, "=");
        nipc__text_add_quoted(text, value);
}

/* `name suffix {service="..."`, for labels, nipc__text_end() and the value. */
static inline void nipc__text_begin(struct nipc__text *text, const char *name, const char *suffix)
{
        nipc__text_add(text, name);
        nipc__text_add(text, suffix);
        nipc__text_add(text, "{service=");
        nipc__text_add_quoted(text, text->service);
}

static inline void nipc__text_end(struct nipc__text *text)
{
        nipc__text_add(text, "} ");
}

/* One sample. label: NULL, or its value is. */
static inline void nipc__text_sample(struct nipc__text *text, const char *name, const char *label,
                                     const char *label_value, uint64_t value)
{
        nipc__text_begin(text, name, "");
        if (label)
                nipc__text_add_label(text, label, label_value);
        nipc__text_end(text);
        nipc__text_add_uint(text, value);
        nipc__text_add(text, "\n");
}

/* A metric of one sample, all there is to it. */
static inline void nipc__text_metric(struct nipc__text *text, const char *name, const char *type,
                                     const char *help, uint64_t value)
{
        nipc__text_describe(text, name, type, help);
        nipc__text_sample(text, name, NULL, NULL, value);
}

/* The age of what happened last at since_ms; no sample if that never was (0). */
static inline void nipc__text_age(struct nipc__text *text, const char *name, const char *help,
                                  uint64_t now_ms, uint64_t since_ms)
{
        nipc__text_describe(text, name, "gauge", help);
        if (!since_ms)
                return;
        nipc__text_begin(text, name, "");
        nipc__text_end(text);
        nipc__text_add_seconds(text, (now_ms - since_ms) * 1000000);
        nipc__text_add(text, "\n");
}

/* Whether all of it was written. Returns 0 or -ENOSPC; sets *ret_size in any case. */
static inline int nipc__text_finish(const struct nipc__text *text, size_t *ret_size)
{
        *ret_size = text->size;
        return text->size <= text->capacity ? 0 : -ENOSPC;
}
