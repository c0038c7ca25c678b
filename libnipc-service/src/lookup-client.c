/* SPDX-License-Identifier: MIT */

/*
 * Lookups at the client's end (client-server §6): one logical call of many keys becomes as many
 * requests as the limits of the session ask for, and their answers one view. Each request is a call
 * of its own, with the retries of call.c; what is decided here is which keys it has, and what its
 * answer means. That an answer cannot be understood ends the lookup, not the session.
 *
 * Usually one request is enough: then the view is the session's own memory, nothing is copied and
 * no memory is needed. Otherwise the items are put together in lookup-store.c, before the next
 * request overwrites them.
 *
 * Compatible with NetIPC v1, but more exact than the rules: a request has no more keys than answers
 * that say nothing need room for; an item that is called oversized among others is asked for alone;
 * and when that is oversized, too, with larger responses, if the provider now has them.
 */

#include <errno.h>
#include <nipc/client.h>
#include <nipc/clock.h>

#include "client-private.h"
#include "limits.h"
#include "lookup-fast.h"
#include "stdaux.h"

#define DEFAULT_KEYS  65536u
#define DEFAULT_CALLS 4096u
#define DEFAULT_BYTES (64u * 1024 * 1024)

/* How long a limit that was refused, or not raised, is not asked for again; chosen, not tuned. */
#define REFUSED_MS 60000u

/* Ends ask(): it is to be asked again, of perhaps other keys. */
#define ASK_AGAIN 1

/* One logical call. */
struct lookup {
        struct nipc_client *client;
        const struct nipc_lookup_class *class_;
        const struct nipc_lookup_keys *keys;
        uint32_t timeout_ms;
        uint64_t deadline_ns; /* 0: not found out yet, see call.c */
        uint32_t max_keys;    /* of a request: fewer after the provider refused more */
        uint32_t n_calls;
        uint32_t n_alone;    /* oversized keys that were asked for alone */
        uint32_t n_done;     /* keys that have their items in the store */
        uint64_t generation; /* of all answers, if there was one */
        bool has_generation;
        bool is_stored; /* the store has begun */
};

/* Keys that one request asks for. */
struct part {
        const struct lookup *lookup;
        uint32_t first;
        uint32_t n_keys;
        uint64_t size; /* of the request */
};

/* What came of a part. */
struct answer {
        struct nipc_lookup_view view;
        size_t size;
        uint32_t n_accepted;  /* items; the rest was left out */
        uint32_t n_oversized; /* of these */
};

static NIPC__COLD int fail_limit(struct lookup *lookup, const char *step, const char *rule)
{
        return nipc__client_fail_rule(lookup->client, -EMSGSIZE, step, NIPC_PROTO_E_LIMIT_EXCEEDED,
                                      rule);
}

static NIPC__COLD int fail_key(struct lookup *lookup)
{
        return nipc__client_fail_rule(lookup->client, -EINVAL, "call", NIPC_PROTO_E_BAD_LAYOUT,
                                      "a key must be of its class's size, or not empty and without "
                                      "a NUL");
}

static NIPC__COLD int fail_answer(struct lookup *lookup, int cause, const char *rule)
{
        return nipc__client_fail_rule(lookup->client, -EBADMSG, "decode", cause, rule);
}

static int fail_store(struct lookup *lookup, int error)
{
        if (error == -EMSGSIZE)
                return fail_limit(lookup, "assemble", "all answers are above max_lookup_bytes");
        if (error == -EINVAL)
                return fail_key(lookup);
        return nipc__client_fail(lookup->client, error, "assemble");
}

static uint64_t deadline_of(struct lookup *lookup)
{
        if (!lookup->deadline_ns)
                lookup->deadline_ns = nipc_deadline_after_ms(lookup->timeout_ms);
        return lookup->deadline_ns;
}

/* ---- which keys (steps 1 and 2) ----------------------------------------------------------- */

/* Bytes of a response that an answer needs that says nothing. */
static inline uint64_t answer_size(const struct nipc_lookup_class *class_, uint64_t key_size)
{
        return NIPC_LOOKUP_ENTRY_SIZE +
               nipc_align8(nipc__lookup_placeholder_size(class_, key_size));
}

