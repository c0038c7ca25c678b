/* SPDX-License-Identifier: MIT */

/*
 * See fork.h. The word lies in a page that the kernel empties in children (MADV_WIPEONFORK, Linux
 * 4.14), however they were made. Where it does not, a handler of pthread_atfork() does, which knows
 * of fork() alone.
 *
 * The page is made with the first mark and stays for as long as the process.
 */

#include "fork.h"
#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#define NO_ADVICE 9999 /* that no kernel has */

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif

/* Set once, with release; loaded with acquire. */
static _Atomic(_Atomic uint32_t *) the_word;

/* For systems that do not empty pages. */
static _Atomic uint32_t spare_word;

/* The number given last. Children inherit it, so that theirs are others. */
static _Atomic uint32_t last_value;

static void empty_spare_word(void)
{
        atomic_store_explicit(&spare_word, 0, memory_order_relaxed); /* there is one thread */
}

static _Atomic uint32_t *make_word(void)
{
        void *page = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (page == MAP_FAILED)
                return NULL;
        /* Emulators say yes to whatever advice they do not know. */
        if (madvise(page, (size_t)sysconf(_SC_PAGESIZE), NO_ADVICE) != 0 &&
            madvise(page, (size_t)sysconf(_SC_PAGESIZE), MADV_WIPEONFORK) == 0)
                return page;
        munmap(page, (size_t)sysconf(_SC_PAGESIZE));
        /* Twice, if two threads come at once, does no harm. */
        return pthread_atfork(NULL, NULL, empty_spare_word) == 0 ? &spare_word : NULL;
}

static _Atomic uint32_t *get_word(void)
{
        _Atomic uint32_t *word = atomic_load_explicit(&the_word, memory_order_acquire);
        _Atomic uint32_t *other = NULL;

        if (word)
                return word;
        word = make_word();
        if (!word ||
            atomic_compare_exchange_strong_explicit(&the_word, &other, word, memory_order_acq_rel,
                                                    memory_order_acquire))
                return word;
        if (word != &spare_word) /* another thread was faster */
                munmap((void *)(uintptr_t)word, (size_t)sysconf(_SC_PAGESIZE));
        return other;
}

int nipc__fork_mark_init(struct nipc__fork_mark *mark)
{
        _Atomic uint32_t *word = get_word();
        uint32_t value, next;

        if (!word)
                return -ENOMEM;
        value = atomic_load_explicit(word, memory_order_relaxed);
        while (!value) {
                /* A number without a user does no harm; 0 is what a child finds. */
                next = atomic_fetch_add_explicit(&last_value, 1, memory_order_relaxed) + 1;
                if (atomic_compare_exchange_strong_explicit(
                            word, &value, next, memory_order_relaxed, memory_order_relaxed))
                        value = next;
        }
        mark->word = word;
        mark->value = value;
        return 0;
}
