/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Lookups: many keys ask, as many items answer, each with a status of its own (codecs §4, §7).
 * This is the mechanism that all lookup methods share: directory, strings, labels, and what a
 * response does when its budget runs out. What is particular to a method, ours or one of your own,
 * is told in a struct nipc_lookup_class. For the methods that come with nipc see
 * <nipc/cgroups-lookup.h>, <nipc/apps-lookup.h>, <nipc/ip-to-asn.h> and <nipc/pid-traffic.h>.
 *
 * Every item begins with a header of fixed size, which begins with `u16 layout_version = 1` and
 * `u16 status`; then strings, each with its NUL; then labels, if there are any. Payloads are in
 * host byte order; read and write header fields with <nipc/wire.h>.
 *
 * How to ask: nipc_lookup_request_encode(); how to read the answer: nipc_lookup_view_init() checks
 * every byte of it, then nipc_lookup_view_get() and nipc_lookup_item_*() only load.
 * How to answer: nipc_lookup_request_view_init() checks the question; nipc_lookup_builder_init()
 * over a buffer of one's own; for each key, in order, one nipc_lookup_builder_add() or
 * nipc_lookup_builder_add_status(); finish. No allocation.
 *
 * Most users need none of that: <nipc/client.h> and <nipc/server.h> do it for a class.
 *
 * Threading: pure functions of their arguments.
 */

#include <nipc/error.h>
#include <nipc/wire.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NIPC_LOOKUP_HEADER_SIZE      16u /* of requests and of responses */
#define NIPC_LOOKUP_ENTRY_SIZE       8u  /* of the directory */
#define NIPC_LOOKUP_LABEL_ENTRY_SIZE 16u
#define NIPC_LOOKUP_MAX_STRINGS      8u
#define NIPC_LOOKUP_MAX_KEY_SIZE     64u  /* of keys of fixed size */
#define NIPC_LOOKUP_MAX_HEADER_SIZE  256u /* of an item */
#define NIPC_LOOKUP_STATUS_OFFSET    2u   /* of the u16 status, in the header of every item */
#define NIPC_LOOKUP_STATUS_KNOWN     0u   /* the same in every method */

/*
 * What is particular to a lookup method. Constant: it is borrowed by all that is made with it, for
 * the life of a client, server or cache. Unused fields are zero. nipc_lookup_class_check() tells
 * whether one makes sense; the functions below suppose that it does.
 */
struct nipc_lookup_class {
        size_t size;     /* sizeof(struct nipc_lookup_class) */
        uint16_t method; /* the code; NIPC_METHOD_PRIVATE and up are for anybody's own */

        /*
         * Keys. key_size bytes each, or 0: strings, not empty, without NUL inside; string 0 of an
         * item then repeats the key. Of a key of fixed size an item repeats the first
         * key_echo_size bytes, at key_offset of its header.
         */
        uint16_t key_size;
        uint16_t key_echo_size;
        uint16_t key_offset;

        uint16_t item_header_size; /* 8 to NIPC_LOOKUP_MAX_HEADER_SIZE */
        uint16_t n_strings;        /* up to NIPC_LOOKUP_MAX_STRINGS */
        uint16_t strings_offset;   /* in the header: {u32 offset, u32 length} of each string */
        uint16_t labels_offset;    /* in the header: u16 count of labels; 0: never labels */

        /*
         * The two statuses that stand for a known item that does not fit: it and all after it were
         * left out and may be asked for again; it can never fit. Not 0, not the same.
         */
        uint16_t status_exceeded;
        uint16_t status_oversized;

        /*
         * The header of an item that has nothing to say, item_header_size bytes; layout_version,
         * status, key and strings are filled in. NULL: all zero. check_item must accept it with
         * status_exceeded and with status_oversized, or answers that leave items out are refused.
         */
        const void *neutral_header;

        /*
         * What else must be right about a key of fixed size (its reserved bytes, say). Returns 0 or
         * a NIPC_PROTO_E_* and fills ret_fault (may be NULL), offset within the key. NULL: nothing.
         */
        int (*check_key)(const void *key, struct nipc_fault *ret_fault);

        /*
         * What else must be right about an item: reserved fields, statuses, what each of them
         * allows, lengths of strings, count of labels. header: item_header_size bytes, of an item
         * that was received or is being built; the strings were not looked at yet. Returns 0 or a
         * NIPC_PROTO_E_*, fills ret_fault (may be NULL), offset within the item. NULL: nothing.
         */
        int (*check_item)(const void *header, struct nipc_fault *ret_fault);

