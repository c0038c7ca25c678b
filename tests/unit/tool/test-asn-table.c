/* SPDX-License-Identifier: MIT */
/* Lookups against a scan of all ranges; --ranges N as the first argument makes it a long run. */
#include "util-temp.h"

#include <asn-table.h>
#include <tap.h>

enum { N_PROBES = 10000 };

struct range {
        struct asn_address first, last;
        uint32_t asn;
};

struct model {
        struct range *v4, *v6;
        size_t n; /* of each */
};

static size_t n_ranges = 20000;

static struct asn_address step(struct asn_address address, bool up)
{
        if (up)
                return (struct asn_address){address.high + (address.low == UINT64_MAX),
                                            address.low + 1};
        return (struct asn_address){address.high - (address.low == 0), address.low - 1};
}

/* From 0.0.0.0 to 255.255.255.255, some with gaps between and some without. */
static void make_v4(struct model *model, uint64_t *state)
{
        const uint64_t width = (UINT64_C(1) << 32) / model->n;

        for (size_t i = 0; i < model->n; i++) {
                uint64_t first = width * i, last = first + width - 1;

                if (i > 0 && tap_random(state) % 4)
                        first += tap_random(state) % width;
                if (i == model->n - 1)
                        last = UINT32_MAX;
                else if (tap_random(state) % 4)
                        last = first + tap_random(state) % (last - first + 1);
                model->v4[i] = (struct range){asn_address_from_v4((uint32_t)first),
                                              asn_address_from_v4((uint32_t)last), 0};
        }
}

/*
 * From :: to ffff:...:ffff, four at a time that begin within one /64, the last of which reaches
 * beyond it. The first one is cut short, before the addresses of IPv4 have their place.
 */
static void make_v6(struct model *model, uint64_t *state)
{
        const uint64_t width = UINT64_MAX / (model->n / 4 + 1);

        for (size_t i = 0; i < model->n; i++) {
                const uint64_t high = width * (i / 4), quarter = UINT64_C(1) << 62;
                struct asn_address first = {high, quarter * (i % 4)}, last = first;

                if (i > 0 && tap_random(state) % 4)
                        first.low += tap_random(state) % quarter;
                last.low = first.low + (quarter * (i % 4) + quarter - 1 - first.low) / 2;
                if (i % 4 == 3 && tap_random(state) % 4)
                        last.high += tap_random(state) % width;
                model->v6[i] = (struct range){first, last, 0};
        }
        model->v6[0].last.low = 5;
        model->v6[model->n - 1].last = (struct asn_address){UINT64_MAX, UINT64_MAX};
}

static void shuffle(struct range *ranges, size_t n, uint64_t *state)
{
        for (size_t i = n - 1; i > 0; i--) {
                const size_t k = tap_random(state) % (i + 1);
                const struct range range = ranges[i];

                ranges[i] = ranges[k];
                ranges[k] = range;
        }
}

static void append(GString *text, const struct range *range)
{
        char first[ASN_ADDRESS_MAX_TEXT + 1], last[ASN_ADDRESS_MAX_TEXT + 1];

        g_string_append_printf(text, "%s\t%s\t%u\t%c%c\tNAME-%u\n",
                               asn_address_format(&range->first, first),
                               asn_address_format(&range->last, last), range->asn,
                               'A' + (int)(range->asn % 26), 'A' + (int)(range->asn / 26 % 26),
                               range->asn);
}

/* Owned; the model in the order of the file. */
static struct asn_table *make_table(struct model *model, const struct temp *temp)
{
        g_autoptr(GString) text = g_string_new("# first\tlast\n");
        g_autoptr(GError) error = NULL;
        struct asn_table *table;
        uint64_t state = 4;

        model->n = n_ranges / 2;
        model->v4 = g_new(struct range, model->n);
        model->v6 = g_new(struct range, model->n);
        make_v4(model, &state);
        make_v6(model, &state);
        shuffle(model->v4, model->n, &state);
        shuffle(model->v6, model->n, &state);
        for (size_t i = 0; i < model->n; i++) {
                model->v4[i].asn = (uint32_t)(tap_random(&state) % 70000);
                model->v6[i].asn = (uint32_t)(tap_random(&state) % 70000);
                append(text, &model->v4[i]);
                append(text, &model->v6[i]);
        }
        if (!tap_check(temp_write(temp, text->str, text->len)))
                return NULL;
        table = asn_table_load(temp->path, &error);
        if (!table)
                tap_fail("%s", error->message);
        return table;
}

