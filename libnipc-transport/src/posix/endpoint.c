/* SPDX-License-Identifier: MIT */

/*
 * Endpoints in the file system (transport-posix §1, §2). Two files each: "{service}.sock", which is
 * the specification's, and "{service}.lock", which is ours and locked for as long as the owner
 * lives. Whoever creates, replaces or removes the socket file holds the lock, so that none of it is
 * a race between peers of ours. Peers without the lock are asked by connecting: what answers is
 * alive, ECONNREFUSED is the kernel's word that nobody listens.
 */

#include "endpoint-private.h"
#include "shm.h"
#include "stdaux.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <nipc/endpoint.h>
#include <nipc/session.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* How long a refused endpoint gets to come alive: between bind and listen of a v1 server. */
#define RECHECK_MS 20

NIPC__EXPORT int nipc_endpoint_check_name(const char *service)
{
        size_t n;

        if (!service || !service[0] || !strcmp(service, ".") || !strcmp(service, ".."))
                return -EINVAL;
        n = strspn(service, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
        return service[n] ? -EINVAL : 0;
}

NIPC__EXPORT int nipc_endpoint_format_path(const char *run_dir, const char *service, char *buf,
                                           size_t size)
{
        int n;

        if (!run_dir || !run_dir[0] || !buf || nipc_endpoint_check_name(service) < 0)
                return -EINVAL;
        n = snprintf(NULL, 0, "%s/%s" NIPC__SOCKET_SUFFIX, run_dir, service);
        if (n < 0 || (size_t)n >= NIPC__MIN(size, NIPC_ENDPOINT_PATH_MAX))
                return -ENAMETOOLONG;
        snprintf(buf, size, "%s/%s" NIPC__SOCKET_SUFFIX, run_dir, service);
        return 0;
}

int nipc__endpoint_file_name(const char *service, const char *suffix, char *buf, size_t size)
{
        int n = snprintf(buf, size, "%s%s", service, suffix);

        return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

int nipc__endpoint_open_dir(const char *run_dir)
{
        int fd = open(run_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

        return fd < 0 ? -errno : fd;
}

/* ---- the lock ------------------------------------------------------------------------------- */

bool nipc__endpoint_read_note(int fd, struct nipc__lock_note *ret_note)
{
        char text[64] = "", *end;

        *ret_note = (struct nipc__lock_note){0};
        if (pread(fd, text, sizeof(text) - 1, 0) <= 0)
                return false;
        ret_note->owner = (pid_t)strtol(text, &end, 10);
        ret_note->predecessor = (pid_t)strtol(end, &end, 10);
        ret_note->keeps_socket = !strncmp(end, " kept", 5);
        return ret_note->owner > 0 && ret_note->predecessor >= 0;
}

/* A full file system is no reason to fail: others just take a little longer to give up. */
void nipc__endpoint_write_note(int fd, const struct nipc__lock_note *note)
{
        char text[64];
        int n = 0;

        if (note->predecessor || note->keeps_socket)
                n = snprintf(text, sizeof(text), "%ld %ld%s\n", (long)note->owner,
                             (long)note->predecessor, note->keeps_socket ? " kept" : "");
        else if (note->owner)
                n = snprintf(text, sizeof(text), "%ld\n", (long)note->owner);
        if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)n, 0) < 0)
                return;
}

static int64_t read_pid(int fd)
{
        struct nipc__lock_note note;

        return nipc__endpoint_read_note(fd, &note) ? note.owner : -1;
}

/* Whether a lock file is still the one that its name leads to: its last owner may have removed it.
 */
