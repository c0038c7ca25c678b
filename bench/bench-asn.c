/* SPDX-License-Identifier: MIT */

/*
 * What a lookup in the ASN table of `nipc serve ip-to-asn` costs against bsearch() of the C library
 * over the same ranges, in one run, rows interleaved. All lookups are of random addresses and hit.
 * Ranges are spread evenly over 0.0.0.0/0 or 2000::/3, or, "dense", begin every 16 addresses from
 * 16.0.0.0 on: the Internet's are somewhere in between.
 *
 *   bsearch    an array of first, last, index: what one would write without a second thought
 *   table      asn_table_lookup()
 *   text       asn_table_lookup_text()
 *   acquired   as table, each lookup with a reference of its own from an asn_source
 *
 * Then the load of a file: time, its size, the table's, and how much the process grew by at most.
 * --quick does everything once with few ranges, to see that it works.
 */

#include <asn-source.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define HARNESS_MAX_ROUNDS 51
#include "harness.h"

enum {
        N_KEYS = 1 << 16,
        N_NAMES = 80000, /* about as many autonomous systems as there are */
};

struct range {
        struct asn_address first, last;
        uint32_t value;
};

struct range_v4 {
        uint32_t first, last, value;
};

struct key {
        struct asn_address address;
        uint32_t text_len;
        char text[ASN_ADDRESS_MAX_TEXT + 1];
};

static struct range *ranges;
static struct range_v4 *ranges_v4;
static uint32_t n_ranges;
static struct key keys[N_KEYS];
static struct asn_source *source;
static struct asn_table *table;
static volatile uint64_t sink; /* what was found must be computed */

/* ---- ranges ---------------------------------------------------------------------------------- */

enum shape { V4, V4_DENSE, V6, N_SHAPES };

static const char *const shape_names[N_SHAPES] = {"IPv4", "dense", "IPv6"};

/* One range in each of n equal parts of a space, that of IPv6 in units of a /64. */
static void make_ranges(uint32_t n, enum shape shape)
{
        const uint64_t base = shape == V4   ? 0
                              : shape == V6 ? UINT64_C(1) << 61
                                            : UINT64_C(16) << 24;
        const uint64_t step = shape == V4   ? (UINT64_C(1) << 32) / n
                              : shape == V6 ? (UINT64_C(1) << 61) / n
                                            : 16;

        n_ranges = n;
        ranges = realloc(ranges, n * sizeof(*ranges));
        ranges_v4 = realloc(ranges_v4, n * sizeof(*ranges_v4));
        CHECK(ranges && ranges_v4);
        for (uint32_t i = 0; i < n; i++) {
                const uint64_t first = base + step * i + random_u64() % (step / 2);
                const uint64_t last = first + random_u64() % (step / 2);

                ranges[i].value = (uint32_t)(random_u64() % N_NAMES) + 1;
                if (shape == V6) {
                        ranges[i].first = (struct asn_address){first, 0};
                        ranges[i].last = (struct asn_address){last, UINT64_MAX};
                        continue;
                }
                ranges[i].first = asn_address_from_v4((uint32_t)first);
                ranges[i].last = asn_address_from_v4((uint32_t)last);
                ranges_v4[i] = (struct range_v4){(uint32_t)first, (uint32_t)last, ranges[i].value};
        }
}

static void make_keys(enum shape shape)
{
        for (unsigned i = 0; i < N_KEYS; i++) {
                const struct range *range = &ranges[random_u64() % n_ranges];
                struct asn_address *address = &keys[i].address;

                *address = range->first;
                if (shape == V6) {
                        address->high += random_u64() % (range->last.high - range->first.high + 1);
                        address->low = random_u64();
                } else
                        address->low += random_u64() % (range->last.low - range->first.low + 1);
                keys[i].text_len = (uint32_t)strlen(asn_address_format(address, keys[i].text));
        }
}

static void write_file(const char *path)
{
        FILE *file = fopen(path, "w");

        CHECK(file);
        for (uint32_t i = 0; i < n_ranges; i++) {
                char first[ASN_ADDRESS_MAX_TEXT + 1], last[ASN_ADDRESS_MAX_TEXT + 1];
                const uint32_t value = ranges[i].value;

                fprintf(file, "%s\t%s\t%u\t%c%c\tEXAMPLE-%u Some Company of a Name\n",
                        asn_address_format(&ranges[i].first, first),
                        asn_address_format(&ranges[i].last, last), value, 'A' + (int)(value % 26),
                        'A' + (int)(value / 26 % 26), value);
        }
        CHECK(fclose(file) == 0);
}

/* ---- rows ------------------------------------------------------------------------------------ */

static int compare_v4(const void *key, const void *item)
{
        const uint32_t v4 = *(const uint32_t *)key;
        const struct range_v4 *range = item;

        return v4 < range->first ? -1 : v4 > range->last;
}

static uint64_t run_bsearch_v4(void)
{
        uint64_t found = 0;

        for (unsigned i = 0; i < N_KEYS; i++) {
                const uint32_t v4 = (uint32_t)keys[i].address.low;
                const struct range_v4 *range =
                        bsearch(&v4, ranges_v4, n_ranges, sizeof(*ranges_v4), compare_v4);

                found += range ? range->value : 0;
        }
        return found;
}

