/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Lookup messages for the tests of the codecs, written byte by byte from codecs §4-6 and without
 * the library, so that it is not judged by itself. A test starts from a good message and breaks it.
 */

#include <nipc/apps-lookup.h>
#include <nipc/cgroups-lookup.h>

#include "util-bytes.h"

enum {
        LOOKUP_MESSAGE_MAX = 8192,
        LOOKUP_MESSAGE_ITEMS_MAX = 16,
};

/* A request or a response that grows item by item. */
struct lookup_message {
        uint8_t bytes[LOOKUP_MESSAGE_MAX];
        size_t size;
        size_t items[LOOKUP_MESSAGE_ITEMS_MAX]; /* where each starts */
        uint32_t n_items, n_slots;
};

static inline void lookup_message_init(struct lookup_message *message, uint32_t n_items)
{
        memset(message, 0, sizeof(*message));
        put_u16(message->bytes, 0, 1);
        put_u32(message->bytes, 4, n_items);
        message->n_slots = n_items;
        message->size = 16 + (size_t)n_items * 8;
}

static inline void lookup_message_add(struct lookup_message *message, const void *item, size_t size)
{
        const size_t packed = 16 + (size_t)message->n_slots * 8, slot = 16 + message->n_items * 8;
        const size_t at = (message->size + 7) / 8 * 8;

        put_u32(message->bytes, slot, (uint32_t)(at - packed));
        put_u32(message->bytes, slot + 4, (uint32_t)size);
        memcpy(message->bytes + at, item, size);
        message->items[message->n_items++] = at;
        message->size = at + size;
}

/* The layout of an item: where its header ends, where its strings and labels are told in it. */
struct lookup_layout {
        size_t header_size, strings_offset, labels_offset;
};

static const struct lookup_layout lookup_layout_cgroups = {28, 8, 24};
static const struct lookup_layout lookup_layout_apps = {60, 32, 56};

/* Strings behind the header at p, and their fields in it; returns the item's size. */
static inline size_t lookup_put_strings(uint8_t *p, const struct lookup_layout *layout,
                                        const char *const *strings, size_t n_strings)
{
        size_t at = layout->header_size, i;

        put_u16(p, 0, 1);
        for (i = 0; i < n_strings; i++) {
                put_u32(p, layout->strings_offset + i * 8, (uint32_t)at);
                put_u32(p, layout->strings_offset + i * 8 + 4, (uint32_t)strlen(strings[i]));
                memcpy(p + at, strings[i], strlen(strings[i]) + 1);
                at += strlen(strings[i]) + 1;
        }
        return at;
}

/* Labels behind an item of `size` bytes, key and value one after the other; the new size. */
static inline size_t lookup_put_labels(uint8_t *p, const struct lookup_layout *layout, size_t size,
                                       const char *const *texts, size_t n_labels)
{
        const size_t table = (size + 7) / 8 * 8;
        size_t at = table + n_labels * 16, i;

        memset(p + size, 0, table - size);
        for (i = 0; i < 2 * n_labels; i++) {
                put_u32(p, table + i * 8, (uint32_t)at);
                put_u32(p, table + i * 8 + 4, (uint32_t)strlen(texts[i]));
                memcpy(p + at, texts[i], strlen(texts[i]) + 1);
                at += strlen(texts[i]) + 1;
        }
        put_u16(p, layout->labels_offset, (uint16_t)n_labels);
        return n_labels ? at : size;
}

static inline size_t lookup_put_cgroup(uint8_t *p, uint16_t status, uint16_t orchestrator,
                                       const char *path, const char *name)
{
        const char *const strings[] = {path, name};

        memset(p, 0, 28);
        put_u16(p, 2, status);
        put_u16(p, 4, orchestrator);
        return lookup_put_strings(p, &lookup_layout_cgroups, strings, 2);
}

