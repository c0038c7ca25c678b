/* SPDX-License-Identifier: MIT */
/* Builds the tree of asn-tree.h. */
#include "asn-tree.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Sets the levels and reserves the keys, all of them the highest there is. */
static int tree_reserve(struct asn_tree *tree, size_t n_keys)
{
        size_t n_nodes = (n_keys + ASN_TREE_NODE - 1) / ASN_TREE_NODE, at = 0;

        *tree = (struct asn_tree){.n_keys = n_keys};
        if (n_keys == 0)
                return 0; /* no levels: every rank is 0 */
        for (;;) {
                tree->level_at[tree->n_levels++] = at;
                at += n_nodes * ASN_TREE_NODE;
                if (n_nodes == 1)
                        break;
                n_nodes = (n_nodes + ASN_TREE_NODE) / (ASN_TREE_NODE + 1);
        }
        tree->n_bytes = at * sizeof(*tree->keys); /* a multiple of what a line has */
        tree->keys = aligned_alloc(64, tree->n_bytes);
        if (!tree->keys)
                return -ENOMEM;
        memset(tree->keys, 0xff, tree->n_bytes);
        return 0;
}

/* Which key of the array slot `slot` holds; at least n_keys: none, it stays the highest. */
static size_t tree_source(const struct asn_tree *tree, size_t slot)
{
        unsigned level = tree->n_levels - 1;
        size_t node, child;

        while (slot < tree->level_at[level])
                level--;
        slot -= tree->level_at[level];
        if (level == 0)
                return slot;
        node = slot / ASN_TREE_NODE;
        child = node * (ASN_TREE_NODE + 1) + slot % ASN_TREE_NODE + 1;
        while (--level > 0)
                child *= ASN_TREE_NODE + 1; /* its leftmost child */
        return child * ASN_TREE_NODE;
}

int asn_tree_init(struct asn_tree *tree, size_t n_keys,
                  uint64_t (*get)(const void *source, size_t i), const void *source)
{
        int r = tree_reserve(tree, n_keys);

        if (r)
                return r;
        for (size_t slot = 0; slot < tree->n_bytes / sizeof(*tree->keys); slot++) {
                const size_t i = tree_source(tree, slot);

                if (i < n_keys)
                        tree->keys[slot] = get(source, i);
        }
        return 0;
}

void asn_tree_deinit(struct asn_tree *tree)
{
        free(tree->keys);
        *tree = (struct asn_tree){0};
}
