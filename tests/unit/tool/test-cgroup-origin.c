/* SPDX-License-Identifier: MIT */
/*
 * Where cgroups come from: every line of data/cgroup-origins.tsv tells what is beside it, and what
 * becomes of it when it is cut or changed anywhere still holds together.
 */
#include <cgroup-name.h>
#include <cgroup-origin.h>

#include "tap.h"

#include <limits.h>

#define MIN_PATHS 90u

static const char *const orchestrators[] = {
        [CGROUP_ORCHESTRATOR_UNKNOWN] = "unknown", [CGROUP_ORCHESTRATOR_SYSTEMD] = "systemd",
        [CGROUP_ORCHESTRATOR_DOCKER] = "docker",   [CGROUP_ORCHESTRATOR_K8S] = "k8s",
        [CGROUP_ORCHESTRATOR_KVM] = "kvm",         [CGROUP_ORCHESTRATOR_LXC] = "lxc",
        [CGROUP_ORCHESTRATOR_PODMAN] = "podman",   [CGROUP_ORCHESTRATOR_NSPAWN] = "nspawn",
};

/* The lines that are no comments; NULL without the file. */
static GPtrArray *read_lines(void)
{
        const char *file = g_getenv("CGROUP_ORIGINS");
        GPtrArray *lines = g_ptr_array_new_with_free_func(g_free);
        g_autofree char *text = NULL;
        g_auto(GStrv) all = NULL;

        if (!file || !g_file_get_contents(file, &text, NULL, NULL)) {
                tap_fail("cannot read CGROUP_ORIGINS=%s", file ? file : "");
                return lines;
        }
        all = g_strsplit(text, "\n", -1);
        for (char **line = all; *line; line++)
                if (**line && **line != '#')
                        g_ptr_array_add(lines, g_strdup(*line));
        return lines;
}

/* In place: %XX becomes a byte. */
static char *decode(char *text)
{
        char *to = text;

        for (const char *from = text; *from; to++) {
                if (from[0] == '%' && g_ascii_isxdigit(from[1]) && g_ascii_isxdigit(from[2])) {
                        *to = (char)(g_ascii_xdigit_value(from[1]) * 16 +
                                     g_ascii_xdigit_value(from[2]));
                        from += 3;
                } else {
                        *to = *from++;
                }
        }
        *to = '\0';
        return text;
}

static char *join_labels(const struct cgroup_origin *origin)
{
        GString *text = g_string_new(NULL);

        for (enum cgroup_label label = 0; label < CGROUP_N_LABELS; label++)
                if (origin->labels[label])
                        g_string_append_printf(text, "%s%s=%s", text->len ? "\t" : "",
                                               cgroup_label_key(label), origin->labels[label]);
        return g_string_free(text, FALSE);
}

static void check_line(const char *line)
{
        g_auto(GStrv) columns = g_strsplit(line, "\t", 4);
        g_autofree char *labels = NULL;
        struct cgroup_origin origin;

        tap_require(g_strv_length(columns) >= 3);
        cgroup_origin_read(decode(columns[0]), &origin);
        labels = join_labels(&origin);
        tap_eq_str(orchestrators[origin.orchestrator], columns[1]);
        tap_eq_str(origin.name, decode(columns[2]));
        if (!tap_eq_str(labels, columns[3] ? columns[3] : ""))
                tap_note("%s", line);
        cgroup_origin_clear(&origin);
}

static void test_lines(void)
{
        g_autoptr(GPtrArray) lines = read_lines();

        tap_check(lines->len >= MIN_PATHS);
        for (guint i = 0; i < lines->len; i++)
                check_line(lines->pdata[i]);
}

