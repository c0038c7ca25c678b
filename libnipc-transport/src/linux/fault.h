/* SPDX-License-Identifier: MIT */
#pragma once

/* Mappings whose pages a peer can take away, by address, for nipc_fault_handle(). */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One of them. Entries are made on demand, recycled, and never freed. */
struct nipc__fault_entry {
        atomic_bool is_used;
        atomic_bool is_broken;
        _Atomic uint32_t version; /* odd: start and size are being changed, or nothing is there */
        _Atomic uintptr_t start;
        _Atomic size_t size;
        struct nipc__fault_entry *next;
};

/* Before the first access. Returns 0 or -ENOMEM. */
int nipc__fault_register(void *start, size_t size, struct nipc__fault_entry **ret_entry);

/* After the last access, before the memory is unmapped. Takes NULL. */
void nipc__fault_unregister(struct nipc__fault_entry *entry);

/* Whether zeros took its place. */
static inline bool nipc__fault_is_broken(const struct nipc__fault_entry *entry)
{
        /* Pairs with the store in nipc_fault_handle(), which ran before the access that saw zeros
         * went on. */
        return atomic_load_explicit(&entry->is_broken, memory_order_acquire);
}
