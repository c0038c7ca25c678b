/* SPDX-License-Identifier: MIT */

/*
 * What earlier boots and dead owners left in run directories, see <nipc/run-dir.h>: the walk. Each
 * directory is opened once and worked in by its descriptor; what is in the place of its name
 * meanwhile is nobody's concern until the name itself goes.
 */

#include "run-clean.h"
#include "abi.h"
#include "boot.h"
#include "endpoint-private.h"
#include "stdaux.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct walk {
        struct nipc_clean_config config;
        struct nipc__run_clean clean; /* of the directory at hand */
        int base_fd;                  /* what it lies in, if that is a base */
        dev_t device;                 /* of that */
        const char *prefix;           /* its name below what was named, or "" */
        int n_removed;
        size_t n_left; /* in the directory at hand */
};

/* Returns what the visitor did. */
static int report(struct walk *walk, const char *name, enum nipc_clean_outcome outcome,
                  uint64_t age_s, int error)
{
        char path[2 * NIPC__ENDPOINT_NAME_MAX];
        const struct nipc_clean_item item = {
                .path = path,
                .age_s = age_s,
                .outcome = (uint32_t)outcome,
                .error = error,
        };

        if (outcome != NIPC_CLEAN_REMOVED)
                walk->n_left++;
        else if (walk->n_removed < INT_MAX)
                walk->n_removed++;
        if (!walk->config.visit)
                return 0;
        snprintf(path, sizeof(path), "%s%s%s", walk->prefix, *walk->prefix && *name ? "/" : "",
                 name);
        return walk->config.visit(walk->config.userdata, &item);
}

static bool is_dot(const char *name)
{
        return !strcmp(name, ".") || !strcmp(name, "..");
}

/* Calls for each name, until one returns something. */
static int for_each(struct walk *walk, int dir_fd, int (*visit)(struct walk *, const char *))
{
        DIR *dir = nipc__endpoint_list_dir(dir_fd);
        const struct dirent *entry;
        int r = 0;

        if (!dir)
                return -errno;
        while (r == 0 && (errno = 0, entry = readdir(dir)))
                if (!is_dot(entry->d_name))
                        r = visit(walk, entry->d_name);
        if (r == 0 && errno)
                r = -errno;
        closedir(dir);
        return r;
}

/* ---- one directory --------------------------------------------------------------------------- */

static int clean_name(struct walk *walk, const char *name)
{
        enum nipc_clean_outcome outcome;
        uint64_t age_s;
        int error;

        if (!nipc__run_clean_file(&walk->clean, name, &outcome, &age_s, &error))
                return 0;
        return report(walk, name, outcome, age_s, error);
}

static void begin(struct walk *walk, int dir_fd, const struct stat *st, bool is_other_boot)
{
        struct nipc__run_clean *clean = &walk->clean;

        *clean = (struct nipc__run_clean){
                .dir_fd = dir_fd,
                .owner = geteuid() ? geteuid() : st->st_uid,
                .is_other_boot = is_other_boot,
                .is_shared = nipc__boot_is_shared(dir_fd),
                .is_dry_run = walk->config.is_dry_run,
                .min_age_s = walk->config.min_age_s,
        };
        snprintf(clean->dir_path, sizeof(clean->dir_path), "/proc/self/fd/%d", dir_fd);
        clock_gettime(CLOCK_REALTIME, &clean->now);
        walk->n_left = 0;
}

static int start(const char *path, const struct nipc_clean_config *user_config, struct walk *walk,
                 int flags, struct stat *ret_st)
{
        static const struct nipc_clean_config defaults = NIPC_CLEAN_CONFIG_INIT;
        int fd, r;

        *walk = (struct walk){.prefix = ""};
        if (!path || !path[0])
                return -EINVAL;
        r = nipc__abi_load(&walk->config, sizeof(walk->config),
                           user_config ? user_config : &defaults);
        if (r < 0)
                return r;
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags);
        if (fd < 0)
                return -errno;
        if (fstat(fd, ret_st) == 0)
                return fd;
        r = -errno;
        close(fd);
        return r;
}

NIPC__EXPORT int nipc_run_dir_clean(const char *run_dir, const struct nipc_clean_config *config)
{
        struct walk walk;
        struct stat st;
        int fd = start(run_dir, config, &walk, O_NOFOLLOW, &st), r;

        if (fd < 0)
                return fd;
        begin(&walk, fd, &st, false);
        r = for_each(&walk, fd, clean_name);
        close(fd);
        return r ? r : walk.n_removed;
}

/* ---- those of a base ------------------------------------------------------------------------- */

struct name {
        uid_t uid;
        bool is_other_boot;
};

/* "{uid}-{boot id}". Returns false for anything else. */
static bool parse_name(const char *name, struct name *ret_name)
{
        const char *dash = strchr(name, '-'), *p;
        char boot_id[NIPC__BOOT_ID_LENGTH + 1];
        uint64_t uid = 0;

        if (!dash || dash == name || dash - name > 10 || strlen(dash + 1) != NIPC__BOOT_ID_LENGTH ||
            !nipc__boot_id_is_valid(dash + 1) || (name[0] == '0' && dash - name > 1))
                return false;
        for (p = name; p < dash; p++) {
                if (*p < '0' || *p > '9')
                        return false;
                uid = uid * 10 + (uint64_t)(*p - '0');
        }
        if (uid > UINT32_MAX || nipc__boot_id_get(boot_id) < 0)
                return false;
        ret_name->uid = (uid_t)uid;
        ret_name->is_other_boot = strcmp(dash + 1, boot_id) != 0;
        return true;
}

