/* SPDX-License-Identifier: MIT */
/* Files that are refused, each with the line and the reason. */
#include "util-temp.h"

#include <asn-table.h>
#include <tap.h>

#define GOOD "1.0.0.0\t1.0.0.255\t13335\tUS\tCLOUDFLARENET\n"

struct bad_file {
        const char *text;
        const char *message; /* what follows the path */
};

static const struct bad_file bad_files[] = {
        {"", ": no ranges in it"},
        {"# nothing\n\n\r\n", ": no ranges in it"},
        {GOOD "2.0.0.0\t2.0.0.1\t1\tUS\ta", ":2: the file ends within this line"},
        {GOOD "\n\r", ":3: the file ends within this line"},
        {GOOD "2.0.0.0\n", ":2: column missing: the last address"},
        {GOOD "2.0.0.0\t2.0.0.1\n", ":2: column missing: the AS number"},
        {GOOD "2.0.0.0\t2.0.0.1\t1\n", ":2: column missing: the country"},
        {GOOD "2.0.0.0\t2.0.0.1\t1\tUS\n", ":2: column missing: the description"},
        {GOOD "2.0.0.0\t2.0.0.1\t1\tUS\ta\tb\n", ":2: more than 5 columns"},
        {GOOD "\n#\n2.0.0.1\t2.0.0.0\t1\tUS\ta\n", ":4: the first address is above the last one"},
        {"2::1\t2::\t1\tUS\ta\n", ":1: the first address is above the last one"},
        {"2.0.0.0\t::\t1\tUS\ta\n", ":1: from an address of one family to one of the other"},
        {"1.0.0.0\t::ffff:1.0.0.1\t1\tUS\ta\n",
         ":1: from an address of one family to one of the other"},
        {GOOD "2.0.0.\t2.0.0.0\t1\tUS\ta\n", ":2: not an address: \"2.0.0.\""},
        {"2.0.0.0\t2.0.0.0/8\t1\tUS\ta\n", ":1: not an address: \"2.0.0.0/8\""},
        {" 2.0.0.0\t2.0.0.0\t1\tUS\ta\n", ":1: not an address: \" 2.0.0.0\""},
        {"\xef\xbb\xbf" GOOD, ":1: not an address: \"???1.0.0.0\""},
        {"\t2.0.0.0\t1\tUS\ta\n", ":1: not an address: \"\""},
        {"2.0.0.0\t2.0.0.0\t4294967296\tUS\ta\n", ":1: not an AS number: \"4294967296\""},
        {"2.0.0.0\t2.0.0.0\tAS1\tUS\ta\n", ":1: not an AS number: \"AS1\""},
        {"2.0.0.0\t2.0.0.0\t\tUS\ta\n", ":1: not an AS number: \"\""},
        {"2.0.0.0\t2.0.0.0\t-1\tUS\ta\n", ":1: not an AS number: \"-1\""},
        {"2.0.0.0\t2.0.0.0\t00000000001\tUS\ta\n", ":1: not an AS number: \"00000000001\""},
        {"2.0.0.0\t2.0.0.9\t1\tUS\ta\n2.0.0.9\t2.0.0.9\t1\tUS\ta\n",
         ":2: overlaps with the range of line 1"},
        {"2.0.0.4\t2.0.0.5\t1\tUS\ta\n2.0.0.0\t2.0.0.9\t1\tUS\ta\n",
         ":2: overlaps with the range of line 1"},
        {"2.0.0.4\t2.0.0.5\t1\tUS\ta\n2.0.0.4\t2.0.0.5\t1\tUS\tb\n",
         ":2: overlaps with the range of line 1"},
        {"2::\t2::5\t1\tUS\ta\n#\n2::5\t3::\t1\tUS\ta\n", ":3: overlaps with the range of line 1"},
};

static void check_refused(const struct temp *temp, const char *bytes, size_t size,
                          const char *message)
{
        g_autoptr(GError) error = NULL;
        g_autofree char *expected = g_strconcat(temp->path, message, NULL);

        tap_require(temp_write(temp, bytes, size));
        if (!tap_check(!asn_table_load(temp->path, &error)))
                tap_note("not refused: %s", message);
        tap_require(error != NULL);
        tap_eq_str(error->message, expected);
}

static void test_refused(void)
{
        struct temp temp;

        tap_require(temp_open(&temp));
        for (size_t i = 0; i < G_N_ELEMENTS(bad_files); i++)
                check_refused(&temp, bad_files[i].text, strlen(bad_files[i].text),
                              bad_files[i].message);
        temp_close(&temp);
}