/* How many items of the size met last fit a response: more would only be left out. */
static uint32_t expect_items(const struct nipc_client *client)
{
        const uint32_t room = NIPC__MAX(client->agreed_response_bytes, NIPC_LOOKUP_HEADER_SIZE) -
                              NIPC_LOOKUP_HEADER_SIZE;

        return client->lookup_item_bytes ? NIPC__MAX(room / client->lookup_item_bytes, 1)
                                         : UINT32_MAX;
}

/* The largest prefix of at most `max` keys that fits both limits, from *part on. */
static void choose_fixed(const struct lookup *lookup, uint32_t max, struct part *part)
{
        const struct nipc_client *client = lookup->client;
        const uint32_t key_size = lookup->class_->key_size;
        const uint64_t padding = nipc_align8(key_size) - key_size; /* the last key has none */
        const uint64_t each = NIPC_LOOKUP_ENTRY_SIZE + key_size + padding;
        uint64_t n = max, fits;

        fits = client->agreed_response_bytes < NIPC_LOOKUP_HEADER_SIZE
                       ? 0
                       : (client->agreed_response_bytes - NIPC_LOOKUP_HEADER_SIZE) /
                                 answer_size(lookup->class_, key_size);
        n = NIPC__MIN(n, NIPC__MAX(fits, 1));
        fits = client->agreed_request_bytes < NIPC_LOOKUP_HEADER_SIZE
                       ? 0
                       : (client->agreed_request_bytes - NIPC_LOOKUP_HEADER_SIZE + padding) / each;
        n = NIPC__MIN(n, fits);
        part->n_keys = (uint32_t)n;
        part->size = NIPC_LOOKUP_HEADER_SIZE + n * each - (n ? padding : 0);
}

static void choose_strings(const struct lookup *lookup, uint32_t max, struct part *part)
{
        const struct nipc_lookup_keys *keys = lookup->keys;
        const uint64_t max_request = lookup->client->agreed_request_bytes;
        const uint64_t max_response = lookup->client->agreed_response_bytes;
        uint64_t response = NIPC_LOOKUP_HEADER_SIZE, packed = 0, end;
        uint8_t scratch[NIPC_LOOKUP_MAX_KEY_SIZE];
        size_t key_size;
        uint32_t n;

        part->size = NIPC_LOOKUP_HEADER_SIZE;
        for (n = 0; n < max; n++) {
                keys->get(keys, part->first + n, scratch, &key_size);
                end = nipc_align8(packed) + key_size + 1;
                response += answer_size(lookup->class_, key_size);
                if (NIPC_LOOKUP_HEADER_SIZE + (n + 1) * (uint64_t)NIPC_LOOKUP_ENTRY_SIZE + end >
                            max_request ||
                    (n && response > max_response))
                        break;
                packed = end;
        }
        part->n_keys = n;
        part->size = NIPC_LOOKUP_HEADER_SIZE + n * (uint64_t)NIPC_LOOKUP_ENTRY_SIZE + packed;
}

/* Connects anew for other limits. Returns 0, or the error of a call. */
static NIPC__COLD int reconnect(struct lookup *lookup)
{
        struct nipc_client *client = lookup->client;
        int r;

        nipc__client_drop(client, NIPC_CLIENT_STATE_BROKEN);
        r = nipc__client_reconnect(client, deadline_of(lookup));
        if (r != -ENOENT && r != -ECONNREFUSED)
                return r;
        client->failure.error = -ECONNRESET; /* it was there a moment ago */
        return -ECONNRESET;
}

/*
 * Reconnects with a proposal of `wanted` bytes, unless one as large was refused lately. Returns 1
 * when requests of `size` bytes can be sent now, 0 when that is refused, or what ends the lookup.
 */
static int propose(struct lookup *lookup, uint32_t wanted, uint64_t size)
{
        struct nipc_client *client = lookup->client;
        int r;

        if (client->lookup_request_refused && wanted >= client->lookup_request_refused &&
            nipc_clock_now_ns() < client->lookup_refused_until)
                return 0;
        client->request_bytes = wanted;
        r = reconnect(lookup);
        if (!r && size <= client->agreed_request_bytes)
                return 1;
        if (r && r != -EMSGSIZE) {
                client->request_bytes = client->accepted_bytes; /* refresh need not grow */
                return r;
        }
        client->lookup_request_refused = wanted;
        client->lookup_refused_until = nipc_deadline_after_ms(REFUSED_MS);
        return 0;
}