static const struct range *scan(const struct model *model, const struct asn_address *address)
{
        const struct range *ranges = asn_address_is_v4(address) ? model->v4 : model->v6;

        for (size_t i = 0; i < model->n; i++)
                if (asn_address_compare(&ranges[i].first, address) <= 0 &&
                    asn_address_compare(address, &ranges[i].last) <= 0)
                        return &ranges[i];
        return NULL;
}

static bool check_answer(const struct asn_answer *answer, const struct range *range)
{
        char name[32], country[3] = {(char)('A' + range->asn % 26),
                                     (char)('A' + range->asn / 26 % 26), '\0'};

        snprintf(name, sizeof(name), "NAME-%u", range->asn);
        return tap_eq_uint(answer->asn, range->asn) && tap_eq_str(answer->name, name) &&
               tap_eq_uint(answer->name_len, strlen(name)) &&
               tap_eq_str(answer->country, country) && tap_eq_uint(answer->country_len, 2) &&
               tap_eq_int(asn_address_compare(&answer->first, &range->first), 0) &&
               tap_eq_int(asn_address_compare(&answer->last, &range->last), 0);
}

static bool check_lookup(const struct asn_table *table, const struct asn_address *address,
                         const struct range *range)
{
        char text[ASN_ADDRESS_MAX_TEXT + 1];
        struct asn_answer answer;
        const enum asn_result result =
                asn_table_lookup_text(table, text, strlen(asn_address_format(address, text)),
                                      &answer);
        const enum asn_result expected = !range       ? ASN_NOT_FOUND
                                         : range->asn ? ASN_FOUND
                                                      : ASN_NOT_ROUTED;

        if (tap_eq_int(result, expected) && (!range || check_answer(&answer, range)))
                return true;
        return tap_fail("that was %s", text);
}

static struct asn_address random_address(const struct model *model, uint64_t *state)
{
        const uint64_t random = tap_random(state);
        const struct range *range =
                &(random % 2 ? model->v4 : model->v6)[tap_random(state) % model->n];
        struct asn_address address = random % 4 < 2 ? range->first : range->last;

        switch (random / 4 % 5) {
        case 0:
                return random % 2 ? asn_address_from_v4((uint32_t)tap_random(state))
                                  : (struct asn_address){tap_random(state), tap_random(state)};
        case 1: /* for IPv4 may leave it */
                return step(address, random % 3 == 0);
        case 2:
                address.low ^= tap_random(state) % 65536;
                return address;
        default:
                return address;
        }
}

static void test_as_a_scan(void)
{
        struct asn_table *table;
        struct model model;
        struct temp temp;
        uint64_t state = 5;

        tap_require(temp_open(&temp));
        table = make_table(&model, &temp);
        tap_require(table != NULL);
        tap_eq_uint(asn_table_get_n_ranges(table), 2 * model.n);
        for (unsigned i = 0; i < N_PROBES; i++) {
                const struct asn_address address = random_address(&model, &state);

                if (!check_lookup(table, &address, scan(&model, &address)))
                        break;
        }
        asn_table_unref(table);
        g_free(model.v4);
        g_free(model.v6);
        temp_close(&temp);
}

/* Both ends of every range, which need no scan. */
static void test_all_ends(void)
{
        struct asn_table *table;
        struct model model;
        struct temp temp;

        tap_require(temp_open(&temp));
        table = make_table(&model, &temp);
        tap_require(table != NULL);
        for (size_t i = 0; i < 2 * model.n; i++) {
                const struct range *range = i % 2 ? &model.v6[i / 2] : &model.v4[i / 2];

                if (!check_lookup(table, &range->first, range) ||
                    !check_lookup(table, &range->last, range))
                        break;
        }
        asn_table_unref(table);
        g_free(model.v4);
        g_free(model.v6);
        temp_close(&temp);
}

static struct asn_table *load_text(const char *text)
{
        struct asn_table *table = NULL;
        g_autoptr(GError) error = NULL;
        struct temp temp;

        if (temp_open(&temp) && temp_write(&temp, text, strlen(text)))
                table = asn_table_load(temp.path, &error);
        if (!table)
                tap_fail("%s", error ? error->message : "no file");
        temp_close(&temp);
        return table;
}

/* The AS number; 0: not routed, -1: not found, -2: not an address. */
static int64_t lookup(const struct asn_table *table, const char *text)
{
        struct asn_answer answer;

        switch (asn_table_lookup_text(table, text, strlen(text), &answer)) {
        case ASN_FOUND:
                return answer.asn;
        case ASN_NOT_ROUTED:
                return 0;
        case ASN_NOT_FOUND:
                return -1;
        default:
                return -2;
        }
}

