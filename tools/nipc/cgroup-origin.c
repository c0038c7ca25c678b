/* SPDX-License-Identifier: MIT */
/*
 * Reads the paths of cgroups, see cgroup-origin.h. A path is read component by component; each
 * either is something of its own (a unit, a container, a machine) or is named after what it is in.
 * Pure functions of their arguments.
 */
#include "cgroup-origin.h"

#include <limits.h>
#include <stdbool.h>
#include <string.h>

#define CONTAINER_ID_LEN   64u
#define CONTAINER_ID_SHORT 12u
#define HEX_DIGITS         "0123456789abcdef"
#define DECIMAL_DIGITS     "0123456789"

/* What is known after some components of the path. */
struct reader {
        struct cgroup_origin *origin;
        GString *name;     /* of the cgroup so far; empty at the root */
        GString *manager;  /* what units are prefixed with: "", "user@1000/", "docker-ID12/" */
        bool in_unit;      /* inside a unit: what follows is named after it */
        bool in_kube;      /* somewhere below kubepods */
        bool in_container; /* or in a machine, or a pod of kubernetes */
        bool in_user;      /* below a user's systemd */
        bool new_manager;  /* the next unit is of another systemd than those before */
};

static void set_label(struct reader *reader, enum cgroup_label label, const char *value)
{
        g_free(reader->origin->labels[label]);
        reader->origin->labels[label] = g_strdup(value);
}

static void drop_labels(struct reader *reader, enum cgroup_label first, enum cgroup_label last)
{
        for (enum cgroup_label label = first; label <= last; label++)
                g_clear_pointer(&reader->origin->labels[label], g_free);
}

static bool is_digits(const char *text)
{
        return *text && text[strspn(text, DECIMAL_DIGITS)] == '\0';
}

/* Exactly `len` hexadecimal digits from here on. */
static bool is_hex(const char *text, size_t len)
{
        return strspn(text, HEX_DIGITS) == len;
}

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

/* Leaves what is around behind: a container or machine begins here. */
static void enter_container(struct reader *reader, enum cgroup_orchestrator orchestrator)
{
        struct cgroup_origin *origin = reader->origin;
        const char *unit = origin->labels[CGROUP_LABEL_UNIT];

        if (reader->in_container && reader->in_kube)
                drop_labels(reader, CGROUP_LABEL_CONTAINER_ID, CGROUP_LABEL_ROLE);
        else if (reader->in_container)
                drop_labels(reader, 0, CGROUP_N_LABELS - 1);
        else if (unit && g_str_has_suffix(unit, ".slice")) { /* and no unit of its own */
                drop_labels(reader, CGROUP_LABEL_SLICE, CGROUP_LABEL_SLICE);
                origin->labels[CGROUP_LABEL_SLICE] =
                        g_steal_pointer(&origin->labels[CGROUP_LABEL_UNIT]);
        }
        origin->orchestrator = orchestrator;
        reader->in_container = true;
        reader->in_user = false;
        reader->new_manager = true;
}

/* As it is in paths: a UUID with '-' or '_', or the hash of a static pod's file. */
static bool is_pod_uid(const char *uid, size_t len)
{
        static const unsigned int groups[] = {8, 4, 4, 4, 12};

        if (len == 32)
                return strspn(uid, HEX_DIGITS) >= 32;
        if (len != 36)
                return false;
        for (size_t i = 0; i < G_N_ELEMENTS(groups); i++) {
                if (strspn(uid, HEX_DIGITS) < groups[i])
                        return false;
                uid += groups[i];
                if (i + 1 < G_N_ELEMENTS(groups) && *uid != '-' && *uid != '_')
                        return false;
                uid++;
        }
        return true;
}