        /*
         * Whether the answer may soon be another (the key may become known): such answers are kept
         * for a short time only by caches. NULL: KNOWN and status_oversized stay, all else may
         * change.
         */
        bool (*is_provisional)(const void *header);

        const struct nipc__lookup_own *own; /* of nipc's own classes; NULL, in copies of them too */
};

/*
 * Checks that a class describes a layout that can be: sizes, offsets within the header, nothing
 * overlapping what the mechanism owns. Returns 0 or BAD_LAYOUT, with the rule in ret_fault (may be
 * NULL). Since: 0.1
 */
int nipc_lookup_class_check(const struct nipc_lookup_class *class_, struct nipc_fault *ret_fault);

/* ---- keys --------------------------------------------------------------------------------- */

/*
 * A list of keys wherever they are. get: key `index` of the list, borrowed until the next get, at
 * least, or NULL, which is no key; ret_size, always set: class_->key_size, or the length of a
 * string without its NUL. scratch: NIPC_LOOKUP_MAX_KEY_SIZE bytes in which a key of fixed size may
 * be made.
 */
struct nipc_lookup_keys {
        const void *keys;
        size_t key_size; /* for get: of keys that lie one behind the other */
        uint32_t n_keys;
        const void *(*get)(const struct nipc_lookup_keys *list, uint32_t index, void *scratch,
                           size_t *ret_size);
};

/* One key. */
struct nipc_lookup_key {
        const void *data;
        size_t size;
};

/* Lists of the usual kinds; all borrow. Since: 0.1 */
struct nipc_lookup_keys nipc_lookup_keys_of(const struct nipc_lookup_key *keys, uint32_t n_keys);
struct nipc_lookup_keys nipc_lookup_keys_of_strings(const char *const *keys, uint32_t n_keys);
/* key_size bytes each, one behind the other. */
struct nipc_lookup_keys nipc_lookup_keys_of_array(const void *keys, size_t key_size,
                                                  uint32_t n_keys);
/* PIDs, for classes whose keys are `u32 pid, u32 0`. */
struct nipc_lookup_keys nipc_lookup_keys_of_pids(const uint32_t *pids, uint32_t n_pids);

/*
 * Bytes of a request for the keys first..first + n_keys - 1, which the list must have. n_keys may
 * be 0 (codecs §4). Since: 0.1
 */
uint64_t nipc_lookup_request_size(const struct nipc_lookup_class *class_,
                                  const struct nipc_lookup_keys *keys, uint32_t first,
                                  uint32_t n_keys);

/*
 * Writes the request for these keys: each at a multiple of 8, zeros between them, nothing behind
 * the last (codecs §4-6). Of buf, bytes beyond *ret_size may be written too.
 * Returns 0, OVERFLOW (capacity, or 4 GiB), BAD_LAYOUT (an empty key, a NUL in it, another size
 * than class_->key_size, what check_key refuses). On failure what is in buf is undefined. Since:
 * 0.1
 */
int nipc_lookup_request_encode(const struct nipc_lookup_class *class_,
                               const struct nipc_lookup_keys *keys, uint32_t first, uint32_t n_keys,
                               void *buf, size_t capacity, size_t *ret_size);

/* A checked request; borrows the payload it was made from. */
struct nipc_lookup_request_view {
        const struct nipc_lookup_class *class_;
        const uint8_t *directory;
        const uint8_t *packed;
        uint32_t item_count;
        uint64_t placeholder_bytes; /* of answers that say nothing but the key, each aligned to 8 */
};

/*
 * Checks a request, every key included (codecs §4-6). Returns 0, or, in this order of checks:
 * TRUNCATED (no header), BAD_LAYOUT (version, flags, reserved), TRUNCATED (no directory); of all
 * entries: BAD_ALIGNMENT, BAD_LAYOUT (length), OUT_OF_BOUNDS, BAD_LAYOUT (not behind the one
 * before); of each key: MISSING_NUL, BAD_LAYOUT (a NUL inside), or what check_key says.
 * Gaps, what is in them, and bytes behind the last key may be anything. Since: 0.1
 */
int nipc_lookup_request_view_init(struct nipc_lookup_request_view *ret_view,
                                  const struct nipc_lookup_class *class_, const void *payload,
                                  size_t size, struct nipc_fault *ret_fault);

