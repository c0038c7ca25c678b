/* SPDX-License-Identifier: MIT */
/* Names of cgroups, see cgroup-name.h. Their paths are read in cgroup-origin.c. */
#include "cgroup-name.h"

#include "cgroup-origin.h"

#include <stdbool.h>
#include <string.h>

char *cgroup_name_from_path(const char *path)
{
        struct cgroup_origin origin;
        char *name;

        cgroup_origin_read(path, &origin);
        name = g_steal_pointer(&origin.name);
        cgroup_origin_clear(&origin);
        return name;
}

char *cgroup_name_distinguish(const char *name, const char *path)
{
        g_autofree char *suffix = g_strdup_printf("~%08x", cgroup_name_hash(path));
        g_autofree char *digest = NULL;

        if (!g_str_has_suffix(name, suffix))
                return g_strconcat(name, suffix, NULL);
        digest = g_compute_checksum_for_string(G_CHECKSUM_SHA256, path, -1);
        return g_strdup_printf("%s~%.16s", name, digest);
}

/* Would a reader of a table see where it begins and ends, and nothing that it is not? */
static bool is_plain(const char *bytes, size_t len)
{
        if (!g_utf8_validate_len(bytes, len, NULL) || g_str_has_prefix(bytes, "{\"hex\""))
                return false;
        if (len && (bytes[0] == ' ' || bytes[len - 1] == ' '))
                return false;
        while (*bytes) {
                gunichar c = g_utf8_get_char(bytes);

                if (!g_unichar_isprint(c) || (bytes[0] == ' ' && bytes[1] == ' '))
                        return false;
                bytes += g_unichar_to_utf8(c, NULL);
        }
        return true;
}

char *cgroup_name_show(const char *bytes, size_t len)
{
        g_autofree char *text = g_strndup(bytes, len); /* up to a NUL, which is not plain */
        GString *hex;

        if (strlen(text) == len && is_plain(text, len))
                return g_steal_pointer(&text);
        hex = g_string_new("{\"hex\": \"");
        for (size_t i = 0; i < len; i++)
                g_string_append_printf(hex, "%02x", (unsigned char)bytes[i]);
        g_string_append(hex, "\"}");
        return g_string_free(hex, FALSE);
}

uint32_t cgroup_name_hash(const char *name)
{
        uint32_t hash = 5381;

        for (const unsigned char *p = (const unsigned char *)name; *p; p++)
                hash = hash * 33u + *p;
        return hash;
}
