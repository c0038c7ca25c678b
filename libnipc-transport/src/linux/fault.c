/* SPDX-License-Identifier: MIT */

/*
 * See fault.h and <nipc/fault.h>. The handler may interrupt anything, registering included, so it
 * takes no lock: it walks a list that only grows and reads each entry under a version. An entry
 * that is being changed is passed over: its memory is not touched yet, or not any more.
 */

#include "fault.h"
#include "stdaux.h"
#include <errno.h>
#include <nipc/fault.h>
#include <sys/mman.h>

/* Pushed with release, walked with acquire. */
static _Atomic(struct nipc__fault_entry *) entries;

static struct nipc__fault_entry *take_entry(void)
{
        struct nipc__fault_entry *entry;

        entry = atomic_load_explicit(&entries, memory_order_acquire);
        for (; entry; entry = entry->next) {
                bool expected = false;

                /* Acquires what the last user left, see nipc__fault_unregister(). */
                if (atomic_compare_exchange_strong_explicit(&entry->is_used, &expected, true,
                                                            memory_order_acquire,
                                                            memory_order_relaxed))
                        return entry;
        }
        entry = calloc(1, sizeof(*entry));
        if (!entry)
                return NULL;
        atomic_init(&entry->is_used, true);
        atomic_init(&entry->version, 1);
        entry->next = atomic_load_explicit(&entries, memory_order_relaxed);
        while (!atomic_compare_exchange_weak_explicit(&entries, &entry->next, entry,
                                                      memory_order_release, memory_order_relaxed))
                ;
        return entry;
}

int nipc__fault_register(void *start, size_t size, struct nipc__fault_entry **ret_entry)
{
        struct nipc__fault_entry *entry = take_entry();

        if (!entry)
                return -ENOMEM;
        atomic_store_explicit(&entry->is_broken, false, memory_order_relaxed);
        atomic_store_explicit(&entry->start, (uintptr_t)start, memory_order_relaxed);
        atomic_store_explicit(&entry->size, size, memory_order_relaxed);
        /* Even from here on; pairs with the first load in has_address(). */
        atomic_fetch_add_explicit(&entry->version, 1, memory_order_release);
        *ret_entry = entry;
        return 0;
}

void nipc__fault_unregister(struct nipc__fault_entry *entry)
{
        if (!entry)
                return;
        /* Odd before the next user writes: pairs with the second load in has_address(). */
        atomic_fetch_add_explicit(&entry->version, 1, memory_order_acq_rel);
        atomic_store_explicit(&entry->is_used, false, memory_order_release);
}

static bool has_address(struct nipc__fault_entry *entry, uintptr_t address, uintptr_t *ret_start,
                        size_t *ret_size)
{
        uint32_t version = atomic_load_explicit(&entry->version, memory_order_acquire);

        if (version & 1)
                return false;
        /* Acquire, so that neither is read after the version is read again. */
        *ret_start = atomic_load_explicit(&entry->start, memory_order_acquire);
        *ret_size = atomic_load_explicit(&entry->size, memory_order_acquire);
        return atomic_load_explicit(&entry->version, memory_order_relaxed) == version &&
               address >= *ret_start && address - *ret_start < *ret_size;
}

NIPC__EXPORT bool nipc_fault_handle(const void *address)
{
        struct nipc__fault_entry *entry = atomic_load_explicit(&entries, memory_order_acquire);
        uintptr_t start;
        size_t size;
        void *map;
        int saved = errno;

        for (; entry; entry = entry->next)
                if (has_address(entry, (uintptr_t)address, &start, &size))
                        break;
        if (!entry)
                return false;
        /* Before the zeros can be seen: pairs with the load in nipc__fault_is_broken(). */
        atomic_store_explicit(&entry->is_broken, true, memory_order_release);
        map = mmap((void *)start, size, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
        errno = saved;
        return map != MAP_FAILED;
}
