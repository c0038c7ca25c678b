/* SPDX-License-Identifier: MIT */

/*
 * The endpoint of a server: lock, then bind, then listen. The lock is held until close; the kernel
 * drops it when the process dies. The socket file is removed only if it is still the one we made.
 *
 * Permissions are set on the socket before bind (the kernel creates the file with them, less the
 * umask, which is the process's and not ours to touch) and widened afterwards if the umask took
 * something away. At no moment are they wider than what was asked for.
 */

#include "endpoint-private.h"
#include "listener-private.h"
#include "shm.h"
#include "stdaux.h"
#include "uds-inherit.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LOCK_TRIES    200u
#define LOCK_PAUSE_MS 1

static bool is_still_ours(const struct nipc__listener_os *os, const char *name)
{
        struct stat st;

        return fstatat(os->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_dev == os->dev &&
               st.st_ino == os->ino;
}

static int bind_and_listen(struct nipc__listener_os *os, const struct nipc_listener_config *config)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        char name[NIPC_ENDPOINT_PATH_MAX];
        struct stat st;
        int r;

        r = nipc__endpoint_file_name(os->service, NIPC__SOCKET_SUFFIX, name, sizeof(name));
        if (r < 0)
                return r;
        os->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (os->fd < 0)
                return -errno;
        if (fchmod(os->fd, (mode_t)config->mode) < 0)
                return -errno;
        memcpy(address.sun_path, os->path, strlen(os->path) + 1);
        if (bind(os->fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
                return -errno;
        r = nipc__socket_file_set_owner(os->dir_fd, name, config, &st);
        if (r == 0) {
                os->dev = st.st_dev;
                os->ino = st.st_ino;
        }
        if (r == 0 && listen(os->fd, (int)NIPC__MIN(config->backlog, 65535u)) < 0)
                r = -errno;
        if (r < 0 && is_still_ours(os, name))
                unlinkat(os->dir_fd, name, 0);
        return r;
}

/*
 * A child that inherited the listener does not own the endpoint, nor does who left it to a
 * successor: they only let go of their copies.
 */
static bool is_owner(const struct nipc__listener_os *os)
{
        return os->owner_pid && !nipc__fork_is_inherited(&os->made_by);
}

static void release(struct nipc__listener_os *os)
{
        if (os->fd >= 0)
                close(os->fd);
        if (is_owner(os))
                nipc__endpoint_unlock(os->dir_fd, os->service, os->lock_fd);
        else if (os->lock_fd >= 0)
                close(os->lock_fd);
        if (os->dir_fd >= 0)
                close(os->dir_fd);
}

/*
 * Somebody who removes what a dead owner left holds the lock for an instant, and is no owner: it is
 * asked for again, for a little while.
 */
static int take_lock(struct nipc__listener_os *os)
{
        int r;

        for (unsigned i = 0;; i++) {
                r = nipc__endpoint_lock(os->dir_fd, os->service, os->owner_pid, &os->lock_fd);
                if (r != -EBUSY)
                        return r;
                if (i == LOCK_TRIES)
                        return -EADDRINUSE;
                poll(NULL, 0, LOCK_PAUSE_MS);
        }
}

static int copy_fd(int fd, int *ret_fd)
{
        const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);

        if (copy < 0)
                return -errno;
        *ret_fd = copy;
        return 0;
}

/* The lock, which is the endpoint, and what it stands for: a place that is free, or the socket. */
static int take_endpoint(struct nipc__listener_os *os, const struct nipc_listener_config *config)
{
        int r;

        if (config->lock_fd) {
                r = copy_fd(config->lock_fd, &os->lock_fd);
                if (r == 0)
                        r = nipc__endpoint_inherit_lock(os->dir_fd, os->service, os->lock_fd);
        } else {
                r = take_lock(os);
        }
        if (r == 0 && config->listen_fd)
                r = copy_fd(config->listen_fd, &os->fd);
        if (r < 0)
                return r;
        if (config->listen_fd)
                return nipc__listener_inherit(os, config->lock_fd != 0);
        return nipc__endpoint_remove_dead(config->run_dir, os->dir_fd, os->service);
}

/* ---- who is the owner, while there are two -------------------------------------------------- */

/*
 * A process that nobody has waited for yet, or another one with its number, keeps files from being
 * removed: whoever comes next removes them as those of a dead owner.
 */
static bool is_alive(pid_t pid)
{
        return pid > 0 && (getpgid(pid) >= 0 || errno == EPERM);
}

/* Says in the lock file that an endpoint that others have made is ours now. */
static void note_inherited(struct nipc__listener_os *os, bool has_lock)
{
        struct nipc__lock_note note = {.keeps_socket = true}, before;

        if (has_lock && nipc__endpoint_read_note(os->lock_fd, &before)) {
                note = before;
                if (is_alive(before.owner)) /* or a successor of the same one that did not live */
                        note.predecessor = before.owner;
        } else if (has_lock) {
                note.keeps_socket = false;
        }
        note.owner = os->owner_pid;
        if (note.keeps_socket)
                os->dev = os->ino = 0;
        nipc__endpoint_write_note(os->lock_fd, &note);
}

/*
 * Takes us out of what the lock file says. Returns whether there is another owner: a successor, or,
 * if we are one, the predecessor whom we do not outlive.
 */
static bool note_left(const struct nipc__listener_os *os)
{
        struct nipc__lock_note note;
        pid_t other;

        if (!nipc__endpoint_read_note(os->lock_fd, &note))
                return false;
        other = note.owner == os->owner_pid ? note.predecessor : note.owner;
        if (other == os->owner_pid || !is_alive(other))
                return false;
        note.owner = other;
        note.predecessor = 0;
        nipc__endpoint_write_note(os->lock_fd, &note);
        return true;
}

int nipc__listener_os_open(struct nipc_listener *listener,
                           const struct nipc_listener_config *config)
{
        struct nipc__listener_os *os = &listener->os;
        int r, n_regions;

        *os = (struct nipc__listener_os){
                .fd = -1, .dir_fd = -1, .lock_fd = -1, .owner_pid = getpid()};
        r = nipc__fork_mark_init(&os->made_by);
        if (r < 0)
                return r;
        r = nipc_endpoint_format_path(config->run_dir, config->service, os->path, sizeof(os->path));
        if (r < 0)
                return r;
        memcpy(os->service, config->service, strlen(config->service) + 1);
        os->dir_fd = nipc__endpoint_open_dir(config->run_dir);
        if (os->dir_fd < 0)
                return os->dir_fd;
        r = take_endpoint(os, config);
        if (r >= 0) { /* transport-posix §3, startup scan; what cannot be looked at stays */
                n_regions = nipc__shm_remove_all_dead(os->dir_fd, os->service);
                listener->n_stale = (uint32_t)(r + NIPC__MAX(n_regions, 0));
        }
        if (r >= 0 && (listener->profiles & NIPC_PROFILE_SHM_HYBRID))
                r = nipc__shm_place_new(config->run_dir, os->service, &listener->shm_place);
        if (r >= 0 && !config->listen_fd)
                r = bind_and_listen(os, config);
        if (r < 0) {
                if (config->lock_fd) /* the predecessor's still */
                        os->owner_pid = 0;
                listener->shm_place = nipc__shm_place_unref(listener->shm_place);
                release(os);
        } else if (config->listen_fd) {
                note_inherited(os, config->lock_fd != 0);
        }
        return NIPC__MIN(r, 0);
}

void nipc__listener_os_leave(struct nipc_listener *listener)
{
        if (is_owner(&listener->os))
                note_left(&listener->os);
        listener->os.owner_pid = 0; /* nobody's, as far as we are concerned */
}

int nipc__listener_os_dup(const struct nipc_listener *listener, int *ret_listen_fd,
                          int *ret_lock_fd)
{
        int listen_fd = -1, r;

        r = copy_fd(listener->os.fd, &listen_fd);
        if (r < 0)
                return r;
        r = copy_fd(listener->os.lock_fd, ret_lock_fd);
        if (r < 0)
                close(listen_fd);
        else
                *ret_listen_fd = listen_fd;
        return r;
}

void nipc__listener_os_close(struct nipc_listener *listener)
{
        struct nipc__listener_os *os = &listener->os;
        char name[NIPC_ENDPOINT_PATH_MAX];

        if (is_owner(os) && note_left(os))
                os->owner_pid = 0;
        if (is_owner(os) &&
            nipc__endpoint_file_name(os->service, NIPC__SOCKET_SUFFIX, name, sizeof(name)) == 0 &&
            is_still_ours(os, name))
                unlinkat(os->dir_fd, name, 0);
        release(os);
}

int nipc__listener_os_accept(struct nipc_listener *listener, uint64_t deadline_ns,
                             struct nipc_session *session)
{
        struct pollfd pollfd = {.fd = listener->os.fd, .events = POLLIN};
        int fd, timeout_ms;

        for (;;) {
                /* The session's socket blocks; the listener's does not, others may take the client.
                 */
                fd = accept4(listener->os.fd, NULL, NULL, SOCK_CLOEXEC);
                if (fd >= 0)
                        break;
                if (errno == EINTR || errno == ECONNABORTED)
                        continue;
                if (errno != EAGAIN)
                        return -errno;
                timeout_ms = nipc__deadline_to_poll_ms(deadline_ns);
                if (timeout_ms == 0)
                        return deadline_ns <= NIPC_DEADLINE_LINGER ? -EAGAIN : -ETIMEDOUT;
                if (poll(&pollfd, 1, timeout_ms) < 0 && errno != EINTR)
                        return -errno;
        }
        session->link.fd = fd;
        (void)nipc__peer_get(fd, &session->peer); /* else nobody we know */
        return 0;
}

NIPC__EXPORT int nipc_listener_get_fd(const struct nipc_listener *listener)
{
        return listener ? listener->os.fd : -EINVAL;
}

NIPC__EXPORT const char *nipc_listener_get_path(const struct nipc_listener *listener)
{
        return listener ? listener->os.path : NULL;
}
