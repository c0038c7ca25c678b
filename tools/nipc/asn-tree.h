/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * How many of a sorted array's keys are not above a given one: a static B+ tree without pointers,
 * 16 keys a node. Level 0 is the sorted array itself, padded; node i of a level has the children
 * 17 i ... 17 i + 16 below, and its key k is the lowest one of child k + 1. A million keys are five
 * nodes deep, of which only the lowest one is not in the nearest caches anyway; how the keys are
 * spread makes no difference.
 */

#include <stddef.h>
#include <stdint.h>

enum {
        ASN_TREE_NODE = 16,
        ASN_TREE_MAX_LEVELS = 8, /* 16 * 17^7 keys */
};

struct asn_tree {
        size_t n_keys;
        size_t n_bytes; /* of `keys` */
        unsigned n_levels;
        size_t level_at[ASN_TREE_MAX_LEVELS]; /* in keys; level 0 is the array */
        uint64_t *keys;                       /* owned */
};

/* get: key i of the n_keys in rising order. 0, -ENOMEM. */
int asn_tree_init(struct asn_tree *tree, size_t n_keys,
                  uint64_t (*get)(const void *source, size_t i), const void *source);
void asn_tree_deinit(struct asn_tree *tree);

static inline size_t asn_tree_rank(const struct asn_tree *tree, uint64_t key)
{
        size_t node = 0;

        if (key == UINT64_MAX)
                return tree->n_keys; /* what pads the nodes would count */
        for (unsigned level = tree->n_levels; level-- > 0;) {
                const uint64_t *first = &tree->keys[tree->level_at[level] + node * ASN_TREE_NODE];
                const uint64_t *at = first;

                /*
                 * In steps of half the rest, without branches. To compare all 16 at once is no
                 * faster for one key and twice as slow for many: there is no room left in the
                 * processor to begin with the next one while this one waits for memory.
                 */
                at += (at[7] <= key) * 8;
                at += (at[3] <= key) * 4;
                at += (at[1] <= key) * 2;
                at += at[0] <= key;
                at += at[0] <= key; /* the sixteenth; before it, a key that is above anyway */
                node = node * (level ? ASN_TREE_NODE + 1 : ASN_TREE_NODE) + (size_t)(at - first);
        }
        return node;
}
