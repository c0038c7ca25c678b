/* SPDX-License-Identifier: MIT */
/*
 * Reads the file of an ASN table, see asn-table.h: in blocks, since a mapping would be counted as
 * memory of ours and a file that is cut while it is mapped kills. What has changed by the end of
 * reading is an error: its beginning and its end need not belong together.
 */
#include "asn-strings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK_BYTES (256u * 1024u) /* chosen, not tuned */
#define SHOWN_BYTES 64u            /* of what is wrong, in a message */

#define HUGE_MIN_BYTES   (2u * 1024u * 1024u)
#define MADVISE_COLLAPSE 25 /* MADV_COLLAPSE, which the headers of older systems do not have */

enum { N_COLUMNS = 5 };

_Static_assert(BLOCK_BYTES > 2 * ASN_TABLE_MAX_LINE_BYTES, "a block holds any line");

struct loader {
        const char *path;
        GError **error;
        gboolean regular; /* nothing else: it might block */
        uint32_t line;    /* the one that is looked at, from 1 */
        struct asn_strings strings;
        struct asn_table *table;
        size_t v4_capacity, v6_capacity;
};

struct column {
        const char *text;
        size_t len;
};

static gboolean fail(struct loader *loader, uint32_t line, const char *format, ...)
        G_GNUC_PRINTF(3, 4);

static gboolean fail(struct loader *loader, uint32_t line, const char *format, ...)
{
        g_autofree char *text = NULL;
        va_list args;

        va_start(args, format);
        text = g_strdup_vprintf(format, args);
        va_end(args);
        g_set_error(loader->error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "%s:%u: %s", loader->path,
                    line, text);
        return FALSE;
}

static gboolean fail_os(struct loader *loader, int code)
{
        g_set_error(loader->error, G_IO_ERROR, g_io_error_from_errno(code), "%s: %s", loader->path,
                    code == EOVERFLOW ? "more than a table can hold" : g_strerror(code));
        return FALSE;
}

/* A column refused: `what` and its text, harmless to a terminal. */
static gboolean fail_column(struct loader *loader, const struct column *column, const char *what)
{
        char shown[SHOWN_BYTES + 1];
        const size_t len = MIN(column->len, SHOWN_BYTES);

        for (size_t i = 0; i < len; i++)
                shown[i] = g_ascii_isprint(column->text[i]) ? column->text[i] : '?';
        shown[len] = '\0';
        return fail(loader, loader->line, "%s: \"%s\"%s", what, shown,
                    len < column->len ? "..." : "");
}

static gboolean parse_asn(const struct column *column, uint32_t *ret_asn)
{
        uint64_t asn = 0;

        if (column->len == 0 || column->len > 10)
                return FALSE;
        for (size_t i = 0; i < column->len; i++) {
                if (!g_ascii_isdigit(column->text[i]))
                        return FALSE;
                asn = asn * 10 + (uint64_t)(column->text[i] - '0');
        }
        *ret_asn = (uint32_t)asn;
        return asn <= UINT32_MAX;
}

static gboolean split(struct loader *loader, const char *line, size_t size,
                      struct column columns[N_COLUMNS])
{
        static const char *const names[N_COLUMNS] = {"the first address", "the last address",
                                                     "the AS number", "the country",
                                                     "the description"};
        const char *at = line, *end = line + size;

        for (unsigned i = 0; i < N_COLUMNS; i++) {
                const char *tab = memchr(at, '\t', (size_t)(end - at));

                columns[i].text = at;
                columns[i].len = (size_t)((tab ? tab : end) - at);
                if (!tab && i < N_COLUMNS - 1)
                        return fail(loader, loader->line, "column missing: %s", names[i + 1]);
                if (tab && i == N_COLUMNS - 1)
                        return fail(loader, loader->line, "more than %u columns",
                                    (unsigned)N_COLUMNS);
                at = tab ? tab + 1 : end;
        }
        return TRUE;
}

static gboolean is_v6_text(const struct column *column)
{
        return memchr(column->text, ':', column->len) != NULL;
}