/*
 * For a request of `size` bytes, which is above the agreed limit: tries to raise that, by more than
 * is needed or else by no more. Returns as propose(); then the client is READY.
 */
static NIPC__COLD int grow_request(struct lookup *lookup, uint64_t size)
{
        struct nipc_client *client = lookup->client;
        uint32_t wanted = nipc__limit_round(size, NIPC__GROWTH_CAP);
        int r;

        wanted = NIPC__MAX(wanted, client->request_bytes);
        if (size > wanted)
                return 0;
        r = propose(lookup, wanted, size);
        if (!r && size < wanted)
                r = propose(lookup, (uint32_t)size, size);
        if (r)
                return r;
        /* With the proposal that was accepted before, to which a refusal has led back. */
        return nipc_client_is_ready(client) ? 0 : reconnect(lookup);
}

/* A key for which no request can be made: what the provider would say, if it has a name for it. */
static NIPC__COLD int answer_oversized(struct lookup *lookup, uint32_t index);

/* The keys to ask for next, or none when there are none left. */
static int choose(struct lookup *lookup, struct part *part)
{
        uint32_t left, max;
        int r;

        for (;;) {
                left = lookup->keys->n_keys - lookup->n_done;
                part->first = lookup->n_done;
                max = NIPC__MIN(NIPC__MIN(left, lookup->max_keys), expect_items(lookup->client));
                if (lookup->class_->key_size)
                        choose_fixed(lookup, max, part);
                else
                        choose_strings(lookup, max, part);
                if (NIPC__LIKELY(part->n_keys || !left))
                        return 0;
                r = grow_request(lookup, nipc_lookup_request_size(lookup->class_, lookup->keys,
                                                                  lookup->n_done, 1));
                if (!r) {
                        r = answer_oversized(lookup, lookup->n_done);
                        lookup->n_done++;
                }
                if (r < 0)
                        return r;
        }
}

/* ---- one request and its answer (steps 3 to 7) -------------------------------------------- */

static int encode(const void *arg, void *buf, size_t size)
{
        const struct part *part = arg;

        return nipc_lookup_request_encode(part->lookup->class_, part->lookup->keys, part->first,
                                          part->n_keys, buf, size, &size);
}

/* Every item answers its key; those that were left out are the last ones. */
static int check_items(struct lookup *lookup, const struct part *part, struct answer *answer)
{
        const struct nipc_lookup_class *class_ = lookup->class_;
        const struct nipc_lookup_keys *keys = lookup->keys;
        uint8_t scratch[NIPC_LOOKUP_MAX_KEY_SIZE];
        struct nipc_lookup_item item;
        const void *key;
        size_t key_size;
        uint16_t status;
        uint32_t i;

        answer->n_accepted = part->n_keys;
        answer->n_oversized = 0;
        for (i = 0; i < part->n_keys; i++) {
                item = nipc_lookup_view_get(&answer->view, i);
                key = keys->get(keys, part->first + i, scratch, &key_size);
                if (NIPC__UNLIKELY(!nipc__lookup_item_is_for(class_, item, key, key_size)))
                        return fail_answer(lookup, NIPC_PROTO_E_BAD_LAYOUT,
                                           "every item must repeat its key");
                status = nipc_lookup_item_get_status(item);
                if (NIPC__UNLIKELY(status == class_->status_exceeded)) {
                        answer->n_accepted = NIPC__MIN(answer->n_accepted, i);
                        continue;
                }
                if (NIPC__UNLIKELY(i > answer->n_accepted))
                        return fail_answer(
                                lookup, NIPC_PROTO_E_BAD_LAYOUT,
                                "after an item that was left out there must be no other");
                answer->n_oversized += status == class_->status_oversized;
        }
        if (NIPC__UNLIKELY(!answer->n_accepted && part->n_keys))
                return fail_limit(lookup, "decode",
                                  "the provider left out the first item: its max_response_bytes");
        return 0;
}