static void enter_pod(struct reader *reader, const char *uid)
{
        size_t len = strcspn(uid, ".:");
        g_autofree char *text = g_strndup(uid, len);

        enter_container(reader, CGROUP_ORCHESTRATOR_K8S);
        drop_labels(reader, CGROUP_LABEL_POD_UID, CGROUP_LABEL_POD_UID);
        if (is_pod_uid(uid, len))
                set_label(reader, CGROUP_LABEL_POD_UID, g_strdelimit(text, "_", '-'));
        if (!reader->origin->labels[CGROUP_LABEL_QOS])
                set_label(reader, CGROUP_LABEL_QOS, "guaranteed");
}

/*
 * "kubepods" in the name of a directory or a slice, between dashes if there is more: where it is,
 * or NULL. A service of such a name is a service.
 */
static const char *find_kubepods(const char *leaf)
{
        const char *end = leaf + strcspn(leaf, ".:");
        const char *kube = strstr(leaf, "kubepods");
        const char *behind = kube ? kube + strlen("kubepods") : NULL;

        if (!kube || behind > end || (kube > leaf && kube[-1] != '-'))
                return NULL;
        if (behind < end && *behind != '-')
                return NULL;
        return *end == ':' || *end == '\0' || g_str_has_prefix(end, ".slice") ? kube : NULL;
}

static const char *const qos_classes[] = {"burstable", "besteffort", NULL};

static void enter_kube(struct reader *reader, const char *kube)
{
        const char *behind = kube + strlen("kubepods");

        if (reader->in_container) /* a node within it, that has pods of its own */
                drop_labels(reader, 0, CGROUP_N_LABELS - 1);
        reader->in_container = false;
        reader->in_kube = true;
        reader->origin->orchestrator = CGROUP_ORCHESTRATOR_K8S;
        for (size_t i = 0; qos_classes[i]; i++)
                if (*behind == '-' && g_str_has_prefix(behind + 1, qos_classes[i]))
                        set_label(reader, CGROUP_LABEL_QOS, qos_classes[i]);
}

struct runtime {
        const char *prefix; /* of a container's id, in the component */
        const char *name;   /* what names of cgroups begin with */
        const char *label;
        enum cgroup_orchestrator orchestrator;
        bool is_monitor;
};

static const struct runtime runtimes[] = {
        {"docker", "docker", "docker", CGROUP_ORCHESTRATOR_DOCKER, false},
        {"libpod", "podman", "podman", CGROUP_ORCHESTRATOR_PODMAN, false},
        {"libpod-payload", "libpod-payload", "podman", CGROUP_ORCHESTRATOR_PODMAN, false},
        {"libpod-conmon", "podman-conmon", "podman", CGROUP_ORCHESTRATOR_PODMAN, true},
        {"cri-containerd", "containerd", "containerd", CGROUP_ORCHESTRATOR_K8S, false},
        {"crio", "crio", "crio", CGROUP_ORCHESTRATOR_K8S, false},
        {"crio-conmon", "crio-conmon", "crio", CGROUP_ORCHESTRATOR_K8S, true},
        {"nerdctl", "nerdctl", "containerd", CGROUP_ORCHESTRATOR_UNKNOWN, false},
};

/* Of "docker", and of what is behind the last colon of "system.slice:docker". */
static const struct runtime *find_runtime(const char *prefix)
{
        const char *colon = strrchr(prefix, ':');

        for (size_t i = 0; i < G_N_ELEMENTS(runtimes); i++)
                if (strcmp(colon ? colon + 1 : prefix, runtimes[i].prefix) == 0)
                        return &runtimes[i];
        return NULL;
}

static const char *name_runtime(const struct reader *reader, const char *prefix)
{
        const struct runtime *runtime = find_runtime(prefix);

        if (reader->in_kube && !g_str_has_suffix(prefix, "-conmon"))
                return "k8s";
        if (!*prefix)
                return strcmp(name_tail(reader), "docker") == 0 ? "docker" : "container";
        return runtime && !strchr(prefix, ':') ? runtime->name : prefix;
}

/* A pod of podman without systemd: an id alone, where its containers without a pod are as well. */
static bool is_podman_pod(const struct reader *reader, const char *prefix)
{
        return !*prefix && !reader->in_kube && strcmp(name_tail(reader), "libpod_parent") == 0;
}

