/* SPDX-License-Identifier: MIT */

/* Method 4, both directions. */

#include <nipc/cgroups-lookup.h>

#include "fuzz-lookup.h"

static int add(struct nipc_lookup_builder *builder, struct nipc_lookup_item raw)
{
        struct nipc_cgroups_lookup_item item;
        struct nipc_label *labels;
        uint32_t i;
        int r;

        nipc_cgroups_lookup_item_load(raw, &item);
        labels = fuzz_alloc(item.n_labels * sizeof(*labels));
        for (i = 0; i < item.n_labels; i++)
                labels[i] = nipc_lookup_item_get_label(nipc_cgroups_lookup_get_class(), raw, i);
        item.labels = labels;
        r = nipc_cgroups_lookup_builder_add(builder, &item);
        free(labels);
        return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const struct fuzz_lookup subject = {
                .class_ = nipc_cgroups_lookup_get_class(),
                .add = add,
        };

        return fuzz_check_lookup(&subject, data, size);
}