static int read_answer(struct lookup *lookup, const struct part *part,
                       const struct nipc_response *response, struct answer *answer)
{
        struct nipc_fault fault = {0};

        if (NIPC__UNLIKELY(nipc_lookup_view_init(&answer->view, lookup->class_, response->payload,
                                                 response->payload_size, &fault))) {
                nipc__client_fail(lookup->client, -EBADMSG, "decode");
                lookup->client->failure.fault = fault;
                return -EBADMSG;
        }
        if (NIPC__UNLIKELY(lookup->has_generation && answer->view.generation != lookup->generation))
                return fail_answer(lookup, NIPC_PROTO_E_BAD_LAYOUT,
                                   "all answers of a lookup must be of one generation");
        if (NIPC__UNLIKELY(answer->view.item_count != part->n_keys))
                return fail_answer(lookup, NIPC_PROTO_E_BAD_ITEM_COUNT,
                                   "there must be as many items as keys");
        answer->size = response->payload_size;
        lookup->generation = answer->view.generation;
        lookup->has_generation = true;
        return check_items(lookup, part, answer);
}

/* Between requests: whether there may be another. */
static NIPC__COLD int check_call(struct lookup *lookup, uint32_t max_calls)
{
        struct nipc_client *client = lookup->client;

        if (nipc_cancel_is_triggered(client->cancel)) {
                nipc__client_fail(client, -ECANCELED, "call"); /* which is why, to the log too */
                nipc__client_drop(client, NIPC_CLIENT_STATE_BROKEN);
                return -ECANCELED;
        }
        if (nipc_clock_now_ns() >= deadline_of(lookup))
                return nipc__client_fail(client, -ETIMEDOUT, "call");
        if (lookup->n_calls >= max_calls)
                return fail_limit(lookup, "call", "more requests needed than max_lookup_calls");
        return 0;
}

/* The provider refuses so many keys at once, whatever the limits are. */
static NIPC__COLD int ask_for_fewer(struct lookup *lookup, uint32_t n_keys)
{
        int r;

        lookup->max_keys = n_keys / 2;
        r = nipc__client_reconnect_or(lookup->client, deadline_of(lookup), -EMSGSIZE);
        return r < 0 ? r : ASK_AGAIN;
}

/* A lone item that does not fit: whether reconnecting may bring larger responses. */
static bool may_grow_response(const struct nipc_client *client)
{
        const uint32_t agreed = client->agreed_response_bytes;

        if (agreed <= client->lookup_response_stuck &&
            nipc_clock_now_ns() < client->lookup_stuck_until)
                return false;
        return agreed < NIPC__GROWTH_CAP &&
               (!client->config.max_receive_bytes || agreed < client->config.max_receive_bytes);
}

static NIPC__COLD int grow_response(struct lookup *lookup)
{
        struct nipc_client *client = lookup->client;
        const uint32_t agreed = client->agreed_response_bytes;
        const uint32_t wanted = nipc__limit_round(2 * (uint64_t)agreed, NIPC__GROWTH_CAP);
        int r;

        client->response_bytes = NIPC__MAX(client->response_bytes, wanted);
        r = reconnect(lookup);
        if (r < 0)
                return r;
        if (client->agreed_response_bytes <= agreed) {
                client->lookup_response_stuck = agreed;
                client->lookup_stuck_until = nipc_deadline_after_ms(REFUSED_MS);
        }
        return ASK_AGAIN;
}

/* Asks for a part. Returns 0, ASK_AGAIN, or what ends the lookup. */
static int ask(struct lookup *lookup, struct part *part, struct answer *answer)
{
        struct nipc_client *client = lookup->client;
        const struct nipc__request request = {
                .code = lookup->class_->method,
                .item_count = 1,
                .payload_size = (size_t)part->size,
                .encode = encode,
                .arg = part,
        };
        const bool had_generation = lookup->has_generation;
        struct nipc_response response;
        int r;

        if (lookup->n_calls) {
                r = check_call(lookup, client->config.max_lookup_calls);
                if (r < 0)
                        return r;
        }
        lookup->n_calls++;
        r = nipc__client_run_until(client, &request, lookup->timeout_ms, &lookup->deadline_ns,
                                   &response);
        if (NIPC__UNLIKELY(r > 0))
                return fail_key(lookup);
        if (NIPC__UNLIKELY(r == -EMSGSIZE && part->n_keys > 1))
                return ask_for_fewer(lookup, part->n_keys);
        if (NIPC__UNLIKELY(r < 0))
                return r;
        r = read_answer(lookup, part, &response, answer);
        if (NIPC__UNLIKELY(!r && answer->n_oversized) && part->n_keys == 1 &&
            may_grow_response(client)) {
                lookup->has_generation = had_generation; /* nothing of this answer is kept */
                return grow_response(lookup);
        }
        return r;
}