static void label_container(struct reader *reader, const char *prefix, const char *id)
{
        const struct runtime *runtime = find_runtime(prefix);
        enum cgroup_orchestrator orchestrator =
                runtime ? runtime->orchestrator : CGROUP_ORCHESTRATOR_UNKNOWN;

        if (is_podman_pod(reader, prefix)) {
                enter_container(reader, CGROUP_ORCHESTRATOR_PODMAN);
                reader->in_container = false; /* what is in it is of this pod */
                set_label(reader, CGROUP_LABEL_POD_ID, id);
                return;
        }
        if (!*prefix && strcmp(name_tail(reader), "docker") == 0) {
                runtime = &runtimes[0];
                orchestrator = runtime->orchestrator;
        }
        if (reader->in_kube)
                orchestrator = CGROUP_ORCHESTRATOR_K8S;
        enter_container(reader, orchestrator);
        set_label(reader, CGROUP_LABEL_CONTAINER_ID, id);
        if (runtime)
                set_label(reader, CGROUP_LABEL_RUNTIME, runtime->label);
        if (runtime && runtime->is_monitor)
                set_label(reader, CGROUP_LABEL_ROLE, "monitor");
}

/* [PREFIX-]ID[.scope], and PREFIX:ID as containerd has it without systemd. */
static char *read_container(struct reader *reader, const char *leaf)
{
        g_autofree char *stem = without_suffix(leaf, ".scope");
        size_t len = strlen(stem);
        const char *id, *prefix;
        char *name;

        if (len < CONTAINER_ID_LEN)
                return NULL;
        id = stem + len - CONTAINER_ID_LEN;
        if (!is_hex(id, CONTAINER_ID_LEN))
                return NULL;
        if (id > stem && id[-1] != '-' && id[-1] != ':')
                return NULL;
        if (id > stem)
                stem[len - CONTAINER_ID_LEN - 1] = '\0';
        prefix = id > stem ? stem : "";
        name = g_strdup_printf("%s-%.*s", name_runtime(reader, prefix), (int)CONTAINER_ID_SHORT,
                               id);
        label_container(reader, prefix, id);
        return name;
}

/* podUID below kubepods, or kubepods[-QOS]-podUID.slice with '_' for '-' in the UID. */
static char *read_pod(struct reader *reader, const char *leaf)
{
        g_autofree char *stem = without_suffix(leaf, ".slice");
        const char *kube = find_kubepods(stem);
        const char *uid = NULL;
        char *name;

        if (kube) {
                const char *pod = strstr(kube, "-pod");

                uid = pod ? pod + strlen("-pod") : NULL;
        } else if (reader->in_kube && g_str_has_prefix(stem, "pod")) {
                uid = stem + strlen("pod");
        }
        if (!uid || !*uid)
                return NULL;
        enter_pod(reader, uid);
        if (strchr(uid, ':'))
                return NULL; /* with a container in the same component */
        name = g_strdup_printf("k8s-pod-%s", uid);
        return g_strdelimit(name, "_", '-');
}

/* libvirt puts its own number first: "qemu-3-vm" is the machine "vm". */
static char *read_libvirt(struct reader *reader, const char *text)
{
        static const struct {
                const char *prefix;
                enum cgroup_orchestrator orchestrator;
        } drivers[] = {
                {"qemu-", CGROUP_ORCHESTRATOR_KVM},
                {"lxc-", CGROUP_ORCHESTRATOR_LXC},
        };

        for (size_t i = 0; i < G_N_ELEMENTS(drivers); i++) {
                const char *p = text + strlen(drivers[i].prefix);

                if (!g_str_has_prefix(text, drivers[i].prefix))
                        continue;
                if (g_ascii_isdigit(*p) && p[strspn(p, DECIMAL_DIGITS)] == '-')
                        p += strspn(p, DECIMAL_DIGITS) + 1;
                if (!*p)
                        return NULL;
                enter_container(reader, drivers[i].orchestrator);
                set_label(reader, CGROUP_LABEL_RUNTIME, "libvirt");
                set_label(reader, CGROUP_LABEL_MACHINE, p);
                return g_strdup_printf("%s%s", drivers[i].prefix, p);
        }
        return NULL;
}

