/* SPDX-License-Identifier: MIT */
/*
 * Names of cgroups, see cgroup-name.h. A path is read component by component; each either has a
 * name of its own (a unit, a container, a machine) or is named after what it is in. Pure functions
 * of their arguments: nothing is looked up anywhere.
 */
#include "cgroup-name.h"

#include <stdbool.h>
#include <string.h>

#define CONTAINER_ID_LEN   64u
#define CONTAINER_ID_SHORT 12u

/* What is known after some components of the path. */
struct reader {
        GString *name;    /* of the cgroup so far; empty at the root */
        GString *manager; /* what units are prefixed with: "", "user@1000/", "docker-ID12/" */
        bool in_unit;     /* inside a unit: what follows is named after it */
        bool in_kube;     /* somewhere below kubepods */
};

static bool is_unit(const char *leaf)
{
        static const char *const suffixes[] = {".service", ".scope", ".slice", ".socket",
                                               ".mount",   ".swap",  NULL};

        for (size_t i = 0; suffixes[i]; i++)
                if (g_str_has_suffix(leaf, suffixes[i]))
                        return true;
        return false;
}

/* Undoes systemd's escaping: \xNN where that is printable, and the "_" before reserved names. */
static char *unescape(const char *component)
{
        GString *text = g_string_new(NULL);

        if (component[0] == '_' && is_unit(component))
                component++;
        for (const char *p = component; *p; p++) {
                if (p[0] == '\\' && p[1] == 'x' && g_ascii_isxdigit(p[2]) &&
                    g_ascii_isxdigit(p[3])) {
                        int c = g_ascii_xdigit_value(p[2]) * 16 + g_ascii_xdigit_value(p[3]);

                        if (c >= 0x20 && c <= 0x7e && c != '/') {
                                g_string_append_c(text, (char)c);
                                p += 3;
                                continue;
                        }
                }
                g_string_append_c(text, *p);
        }
        return g_string_free(text, FALSE);
}

static char *without_suffix(const char *text, const char *suffix)
{
        size_t len = strlen(text);

        return g_strndup(text, g_str_has_suffix(text, suffix) ? len - strlen(suffix) : len);
}

/* The last part of the name so far: "docker" of "docker-0123456789ab/docker". */
static const char *name_tail(const struct reader *reader)
{
        const char *slash = strrchr(reader->name->str, '/');

        return slash ? slash + 1 : reader->name->str;
}

static const char *runtime_from_prefix(const struct reader *reader, const char *prefix)
{
        static const struct {
                const char *prefix;
                const char *runtime;
        } runtimes[] = {
                {"libpod", "podman"},
                {"libpod-conmon", "podman-conmon"},
                {"cri-containerd", "containerd"},
        };

        if (reader->in_kube && !g_str_has_suffix(prefix, "-conmon"))
                return "k8s";
        if (!*prefix)
                return strcmp(name_tail(reader), "docker") == 0 ? "docker" : "container";
        for (size_t i = 0; i < G_N_ELEMENTS(runtimes); i++)
                if (strcmp(prefix, runtimes[i].prefix) == 0)
                        return runtimes[i].runtime;
        return prefix;
}

/* [PREFIX-]ID[.scope], and PREFIX:ID as containerd has it without systemd. */
static char *name_container(const struct reader *reader, const char *leaf)
{
        g_autofree char *stem = without_suffix(leaf, ".scope");
        size_t len = strlen(stem);
        const char *id;

        if (len < CONTAINER_ID_LEN)
                return NULL;
        id = stem + len - CONTAINER_ID_LEN;
        if (strspn(id, "0123456789abcdef") != CONTAINER_ID_LEN)
                return NULL;
        if (id > stem && id[-1] != '-' && id[-1] != ':')
                return NULL;
        if (id > stem)
                stem[len - CONTAINER_ID_LEN - 1] = '\0';
        return g_strdup_printf("%s-%.*s", runtime_from_prefix(reader, id > stem ? stem : ""),
                               (int)CONTAINER_ID_SHORT, id);
}

/* podUID below kubepods, or kubepods[-QOS]-podUID.slice with '_' for '-' in the UID. */
static char *name_pod(const struct reader *reader, const char *leaf)
{
        g_autofree char *stem = without_suffix(leaf, ".slice");
        const char *kube = strstr(stem, "kubepods");
        const char *uid = NULL;
        char *name;

        if (kube) {
                const char *pod = strstr(kube, "-pod");

                uid = pod ? pod + strlen("-pod") : NULL;
        } else if (reader->in_kube && g_str_has_prefix(stem, "pod")) {
                uid = stem + strlen("pod");
        }
        if (!uid || !*uid || strchr(uid, ':'))
                return NULL;
        name = g_strdup_printf("k8s-pod-%s", uid);
        return g_strdelimit(name, "_", '-');
}