static gboolean add_v4(struct loader *loader, const struct asn_address *first,
                       const struct asn_address *last, uint32_t info)
{
        struct asn_table *table = loader->table;
        int r = table->n_v4 == ASN_TABLE_MAX_RANGES
                        ? -EOVERFLOW
                        : asn_array_reserve((void **)&table->v4, table->n_v4, &loader->v4_capacity,
                                            sizeof(*table->v4));

        if (r)
                return fail_os(loader, -r);
        table->v4[table->n_v4++] = (struct asn_range_v4){
                .first = (uint32_t)first->low,
                .last = (uint32_t)last->low,
                .info = info,
                .line = loader->line,
        };
        return TRUE;
}

static gboolean add_v6(struct loader *loader, const struct asn_address *first,
                       const struct asn_address *last, uint32_t info)
{
        struct asn_table *table = loader->table;
        int r = table->n_v6 == ASN_TABLE_MAX_RANGES
                        ? -EOVERFLOW
                        : asn_array_reserve((void **)&table->v6, table->n_v6, &loader->v6_capacity,
                                            sizeof(*table->v6));

        if (r)
                return fail_os(loader, -r);
        table->v6[table->n_v6++] = (struct asn_range_v6){
                .first = *first,
                .last = *last,
                .info = info,
                .line = loader->line,
        };
        return TRUE;
}

/* One line without its end. */
static gboolean add_line(struct loader *loader, const char *line, size_t size)
{
        struct column columns[N_COLUMNS];
        struct asn_address first, last;
        struct asn_info info = {0};
        uint32_t index;
        int r;

        if (!split(loader, line, size, columns))
                return FALSE;
        for (unsigned i = 0; i < 2; i++)
                if (!asn_address_parse(columns[i].text, columns[i].len, i ? &last : &first))
                        return fail_column(loader, &columns[i], "not an address");
        if (is_v6_text(&columns[0]) != is_v6_text(&columns[1]))
                return fail(loader, loader->line,
                            "from an address of one family to one of the other");
        if (asn_address_compare(&first, &last) > 0)
                return fail(loader, loader->line, "the first address is above the last one");
        if (!parse_asn(&columns[2], &info.asn))
                return fail_column(loader, &columns[2], "not an AS number");
        info.country_len = (uint16_t)columns[3].len;
        info.name_len = (uint16_t)columns[4].len;
        r = asn_strings_intern(&loader->strings, info, columns[3].text, columns[4].text, &index);
        if (r)
                return fail_os(loader, -r);
        return asn_address_is_v4(&first) && asn_address_is_v4(&last)
                       ? add_v4(loader, &first, &last, index)
                       : add_v6(loader, &first, &last, index);
}

/* The next line, its CR included. */
static gboolean take_line(struct loader *loader, const char *line, size_t size)
{
        const char *nul = memchr(line, '\0', size);

        if (++loader->line == UINT32_MAX)
                return fail_os(loader, EOVERFLOW);
        if (size > 0 && line[size - 1] == '\r')
                size--;
        if (size > ASN_TABLE_MAX_LINE_BYTES)
                return fail(loader, loader->line, "more than %u bytes", ASN_TABLE_MAX_LINE_BYTES);
        if (nul)
                return fail(loader, loader->line, "a NUL byte, the %zu. of the line",
                            (size_t)(nul - line) + 1);
        return size == 0 || *line == '#' || add_line(loader, line, size);
}

/* All whole lines of the block. */
static gboolean take_block(struct loader *loader, const char *block, size_t size, gboolean at_end,
                           size_t *ret_taken)
{
        const char *at = block, *end = block + size;

        while (at < end) {
                const size_t rest = (size_t)(end - at);
                const char *newline = memchr(at, '\n', rest);

                if (!newline && rest <= ASN_TABLE_MAX_LINE_BYTES + 1) {
                        if (at_end)
                                return fail(loader, loader->line + 1,
                                            "the file ends within this line");
                        break;
                }
                /* What has no end by now is too long, whatever may come. */
                if (!take_line(loader, at, newline ? (size_t)(newline - at) : rest))
                        return FALSE;
                at = newline ? newline + 1 : end;
        }
        *ret_taken = (size_t)(at - block);
        return TRUE;
}