/* Root works for everybody, others for themselves. */
static bool is_mine(const struct stat *st)
{
        return st->st_uid == geteuid() || geteuid() == 0;
}

/* How long ago anything of the directory was changed. */
static int find_age(const struct walk *walk, const struct stat *st, uint64_t *ret_age_s)
{
        uint64_t age_s = nipc__run_clean_age(&walk->clean, st);
        DIR *dir = nipc__endpoint_list_dir(walk->clean.dir_fd);
        const struct dirent *entry;
        struct stat found;
        int r;

        if (!dir)
                return -errno;
        while ((errno = 0, entry = readdir(dir))) {
                if (is_dot(entry->d_name) ||
                    fstatat(walk->clean.dir_fd, entry->d_name, &found, AT_SYMLINK_NOFOLLOW) < 0)
                        continue;
                age_s = NIPC__MIN(age_s, nipc__run_clean_age(&walk->clean, &found));
        }
        r = -errno;
        closedir(dir);
        if (r == 0)
                *ret_age_s = age_s;
        return r;
}

static enum nipc_clean_outcome remove_directory(const struct walk *walk, int base_fd,
                                                const char *name, const struct stat *judged,
                                                int *ret_error)
{
        struct stat st;

        if (walk->n_left)
                return NIPC_CLEAN_NOT_EMPTY;
        if (walk->config.is_dry_run)
                return NIPC_CLEAN_REMOVED;
        if (fstatat(base_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
                if (st.st_dev != judged->st_dev || st.st_ino != judged->st_ino)
                        return NIPC_CLEAN_UNKNOWN;
                if (unlinkat(base_fd, name, AT_REMOVEDIR) == 0)
                        return NIPC_CLEAN_REMOVED;
        }
        if (errno == ENOENT)
                return NIPC_CLEAN_REMOVED;
        *ret_error = -errno;
        return errno == ENOTEMPTY || errno == EEXIST ? NIPC_CLEAN_NOT_EMPTY : NIPC_CLEAN_FAILED;
}

/* Of another boot: if it is old, all that is in it, and then itself. */
static int clean_other_boot(struct walk *walk, int base_fd, const char *name, const struct stat *st)
{
        enum nipc_clean_outcome outcome;
        uint64_t age_s = 0;
        int error = 0, r;

        error = find_age(walk, st, &age_s);
        if (error)
                return report(walk, "", NIPC_CLEAN_FAILED, age_s, error);
        if (age_s < walk->config.min_age_s)
                return report(walk, "", NIPC_CLEAN_YOUNG, age_s, 0);
        walk->clean.min_age_s = 0;
        r = for_each(walk, walk->clean.dir_fd, clean_name);
        if (r)
                return r;
        outcome = remove_directory(walk, base_fd, name, st, &error);
        return report(walk, "", outcome, age_s, error);
}

static int clean_directory(struct walk *walk, int base_fd, const char *name,
                           const struct name *meant)
{
        struct stat st;
        int fd = openat(base_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), r;

        if (fd < 0)
                return errno == ENOENT ? 0 : report(walk, "", NIPC_CLEAN_FAILED, 0, -errno);
        r = fstat(fd, &st) < 0 ? -errno : 0;
        if (r < 0)
                r = report(walk, "", NIPC_CLEAN_FAILED, 0, r);
        else if (st.st_uid != meant->uid || !is_mine(&st)) /* another one by now */
                r = report(walk, "", NIPC_CLEAN_FOREIGN, 0, 0);
        else {
                begin(walk, fd, &st, meant->is_other_boot);
                r = meant->is_other_boot ? clean_other_boot(walk, base_fd, name, &st)
                                         : for_each(walk, fd, clean_name);
        }
        close(fd);
        return r;
}

static int clean_below(struct walk *walk, const char *name)
{
        const int base_fd = walk->base_fd;
        struct name meant;
        struct stat st;
        int r;

        if (!parse_name(name, &meant) || fstatat(base_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return 0;
        walk->prefix = name;
        if (!S_ISDIR(st.st_mode) || st.st_dev != walk->device) /* something is mounted there */
                r = report(walk, "", NIPC_CLEAN_UNKNOWN, 0, 0);
        else if (st.st_uid != meant.uid || !is_mine(&st))
                r = report(walk, "", NIPC_CLEAN_FOREIGN, 0, 0);
        else
                r = clean_directory(walk, base_fd, name, &meant);
        walk->prefix = "";
        return r;
}

NIPC__EXPORT int nipc_run_dir_clean_base(const char *base, const struct nipc_clean_config *config)
{
        char boot_id[NIPC__BOOT_ID_LENGTH + 1];
        struct walk walk;
        struct stat st;
        int fd = start(base, config, &walk, 0, &st), r;

        if (fd < 0)
                return fd;
        r = nipc__boot_id_get(boot_id); /* or nothing can be told apart */
        if (r == 0) {
                walk.device = st.st_dev;
                walk.base_fd = fd;
                r = for_each(&walk, fd, clean_below);
        }
        close(fd);
        return r ? r : walk.n_removed;
}