/* ---- putting together --------------------------------------------------------------------- */

static int begin_store(struct lookup *lookup)
{
        int r;

        if (lookup->is_stored)
                return 0;
        r = nipc__lookup_store_begin(&lookup->client->lookup_store, lookup->keys->n_keys,
                                     lookup->client->config.max_lookup_bytes);
        if (r < 0)
                return fail_store(lookup, r);
        lookup->is_stored = true;
        return 0;
}

static NIPC__COLD int answer_oversized(struct lookup *lookup, uint32_t index)
{
        uint8_t scratch[NIPC_LOOKUP_MAX_KEY_SIZE];
        const void *key;
        size_t key_size;
        int r;

        if (lookup->class_->key_size)
                return fail_limit(lookup, "send",
                                  "a key does not fit the agreed max_request_bytes");
        r = begin_store(lookup);
        if (r < 0)
                return r;
        key = lookup->keys->get(lookup->keys, index, scratch, &key_size);
        r = nipc__lookup_store_add_status(&lookup->client->lookup_store, lookup->class_, index, key,
                                          key_size, lookup->class_->status_oversized);
        return r < 0 ? fail_store(lookup, r) : 0;
}

/* An item that was called oversized in company (codecs §7). */
static int ask_alone(struct lookup *lookup, uint32_t index)
{
        struct nipc__lookup_store *store = &lookup->client->lookup_store;
        struct part part = {.lookup = lookup, .first = index, .n_keys = 1};
        struct answer answer;
        int r;

        part.size = nipc_lookup_request_size(lookup->class_, lookup->keys, index, 1);
        do
                r = ask(lookup, &part, &answer);
        while (r == ASK_AGAIN);
        if (r < 0)
                return r;
        r = nipc__lookup_store_add(store, index, nipc_lookup_view_get(&answer.view, 0));
        return r < 0 ? fail_store(lookup, r) : 0;
}

/*
 * What items need, by those that fitted: n of them, with their entries. When few of many did, they
 * were the small ones, and tell nothing about the others: then half as many keys are next.
 */
static void note_items(struct nipc_client *client, const struct part *part, uint32_t n,
                       uint64_t bytes)
{
        uint64_t each = n ? bytes / n : client->lookup_item_bytes;

        if (n < part->n_keys / 2)
                each = NIPC__MAX(each, 2 * (uint64_t)client->agreed_response_bytes / part->n_keys);
        client->lookup_item_bytes = (uint32_t)NIPC__MIN(each, UINT32_MAX);
}

/*
 * Whether to doubt one more oversized item of several. Half of the requests of a lookup may go into
 * that: then the provider means what it says, and the others want to be asked for, too.
 */
static bool may_doubt(struct lookup *lookup, const struct part *part, struct nipc_lookup_item item)
{
        return part->n_keys > 1 &&
               nipc_lookup_item_get_status(item) == lookup->class_->status_oversized &&
               lookup->n_alone < lookup->client->config.max_lookup_calls / 2;
}

/* Takes over what was accepted, but for what is to be asked for alone; the next request overwrites
 * it. */
static int store_answer(struct lookup *lookup, const struct part *part, const struct answer *answer)
{
        struct nipc__lookup_store *store = &lookup->client->lookup_store;
        struct nipc_lookup_item item;
        uint64_t bytes = 0;
        uint32_t i, n = 0;
        int r;

        r = begin_store(lookup);
        if (r < 0)
                return r;
        for (i = 0; i < answer->n_accepted; i++) {
                item = nipc_lookup_view_get(&answer->view, i);
                if (answer->n_oversized && may_doubt(lookup, part, item)) {
                        lookup->n_alone++;
                        nipc__lookup_store_leave_out(store, part->first + i);
                        continue;
                }
                r = nipc__lookup_store_add(store, part->first + i, item);
                if (r < 0)
                        return fail_store(lookup, r);
                bytes += NIPC_LOOKUP_ENTRY_SIZE + nipc_align8(item.size);
                n++;
        }
        note_items(lookup->client, part, n, bytes);
        return 0;
}