static void test_edges(void)
{
        struct asn_table *table = load_text("0.0.0.0\t0.0.0.0\t1\tUS\ta\n"
                                            "255.255.255.255\t255.255.255.255\t2\tUS\tb\n"
                                            "::\t::\t3\tUS\tc\n"
                                            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff\t"
                                            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff\t4\tUS\td\n");

        tap_require(table != NULL);
        tap_eq_int(lookup(table, "0.0.0.0"), 1);
        tap_eq_int(lookup(table, "0.0.0.1"), -1);
        tap_eq_int(lookup(table, "255.255.255.254"), -1);
        tap_eq_int(lookup(table, "255.255.255.255"), 2);
        tap_eq_int(lookup(table, "::ffff:0.0.0.0"), 1);
        tap_eq_int(lookup(table, "::ffff:ffff:ffff"), 2);
        tap_eq_int(lookup(table, "::"), 3);
        tap_eq_int(lookup(table, "::1"), -1);
        tap_eq_int(lookup(table, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"), -1);
        tap_eq_int(lookup(table, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), 4);
        tap_eq_int(lookup(table, "1.2.3"), -2);
        tap_eq_int(lookup(table, ""), -2);
        asn_table_unref(table);
}

/* One family only: the other one is not found, wherever it is. */
static void test_one_family(void)
{
        struct asn_table *v4 = load_text("0.0.0.0\t255.255.255.255\t1\tUS\ta\n");
        struct asn_table *v6 = load_text("::\tffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff\t1\tUS\ta\n");

        tap_require(v4 && v6);
        tap_eq_int(lookup(v4, "9.9.9.9"), 1);
        tap_eq_int(lookup(v4, "::"), -1);
        tap_eq_int(lookup(v4, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), -1);
        tap_eq_int(lookup(v6, "2::9"), 1);
        tap_eq_int(lookup(v6, "0.0.0.0"), -1);
        tap_eq_int(lookup(v6, "255.255.255.255"), -1);
        asn_table_unref(v4);
        asn_table_unref(v6);
}

/* What a file may have besides ranges in order. */
static void test_file_forms(void)
{
        static const char text[] = "\r\n# comment\t\r\n"
                                   "3.0.0.0\t3.0.0.255\t4294967295\t\t\r\n"
                                   "::ffff:4.0.0.0\t::ffff:4.0.0.9\t7\tDE\tmapped\n"
                                   "1.0.0.0\t1.0.0.255\t0\tNone\tNot routed\n\n"
                                   "3.0.0.0\t3.0.0.255\t4294967295\t\t\n"
                                   "2001:db8::\t2001:db8::5\t64496\tUS\tname of \xc3\xa4\r\n";
        struct asn_table *table = load_text(text);
        struct asn_answer answer;

        tap_require(table != NULL);
        tap_eq_uint(asn_table_get_n_ranges(table), 4);
        tap_eq_int(lookup(table, "3.0.0.7"), UINT32_MAX);
        tap_eq_int(lookup(table, "4.0.0.7"), 7);
        tap_eq_int(lookup(table, "4.0.0.10"), -1);
        tap_eq_int(asn_table_lookup_text(table, "1.0.0.1", 7, &answer), ASN_NOT_ROUTED);
        tap_eq_str(answer.country, "None");
        tap_eq_str(answer.name, "Not routed");
        tap_eq_int(asn_table_lookup_text(table, "2001:db8::5", 11, &answer), ASN_FOUND);
        tap_eq_str(answer.name, "name of \xc3\xa4");
        tap_eq_int(asn_table_lookup_text(table, "3.0.0.1", 7, &answer), ASN_FOUND);
        tap_eq_str(answer.name, "");
        tap_eq_uint(answer.country_len, 0);
        asn_table_unref(table);
}

int main(int argc, char **argv)
{
        static const struct tap_case cases[] = {
                TAP_CASE(test_as_a_scan),  TAP_CASE(test_all_ends),   TAP_CASE(test_edges),
                TAP_CASE(test_one_family), TAP_CASE(test_file_forms),
        };

        if (argc > 2 && strcmp(argv[1], "--ranges") == 0) {
                n_ranges = strtoul(argv[2], NULL, 10);
                argc -= 2;
                argv += 2;
        }
        return tap_run(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