/* Key `index`, below view->item_count; strings are NUL-terminated. Since: 0.1 */
static inline const void *nipc_lookup_request_view_get(const struct nipc_lookup_request_view *view,
                                                       uint32_t index, size_t *ret_size)
{
        const uint8_t *entry = view->directory + (size_t)index * NIPC_LOOKUP_ENTRY_SIZE;

        *ret_size = nipc_load_u32(entry + 4) - (view->class_->key_size ? 0 : 1);
        return view->packed + nipc_load_u32(entry);
}

/* ---- items -------------------------------------------------------------------------------- */

/* A name and a value. key: not empty. Decoded ones are NUL-terminated. */
struct nipc_label {
        const char *key;
        size_t key_len;
        const char *value;
        size_t value_len;
};

/* A string; decoded ones are NUL-terminated. */
struct nipc_lookup_string {
        const char *str;
        size_t len;
};

/* One item of a checked response, borrowed: its header, then the rest. */
struct nipc_lookup_item {
        const uint8_t *bytes;
        uint32_t size;
};

/* A checked response; borrows the payload it was made from. */
struct nipc_lookup_view {
        const struct nipc_lookup_class *class_;
        const uint8_t *directory;
        const uint8_t *packed;
        uint32_t item_count;
        uint64_t generation;
};

/*
 * Checks a response, every byte of every item (codecs §4-6). Returns 0, or, in this order of
 * checks: TRUNCATED, BAD_LAYOUT, BAD_ALIGNMENT, OUT_OF_BOUNDS of header and directory, as
 * nipc_lookup_request_view_init(); of each item: BAD_LAYOUT (version), what check_item says,
 * OUT_OF_BOUNDS, MISSING_NUL, BAD_LAYOUT (a NUL inside) of each string, BAD_LAYOUT (strings share
 * bytes); of labels the same, and BAD_LAYOUT for an empty key, a text or padding that is not just
 * where and what it must be, bytes behind the last. Gaps between items, what is in them, and bytes
 * behind the last item may be anything. Since: 0.1
 */
int nipc_lookup_view_init(struct nipc_lookup_view *ret_view, const struct nipc_lookup_class *class_,
                          const void *payload, size_t size, struct nipc_fault *ret_fault);

/* Item `index`, below view->item_count. Since: 0.1 */
static inline struct nipc_lookup_item nipc_lookup_view_get(const struct nipc_lookup_view *view,
                                                           uint32_t index)
{
        const uint8_t *entry = view->directory + (size_t)index * NIPC_LOOKUP_ENTRY_SIZE;
        struct nipc_lookup_item item;

        item.bytes = view->packed + nipc_load_u32(entry);
        item.size = nipc_load_u32(entry + 4);
        return item;
}

/* The status, one of the method's. Since: 0.1 */
static inline uint16_t nipc_lookup_item_get_status(struct nipc_lookup_item item)
{
        return nipc_load_u16(item.bytes + NIPC_LOOKUP_STATUS_OFFSET);
}

/* String `index`, below class_->n_strings. Since: 0.1 */
static inline struct nipc_lookup_string nipc_lookup_item_get_string(
        const struct nipc_lookup_class *class_, struct nipc_lookup_item item, uint32_t index)
{
        const uint8_t *field = item.bytes + class_->strings_offset + (size_t)index * 8;
        struct nipc_lookup_string string;

        string.str = (const char *)item.bytes + nipc_load_u32(field);
        string.len = nipc_load_u32(field + 4);
        return string;
}

/* How many labels an item has. Since: 0.1 */
static inline uint32_t nipc_lookup_item_get_label_count(const struct nipc_lookup_class *class_,
                                                        struct nipc_lookup_item item)
{
        return class_->labels_offset ? nipc_load_u16(item.bytes + class_->labels_offset) : 0u;
}

/* Label `index`, below the count. Since: 0.1 */
struct nipc_label nipc_lookup_item_get_label(const struct nipc_lookup_class *class_,
                                             struct nipc_lookup_item item, uint32_t index);

/*
 * Whether a checked item answers this key. key: class_->key_size bytes, or a string of key_len
 * bytes. Since: 0.1
 */
bool nipc_lookup_item_is_for(const struct nipc_lookup_class *class_, struct nipc_lookup_item item,
                             const void *key, size_t key_size);

/*
 * Checks an item that did not come in a response, but from a store of one's own, say; as
 * nipc_lookup_view_init() does, with offsets within the item.
 * Returns 0, BAD_LAYOUT, OUT_OF_BOUNDS, MISSING_NUL, or what check_item says. Since: 0.1
 */
int nipc_lookup_item_check(const struct nipc_lookup_class *class_, struct nipc_lookup_item item,
                           struct nipc_fault *ret_fault);