static bool is_current(int fd, int dir_fd, const char *name)
{
        struct stat held, named;

        return fstat(fd, &held) == 0 && fstatat(dir_fd, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
               held.st_dev == named.st_dev && held.st_ino == named.st_ino;
}

/*
 * Whether the lock file, which somebody holds, says who owns the endpoint. Whoever takes the lock
 * writes that a moment later, and what stands there until then is a dead owner's.
 */
static bool is_owned(int fd)
{
        struct nipc__lock_note note;

        return nipc__endpoint_read_note(fd, &note) &&
               (nipc__shm_is_running(note.owner) || nipc__shm_is_running(note.predecessor));
}

/* Another name of somebody's file is no lock: it would be cut, and made private. */
static int check_lock_file(int fd)
{
        struct stat st;

        if (fstat(fd, &st) < 0)
                return -errno;
        return S_ISREG(st.st_mode) && st.st_nlink <= 1 ? 0 : -EEXIST; /* 0: see is_current() */
}

int nipc__endpoint_lock(int dir_fd, const char *service, pid_t pid, int *ret_fd)
{
        char name[NIPC_ENDPOINT_PATH_MAX];
        int fd, r;

        r = nipc__endpoint_file_name(service, NIPC__LOCK_SUFFIX, name, sizeof(name));
        if (r < 0)
                return r;
        for (;;) {
                fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
                if (fd < 0)
                        return -errno;
                r = check_lock_file(fd);
                if (r == 0)
                        r = nipc__lock_take(fd);
                if (r == -EADDRINUSE && !is_owned(fd))
                        r = -EBUSY;
                if (r < 0)
                        break;
                if (is_current(fd, dir_fd, name)) {
                        /* Whatever the umask: our own successor must be able to open it. */
                        r = fchmod(fd, 0600) < 0 ? -errno : 0;
                        if (r < 0)
                                break;
                        nipc__endpoint_write_note(fd, &(struct nipc__lock_note){.owner = pid});
                        *ret_fd = fd;
                        return 0;
                }
                close(fd);
        }
        close(fd);
        return r;
}

int nipc__endpoint_inherit_lock(int dir_fd, const char *service, int fd)
{
        char name[NIPC_ENDPOINT_PATH_MAX];
        int r;

        r = nipc__endpoint_file_name(service, NIPC__LOCK_SUFFIX, name, sizeof(name));
        if (r < 0)
                return r;
        if (!is_current(fd, dir_fd, name))
                return -EINVAL;
        return nipc__lock_take(fd); /* it has it already, or never had */
}

void nipc__endpoint_unlock(int dir_fd, const char *service, int fd)
{
        char name[NIPC_ENDPOINT_PATH_MAX];

        if (fd < 0)
                return;
        if (nipc__endpoint_file_name(service, NIPC__LOCK_SUFFIX, name, sizeof(name)) == 0)
                unlinkat(dir_fd, name, 0);
        close(fd);
}

/* ---- is anybody there ----------------------------------------------------------------------- */

/*
 * Connects a socket of this type and hangs up. 0: it answers; -ECONNREFUSED: nobody listens;
 * -EPROTOTYPE: a socket of another type; else the error.
 */
static int try_connect(const char *path, int type, struct nipc_peer *ret_owner)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        int fd, r;

        strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
        fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        r = connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
        if (r == 0 && ret_owner)
                (void)nipc__peer_get(fd, ret_owner);
        if (r == -EAGAIN) /* its backlog is full: very much alive */
                r = 0;
        close(fd);
        return r;
}

/* Whether nobody listens behind a path. 1: proven dead, 0: alive, negative: cannot tell. */
static int is_dead(const char *path, struct nipc_peer *ret_owner)
{
        static const int other_types[] = {SOCK_STREAM, SOCK_DGRAM};
        int r;

        r = try_connect(path, SOCK_SEQPACKET, ret_owner);
        for (size_t i = 0; r == -EPROTOTYPE && i < NIPC__ARRAY_SIZE(other_types); i++)
                r = try_connect(path, other_types[i], NULL);
        if (r == -ECONNREFUSED)
                return 1;
        return r;
}

