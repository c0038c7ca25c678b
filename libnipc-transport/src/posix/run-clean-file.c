/* SPDX-License-Identifier: MIT */

/*
 * Things of run directories that dead owners left, see <nipc/run-dir.h>. Which kind a thing is, its
 * name says, and of a file of lanes its contents; whether its owner is dead, what its kind has for
 * that: a lock, nobody who answers, the owner's entry in a header. Nothing is removed but by the
 * name under which the very file that was judged is found again.
 */

#include "endpoint-private.h"
#include "lane-private.h"
#include "run-clean.h"
#include "shm.h"
#include "stdaux.h"
#include <errno.h>
#include <fcntl.h>
#include <nipc/endpoint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct thing {
        const struct nipc__run_clean *clean;
        const char *name;
        struct stat st;
        uint64_t age_s;
        int error;
};

uint64_t nipc__run_clean_age(const struct nipc__run_clean *clean, const struct stat *st)
{
        if (st->st_mtim.tv_sec >= clean->now.tv_sec)
                return 0;
        return (uint64_t)(clean->now.tv_sec - st->st_mtim.tv_sec);
}

static bool is_same(const struct stat *a, const struct stat *b)
{
        return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static enum nipc_clean_outcome fail(struct thing *thing, int error)
{
        thing->error = error;
        return NIPC_CLEAN_FAILED;
}

/* What was proven dead and nobody locks, in the end: by age, and by its name if that is still it.
 */
static enum nipc_clean_outcome remove_old(struct thing *thing)
{
        const struct nipc__run_clean *clean = thing->clean;
        struct stat st;

        if (thing->age_s < clean->min_age_s)
                return NIPC_CLEAN_YOUNG;
        if (clean->is_dry_run)
                return NIPC_CLEAN_REMOVED;
        if (fstatat(clean->dir_fd, thing->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? NIPC_CLEAN_REMOVED : fail(thing, -errno);
        if (!is_same(&st, &thing->st))
                return NIPC_CLEAN_LIVE; /* somebody has just made another one */
        if (unlinkat(clean->dir_fd, thing->name, 0) < 0 && errno != ENOENT)
                return fail(thing, -errno);
        return NIPC_CLEAN_REMOVED;
}

/* ---- endpoints ------------------------------------------------------------------------------- */

/* What has the name of the lock, which will be taken: 1: a file of ours; 0: nothing; -1: else. */
static int look_at_lock(const struct nipc__run_clean *clean, const char *service,
                        struct stat *ret_st)
{
        char name[NIPC__ENDPOINT_NAME_MAX];

        if (nipc__endpoint_file_name(service, NIPC__LOCK_SUFFIX, name, sizeof(name)) < 0)
                return -1;
        if (fstatat(clean->dir_fd, name, ret_st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : -1;
        return S_ISREG(ret_st->st_mode) && ret_st->st_uid == clean->owner && ret_st->st_nlink == 1
                       ? 1
                       : -1;
}

/* What is done under the lock says nothing of it when names cannot be removed here. */
static int check_writable(const struct nipc__run_clean *clean)
{
        return faccessat(clean->dir_fd, ".", W_OK | X_OK, AT_EACCESS) < 0 ? -errno : 0;
}

/* Takes the lock, looks whether the socket is the one that was judged, and removes both. */
static enum nipc_clean_outcome remove_endpoint(struct thing *thing, const char *service)
{
        const struct nipc__run_clean *clean = thing->clean;
        struct stat st;
        int lock_fd, r;

        r = check_writable(clean);
        if (r == 0)
                r = nipc__endpoint_lock(clean->dir_fd, service, 0, &lock_fd);
        if (r == -EADDRINUSE || r == -EBUSY)
                return NIPC_CLEAN_LIVE;
        if (r < 0)
                return fail(thing, r);
        if (fstatat(clean->dir_fd, thing->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                r = errno == ENOENT ? 1 : -errno;
        else if (!is_same(&st, &thing->st))
                r = -EADDRINUSE;
        else
                r = nipc__endpoint_remove_dead(clean->dir_path, clean->dir_fd, service);
        nipc__endpoint_unlock(clean->dir_fd, service, lock_fd);
        if (r == -EADDRINUSE)
                return NIPC_CLEAN_LIVE;
        return r < 0 ? fail(thing, r) : NIPC_CLEAN_REMOVED;
}

static enum nipc_clean_outcome clean_socket(struct thing *thing, const char *service)
{
        const struct nipc__run_clean *clean = thing->clean;
        struct nipc_endpoint_info info = {.size = sizeof(info)};
        struct stat lock;
        int has_lock, r;

        if (!S_ISSOCK(thing->st.st_mode))
                return NIPC_CLEAN_UNKNOWN;
        has_lock = look_at_lock(clean, service, &lock);
        if (has_lock < 0)
                return NIPC_CLEAN_UNKNOWN;
        if (has_lock)
                thing->age_s = NIPC__MIN(thing->age_s, nipc__run_clean_age(clean, &lock));
        r = nipc_endpoint_probe(clean->dir_path, service, !clean->is_shared, &info);
        if (r < 0)
                return fail(thing, r);
        if (info.state == NIPC_ENDPOINT_LIVE)
                return NIPC_CLEAN_LIVE;
        if (info.state != NIPC_ENDPOINT_DEAD)
                return NIPC_CLEAN_UNPROVEN;
        if (thing->age_s < clean->min_age_s)
                return NIPC_CLEAN_YOUNG;
        return clean->is_dry_run ? NIPC_CLEAN_REMOVED : remove_endpoint(thing, service);
}

/*
 * A lock without a socket: of somebody who died before he had one, or while he cleaned up. Other
 * programs have files of such names too: what does not say who holds it is left where it is.
 */
static enum nipc_clean_outcome clean_lock(struct thing *thing, const char *service)
{
        const struct nipc__run_clean *clean = thing->clean;
        struct nipc__lock_note note;
        struct stat st;
        int fd, is_held, r;
        bool is_noted;

        if (look_at_lock(clean, service, &st) != 1 || !is_same(&st, &thing->st) || st.st_size > 64)
                return NIPC_CLEAN_UNKNOWN;
        fd = openat(clean->dir_fd, thing->name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0)
                return fail(thing, -errno);
        is_held = nipc__lock_is_held(fd);
        is_noted = nipc__endpoint_read_note(fd, &note);
        close(fd);
        if (is_held)
                return is_held > 0 ? NIPC_CLEAN_LIVE : NIPC_CLEAN_UNPROVEN;
        if (clean->is_shared)
                return NIPC_CLEAN_UNPROVEN;
        if (!is_noted && (st.st_size || !clean->is_other_boot))
                return NIPC_CLEAN_UNKNOWN;
        if (!clean->is_other_boot && nipc__shm_is_running(note.owner))
                return NIPC_CLEAN_UNPROVEN; /* of a program that locks in another way */
        if (thing->age_s < clean->min_age_s)
                return NIPC_CLEAN_YOUNG;
        if (clean->is_dry_run)
                return NIPC_CLEAN_REMOVED;
        r = check_writable(clean);
        if (r < 0)
                return fail(thing, r);
        r = nipc__endpoint_lock(clean->dir_fd, service, 0, &fd);
        if (r < 0)
                return r == -EADDRINUSE || r == -EBUSY ? NIPC_CLEAN_LIVE : fail(thing, r);
        nipc__endpoint_unlock(clean->dir_fd, service, fd);
        return NIPC_CLEAN_REMOVED;
}

/* ---- memory ---------------------------------------------------------------------------------- */

static enum nipc_clean_outcome clean_region(struct thing *thing)
{
        const struct nipc__run_clean *clean = thing->clean;
        int r;

        if (!S_ISREG(thing->st.st_mode))
                return NIPC_CLEAN_UNKNOWN;
        r = nipc__shm_is_dead(clean->dir_fd, thing->name, clean->is_other_boot);
        if (r < 0)
                return fail(thing, r);
        if (!r)
                return NIPC_CLEAN_LIVE;
        return clean->is_shared ? NIPC_CLEAN_UNPROVEN : remove_old(thing);
}

static enum nipc_clean_outcome judge_lane(const struct nipc__lane_owner *owner, bool is_shared)
{
        struct nipc__lane_owner self;

        nipc__lane_owner_init(&self);
        if (!memcmp(owner->boot_id, self.boot_id, sizeof(self.boot_id)) &&
            owner->pid_ns == self.pid_ns)
                return nipc__lane_owner_is_dead(owner) ? NIPC_CLEAN_REMOVED : NIPC_CLEAN_LIVE;
        return !is_shared && nipc__lane_owner_is_dead(owner) ? NIPC_CLEAN_REMOVED
                                                             : NIPC_CLEAN_UNPROVEN;
}

/* Of any name, but nothing that does not say in its first page that it has lanes. */
static enum nipc_clean_outcome clean_lanes(struct thing *thing)
{
        const struct nipc__run_clean *clean = thing->clean;
        struct nipc__lane_header header;
        enum nipc_clean_outcome outcome;
        ssize_t n;
        int fd;

        if (!S_ISREG(thing->st.st_mode) || thing->st.st_size < (off_t)sizeof(header))
                return NIPC_CLEAN_UNKNOWN;
        fd = openat(clean->dir_fd, thing->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0)
                return errno == EACCES || errno == ELOOP ? NIPC_CLEAN_UNKNOWN : fail(thing, -errno);
        n = pread(fd, &header, sizeof(header), 0);
        if (n != (ssize_t)sizeof(header) || header.magic != NIPC__LANE_MAGIC ||
            header.version != NIPC__LANE_VERSION || header.header_bytes != NIPC__LANE_PAGE)
                outcome = NIPC_CLEAN_UNKNOWN;
        else
                outcome = judge_lane(&header.owner, clean->is_shared);
        if (outcome == NIPC_CLEAN_REMOVED)
                outcome = remove_old(thing);
        close(fd); /* while it is open no other file gets its number */
        return outcome;
}

/* ---- which kind ------------------------------------------------------------------------------ */

/* Whether a lock file has an endpoint, with which it goes. */
static bool has_socket(const struct nipc__run_clean *clean, const char *service)
{
        struct stat st;

        return nipc__endpoint_has_file(clean->dir_fd, service, NIPC__SOCKET_SUFFIX, &st) &&
               S_ISSOCK(st.st_mode);
}

int nipc__run_clean_file(const struct nipc__run_clean *clean, const char *name,
                         enum nipc_clean_outcome *ret_outcome, uint64_t *ret_age_s, int *ret_error)
{
        struct thing thing = {.clean = clean, .name = name};
        char service[NIPC__ENDPOINT_NAME_MAX];

        if (fstatat(clean->dir_fd, name, &thing.st, AT_SYMLINK_NOFOLLOW) < 0) {
                if (errno == ENOENT)
                        return 0;
                *ret_outcome = fail(&thing, -errno);
        } else {
                thing.age_s = nipc__run_clean_age(clean, &thing.st);
                if (thing.st.st_uid != clean->owner)
                        *ret_outcome = NIPC_CLEAN_FOREIGN;
                else if (nipc__endpoint_parse_name(name, NIPC__SOCKET_SUFFIX, service))
                        *ret_outcome = clean_socket(&thing, service);
                else if (nipc__endpoint_parse_name(name, NIPC__LOCK_SUFFIX, service) &&
                         has_socket(clean, service))
                        return 0;
                else if (nipc__endpoint_parse_name(name, NIPC__LOCK_SUFFIX, service))
                        *ret_outcome = clean_lock(&thing, service);
                else if (nipc__shm_is_region_name(name))
                        *ret_outcome = clean_region(&thing);
                else
                        *ret_outcome = clean_lanes(&thing);
        }
        *ret_age_s = thing.age_s;
        *ret_error = thing.error;
        return 1;
}