/* A known process in a known cgroup; other fields are for the test to change. */
static inline size_t lookup_put_app(uint8_t *p, uint32_t pid, const char *comm, const char *path,
                                    const char *name)
{
        const char *const strings[] = {comm, path, name};

        memset(p, 0, 60);
        put_u16(p, 4, 2);
        put_u32(p, 8, pid);
        put_u32(p, 12, 1);
        put_u32(p, 16, 1000);
        put_u64(p, 24, UINT64_C(0x0102030405060708));
        return lookup_put_strings(p, &lookup_layout_apps, strings, 3);
}

/* An unknown one: nothing but pid, status and uid. */
static inline size_t lookup_put_no_app(uint8_t *p, uint16_t status, uint32_t pid)
{
        const char *const strings[] = {"", "", ""};

        memset(p, 0, 60);
        put_u16(p, 2, status);
        put_u32(p, 8, pid);
        put_u32(p, 16, UINT32_MAX);
        return lookup_put_strings(p, &lookup_layout_apps, strings, 3);
}

static inline void lookup_put_pid(struct lookup_message *message, uint32_t pid)
{
        uint8_t key[8] = {0};

        put_u32(key, 0, pid);
        lookup_message_add(message, key, sizeof(key));
}

/* A way to break a message: a number written over it, and what a decoder says to that. */
struct lookup_break {
        size_t at;
        unsigned size; /* of the number: 1, 2, 4, 8 */
        uint64_t value;
        int cause;
        size_t offset; /* of the fault */
};

static inline void lookup_break_apply(uint8_t *bytes, const struct lookup_break *change)
{
        uint8_t byte = (uint8_t)change->value;

        if (change->size == 1)
                memcpy(bytes + change->at, &byte, 1);
        else if (change->size == 2)
                put_u16(bytes, change->at, (uint16_t)change->value);
        else if (change->size == 4)
                put_u32(bytes, change->at, (uint32_t)change->value);
        else
                put_u64(bytes, change->at, change->value);
}

/* What a decoder says of bytes that end where their memory ends; of either direction. */
static inline int lookup_judge(const struct nipc_lookup_class *class_, bool is_request,
                               const void *bytes, size_t size, struct nipc_fault *ret_fault)
{
        struct nipc_lookup_request_view request;
        struct nipc_lookup_view response;
        uint8_t *copy = copy_exact(bytes, size);
        int r, quiet;

        if (is_request) {
                r = nipc_lookup_request_view_init(&request, class_, copy, size, ret_fault);
                quiet = nipc_lookup_request_view_init(&request, class_, copy, size, NULL);
        } else {
                r = nipc_lookup_view_init(&response, class_, copy, size, ret_fault);
                quiet = nipc_lookup_view_init(&response, class_, copy, size, NULL);
        }
        if (quiet != r)
                tap_fail("returned %d, and %d when nobody asks for the fault", r, quiet);
        free(copy);
        return r;
}

/* Each change alone makes a good message bad, in just this way. */
#define check_breaks(class_, is_request, message, breaks) \
        check__breaks(class_, is_request, message, breaks, sizeof(breaks) / sizeof((breaks)[0]))

static inline void check__breaks(const struct nipc_lookup_class *class_, bool is_request,
                                 const struct lookup_message *message,
                                 const struct lookup_break *breaks, size_t n_breaks)
{
        struct nipc_fault fault = FAULT_NONE;
        uint8_t bytes[LOOKUP_MESSAGE_MAX];
        size_t i;
        int r;

        r = lookup_judge(class_, is_request, message->bytes, message->size, &fault);
        if (r || !fault_untouched(&fault))
                tap_fail("not good to begin with: %s at %zu", fault.rule, fault.offset);
        for (i = 0; i < n_breaks; i++) {
                memcpy(bytes, message->bytes, message->size);
                lookup_break_apply(bytes, &breaks[i]);
                r = lookup_judge(class_, is_request, bytes, message->size, &fault);
                if (!check_fault(r, fault, breaks[i].cause, breaks[i].offset))
                        tap_note("change %zu, at %zu", i, breaks[i].at);
        }
}