static int compare_v6(const void *key, const void *item)
{
        const struct range *range = item;

        return asn_address_compare(key, &range->first) < 0
                       ? -1
                       : asn_address_compare(key, &range->last) > 0;
}

static uint64_t run_bsearch_v6(void)
{
        uint64_t found = 0;

        for (unsigned i = 0; i < N_KEYS; i++) {
                const struct range *range =
                        bsearch(&keys[i].address, ranges, n_ranges, sizeof(*ranges), compare_v6);

                found += range ? range->value : 0;
        }
        return found;
}

static uint64_t run_table(void)
{
        uint64_t found = 0;

        for (unsigned i = 0; i < N_KEYS; i++) {
                struct asn_answer answer;

                if (asn_table_lookup(table, &keys[i].address, &answer) == ASN_FOUND)
                        found += answer.asn;
        }
        return found;
}

static uint64_t run_text(void)
{
        uint64_t found = 0;

        for (unsigned i = 0; i < N_KEYS; i++) {
                struct asn_answer answer;

                if (asn_table_lookup_text(table, keys[i].text, keys[i].text_len, &answer) ==
                    ASN_FOUND)
                        found += answer.asn;
        }
        return found;
}

static uint64_t run_acquired(void)
{
        uint64_t found = 0;

        for (unsigned i = 0; i < N_KEYS; i++) {
                struct asn_table *held = asn_source_acquire(source, NULL);
                struct asn_answer answer;

                if (asn_table_lookup(held, &keys[i].address, &answer) == ASN_FOUND)
                        found += answer.asn;
                asn_table_unref(held);
        }
        return found;
}

/* ---- rounds ---------------------------------------------------------------------------------- */

struct row {
        const char *name;
        uint64_t (*run)(void);
        double ns[HARNESS_MAX_ROUNDS];
};

static void print_row(const char *family, const struct row *row, const struct row *plain)
{
        printf("%-5s %9u  %-9s ", family, n_ranges, row->name);
        print_medians(row->ns, plain->ns);
}

static void run_rows(const char *family, struct row *rows, unsigned n_rows)
{
        uint64_t expected = rows[0].run();

        for (unsigned i = 0; i < n_rounds; i++)
                for (unsigned k = 0; k < n_rows; k++) {
                        const double start = now_ns();

                        sink = rows[k].run();
                        rows[k].ns[i] = (now_ns() - start) / N_KEYS;
                        CHECK(sink == expected);
                }
        for (unsigned k = 0; k < n_rows; k++)
                print_row(family, &rows[k], &rows[0]);
}

static struct row rows_v4[] = {
        {"bsearch", run_bsearch_v4, {0}},
        {"table", run_table, {0}},
        {"text", run_text, {0}},
        {"acquired", run_acquired, {0}},
};
static struct row rows_v6[] = {
        {"bsearch", run_bsearch_v6, {0}},
        {"table", run_table, {0}},
        {"text", run_text, {0}},
        {"acquired", run_acquired, {0}},
};

static long peak_kib(void)
{
        struct rusage usage;

        CHECK(getrusage(RUSAGE_SELF, &usage) == 0);
        return usage.ru_maxrss;
}

/* Lowers the peak to what is in use now, where the kernel lets us; else later loads show too
 * little. */
static void reset_peak(void)
{
        FILE *file = fopen("/proc/self/clear_refs", "w");

        if (!file)
                return;
        fputs("5", file);
        fclose(file);
}

static void bench(const char *path, uint32_t n, enum shape shape)
{
        double start;
        long before;

        make_ranges(n, shape);
        make_keys(shape);
        write_file(path);
        reset_peak();
        before = peak_kib();
        start = now_ns();
        source = asn_source_new(path, NULL);
        CHECK(source);
        start = now_ns() - start;
        table = asn_source_acquire(source, NULL);
        CHECK(asn_table_get_n_ranges(table) == n);
        printf("%-5s %9u  load      %10.2f ms, table %.1f MB, peak %.1f MB\n", shape_names[shape],
               n, start / 1e6, (double)asn_table_get_size_bytes(table) / 1e6,
               (double)(peak_kib() - before) * 1.024e-3);
        if (shape == V6)
                run_rows(shape_names[shape], rows_v6, sizeof(rows_v6) / sizeof(rows_v6[0]));
        else
                run_rows(shape_names[shape], rows_v4, sizeof(rows_v4) / sizeof(rows_v4[0]));
        table = asn_table_unref(table);
        source = asn_source_free(source);
}

int main(int argc, char **argv)
{
        static const uint32_t sizes[] = {1000, 100000, 1000000};
        char path[] = "/tmp/bench-asn-XXXXXX";
        unsigned n_sizes = 3;
        int fd;

        read_arguments(argc, argv);
        if (n_rounds == 1)
                n_sizes = 1;
        fd = mkstemp(path);
        CHECK(fd >= 0);
        close(fd);
        printf("%-5s %9s  %-9s ", "", "ranges", "row");
        print_heading();
        for (unsigned shape = 0; shape < N_SHAPES; shape++)
                for (unsigned i = 0; i < n_sizes; i++)
                        bench(path, sizes[i], shape);
        unlink(path);
        free(ranges);
        free(ranges_v4);
        return 0;
}