static gboolean read_blocks(struct loader *loader, int fd, char *block)
{
        size_t size = 0, taken = 0;
        ssize_t n;

        do {
                n = read(fd, block + size, BLOCK_BYTES - size);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return fail_os(loader, errno);
                size += (size_t)n;
                if (!take_block(loader, block, size, n == 0, &taken))
                        return FALSE;
                size -= taken;
                memmove(block, block + taken, size);
        } while (n != 0);
        return TRUE;
}

static gboolean read_file(struct loader *loader, int fd)
{
        g_autofree char *block = g_malloc(BLOCK_BYTES);
        struct stat before, after;

        if (fstat(fd, &before) < 0)
                return fail_os(loader, errno);
        if (loader->regular && !S_ISREG(before.st_mode)) {
                g_set_error(loader->error, G_IO_ERROR, G_IO_ERROR_NOT_REGULAR_FILE,
                            "%s: not a regular file, which alone can be read again", loader->path);
                return FALSE;
        }
        if (!read_blocks(loader, fd, block))
                return FALSE;
        if (fstat(fd, &after) < 0)
                return fail_os(loader, errno);
        if (S_ISREG(before.st_mode) &&
            (before.st_size != after.st_size || before.st_mtim.tv_sec != after.st_mtim.tv_sec ||
             before.st_mtim.tv_nsec != after.st_mtim.tv_nsec))
                return fail_os(loader, EBUSY);
        return TRUE;
}

/* By line among equals, so that what an error names does not depend on the sort. */
static int compare_v4(const void *a, const void *b)
{
        const struct asn_range_v4 *x = a, *y = b;

        if (x->first != y->first)
                return x->first < y->first ? -1 : 1;
        return (x->line > y->line) - (x->line < y->line);
}

static int compare_v6(const void *a, const void *b)
{
        const struct asn_range_v6 *x = a, *y = b;
        const int order = asn_address_compare(&x->first, &y->first);

        return order ? order : (x->line > y->line) - (x->line < y->line);
}

static void sort(void *ranges, size_t n, size_t item_bytes,
                 int (*compare)(const void *, const void *))
{
        const char *at = ranges;

        for (size_t i = 1; i < n; i++)
                if (compare(at + (i - 1) * item_bytes, at + i * item_bytes) > 0) {
                        qsort(ranges, n, item_bytes, compare);
                        return;
                }
}

static gboolean fail_overlap(struct loader *loader, uint32_t a, uint32_t b)
{
        return fail(loader, MAX(a, b), "overlaps with the range of line %u", MIN(a, b));
}

/* Sorts, drops repeated lines, refuses what overlaps, gives back what was reserved in vain. */
static gboolean order_v4(struct loader *loader)
{
        struct asn_table *table = loader->table;
        size_t n = 0;
        void *fitted;

        sort(table->v4, table->n_v4, sizeof(*table->v4), compare_v4);
        for (size_t i = 0; i < table->n_v4; i++) {
                const struct asn_range_v4 *range = &table->v4[i],
                                          *last = n ? &table->v4[n - 1] : NULL;

                if (last && range->first == last->first && range->last == last->last &&
                    range->info == last->info)
                        continue;
                if (last && range->first <= last->last)
                        return fail_overlap(loader, last->line, range->line);
                table->v4[n++] = *range;
        }
        table->n_v4 = n;
        fitted = n ? realloc(table->v4, n * sizeof(*table->v4)) : NULL;
        if (fitted)
                table->v4 = fitted;
        return TRUE;
}