/* ---- building ----------------------------------------------------------------------------- */

/* Builds a response in a caller's buffer. Embeddable; needs no release. */
struct nipc_lookup_builder {
        const struct nipc_lookup_class *class_;
        const struct nipc_lookup_request_view *request; /* that is answered, or NULL */
        uint8_t *buf;
        uint64_t budget;
        uint64_t end;    /* of the last item, from the start of buf */
        uint64_t suffix; /* bytes of placeholders for the items to come, each aligned to 8 */
        uint64_t slack;  /* of these the last one, which is not aligned, does not need */
        uint64_t generation;
        uint32_t max_items;
        uint32_t n_items;
        uint32_t n_open;  /* items are taken up to here: max_items; 0 after an error, or ... */
        bool is_exceeded; /* when from here on all are status_exceeded */
        int error;        /* sticky */
};

/*
 * Starts the answer to a request in the first `budget` bytes of buf. request, buf: borrowed until
 * finish. From then on each key gets one item, in order. An item that does not fit is replaced by
 * one that only repeats the key and says so: status_oversized if it is the first, and those after
 * it are tried; status_exceeded if it is not, and all after it have the same. An item fits when
 * behind it, at a multiple of 8, there is room for such items for all keys that follow (codecs §7).
 * Returns 0 or OVERFLOW, which sticks, when even the directory does not fit. Since: 0.1
 */
int nipc_lookup_builder_init(struct nipc_lookup_builder *ret_builder,
                             const struct nipc_lookup_request_view *request, void *buf,
                             size_t budget);

/*
 * Starts a response of up to max_items items that answers no request in particular; items that do
 * not fit are an error then. Otherwise as nipc_lookup_builder_init(). Since: 0.1
 */
int nipc_lookup_builder_init_unasked(struct nipc_lookup_builder *ret_builder,
                                     const struct nipc_lookup_class *class_, void *buf,
                                     size_t budget, uint32_t max_items);

/* Says what generation of the data answers; 0 if never said. Since: 0.1 */
static inline void nipc_lookup_builder_set_generation(struct nipc_lookup_builder *builder,
                                                      uint64_t generation)
{
        builder->generation = generation;
}

/*
 * Adds an item. header: item_header_size bytes, of which layout_version, the fields of strings and
 * the count of labels are filled in here. strings: class_->n_strings of them. labels: n_labels,
 * NULL when there are none. All borrowed for the call; str may be NULL when its length is 0.
 * Returns 0, also when a placeholder was written instead, or, sticking: OVERFLOW (more items than
 * keys; not even a placeholder fits; without a request: the item does not fit), BAD_LAYOUT (the
 * item cannot be: NUL in a string, bytes that are NULL, a label without a name, more than 65535
 * labels, check_item). When a request is answered also BAD_LAYOUT for an item that is not for the
 * key that is next, and for status_exceeded, which only a builder may give (codecs §7). After the
 * first status_exceeded nothing is looked at any more. Since: 0.1
 */
int nipc_lookup_builder_add(struct nipc_lookup_builder *builder, const void *header,
                            const struct nipc_lookup_string *strings,
                            const struct nipc_label *labels, uint32_t n_labels);

/*
 * Adds an item that says nothing but its status: what is not known, for instance. key: as
 * nipc_lookup_request_view_get() has it. Returns as nipc_lookup_builder_add(). Since: 0.1
 */
int nipc_lookup_builder_add_status(struct nipc_lookup_builder *builder, const void *key,
                                   size_t key_size, uint16_t status);

/*
 * Adds a checked item as it is: one of a view, or that nipc_lookup_item_check() found good. item:
 * borrowed for the call, not in the builder's buffer. Returns as nipc_lookup_builder_add().
 * Since: 0.1
 */
int nipc_lookup_builder_add_item(struct nipc_lookup_builder *builder, struct nipc_lookup_item item);

/*
 * Ends the response; nothing can be added after. ret_size: its bytes; no padding after the last
 * item. Returns 0, the sticky error, or, sticking too, BAD_ITEM_COUNT when there are fewer items
 * than keys. Since: 0.1
 */
int nipc_lookup_builder_finish(struct nipc_lookup_builder *builder, size_t *ret_size);

/* Bytes of an item with these strings and labels, not aligned (codecs §4). Since: 0.1 */
uint64_t nipc_lookup_item_size(const struct nipc_lookup_class *class_,
                               const struct nipc_lookup_string *strings,
                               const struct nipc_label *labels, uint32_t n_labels);

#ifdef __cplusplus
}
#endif