static char *name_machine(struct reader *reader, const char *prefix, const char *machine,
                          enum cgroup_orchestrator orchestrator)
{
        if (*machine) {
                enter_container(reader, orchestrator);
                set_label(reader, CGROUP_LABEL_MACHINE, machine);
        }
        return g_strdup_printf("%s-%s", prefix, machine);
}

static char *read_machine(struct reader *reader, const char *leaf)
{
        g_autofree char *scope = without_suffix(leaf, ".scope");
        const char *dot = strstr(leaf, ".libvirt-");

        if (dot) {
                g_autofree char *stem = g_strndup(leaf, (size_t)(dot - leaf));

                return read_libvirt(reader, stem);
        }
        if (g_str_has_prefix(leaf, "machine-") && g_str_has_suffix(leaf, ".scope")) {
                const char *machine = scope + strlen("machine-");
                char *name = read_libvirt(reader, machine);

                return name ? name
                            : name_machine(reader, "nspawn", machine, CGROUP_ORCHESTRATOR_NSPAWN);
        }
        if (g_str_has_prefix(leaf, "systemd-nspawn@") && g_str_has_suffix(leaf, ".service")) {
                g_autofree char *stem = without_suffix(leaf, ".service");

                return name_machine(reader, "nspawn", stem + strlen("systemd-nspawn@"),
                                    CGROUP_ORCHESTRATOR_NSPAWN);
        }
        if (strcmp(name_tail(reader), "qemu.slice") == 0 && g_str_has_suffix(leaf, ".scope"))
                return name_machine(reader, "qemu", scope, CGROUP_ORCHESTRATOR_KVM);
        return NULL;
}

static char *read_lxc(struct reader *reader, const char *leaf)
{
        static const struct {
                const char *place; /* "PLACE.NAME", or NAME in a cgroup PLACE */
                const char *prefix;
                bool is_monitor;
        } places[] = {
                {"lxc.payload", "lxc", false},
                {"lxc.monitor", "lxc-monitor", true},
                {"lxc", "lxc", false},
        };

        for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
                size_t len = strlen(places[i].place);
                const char *machine = NULL;
                char *name;

                if (strcmp(reader->name->str, places[i].place) == 0)
                        machine = leaf;
                else if (i < 2 && strncmp(leaf, places[i].place, len) == 0 && leaf[len] == '.' &&
                         leaf[len + 1])
                        machine = leaf + len + 1;
                if (!machine)
                        continue;
                name = name_machine(reader, places[i].prefix, machine, CGROUP_ORCHESTRATOR_LXC);
                if (places[i].is_monitor)
                        set_label(reader, CGROUP_LABEL_ROLE, "monitor");
                return name;
        }
        return NULL;
}

static char *read_contained(struct reader *reader, const char *leaf)
{
        char *name = read_pod(reader, leaf);

        if (!name)
                name = read_container(reader, leaf);
        if (!name)
                name = read_machine(reader, leaf);
        if (!name)
                name = read_lxc(reader, leaf);
        return name;
}

/* Can systemd have a unit of that name? Others may end like one. */
static bool is_valid_unit(const char *unit)
{
        static const char valid[] = "0123456789abcdefghijklmnopqrstuvwxyz"
                                    "ABCDEFGHIJKLMNOPQRSTUVWXYZ:-_.\\@";

        return unit[0] != '.' && unit[0] != '@' && unit[strspn(unit, valid)] == '\0';
}

