/* SPDX-License-Identifier: MIT */
/* A table that is loaded anew while it is in use. */
#include "util-temp.h"

#include <asn-source.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <tap.h>
#include <unistd.h>

enum { N_THREADS = 4, N_RANGES = 2000, N_RELOADS = 50, MIN_LOOKUPS = 1000 };

/* N_RANGES of /24, all of them of the AS `asn`. */
static bool write_version(const struct temp *temp, uint32_t asn)
{
        g_autoptr(GString) text = g_string_new(NULL);

        for (unsigned i = 0; i < N_RANGES; i++)
                g_string_append_printf(text, "10.%u.%u.0\t10.%u.%u.255\t%u\tUS\tVERSION-%u\n",
                                       i / 256, i % 256, i / 256, i % 256, asn, asn);
        return temp_write(temp, text->str, text->len);
}

static uint32_t current_asn(struct asn_source *source, uint64_t *ret_generation)
{
        struct asn_table *table = asn_source_acquire(source, ret_generation);
        struct asn_answer answer = {0};

        tap_eq_int(asn_table_lookup_text(table, "10.0.1.2", 8, &answer), ASN_FOUND);
        asn_table_unref(table);
        return answer.asn;
}

static void test_reload(void)
{
        struct asn_source *source;
        uint64_t generation;
        struct temp temp;

        tap_require(temp_open(&temp) && write_version(&temp, 1));
        source = asn_source_new(temp.path, NULL);
        tap_require(source != NULL);
        tap_eq_uint(current_asn(source, &generation), 1);
        tap_eq_uint(generation, 1);
        tap_require(write_version(&temp, 2));
        tap_eq_uint(current_asn(source, &generation), 1);
        tap_check(asn_source_reload(source, NULL));
        tap_eq_uint(current_asn(source, &generation), 2);
        tap_eq_uint(generation, 2);
        asn_source_free(source);
        temp_close(&temp);
}

/* Whatever has become of the file, what was read of it before stays. */
static void test_failed_reload(void)
{
        struct asn_source *source;
        uint64_t generation;
        struct temp temp;

        tap_require(temp_open(&temp) && write_version(&temp, 1));
        source = asn_source_new(temp.path, NULL);
        tap_require(source != NULL);
        for (unsigned i = 0; i < 3; i++) {
                g_autoptr(GError) error = NULL;

                if (i == 0)
                        tap_eq_int(truncate(temp.path, 100), 0); /* within the third line */
                else if (i == 1)
                        tap_eq_int(truncate(temp.path, 0), 0);
                else
                        tap_eq_int(g_remove(temp.path), 0);
                tap_check(!asn_source_reload(source, &error));
                tap_check(error != NULL && strstr(error->message, temp.path));
                tap_eq_uint(current_asn(source, &generation), 1);
                tap_eq_uint(generation, 1);
        }
        tap_require(write_version(&temp, 3));
        tap_check(asn_source_reload(source, NULL));
        tap_eq_uint(current_asn(source, &generation), 3);
        tap_eq_uint(generation, 2);
        asn_source_free(source);
        tap_check(!asn_source_new(temp.dir, NULL));
        temp_close(&temp);
}

/* What others wait for does not wait for somebody to write to a FIFO. New does not mind one. */
static void test_reload_of_fifo(void)
{
        g_autoptr(GError) error = NULL;
        struct asn_source *source;
        uint64_t generation;
        struct temp temp;

        tap_require(temp_open(&temp) && write_version(&temp, 1));
        source = asn_source_new(temp.path, NULL);
        tap_require(source != NULL);
        tap_require(g_remove(temp.path) == 0 && mkfifo(temp.path, 0600) == 0);
        tap_check(!asn_source_reload(source, &error));
        tap_check(g_error_matches(error, G_IO_ERROR, G_IO_ERROR_NOT_REGULAR_FILE));
        tap_eq_uint(current_asn(source, &generation), 1);
        tap_eq_uint(generation, 1);
        asn_source_free(source);
        temp_close(&temp);
}

/* A table outlives its source. */
static void test_held(void)
{
        struct asn_source *source;
        struct asn_table *table;
        struct asn_answer answer;
        struct temp temp;

        tap_require(temp_open(&temp) && write_version(&temp, 1));
        source = asn_source_new(temp.path, NULL);
        tap_require(source != NULL);
        table = asn_source_acquire(source, NULL);
        tap_require(write_version(&temp, 2));
        tap_check(asn_source_reload(source, NULL));
        asn_source_free(source);
        tap_eq_int(asn_table_lookup_text(table, "10.7.1.2", 8, &answer), ASN_FOUND);
        tap_eq_str(answer.name, "VERSION-1");
        asn_table_unref(table);
        temp_close(&temp);
}

