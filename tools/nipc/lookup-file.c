/* SPDX-License-Identifier: MIT */
/* Lookups answered from a JSON file, see lookup-file.h. */
#include "lookup-file.h"

#include "json-source.h"

#include <string.h>

/* Items by the bytes of their key: the string, or what is repeated of a key of fixed size. */
struct lookup_file {
        const struct nipc_lookup_class *class_;
        uint16_t unknown;
        GByteArray *bytes; /* the encoded response, which the view borrows */
        struct nipc_lookup_view view;
        GHashTable *index; /* GBytes to index + 1 */
};

static GBytes *key_of_item(const struct nipc_lookup_class *class_, struct nipc_lookup_item item)
{
        struct nipc_lookup_string string;

        if (class_->key_size)
                return g_bytes_new_static(item.bytes + class_->key_offset, class_->key_echo_size);
        string = nipc_lookup_item_get_string(class_, item, 0);
        return g_bytes_new_static(string.str, string.len);
}

/* Of several items for one key the first counts. */
static void index_items(struct lookup_file *file)
{
        for (uint32_t i = 0; i < file->view.item_count; i++) {
                GBytes *key = key_of_item(file->class_, nipc_lookup_view_get(&file->view, i));

                if (g_hash_table_contains(file->index, key))
                        g_bytes_unref(key);
                else
                        g_hash_table_insert(file->index, key, GUINT_TO_POINTER(i + 1));
        }
}

/*
 * No item may say that it did not fit: that is of one response, and would spoil every request for
 * its key.
 */
static gboolean check_items(const struct lookup_file *file, const char *path, GError **error)
{
        for (uint32_t i = 0; i < file->view.item_count; i++)
                if (nipc_lookup_item_get_status(nipc_lookup_view_get(&file->view, i)) ==
                    file->class_->status_exceeded) {
                        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA,
                                    "%s: items[%u].status is PAYLOAD_EXCEEDED, which says nothing "
                                    "of its key; remove the item",
                                    path, i);
                        return FALSE;
                }
        return TRUE;
}

struct lookup_file *lookup_file_load(const char *path, const struct nipc_lookup_class *class_,
                                     const char *type, uint16_t unknown, GError **error)
{
        struct lookup_file *file = g_new0(struct lookup_file, 1);
        struct nipc_fault fault = {0};

        file->class_ = class_;
        file->unknown = unknown;
        file->index = g_hash_table_new_full(g_bytes_hash, g_bytes_equal,
                                            (GDestroyNotify)g_bytes_unref, NULL);
        file->bytes = json_source_load(path, type, error);
        if (!file->bytes)
                return lookup_file_free(file);
        if (nipc_lookup_view_init(&file->view, class_, file->bytes->data, file->bytes->len,
                                  &fault)) {
                g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "%s is no %s: %s", path,
                            type, fault.rule);
                return lookup_file_free(file);
        }
        if (!check_items(file, path, error))
                return lookup_file_free(file);
        index_items(file);
        return file;
}

struct lookup_file *lookup_file_free(struct lookup_file *file)
{
        if (!file)
                return NULL;
        g_hash_table_unref(file->index);
        g_clear_pointer(&file->bytes, g_byte_array_unref);
        g_free(file);
        return NULL;
}

static uint32_t find(const struct lookup_file *file, const void *key, size_t size)
{
        g_autoptr(GBytes) bytes = NULL;

        if (file->class_->key_size)
                size = file->class_->key_echo_size;
        bytes = g_bytes_new_static(key, size);
        return GPOINTER_TO_UINT(g_hash_table_lookup(file->index, bytes));
}

int lookup_file_answer(const struct lookup_file *file,
                       const struct nipc_lookup_request_view *request,
                       struct nipc_lookup_builder *builder)
{
        nipc_lookup_builder_set_generation(builder, file->view.generation);
        for (uint32_t i = 0; i < request->item_count; i++) {
                size_t size;
                const void *key = nipc_lookup_request_view_get(request, i, &size);
                uint32_t found = find(file, key, size);
                int r;

                if (found)
                        r = nipc_lookup_builder_add_item(builder, nipc_lookup_view_get(&file->view,
                                                                                       found - 1));
                else
                        r = nipc_lookup_builder_add_status(builder, key, size, file->unknown);
                if (r)
                        return r;
        }
        return 0;
}