/* "user-1000.slice", "user@1000.service", "session-3.scope" */
static void label_user(struct reader *reader, const char *unit)
{
        static const struct {
                const char *prefix, *suffix;
                enum cgroup_label label;
        } forms[] = {
                {"user-", ".slice", CGROUP_LABEL_UID},
                {"user@", ".service", CGROUP_LABEL_UID},
                {"session-", ".scope", CGROUP_LABEL_SESSION},
        };

        for (size_t i = 0; i < G_N_ELEMENTS(forms); i++) {
                g_autofree char *stem = without_suffix(unit, forms[i].suffix);
                const char *value = stem + strlen(forms[i].prefix);

                if (!g_str_has_prefix(unit, forms[i].prefix) ||
                    !g_str_has_suffix(unit, forms[i].suffix))
                        continue;
                /* Sessions have names such as "c1" as well. */
                if (forms[i].label == CGROUP_LABEL_SESSION ? *value : is_digits(value))
                        set_label(reader, forms[i].label, value);
        }
}

static void label_template(struct reader *reader, const char *unit)
{
        const char *at = strchr(unit, '@');
        const char *dot = strrchr(unit, '.');

        drop_labels(reader, CGROUP_LABEL_TEMPLATE, CGROUP_LABEL_INSTANCE);
        if (at && dot && dot > at + 1) {
                g_autofree char *template =
                        g_strdup_printf("%.*s%s", (int)(at + 1 - unit), unit, dot);
                g_autofree char *escaped = g_strndup(at + 1, (size_t)(dot - at - 1));
                g_autofree char *instance = unescape(escaped);

                set_label(reader, CGROUP_LABEL_TEMPLATE, template);
                set_label(reader, CGROUP_LABEL_INSTANCE, instance);
        }
}

/* "machine-libpod_pod_ID.slice", with the containers of one pod. */
static void label_podman_slice(struct reader *reader, const char *unit)
{
        const char *pod = strstr(unit, "libpod_pod_");
        const char *id = pod ? pod + strlen("libpod_pod_") : "";

        if (is_hex(id, CONTAINER_ID_LEN) && strcmp(id + CONTAINER_ID_LEN, ".slice") == 0 &&
            !reader->in_container) {
                g_autofree char *text = g_strndup(id, CONTAINER_ID_LEN);

                reader->origin->orchestrator = CGROUP_ORCHESTRATOR_PODMAN;
                set_label(reader, CGROUP_LABEL_POD_ID, text);
        }
}

static void label_unit(struct reader *reader, const char *component)
{
        const char *unit = component + (component[0] == '_');
        char **labels = reader->origin->labels;

        if (!is_valid_unit(unit) || (reader->in_kube && !reader->in_container))
                return;
        if (reader->new_manager) {
                drop_labels(reader, CGROUP_LABEL_UNIT, CGROUP_LABEL_SESSION);
                drop_labels(reader, CGROUP_LABEL_MANAGER, CGROUP_LABEL_MANAGER);
        }
        if (reader->new_manager && reader->in_user)
                set_label(reader, CGROUP_LABEL_MANAGER, "user");
        reader->new_manager = false;
        if (!reader->in_container && reader->origin->orchestrator == CGROUP_ORCHESTRATOR_UNKNOWN)
                reader->origin->orchestrator = CGROUP_ORCHESTRATOR_SYSTEMD;
        if (labels[CGROUP_LABEL_UNIT] && g_str_has_suffix(labels[CGROUP_LABEL_UNIT], ".slice"))
                set_label(reader, CGROUP_LABEL_SLICE, labels[CGROUP_LABEL_UNIT]);
        set_label(reader, CGROUP_LABEL_UNIT, unit);
        label_template(reader, unit);
        label_user(reader, unit);
        label_podman_slice(reader, unit);
}

/* Has a name of its own in the systemd that it is of: the machine's, a container's, a user's. */
static void read_unit(struct reader *reader, const char *component, const char *leaf)
{
        g_string_printf(reader->name, "%s%s", reader->manager->str, leaf);
        reader->in_unit = !g_str_has_suffix(leaf, ".slice");
        label_unit(reader, component);
        if (g_str_has_prefix(leaf, "user@") && g_str_has_suffix(leaf, ".service")) {
                g_string_append_printf(reader->manager, "%.*s/",
                                       (int)(strlen(leaf) - strlen(".service")), leaf);
                reader->in_unit = false;
                reader->in_user = true;
                reader->new_manager = true;
        }
}