static gboolean order_v6(struct loader *loader)
{
        struct asn_table *table = loader->table;
        size_t n = 0;
        void *fitted;

        sort(table->v6, table->n_v6, sizeof(*table->v6), compare_v6);
        for (size_t i = 0; i < table->n_v6; i++) {
                const struct asn_range_v6 *range = &table->v6[i],
                                          *last = n ? &table->v6[n - 1] : NULL;

                if (last && asn_address_compare(&range->first, &last->first) == 0 &&
                    asn_address_compare(&range->last, &last->last) == 0 &&
                    range->info == last->info)
                        continue;
                if (last && asn_address_compare(&range->first, &last->last) <= 0)
                        return fail_overlap(loader, last->line, range->line);
                table->v6[n++] = *range;
        }
        table->n_v6 = n;
        fitted = n ? realloc(table->v6, n * sizeof(*table->v6)) : NULL;
        if (fitted)
                table->v6 = fitted;
        return TRUE;
}

static int index_v4(struct asn_table *table)
{
        uint32_t at = 0;

        table->index_v4 = malloc(ASN_INDEX_V4_SIZE * sizeof(*table->index_v4));
        if (!table->index_v4)
                return -ENOMEM;
        for (uint32_t i = 0; i < ASN_INDEX_V4_SIZE; i++) {
                while (at < table->n_v4 && table->v4[at].first < (uint64_t)i << 16)
                        at++;
                table->index_v4[i] = at;
        }
        return 0;
}

static uint64_t get_v6(const void *ranges, size_t i)
{
        return ((const struct asn_range_v6 *)ranges)[i].first.high;
}

/*
 * Random lookups in a large table spend most of their time on finding pages. Asked for when all is
 * in place, since arrays move as they grow; where the kernel does not do it at once (before 6.1) it
 * may do so later, or never.
 */
static void prefer_huge_pages(void *at, size_t size)
{
        const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
        const uintptr_t first = ((uintptr_t)at + page - 1) & ~(page - 1);
        const uintptr_t end = ((uintptr_t)at + size) & ~(page - 1);

        if (size < HUGE_MIN_BYTES)
                return;
        if (madvise((void *)first, end - first, MADV_HUGEPAGE) == 0)
                madvise((void *)first, end - first, MADVISE_COLLAPSE);
}

static gboolean load(struct loader *loader)
{
        struct asn_table *table = loader->table;
        int fd, r;
        gboolean ok;

        do
                fd = open(loader->path,
                          O_RDONLY | O_CLOEXEC | O_NOCTTY | (loader->regular ? O_NONBLOCK : 0));
        while (fd < 0 && errno == EINTR);
        if (fd < 0)
                return fail_os(loader, errno);
        ok = read_file(loader, fd);
        close(fd);
        if (!ok || !order_v4(loader) || !order_v6(loader))
                return FALSE;
        if (table->n_v4 + table->n_v6 == 0) {
                g_set_error(loader->error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                            "%s: no ranges in it", loader->path);
                return FALSE;
        }
        asn_strings_take(&loader->strings, table);
        r = index_v4(table);
        if (!r)
                r = asn_tree_init(&table->tree_v6, table->n_v6, get_v6, table->v6);
        if (r)
                return fail_os(loader, -r);
        prefer_huge_pages(table->v4, table->n_v4 * sizeof(*table->v4));
        prefer_huge_pages(table->v6, table->n_v6 * sizeof(*table->v6));
        prefer_huge_pages(table->tree_v6.keys, table->tree_v6.n_bytes);
        return TRUE;
}

static struct asn_table *load_table(const char *path, gboolean regular, GError **error)
{
        struct loader loader = {.path = path, .error = error, .regular = regular};
        gboolean ok;

        loader.table = calloc(1, sizeof(*loader.table));
        if (!loader.table) {
                fail_os(&loader, ENOMEM);
                return NULL;
        }
        atomic_init(&loader.table->n_refs, 1);
        asn_strings_init(&loader.strings);
        ok = load(&loader);
        asn_strings_deinit(&loader.strings);
        return ok ? loader.table : asn_table_unref(loader.table);
}

struct asn_table *asn_table_load(const char *path, GError **error)
{
        return load_table(path, FALSE, error);
}

struct asn_table *asn_table_load_again(const char *path, GError **error)
{
        return load_table(path, TRUE, error);
}