static void test_nul(void)
{
        static const char text[] = GOOD "2.0.0.0\t2.0.0.0\t1\tUS\ta\0b\n", comment[] = "#\0\n" GOOD;
        struct temp temp;

        tap_require(temp_open(&temp));
        check_refused(&temp, text, sizeof(text) - 1, ":2: a NUL byte, the 23. of the line");
        check_refused(&temp, comment, sizeof(comment) - 1, ":1: a NUL byte, the 2. of the line");
        temp_close(&temp);
}

/* A line of `size` bytes, its end not counted. */
static GString *long_line(size_t size)
{
        GString *text = g_string_new(GOOD "2.0.0.0\t2.0.0.0\t1\tUS\t");

        while (text->len < strlen(GOOD) + size)
                g_string_append_c(text, 'x');
        return text;
}

static void test_long_line(void)
{
        static const char *const ends[] = {"\n", "\r\n", "\n#\n"};
        struct temp temp;

        tap_require(temp_open(&temp));
        for (size_t i = 0; i < G_N_ELEMENTS(ends); i++) {
                g_autoptr(GString) good = long_line(ASN_TABLE_MAX_LINE_BYTES);
                g_autoptr(GString) bad = long_line(ASN_TABLE_MAX_LINE_BYTES + 1);
                struct asn_table *table;

                g_string_append(good, ends[i]);
                g_string_append(bad, ends[i]);
                check_refused(&temp, bad->str, bad->len, ":2: more than 4096 bytes");
                tap_require(temp_write(&temp, good->str, good->len));
                table = asn_table_load(temp.path, NULL);
                tap_check(table != NULL);
                asn_table_unref(table);
        }
        temp_close(&temp);
}

/* Without any end of a line, and longer than what is read at once. */
static void test_no_lines(void)
{
        const size_t size = 1 << 20;
        g_autofree char *bytes = g_malloc(size);
        struct temp temp;

        memset(bytes, 'x', size);
        tap_require(temp_open(&temp));
        check_refused(&temp, bytes, size, ":1: more than 4096 bytes");
        temp_close(&temp);
}

static void test_no_file(void)
{
        g_autoptr(GError) error = NULL;
        g_autoptr(GError) dir_error = NULL;
        struct temp temp;

        tap_require(temp_open(&temp));
        tap_check(!asn_table_load(temp.path, &error));
        tap_check(g_error_matches(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND));
        tap_check(!asn_table_load(temp.dir, &dir_error));
        tap_check(g_error_matches(dir_error, G_IO_ERROR, G_IO_ERROR_IS_DIRECTORY));
        temp_close(&temp);
}

/* Cut at every byte: it loads or says why; the sanitizers watch. */
static void test_cut(void)
{
        static const char text[] =
                "#\n" GOOD "\r\n2001:db8::\t2001:db8::ffff\t4294967295\tUS\tA\r\n";
        struct temp temp;

        tap_require(temp_open(&temp));
        for (size_t size = 0; size < sizeof(text); size++) {
                g_autoptr(GError) error = NULL;
                struct asn_table *table;

                tap_require(temp_write(&temp, text, MIN(size, sizeof(text) - 1)));
                table = asn_table_load(temp.path, &error);
                tap_check((table != NULL) == (error == NULL));
                asn_table_unref(table);
        }
        temp_close(&temp);
}

/* A byte changed at random. */
static void test_garbage(void)
{
        static const char text[] = GOOD "2001:db8::\t2001:db8::ffff\t4294967295\tUS\tA\n"
                                        "9.0.0.0\t9.0.0.255\t0\tNone\tNot routed\n";
        char bytes[sizeof(text) - 1];
        uint64_t state = 3;
        struct temp temp;

        tap_require(temp_open(&temp));
        for (unsigned i = 0; i < 2000; i++) {
                g_autoptr(GError) error = NULL;
                struct asn_table *table;

                memcpy(bytes, text, sizeof(bytes));
                bytes[tap_random(&state) % sizeof(bytes)] = (char)tap_random(&state);
                bytes[tap_random(&state) % sizeof(bytes)] = "\t\n\r:.0"[tap_random(&state) % 6];
                tap_require(temp_write(&temp, bytes, sizeof(bytes)));
                table = asn_table_load(temp.path, &error);
                tap_check((table != NULL) == (error == NULL));
                asn_table_unref(table);
        }
        temp_close(&temp);
}

TAP_MAIN(TAP_CASE(test_refused), TAP_CASE(test_nul), TAP_CASE(test_long_line),
         TAP_CASE(test_no_lines), TAP_CASE(test_no_file), TAP_CASE(test_cut),
         TAP_CASE(test_garbage))
