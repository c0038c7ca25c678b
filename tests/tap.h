/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A small TAP harness for tests that must run everywhere the libraries do, Wine included: standard
 * C only, one header, one test program per file that includes it.
 *
 * How to use:
 *
 *         static void test_roundtrip(void)
 *         {
 *                 tap_require(buf != NULL);           ends the case when it fails
 *                 tap_eq_int(nipc_..., 0);            notes the failure and goes on
 *         }
 *
 *         TAP_MAIN(TAP_CASE(test_roundtrip), TAP_CASE(test_limits))
 *
 * Every check prints file, line and values when it fails, and returns whether it held. A program
 * given an argument runs only the cases whose names contain it; the others are reported as skipped.
 * Exit status: 0 when every case passed or was skipped.
 *
 * Checks may be made from threads that a case started and joins. Cases run one after another.
 */

#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tap_case {
        const char *name;
        void (*run)(void);
};

#define TAP__UNUSED __attribute__((__unused__))
/* MinGW has two printf families; ours is the one of the standard. */
#ifdef __MINGW_PRINTF_FORMAT
#define TAP__PRINTF(f, a) __attribute__((__format__(__MINGW_PRINTF_FORMAT, f, a)))
#else
#define TAP__PRINTF(f, a) __attribute__((__format__(__printf__, f, a)))
#endif

static struct {
        atomic_uint failures; /* of the running case */
        const char *skip;
        const char *todo;
} tap__state;

#define TAP_CASE(function)                         \
        {                                          \
                .name = #function, .run = function \
        }

#define TAP_MAIN(...)                                                                \
        int main(int argc, char **argv)                                              \
        {                                                                            \
                static const struct tap_case cases[] = {__VA_ARGS__};                \
                return tap_run(cases, sizeof(cases) / sizeof(cases[0]), argc, argv); \
        }

/* Ends the case as skipped: `tap_skip("why")` returns from the test function. */
#define tap_skip(reason)                    \
        do {                                \
                tap__state.skip = (reason); \
                return;                     \
        } while (0)

/* From here on the case may fail without failing the program: a known defect of where it runs. */
#define tap_todo(reason) (tap__state.todo = (reason))

/* A line in the log. */
#define tap_note(...)                \
        do {                         \
                printf("# ");        \
                printf(__VA_ARGS__); \
                putchar('\n');       \
                fflush(stdout);      \
        } while (0)

#define tap_fail(...)        tap__fail(__FILE__, __LINE__, __VA_ARGS__)
#define tap_check(condition) ((condition) ? true : tap_fail("%s", "does not hold: " #condition))
#define tap_require(condition)             \
        do {                               \
                if (!tap_check(condition)) \
                        return;            \
        } while (0)
#define tap_eq_int(a, b)  tap__eq_int(__FILE__, __LINE__, #a, (a), #b, (b))
#define tap_eq_uint(a, b) tap__eq_uint(__FILE__, __LINE__, #a, (a), #b, (b))
#define tap_eq_ptr(a, b)  tap__eq_ptr(__FILE__, __LINE__, #a, (a), #b, (b))
#define tap_eq_str(a, b)  tap__eq_str(__FILE__, __LINE__, #a, (a), #b, (b))
#define tap_eq_mem(a, a_size, b, b_size) \
        tap__eq_mem(__FILE__, __LINE__, #a, (a), (a_size), #b, (b), (b_size))

static TAP__UNUSED TAP__PRINTF(3, 4) bool tap__fail(const char *file, int line, const char *format,
                                                    ...)
{
        char text[512];
        va_list args;

        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        /* One call, so that lines of threads do not mix. */
        printf("# %s:%d: %s\n", file, line, text);
        fflush(stdout);
        atomic_fetch_add(&tap__state.failures, 1);
        return false;
}

static TAP__UNUSED bool tap__eq_int(const char *file, int line, const char *a_text, intmax_t a,
                                    const char *b_text, intmax_t b)
{
        return a == b ||
               tap__fail(file, line, "%s == %s: %" PRIdMAX " != %" PRIdMAX, a_text, b_text, a, b);
}

static TAP__UNUSED bool tap__eq_uint(const char *file, int line, const char *a_text, uintmax_t a,
                                     const char *b_text, uintmax_t b)
{
        return a == b || tap__fail(file, line,
                                   "%s == %s: %" PRIuMAX " != %" PRIuMAX " (0x%" PRIxMAX
                                   " != 0x%" PRIxMAX ")",
                                   a_text, b_text, a, b, a, b);
}

static TAP__UNUSED bool tap__eq_ptr(const char *file, int line, const char *a_text, const void *a,
                                    const char *b_text, const void *b)
{
        return a == b || tap__fail(file, line, "%s == %s: %p != %p", a_text, b_text, a, b);
}

static TAP__UNUSED bool tap__eq_str(const char *file, int line, const char *a_text, const char *a,
                                    const char *b_text, const char *b)
{
        if (a == b || (a && b && !strcmp(a, b)))
                return true;
        return tap__fail(file, line, "%s == %s: \"%s\" != \"%s\"", a_text, b_text, a ? a : "(null)",
                         b ? b : "(null)");
}

static TAP__UNUSED bool tap__eq_mem(const char *file, int line, const char *a_text, const void *a,
                                    size_t a_size, const char *b_text, const void *b, size_t b_size)
{
        const unsigned char *x = a, *y = b;
        size_t i;

        if (a_size != b_size)
                return tap__fail(file, line, "%s == %s: %zu bytes != %zu bytes", a_text, b_text,
                                 a_size, b_size);
        for (i = 0; i < a_size; i++)
                if (x[i] != y[i])
                        return tap__fail(file, line, "%s == %s: byte %zu of %zu: %02x != %02x",
                                         a_text, b_text, i, a_size, x[i], y[i]);
        return true;
}

/* Runs one case; false when it failed. */
static TAP__UNUSED bool tap__run_case(const struct tap_case *test, size_t number,
                                      const char *filter)
{
        bool good;

        atomic_store(&tap__state.failures, 0);
        tap__state.skip = NULL;
        tap__state.todo = NULL;
        if (filter && !strstr(test->name, filter))
                tap__state.skip = "not asked for";
        else
                test->run();
        good = atomic_load(&tap__state.failures) == 0;
        printf("%s %zu - %s", good ? "ok" : "not ok", number, test->name);
        if (good && tap__state.skip)
                printf(" # SKIP %s", tap__state.skip);
        else if (tap__state.todo)
                printf(" # TODO %s", tap__state.todo);
        putchar('\n');
        fflush(stdout);
        return good || tap__state.todo;
}

static TAP__UNUSED int tap_run(const struct tap_case *cases, size_t n_cases, int argc, char **argv)
{
        size_t i, n_failed = 0;

        printf("1..%zu\n", n_cases);
        fflush(stdout);
        for (i = 0; i < n_cases; i++)
                n_failed += !tap__run_case(&cases[i], i + 1, argc > 1 ? argv[1] : NULL);
        if (n_failed)
                printf("# %zu of %zu cases failed\n", n_failed, n_cases);
        return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/*
 * Numbers for tests that try many inputs: the same on every machine and every run, so that a
 * failure can be run again. (xorshift64*)
 */
static TAP__UNUSED uint64_t tap_random(uint64_t *state)
{
        uint64_t x = *state ? *state : UINT64_C(0x9e3779b97f4a7c15);

        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        *state = x;
        return x * UINT64_C(0x2545f4914f6cdd1d);
}
