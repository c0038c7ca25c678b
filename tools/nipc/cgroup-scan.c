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
        if (!dir) {
                int error = errno;

                close(fd);
                errno = error;
        }
        return dir;
}

/* Was there nothing to look into, because it vanished or is something else by now? */
static bool is_vanished(int error)
{
        return error == ENOENT || error == ENODEV || error == ENOTDIR || error == ELOOP;
}

/* Is it there, but not for us to look into? */
static bool is_forbidden(int error)
{
        return error == EACCES || error == EPERM;
}

/* The next group in a directory; NULL with errno 0 at its end, or why there is none. */
static const char *next_group(DIR *dir)
{
        const struct dirent *entry;

        while (errno = 0, (entry = readdir(dir))) {
                struct stat st;

                if (entry->d_name[0] == '.' &&
                    (!entry->d_name[1] || (entry->d_name[1] == '.' && !entry->d_name[2])))
                        continue;
                if (entry->d_type == DT_DIR)
                        return entry->d_name;
                if (entry->d_type != DT_UNKNOWN)
                        continue;
                if (fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
                        if (!is_vanished(errno) && !is_forbidden(errno))
                                return NULL;
                } else if (S_ISDIR(st.st_mode)) {
                        return entry->d_name;
                }
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

static int walk_directory(struct walk *walk, DIR *dir, const char *path, unsigned int depth);

/* Adds a group and what is in it. Returns as walk_directory(). */
static int walk_group(struct walk *walk, DIR *parent, const char *name, const char *path,
                      unsigned int depth)
{
        DIR *dir = open_directory(dirfd(parent), name);
        int r = 0;

        if (!dir && is_vanished(errno))
                return 0;
        if (!dir && !is_forbidden(errno))
                return -errno;
        add_group(walk, path);
        if (!dir)
                return 0;
        if (depth < CGROUP_SCAN_MAX_DEPTH)
                r = walk_directory(walk, dir, path, depth + 1);
        closedir(dir);
        return r;
}

/*
 * Adds what is in `dir`, whose path within the hierarchy is `path` ("" for the root). Returns 0, or
 * a negative errno when what was added may be less than what is there.
 */
static int walk_directory(struct walk *walk, DIR *dir, const char *path, unsigned int depth)
{
        while (!is_full(walk)) {
                const char *name = next_group(dir);
                g_autofree char *child_path = NULL;
                int r;

                if (!name)
                        return is_vanished(errno) || is_forbidden(errno) ? 0 : -errno;
                child_path = g_strdup_printf("%s/%s", path, name);
                r = walk_group(walk, dir, name, child_path, depth);
                if (r)
                        return r;
        }
        return 0;
}

static int compare_paths(const void *a, const void *b)
{
        const struct cgroup *const *left = a;
        const struct cgroup *const *right = b;

        return strcmp((*left)->path, (*right)->path);
}

/* For each group, whether another one has its name; NULL when none has. Owned by the caller. */
static bool *find_shared_names(const GPtrArray *groups)
{
        g_autoptr(GHashTable) owners = g_hash_table_new(g_str_hash, g_str_equal);
        g_autofree bool *is_shared = g_new0(bool, groups->len);
        bool found = false;

        for (guint i = 0; i < groups->len; i++) {
                const struct cgroup *cgroup = groups->pdata[i];
                gpointer owner;

                if (!g_hash_table_lookup_extended(owners, cgroup->name, NULL, &owner)) {
                        g_hash_table_insert(owners, cgroup->name, GUINT_TO_POINTER(i));
                        continue;
                }
                is_shared[i] = is_shared[GPOINTER_TO_UINT(owner)] = found = true;
        }
        return found ? g_steal_pointer(&is_shared) : NULL;
}

/*
 * All of several groups of one name get the hash of their path, none keeps the name as it is: so it
 * does not move from one living group to another. Ends: each round makes names longer, and tells
 * apart those that it makes.
 */
static void name_groups(GPtrArray *groups)
{
        bool *is_shared;

        for (guint i = 0; i < groups->len; i++) {
                struct cgroup *cgroup = groups->pdata[i];

                cgroup->name = cgroup_name_from_path(cgroup->path);
        }
        while ((is_shared = find_shared_names(groups))) {
                for (guint i = 0; i < groups->len; i++) {
                        struct cgroup *cgroup = groups->pdata[i];
                        g_autofree char *name = NULL;

                        if (!is_shared[i])
                                continue;
                        name = cgroup->name;
                        cgroup->name = cgroup_name_distinguish(name, cgroup->path);
                }
                g_free(is_shared);
        }
}

GPtrArray *cgroup_scan(const struct cgroup_hierarchy *hierarchy, GError **error)
{
        struct walk walk = {0};
        DIR *dir = opendir(hierarchy->path);
        int r;

        if (!dir) {
                g_set_error(error, G_IO_ERROR, g_io_error_from_errno(errno), "%s: %s",
                            hierarchy->path, g_strerror(errno));
                return NULL;
        }
        walk.groups = g_ptr_array_new_with_free_func(cgroup_free);
        add_group(&walk, "/");
        r = walk_directory(&walk, dir, "", 1);
        closedir(dir);
        if (r) {
                g_set_error(error, G_IO_ERROR, g_io_error_from_errno(-r), "%s: %s", hierarchy->path,
                            g_strerror(-r));
                g_ptr_array_unref(walk.groups);
                return NULL;
        }
        g_ptr_array_sort(walk.groups, compare_paths);
        name_groups(walk.groups);
        return walk.groups;
}