static void read_component(struct reader *reader, const char *component)
{
        g_autofree char *leaf = unescape(component);
        g_autofree char *contained = NULL;
        const char *kube = find_kubepods(leaf);

        if (kube)
                enter_kube(reader, kube);
        contained = read_contained(reader, leaf);
        if (contained) { /* may run a manager of its own: its units get its name */
                g_string_assign(reader->name, contained);
                g_string_printf(reader->manager, "%s/", contained);
                reader->in_unit = false;
        } else if (!reader->in_unit && is_unit(leaf)) {
                read_unit(reader, component, leaf);
        } else {
                if (reader->in_kube && !reader->in_container && g_strv_contains(qos_classes, leaf))
                        set_label(reader, CGROUP_LABEL_QOS, leaf);
                g_string_append_printf(reader->name, "%s%s", reader->name->len ? "/" : "", leaf);
                reader->in_unit = strcmp(leaf, "payload") != 0; /* nspawn: the machine's root */
        }
}

/* Could a kernel have given this path? */
static bool is_possible(const char *path)
{
        const char *p = path;

        if (*p != '/' || strlen(path) >= PATH_MAX || strchr(path, '\n'))
                return false;
        while (*p && p[1]) {
                size_t len = strcspn(++p, "/");

                if (!len || len > NAME_MAX || (*p == '.' && len == 1) ||
                    (*p == '.' && p[1] == '.' && len == 2))
                        return false;
                p += len;
        }
        return !*p || p == path; /* nothing left, but the slash that is the root */
}

static void read_components(struct reader *reader, const char *path)
{
        g_auto(GStrv) components = g_strsplit(path, "/", -1);

        for (char **component = components; *component; component++)
                if (**component)
                        read_component(reader, *component);
}

void cgroup_origin_read(const char *path, struct cgroup_origin *ret_origin)
{
        struct reader reader = {
                .origin = ret_origin,
                .name = g_string_new(NULL),
                .manager = g_string_new(NULL),
        };

        *ret_origin = (struct cgroup_origin){0};
        if (is_possible(path))
                read_components(&reader, path);
        else
                g_string_assign(reader.name, path + strspn(path, "/"));
        if (!reader.name->len)
                g_string_assign(reader.name, "root");
        if (!g_utf8_validate(path, -1, NULL)) {
                ret_origin->orchestrator = CGROUP_ORCHESTRATOR_UNKNOWN;
                drop_labels(&reader, 0, CGROUP_N_LABELS - 1);
        }
        g_string_free(reader.manager, TRUE);
        ret_origin->name = g_string_free(reader.name, FALSE);
}

void cgroup_origin_clear(struct cgroup_origin *origin)
{
        g_clear_pointer(&origin->name, g_free);
        for (size_t i = 0; i < CGROUP_N_LABELS; i++)
                g_clear_pointer(&origin->labels[i], g_free);
}

const char *cgroup_label_key(enum cgroup_label label)
{
        static const char *const keys[CGROUP_N_LABELS] = {
                [CGROUP_LABEL_CONTAINER_ID] = "container_id",
                [CGROUP_LABEL_RUNTIME] = "runtime",
                [CGROUP_LABEL_ROLE] = "role",
                [CGROUP_LABEL_POD_UID] = "pod_uid",
                [CGROUP_LABEL_QOS] = "qos",
                [CGROUP_LABEL_POD_ID] = "pod_id",
                [CGROUP_LABEL_MACHINE] = "machine",
                [CGROUP_LABEL_UNIT] = "unit",
                [CGROUP_LABEL_TEMPLATE] = "template",
                [CGROUP_LABEL_INSTANCE] = "instance",
                [CGROUP_LABEL_SLICE] = "slice",
                [CGROUP_LABEL_SESSION] = "session",
                [CGROUP_LABEL_UID] = "uid",
                [CGROUP_LABEL_MANAGER] = "manager",
        };

        return keys[label];
}
