/* SPDX-License-Identifier: MIT */

/*
 * The golden bytes through nipc.exe: what is good is decoded to the fields of index.json, and
 * encoded to the same bytes where these are canonical; what is not is refused.
 */

#include "util-run.h"
#include <json-glib/json-glib.h>

static JsonArray *load_vectors(void)
{
        g_autoptr(JsonParser) parser = json_parser_new();
        g_autofree char *path = g_build_filename(getenv("NIPC_VECTORS"), "index.json", NULL);
        g_autofree char *text = NULL;
        size_t size;

        if (!g_file_get_contents(path, &text, &size, NULL) ||
            !json_parser_load_from_data(parser, text, (gssize)size, NULL))
                return NULL;
        /* Kept for as long as the program runs. */
        return json_node_get_array(json_object_get_member(
                json_node_get_object(json_parser_steal_root(parser)), "vectors"));
}

static const char *get_string(JsonObject *vector, const char *name)
{
        JsonNode *node = json_object_get_member(vector, name);

        return node ? json_node_get_string(node) : NULL;
}

static bool get_bool(JsonObject *vector, const char *name)
{
        JsonNode *node = json_object_get_member(vector, name);

        return node && json_node_get_boolean(node);
}

/* Hex without blanks. */
static char *squeeze(const char *text)
{
        GString *hex = g_string_new(NULL);

        for (; *text; text++)
                if (!g_ascii_isspace(*text))
                        g_string_append_c(hex, *text);
        return g_string_free(hex, FALSE);
}

static void check_encode(const char *type, const char *name, const char *json, const char *bytes)
{
        g_autofree char *arguments = g_strdup_printf("encode --type %s -", type);
        struct run_result result = run_program(getenv("NIPC_TOOL"), arguments, json);
        g_autofree char *hex = squeeze(result.out), *expected = squeeze(bytes);

        if (!tap_eq_int(result.status, 0) || !tap_check(!strcmp(hex, expected)))
                tap_note("%s: %s", name, result.err);
        run_result_clear(&result);
}

static void check_vector(JsonObject *vector)
{
        const char *type = get_string(vector, "type"), *name = get_string(vector, "name");
        g_autofree char *path =
                g_build_filename(getenv("NIPC_VECTORS"), get_string(vector, "file"), NULL);
        g_autofree char *arguments = g_strdup_printf("decode --type %s \"%s\"", type, path);
        g_autofree char *bytes = NULL;
        struct run_result result;

        tap_require(g_file_get_contents(path, &bytes, NULL, NULL));
        result = run_program(getenv("NIPC_TOOL"), arguments, NULL);
        if (!tap_eq_int(result.status, get_bool(vector, "valid") ? 0 : 1))
                tap_note("%s: %s", name, result.err);
        tap_check(result.status == 0 || strstr(result.err, " at offset "));
        if (result.status == 0 && get_bool(vector, "canonical"))
                check_encode(type, name, result.out, bytes);
        run_result_clear(&result);
}

static void test_vectors(void)
{
        JsonArray *vectors = load_vectors();
        unsigned n = 0;

        tap_require(vectors != NULL);
        for (guint i = 0; i < json_array_get_length(vectors); i++) {
                JsonObject *vector = json_node_get_object(json_array_get_element(vectors, i));

                /* Those that need to know more than the bytes are for programs. */
                if (json_object_has_member(vector, "params"))
                        continue;
                check_vector(vector);
                n++;
        }
        tap_note("%u vectors", n);
        tap_check(n > 100);
}

int main(int argc, char **argv)
{
        static const struct tap_case cases[] = {TAP_CASE(test_vectors)};

        util_begin();
        return tap_run(cases, 1, argc, argv);
}