/* An answer that is not all there is. */
static NIPC__COLD int take_answer(struct lookup *lookup, const struct part *part,
                                  const struct answer *answer)
{
        const uint32_t n_alone = lookup->n_alone;
        uint32_t i, n_left_out;
        int r;

        deadline_of(lookup); /* from here on the clock is looked at, and not only for providers */
        r = store_answer(lookup, part, answer);
        if (r < 0)
                return r;
        n_left_out = lookup->n_alone - n_alone;
        for (i = part->first; n_left_out; i++) {
                if (!nipc__lookup_store_is_left_out(&lookup->client->lookup_store, i))
                        continue;
                r = ask_alone(lookup, i);
                if (r < 0)
                        return r;
                n_left_out--;
        }
        lookup->n_done += answer->n_accepted;
        return 0;
}

static struct nipc_lookup_view view_of_store(const struct lookup *lookup)
{
        return (struct nipc_lookup_view){
                .class_ = lookup->class_,
                .directory = lookup->client->lookup_store.directory,
                .packed = lookup->client->lookup_store.packed,
                .item_count = lookup->keys->n_keys,
                .generation = lookup->generation,
        };
}

/* Whether this one answer is all that was asked for. */
static bool is_everything(const struct lookup *lookup, const struct part *part,
                          const struct answer *answer)
{
        return !lookup->is_stored && answer->n_accepted == lookup->keys->n_keys &&
               NIPC__LIKELY(!answer->n_oversized || part->n_keys == 1);
}

static int run(struct lookup *lookup, struct nipc_lookup_view *ret_view)
{
        struct part part = {.lookup = lookup};
        struct answer answer;
        int r;

        do {
                r = choose(lookup, &part);
                if (NIPC__LIKELY(!r))
                        r = ask(lookup, &part, &answer);
                if (NIPC__UNLIKELY(r < 0))
                        return r;
                if (r == ASK_AGAIN)
                        continue;
                if (NIPC__LIKELY(is_everything(lookup, &part, &answer))) {
                        if (NIPC__UNLIKELY(answer.size > lookup->client->config.max_lookup_bytes))
                                return fail_store(lookup, -EMSGSIZE);
                        *ret_view = answer.view;
                        return 0;
                }
                r = take_answer(lookup, &part, &answer);
                if (r < 0)
                        return r;
        } while (r == ASK_AGAIN || lookup->n_done < lookup->keys->n_keys);
        *ret_view = view_of_store(lookup);
        return 0;
}

/* ---- public ------------------------------------------------------------------------------- */

int nipc__lookup_config_init(struct nipc_client_config *config)
{
        if (!config->max_lookup_keys)
                config->max_lookup_keys = DEFAULT_KEYS;
        if (!config->max_lookup_calls)
                config->max_lookup_calls = DEFAULT_CALLS;
        if (!config->max_lookup_bytes)
                config->max_lookup_bytes = DEFAULT_BYTES;
        return config->max_lookup_bytes < NIPC_LOOKUP_HEADER_SIZE ? -EINVAL : 0;
}

/* Once per class, as long as it is the same. */
static bool is_good_class(struct nipc_client *client, const struct nipc_lookup_class *class_)
{
        if (NIPC__LIKELY(client->lookup_class == class_))
                return true;
        if (nipc_lookup_class_check(class_, NULL))
                return false;
        client->lookup_class = class_;
        client->lookup_item_bytes = 0;
        return true;
}

NIPC__EXPORT int nipc_client_lookup(struct nipc_client *client,
                                    const struct nipc_lookup_class *class_,
                                    const struct nipc_lookup_keys *keys, uint32_t timeout_ms,
                                    struct nipc_lookup_view *ret_view)
{
        struct lookup lookup = {
                .client = client,
                .class_ = class_,
                .keys = keys,
                .max_keys = UINT32_MAX,
        };

        if (!client || !class_ || !keys || !ret_view || (keys->n_keys && !keys->get) ||
            !is_good_class(client, class_))
                return -EINVAL;
        if (NIPC__UNLIKELY(nipc_client_get_state(client) != NIPC_CLIENT_STATE_READY)) {
                client->n_errors++;
                return nipc__client_fail_not_ready(client);
        }
        if (NIPC__UNLIKELY(keys->n_keys > client->config.max_lookup_keys))
                return fail_limit(&lookup, "call", "more keys than max_lookup_keys");
        lookup.timeout_ms = timeout_ms ? timeout_ms : client->config.timeout_ms;
        return run(&lookup, ret_view);
}