int nipc__endpoint_remove_dead(const char *run_dir, int dir_fd, const char *service)
{
        char path[NIPC_ENDPOINT_PATH_MAX], name[NIPC_ENDPOINT_PATH_MAX];
        struct stat st;
        int flags = 0, r;

        r = nipc_endpoint_format_path(run_dir, service, path, sizeof(path));
        if (r == 0)
                r = nipc__endpoint_file_name(service, NIPC__SOCKET_SUFFIX, name, sizeof(name));
        if (r < 0)
                return r;
        if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : -errno;
        if (S_ISSOCK(st.st_mode)) {
                r = is_dead(path, NULL);
                if (r == 1) {
                        /* A server without our lock may be between its bind and its listen. */
                        poll(NULL, 0, RECHECK_MS);
                        r = is_dead(path, NULL);
                }
                if (r != 1)
                        return -EADDRINUSE;
        } else if (S_ISDIR(st.st_mode)) {
                flags = AT_REMOVEDIR; /* refused by the kernel unless it is empty */
        } else if (S_ISLNK(st.st_mode)) {
                /* A link to a live endpoint is its owner's; one that leads nowhere is nobody's. */
                r = is_dead(path, NULL);
                if (r != 1 && r != -ENOENT && r != -ENOTDIR && r != -ELOOP)
                        return -EADDRINUSE;
        } else if (!S_ISREG(st.st_mode)) {
                return -EADDRINUSE; /* a device or a pipe is somebody's, whatever it does here */
        }
        if (unlinkat(dir_fd, name, flags) < 0 && errno != ENOENT)
                return -EADDRINUSE;
        return 1;
}

/* ---- public: look, list, clean -------------------------------------------------------------- */

static void probe_lock(int dir_fd, const char *service, struct nipc_endpoint_info *info)
{
        char name[NIPC_ENDPOINT_PATH_MAX];
        int fd;

        if (nipc__endpoint_file_name(service, NIPC__LOCK_SUFFIX, name, sizeof(name)) < 0)
                return;
        fd = openat(dir_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return;
        info->locked = nipc__lock_is_held(fd) == 1;
        if (info->locked)
                info->pid = read_pid(fd);
        close(fd);
}

static void probe_socket(const char *path, bool connect_probe, struct nipc_endpoint_info *info)
{
        struct nipc_peer owner = {-1, -1, -1};
        int r;

        if (info->locked) {
                info->state = NIPC_ENDPOINT_LIVE;
                return;
        }
        if (!connect_probe)
                return;
        r = is_dead(path, &owner);
        if (r == 1) {
                info->state = NIPC_ENDPOINT_DEAD;
        } else if (r == 0) {
                info->state = NIPC_ENDPOINT_LIVE;
                if (owner.pid > 0)
                        info->pid = owner.pid;
        }
}

NIPC__EXPORT int nipc_endpoint_probe(const char *run_dir, const char *service, bool connect_probe,
                                     struct nipc_endpoint_info *ret_info)
{
        char path[NIPC_ENDPOINT_PATH_MAX], name[NIPC_ENDPOINT_PATH_MAX];
        struct nipc_endpoint_info info = {.state = NIPC_ENDPOINT_ABSENT, .pid = -1, .uid = -1};
        struct stat st;
        int dir_fd, r;

        if (!ret_info || ret_info->size < sizeof(size_t))
                return -EINVAL;
        r = nipc_endpoint_format_path(run_dir, service, path, sizeof(path));
        if (r == 0)
                r = nipc__endpoint_file_name(service, NIPC__SOCKET_SUFFIX, name, sizeof(name));
        if (r < 0)
                return r;
        dir_fd = nipc__endpoint_open_dir(run_dir);
        if (dir_fd < 0)
                return dir_fd;
        probe_lock(dir_fd, service, &info);
        if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
                info.state = NIPC_ENDPOINT_FOREIGN;
                info.uid = (int64_t)st.st_uid;
                info.mode = st.st_mode & 07777;
                if (S_ISSOCK(st.st_mode))
                        probe_socket(path, connect_probe, &info);
        } else if (errno != ENOENT) {
                r = -errno;
        }
        close(dir_fd);
        if (r < 0)
                return r;
        info.size = ret_info->size;
        memcpy(ret_info, &info, NIPC__MIN(ret_info->size, sizeof(info)));
        return 0;
}