/* What is true of any path at all. */
static void check_path(const char *path)
{
        g_autofree char *name = cgroup_name_from_path(path);
        struct cgroup_origin origin;
        const char *id, *qos;
        size_t n_labels = 0;

        cgroup_origin_read(path, &origin);
        id = origin.labels[CGROUP_LABEL_CONTAINER_ID];
        qos = origin.labels[CGROUP_LABEL_QOS];
        tap_check(*origin.name);
        tap_eq_str(origin.name, name);
        tap_check(origin.orchestrator < G_N_ELEMENTS(orchestrators));
        tap_check(!id || (strlen(id) == 64 && strspn(id, "0123456789abcdef") == 64));
        tap_check(!qos || origin.orchestrator != CGROUP_ORCHESTRATOR_SYSTEMD);
        for (size_t i = 0; i < CGROUP_N_LABELS; i++) {
                n_labels += origin.labels[i] != NULL;
                tap_check(!origin.labels[i] || *origin.labels[i]);
        }
        if (!g_utf8_validate(path, -1, NULL) || strchr(path, '\n') || strstr(path, "//") ||
            *path != '/')
                tap_check(origin.orchestrator == CGROUP_ORCHESTRATOR_UNKNOWN && !n_labels);
        if (origin.orchestrator == CGROUP_ORCHESTRATOR_SYSTEMD)
                tap_check(origin.labels[CGROUP_LABEL_UNIT] != NULL && !id);
        cgroup_origin_clear(&origin);
}

static void mutate(char *path)
{
        static const char flips[] = {0x01, 0x20, '/' ^ '-', (char)0x80};
        size_t len = strlen(path);

        for (size_t i = 0; i < len; i++) {
                g_autofree char *doubled = g_strdup_printf("%.*s/%s", (int)i, path, path + i);
                g_autofree char *head = g_strndup(path, i);
                char byte = path[i];

                check_path(head);
                check_path(path + i);
                check_path(doubled);
                for (size_t k = 0; k < sizeof(flips); k++) {
                        path[i] = (char)(byte ^ flips[k]);
                        check_path(path);
                }
                path[i] = '\n';
                check_path(path);
                path[i] = byte;
        }
}

static void test_mutations(void)
{
        g_autoptr(GPtrArray) lines = read_lines();

        for (guint i = 0; i < lines->len; i++) {
                char *line = lines->pdata[i];

                line[strcspn(line, "\t")] = '\0';
                mutate(decode(line));
        }
}

/* Any two of them, one in the other: of what is nested nothing is lost that must not be. */
static void test_nested(void)
{
        g_autoptr(GPtrArray) lines = read_lines();

        for (guint i = 0; i < lines->len; i++) {
                char *line = lines->pdata[i];

                line[strcspn(line, "\t")] = '\0';
                decode(line);
        }
        for (guint i = 0; i < lines->len; i++) {
                for (guint k = 0; k < lines->len; k++) {
                        g_autofree char *path = g_strconcat(lines->pdata[i], lines->pdata[k], NULL);

                        check_path(path);
                }
        }
}

static void check_long(size_t n_bytes, enum cgroup_orchestrator expected)
{
        GString *path = g_string_new("/system.slice/a.service");
        struct cgroup_origin origin;

        while (path->len + 4 <= n_bytes)
                g_string_append(path, "/dir");
        while (path->len < n_bytes)
                g_string_append_c(path, 'x');
        cgroup_origin_read(path->str, &origin);
        tap_eq_int(origin.orchestrator, expected);
        tap_check(strstr(origin.name, "a.service/dir") != NULL);
        cgroup_origin_clear(&origin);
        g_string_free(path, TRUE);
}

static void test_long(void)
{
        check_long(PATH_MAX - 1, CGROUP_ORCHESTRATOR_SYSTEMD);
        check_long(PATH_MAX, CGROUP_ORCHESTRATOR_UNKNOWN);
        check_long(1u << 20, CGROUP_ORCHESTRATOR_UNKNOWN);
}

static void test_keys(void)
{
        for (enum cgroup_label a = 0; a < CGROUP_N_LABELS; a++) {
                tap_check(*cgroup_label_key(a));
                for (enum cgroup_label b = 0; b < a; b++)
                        tap_check(strcmp(cgroup_label_key(a), cgroup_label_key(b)) != 0);
        }
}

static void test_empty(void)
{
        struct cgroup_origin origin;

        cgroup_origin_read("", &origin);
        tap_eq_str(origin.name, "root");
        tap_eq_int(origin.orchestrator, CGROUP_ORCHESTRATOR_UNKNOWN);
        cgroup_origin_clear(&origin);
        cgroup_origin_clear(&origin);
}

TAP_MAIN(TAP_CASE(test_lines), TAP_CASE(test_mutations), TAP_CASE(test_nested), TAP_CASE(test_long),
         TAP_CASE(test_keys), TAP_CASE(test_empty))
