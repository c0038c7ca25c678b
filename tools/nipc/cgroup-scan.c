/* SPDX-License-Identifier: MIT */
/* Walks a cgroup hierarchy relative to directory descriptors, see cgroup-scan.h. */
#include "cgroup-scan.h"

#include "cgroup-name.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define CGROUP_MOUNT "/sys/fs/cgroup"

static DIR *open_directory(int parent, const char *name)
{
        int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        DIR *dir;

        if (fd < 0)
                return NULL;
        dir = fdopendir(fd);
        if (!dir)
                close(fd);
        return dir;
}

/* The next group in a directory; NULL at its end, or when it vanished. */
static const char *next_group(DIR *dir)
{
        const struct dirent *entry;

        while ((entry = readdir(dir))) {
                struct stat st;

                if (entry->d_name[0] == '.' &&
                    (!entry->d_name[1] || (entry->d_name[1] == '.' && !entry->d_name[2])))
                        continue;
                if (entry->d_type == DT_DIR)
                        return entry->d_name;
                if (entry->d_type == DT_UNKNOWN &&
                    fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
                    S_ISDIR(st.st_mode))
                        return entry->d_name;
        }
        return NULL;
}

static bool has_groups(const char *path)
{
        DIR *dir = opendir(path);
        bool found;

        if (!dir)
                return false;
        found = next_group(dir) != NULL;
        closedir(dir);
        return found;
}

static bool exists_in(const char *directory, const char *name)
{
        g_autofree char *path = g_build_filename(directory, name, NULL);

        return g_file_test(path, G_FILE_TEST_EXISTS);
}

static char *find_machine_root(void)
{
        static const char *const names[] = {"unified", "systemd", "name=systemd", "cpu", "cpuacct",
                                            "memory",  NULL};
        g_autofree char *fallback = NULL;

        if (exists_in(CGROUP_MOUNT, "cgroup.controllers"))
                return g_strdup(CGROUP_MOUNT);
        for (size_t i = 0; names[i]; i++) {
                g_autofree char *path = g_build_filename(CGROUP_MOUNT, names[i], NULL);

                if (has_groups(path))
                        return g_steal_pointer(&path);
                if (!fallback && g_file_test(path, G_FILE_TEST_IS_DIR))
                        fallback = g_steal_pointer(&path);
        }
        return g_steal_pointer(&fallback);
}

gboolean cgroup_hierarchy_find(const char *given, struct cgroup_hierarchy *ret_hierarchy,
                               GError **error)
{
        g_autofree char *path = given ? g_strdup(given) : find_machine_root();

        if (!path) {
                g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND,
                            "no cgroup hierarchy in " CGROUP_MOUNT
                            "; name the root of one with --source");
                return FALSE;
        }
        if (!g_file_test(path, G_FILE_TEST_IS_DIR)) {
                g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_DIRECTORY,
                            "%s is neither a directory nor a .json file; --source takes the root "
                            "directory of a cgroup hierarchy, or a file of items",
                            path);
                return FALSE;
        }
        ret_hierarchy->unified = exists_in(path, "cgroup.controllers");
        ret_hierarchy->systemd = exists_in(path, "system.slice") || exists_in(path, "init.scope");
        ret_hierarchy->path = g_steal_pointer(&path);
        return TRUE;
}

void cgroup_hierarchy_clear(struct cgroup_hierarchy *hierarchy)
{
        g_clear_pointer(&hierarchy->path, g_free);
}

static void cgroup_free(void *data)
{
        struct cgroup *cgroup = data;

        g_free(cgroup->path);
        g_free(cgroup->name);
        g_free(cgroup);
}

struct walk {
        GPtrArray *groups;
        size_t path_bytes;
};

static bool is_full(const struct walk *walk)
{
        return walk->groups->len >= CGROUP_SCAN_MAX_GROUPS ||
               walk->path_bytes >= CGROUP_SCAN_MAX_PATH_BYTES;
}

static void add_group(struct walk *walk, const char *path)
{
        struct cgroup *cgroup = g_new0(struct cgroup, 1);

        cgroup->path = g_strdup(path);
        g_ptr_array_add(walk->groups, cgroup);
        walk->path_bytes += strlen(path);
}

/* Adds what is in `dir`, whose path within the hierarchy is `path` ("" for the root). */
static void walk_directory(struct walk *walk, DIR *dir, const char *path, unsigned int depth)
{
        const char *name;

        while (!is_full(walk) && (name = next_group(dir))) {
                g_autofree char *child_path = g_strdup_printf("%s/%s", path, name);
                DIR *child = open_directory(dirfd(dir), name);

                if (!child && errno == ENOENT)
                        continue; /* vanished */
                add_group(walk, child_path);
                if (!child)
                        continue; /* there, but not for us to look into */
                if (depth < CGROUP_SCAN_MAX_DEPTH)
                        walk_directory(walk, child, child_path, depth + 1);
                closedir(child);
        }
}

static int compare_paths(const void *a, const void *b)
{
        const struct cgroup *const *left = a;
        const struct cgroup *const *right = b;

        return strcmp((*left)->path, (*right)->path);
}

/* The first of several groups of one name keeps it; the others get the hash of their path. */
static void name_groups(GPtrArray *groups)
{
        g_autoptr(GHashTable) taken = g_hash_table_new(g_str_hash, g_str_equal);

        for (guint i = 0; i < groups->len; i++) {
                struct cgroup *cgroup = groups->pdata[i];

                cgroup->name = cgroup_name_from_path(cgroup->path);
                while (g_hash_table_contains(taken, cgroup->name)) {
                        g_autofree char *name = cgroup->name;

                        cgroup->name = cgroup_name_distinguish(name, cgroup->path);
                }
                g_hash_table_add(taken, cgroup->name);
        }
}

GPtrArray *cgroup_scan(const struct cgroup_hierarchy *hierarchy, GError **error)
{
        struct walk walk = {0};
        DIR *dir = opendir(hierarchy->path);

        if (!dir) {
                g_set_error(error, G_IO_ERROR, g_io_error_from_errno(errno), "%s: %s",
                            hierarchy->path, g_strerror(errno));
                return NULL;
        }
        walk.groups = g_ptr_array_new_with_free_func(cgroup_free);
        add_group(&walk, "/");
        walk_directory(&walk, dir, "", 1);
        closedir(dir);
        g_ptr_array_sort(walk.groups, compare_paths);
        name_groups(walk.groups);
        return walk.groups;
}