bool nipc__endpoint_parse_name(const char *name, const char *suffix,
                               char service[NIPC__ENDPOINT_NAME_MAX])
{
        const size_t length = strlen(name), tail = strlen(suffix);

        if (length <= tail || length >= NIPC__ENDPOINT_NAME_MAX ||
            strcmp(name + length - tail, suffix))
                return false;
        memcpy(service, name, length - tail);
        service[length - tail] = '\0';
        return nipc_endpoint_check_name(service) == 0;
}

DIR *nipc__endpoint_list_dir(int dir_fd)
{
        int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

        if (!dir && fd >= 0) {
                int error = errno;

                close(fd);
                errno = error;
        }
        return dir;
}

NIPC__EXPORT int nipc_endpoint_list(const char *run_dir,
                                    int (*visit)(void *userdata, const char *service),
                                    void *userdata)
{
        const struct dirent *entry;
        DIR *dir;
        int r = 0;

        if (!run_dir || !visit)
                return -EINVAL;
        dir = opendir(run_dir);
        if (!dir)
                return -errno;
        while (r == 0 && (errno = 0, entry = readdir(dir))) {
                char service[NIPC__ENDPOINT_NAME_MAX];

                if (nipc__endpoint_parse_name(entry->d_name, NIPC__SOCKET_SUFFIX, service))
                        r = visit(userdata, service);
        }
        if (r == 0 && errno)
                r = -errno;
        closedir(dir);
        return r;
}

bool nipc__endpoint_has_file(int dir_fd, const char *service, const char *suffix,
                             struct stat *ret_st)
{
        char name[NIPC_ENDPOINT_PATH_MAX];

        return nipc__endpoint_file_name(service, suffix, name, sizeof(name)) == 0 &&
               fstatat(dir_fd, name, ret_st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Under the lock, which is taken only when there is something that nobody holds. */
static int clean_locked(const char *run_dir, int dir_fd, const char *service)
{
        struct stat st;
        int lock_fd, r;

        r = nipc__endpoint_lock(dir_fd, service, 0, &lock_fd);
        if (r < 0)
                return r;
        if (nipc__endpoint_has_file(dir_fd, service, NIPC__SOCKET_SUFFIX, &st) &&
            !S_ISSOCK(st.st_mode))
                r = -EEXIST;
        else
                r = nipc__endpoint_remove_dead(run_dir, dir_fd, service);
        if (r >= 0 && nipc__shm_remove_all_dead(dir_fd, service) > 0)
                r = 1;
        nipc__endpoint_unlock(dir_fd, service, lock_fd);
        return r;
}

NIPC__EXPORT int nipc_endpoint_clean(const char *run_dir, const char *service)
{
        char path[NIPC_ENDPOINT_PATH_MAX];
        struct nipc_endpoint_info info = {.pid = -1};
        bool had_lock, had_socket;
        struct stat st;
        int dir_fd, r;

        r = nipc_endpoint_format_path(run_dir, service, path, sizeof(path));
        if (r < 0)
                return r;
        dir_fd = nipc__endpoint_open_dir(run_dir);
        if (dir_fd < 0)
                return dir_fd;
        had_lock = nipc__endpoint_has_file(dir_fd, service, NIPC__LOCK_SUFFIX, &st);
        had_socket = nipc__endpoint_has_file(dir_fd, service, NIPC__SOCKET_SUFFIX, &st);
        probe_lock(dir_fd, service, &info);
        if (info.locked)
                r = -EBUSY;
        else if (had_lock || had_socket || nipc__shm_has_any(dir_fd, service))
                r = clean_locked(run_dir, dir_fd, service);
        close(dir_fd);
        if (r == -EADDRINUSE)
                return -EBUSY;
        return r < 0 ? r : (r || had_lock);
}