struct reader {
        struct asn_source *source;
        atomic_bool *stop;
        atomic_uint *n_ready; /* how many have looked up enough to be called running */
        uint64_t n_lookups;
};

/* A table is of one version throughout, and the generation never goes down. */
static void *read_tables(void *data)
{
        struct reader *reader = data;
        uint64_t seen = 0, state = 7;

        while (!atomic_load(reader->stop)) {
                uint64_t generation;
                struct asn_table *table = asn_source_acquire(reader->source, &generation);

                tap_check(generation >= seen);
                seen = generation;
                for (unsigned i = 0; i < 10; i++) {
                        const uint32_t v4 =
                                0x0a000000u + (uint32_t)(tap_random(&state) % (N_RANGES * 256));
                        const struct asn_address address = asn_address_from_v4(v4);
                        struct asn_answer answer = {0};

                        tap_eq_int(asn_table_lookup(table, &address, &answer), ASN_FOUND);
                        tap_eq_uint(answer.asn, generation);
                        if (++reader->n_lookups == MIN_LOOKUPS)
                                atomic_fetch_add(reader->n_ready, 1);
                }
                asn_table_unref(table);
        }
        return NULL;
}

static void test_reload_in_use(void)
{
        struct reader readers[N_THREADS];
        pthread_t threads[N_THREADS];
        atomic_bool stop = false;
        atomic_uint n_ready = 0;
        struct asn_source *source;
        struct temp temp;

        tap_require(temp_open(&temp) && write_version(&temp, 1));
        source = asn_source_new(temp.path, NULL);
        tap_require(source != NULL);
        for (unsigned i = 0; i < N_THREADS; i++) {
                readers[i] = (struct reader){source, &stop, &n_ready, 0};
                tap_require(!pthread_create(&threads[i], NULL, read_tables, &readers[i]));
        }
        for (uint32_t i = 2; i < 2 + N_RELOADS || atomic_load(&n_ready) < N_THREADS; i++)
                tap_check(write_version(&temp, i) && asn_source_reload(source, NULL));
        atomic_store(&stop, true);
        for (unsigned i = 0; i < N_THREADS; i++)
                pthread_join(threads[i], NULL);
        asn_source_free(source);
        temp_close(&temp);
}

struct writer {
        const struct temp *temp;
        atomic_bool *stop;
};

/* Writes in place, without any care: what a reader sees is cut anywhere. */
static void *write_in_place(void *data)
{
        struct writer *writer = data;
        g_autoptr(GString) text = g_string_new(NULL);

        for (unsigned i = 0; i < N_RANGES; i++)
                g_string_append_printf(text, "10.%u.%u.0\t10.%u.%u.255\t5\tUS\tX\n", i / 256,
                                       i % 256, i / 256, i % 256);
        while (!atomic_load(writer->stop)) {
                const int fd = open(writer->temp->path, O_WRONLY | O_TRUNC | O_CREAT, 0600);

                for (size_t at = 0; fd >= 0 && at < text->len; at += MIN(text->len - at, 7000))
                        if (write(fd, text->str + at, MIN(text->len - at, 7000)) < 0)
                                break;
                close(fd);
        }
        return NULL;
}

/* Loads of a file that is being written: a table or an error, never a crash. */
static void test_reload_while_written(void)
{
        atomic_bool stop = false;
        struct asn_source *source;
        struct writer writer;
        pthread_t thread;
        struct temp temp;
        uint64_t generation, n_loaded = 0;

        tap_require(temp_open(&temp) && write_version(&temp, 5));
        source = asn_source_new(temp.path, NULL);
        tap_require(source != NULL);
        writer = (struct writer){&temp, &stop};
        tap_require(!pthread_create(&thread, NULL, write_in_place, &writer));
        for (unsigned i = 0; i < 200; i++) {
                g_autoptr(GError) error = NULL;
                const gboolean ok = asn_source_reload(source, &error);

                n_loaded += ok ? 1 : 0;
                tap_check(ok == (error == NULL));
                tap_eq_uint(current_asn(source, &generation), 5);
                tap_eq_uint(generation, 1 + n_loaded);
        }
        atomic_store(&stop, true);
        pthread_join(thread, NULL);
        asn_source_free(source);
        temp_close(&temp);
}

TAP_MAIN(TAP_CASE(test_reload), TAP_CASE(test_failed_reload), TAP_CASE(test_reload_of_fifo),
         TAP_CASE(test_held), TAP_CASE(test_reload_in_use), TAP_CASE(test_reload_while_written))
