/* SPDX-License-Identifier: MIT */

/*
 * Region files that somebody left (transport-posix §3, stale check and startup scan). A file is
 * removed when its owner is proven dead or when it is no region at all; whatever cannot be judged
 * is kept, for it may be alive.
 */

#include "endpoint-private.h"
#include "shm.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <nipc/wire.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A file younger than this and still without a header may be just being made; chosen, not tuned. */
#define YOUNG_S 2

enum verdict {
        KEEP,
        REMOVE,
};

/* "...-{16 lowercase hex digits}.ipcshm" */
static bool parse_session_id(const char *name, uint64_t *ret_id)
{
        static const char digits[] = "0123456789abcdef";
        const size_t tail = NIPC__SHM_ID_DIGITS + sizeof(NIPC__SHM_SUFFIX) - 1;
        const char *p, *digit;
        size_t len = strlen(name);
        uint64_t id = 0;

        if (len <= tail || name[len - tail - 1] != '-' ||
            strcmp(name + len - (sizeof(NIPC__SHM_SUFFIX) - 1), NIPC__SHM_SUFFIX))
                return false;
        p = name + len - tail;
        for (unsigned i = 0; i < NIPC__SHM_ID_DIGITS; i++) {
                digit = strchr(digits, p[i]);
                if (!digit)
                        return false;
                id = id << 4 | (uint64_t)(digit - digits);
        }
        *ret_id = id;
        return true;
}

static bool is_young(const struct stat *st)
{
        struct timespec now;

        clock_gettime(CLOCK_REALTIME, &now);
        return st->st_mtim.tv_sec > now.tv_sec - YOUNG_S &&
               st->st_mtim.tv_sec < now.tv_sec + YOUNG_S;
}

bool nipc__shm_is_running(pid_t pid)
{
        return pid > 0 && (getpgid(pid) >= 0 || errno == EPERM);
}

static enum verdict judge_header(const uint8_t *header, const char *name, ino_t ino)
{
        pid_t pid = (pid_t)nipc_load_u32(header + NIPC__SHM_OWNER_PID_AT);
        uint32_t generation = nipc_load_u32(header + NIPC__SHM_OWNER_GENERATION_AT);
        uint64_t id;

        if (nipc_load_u32(header + NIPC__SHM_MAGIC_AT) != NIPC__SHM_MAGIC)
                return REMOVE;
        /* One of ours is locked while its owner lives, and this one is not. */
        if (parse_session_id(name, &id) && generation == nipc__shm_generation(pid, id, ino))
                return REMOVE;
        return generation && nipc__shm_is_running(pid) ? KEEP : REMOVE;
}

static enum verdict judge_file(int fd, const char *name, struct stat *ret_st)
{
        uint8_t header[NIPC__SHM_HEADER_BYTES];

        if (fstat(fd, ret_st) < 0)
                return KEEP;
        if (!S_ISREG(ret_st->st_mode))
                return REMOVE;
        if (nipc__lock_is_held(fd) == 1)
                return KEEP;
        if (ret_st->st_size < (off_t)sizeof(header))
                return is_young(ret_st) ? KEEP : REMOVE;
        if (pread(fd, header, sizeof(header), 0) != (ssize_t)sizeof(header))
                return KEEP;
        return judge_header(header, name, ret_st->st_ino);
}

static int remove_name(int dir_fd, const char *name, const struct stat *judged)
{
        struct stat st;

        if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : -EADDRINUSE;
        if (st.st_dev != judged->st_dev || st.st_ino != judged->st_ino)
                return -EADDRINUSE; /* another one by now */
        if (unlinkat(dir_fd, name, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0) == 0)
                return 1;
        return errno == ENOENT ? 0 : -EADDRINUSE;
}

int nipc__shm_remove_dead(int dir_fd, const char *name)
{
        struct stat st = {0};
        enum verdict verdict;
        int fd;

        fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd >= 0) {
                verdict = judge_file(fd, name, &st);
                close(fd);
                return verdict == KEEP ? -EADDRINUSE : remove_name(dir_fd, name, &st);
        }
        switch (errno) {
        case ENOENT:
                return 0;
        case ELOOP: /* a link */
        case ENXIO: /* a socket */
        case ENODEV:
                if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                        return errno == ENOENT ? 0 : -EADDRINUSE;
                return remove_name(dir_fd, name, &st);
        default:
                /* Descriptors or memory are short, or it is somebody else's: no proof of anything.
                 */
                return -EADDRINUSE;
        }
}

bool nipc__shm_is_region_name(const char *name)
{
        const char *dash = strrchr(name, '-');
        uint64_t id;

        return dash && dash != name && parse_session_id(name, &id);
}

int nipc__shm_is_dead(int dir_fd, const char *name, bool is_other_boot)
{
        int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC), r = 0;
        struct stat st;

        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) < 0)
                r = -errno;
        else if (S_ISREG(st.st_mode) && is_other_boot)
                r = nipc__lock_is_held(fd) == 0;
        else if (S_ISREG(st.st_mode))
                r = judge_file(fd, name, &st) == REMOVE;
        close(fd);
        return r;
}

/* ---- all of a service ----------------------------------------------------------------------- */

/* "{service}-" and ".ipcshm" with something between them. */
static bool is_region_name(const char *name, const char *service)
{
        const size_t prefix = strlen(service), suffix = sizeof(NIPC__SHM_SUFFIX) - 1;
        const size_t len = strlen(name);

        return len > prefix + 1 + suffix && !strncmp(name, service, prefix) &&
               name[prefix] == '-' && !strcmp(name + len - suffix, NIPC__SHM_SUFFIX);
}

int nipc__shm_remove_all_dead(int dir_fd, const char *service)
{
        DIR *dir = nipc__endpoint_list_dir(dir_fd);
        const struct dirent *entry;
        int n = 0;

        if (!dir)
                return -errno;
        while ((entry = readdir(dir)))
                if (is_region_name(entry->d_name, service))
                        n += nipc__shm_remove_dead(dir_fd, entry->d_name) == 1;
        closedir(dir);
        return n;
}

bool nipc__shm_has_any(int dir_fd, const char *service)
{
        DIR *dir = nipc__endpoint_list_dir(dir_fd);
        const struct dirent *entry;
        bool found = false;

        while (!found && dir && (entry = readdir(dir)))
                found = is_region_name(entry->d_name, service);
        if (dir)
                closedir(dir);
        return found;
}