/* libvirt puts its own number first: "qemu-3-vm" is the machine "vm". */
static char *name_libvirt(const char *text)
{
        static const char *const drivers[] = {"qemu-", "lxc-", NULL};

        for (size_t i = 0; drivers[i]; i++) {
                const char *p = text + strlen(drivers[i]);

                if (!g_str_has_prefix(text, drivers[i]))
                        continue;
                if (g_ascii_isdigit(*p) && p[strspn(p, "0123456789")] == '-')
                        p += strspn(p, "0123456789") + 1;
                return *p ? g_strdup_printf("%s%s", drivers[i], p) : NULL;
        }
        return NULL;
}

static char *name_machine(const struct reader *reader, const char *leaf)
{
        g_autofree char *scope = without_suffix(leaf, ".scope");
        const char *dot = strstr(leaf, ".libvirt-");

        if (dot) {
                g_autofree char *stem = g_strndup(leaf, (size_t)(dot - leaf));

                return name_libvirt(stem);
        }
        if (g_str_has_prefix(leaf, "machine-") && g_str_has_suffix(leaf, ".scope")) {
                char *name = name_libvirt(scope + strlen("machine-"));

                return name ? name : g_strdup_printf("nspawn-%s", scope + strlen("machine-"));
        }
        if (g_str_has_prefix(leaf, "systemd-nspawn@") && g_str_has_suffix(leaf, ".service")) {
                g_autofree char *stem = without_suffix(leaf, ".service");

                return g_strdup_printf("nspawn-%s", stem + strlen("systemd-nspawn@"));
        }
        if (strcmp(name_tail(reader), "qemu.slice") == 0 && g_str_has_suffix(leaf, ".scope"))
                return g_strdup_printf("qemu-%s", scope);
        return NULL;
}

static char *name_lxc(const struct reader *reader, const char *leaf)
{
        static const struct {
                const char *place; /* "PLACE.NAME", or NAME in a cgroup PLACE */
                const char *prefix;
        } places[] = {
                {"lxc.payload", "lxc"},
                {"lxc.monitor", "lxc-monitor"},
                {"lxc", "lxc"},
        };

        for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
                size_t len = strlen(places[i].place);

                if (strcmp(reader->name->str, places[i].place) == 0)
                        return g_strdup_printf("%s-%s", places[i].prefix, leaf);
                if (i < 2 && strncmp(leaf, places[i].place, len) == 0 && leaf[len] == '.' &&
                    leaf[len + 1])
                        return g_strdup_printf("%s-%s", places[i].prefix, leaf + len + 1);
        }
        return NULL;
}

static char *name_contained(const struct reader *reader, const char *leaf)
{
        char *name = name_pod(reader, leaf);

        if (!name)
                name = name_container(reader, leaf);
        if (!name)
                name = name_machine(reader, leaf);
        if (!name)
                name = name_lxc(reader, leaf);
        return name;
}

static void read_component(struct reader *reader, const char *component)
{
        g_autofree char *leaf = unescape(component);
        g_autofree char *contained = NULL;

        if (strstr(leaf, "kubepods"))
                reader->in_kube = true;
        contained = name_contained(reader, leaf);
        if (contained) { /* may run a manager of its own: its units get its name */
                g_string_assign(reader->name, contained);
                g_string_printf(reader->manager, "%s/", contained);
                reader->in_unit = false;
        } else if (!reader->in_unit && is_unit(leaf)) {
                g_string_printf(reader->name, "%s%s", reader->manager->str, leaf);
                reader->in_unit = !g_str_has_suffix(leaf, ".slice");
                if (g_str_has_prefix(leaf, "user@") && g_str_has_suffix(leaf, ".service")) {
                        g_string_append_printf(reader->manager, "%.*s/",
                                               (int)(strlen(leaf) - strlen(".service")), leaf);
                        reader->in_unit = false;
                }
        } else {
                g_string_append_printf(reader->name, "%s%s", reader->name->len ? "/" : "", leaf);
                reader->in_unit = strcmp(leaf, "payload") != 0; /* nspawn: the machine's root */
        }
}

char *cgroup_name_from_path(const char *path)
{
        struct reader reader = {.name = g_string_new(NULL), .manager = g_string_new(NULL)};
        g_auto(GStrv) components = g_strsplit(path, "/", -1);

        for (char **component = components; *component; component++)
                if (**component)
                        read_component(&reader, *component);
        if (!reader.name->len)
                g_string_assign(reader.name, "root");
        g_string_free(reader.manager, TRUE);
        return g_string_free(reader.name, FALSE);
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
