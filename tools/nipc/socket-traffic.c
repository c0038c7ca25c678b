/* SPDX-License-Identifier: MIT */
/*
 * See socket-traffic.h. A dump comes before the fds are looked at, and is shared: it is made under
 * the mutex, so that who comes meanwhile waits for it instead of making another one, and read
 * without it.
 */
#include "socket-traffic.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_LINK = 64, MAX_STAT = 1024, MAX_LOOKS = 3 };

struct dump {
        atomic_uint n_refs;
        struct sock_list list; /* sorted */
        gint64 made_at;        /* monotonic us, when it was begun */
};

struct socket_traffic {
        unsigned reuse_ms;
        char namespace[MAX_LINK]; /* network namespace of whoever opened it, "": not known */
        pthread_mutex_t mutex;    /* guards all below */
        int fd;                   /* -1: to be opened again */
        uint32_t seq;
        struct dump *last; /* a reference, or NULL */
        uint64_t n_dumps;
};

static struct dump *dump_ref(struct dump *dump)
{
        atomic_fetch_add_explicit(&dump->n_refs, 1, memory_order_relaxed);
        return dump;
}

/* Takes NULL. */
static void dump_unref(struct dump *dump)
{
        /* Release and acquire: what every holder read happens before the last one frees. */
        if (!dump || atomic_fetch_sub_explicit(&dump->n_refs, 1, memory_order_acq_rel) != 1)
                return;
        sock_list_deinit(&dump->list);
        g_free(dump);
}

/* 0 or -errno. */
static int dump_sockets(struct socket_traffic *traffic, struct sock_list *list)
{
        const int64_t deadline_us = g_get_monotonic_time() + SOCKET_TRAFFIC_TIMEOUT_MS * 1000;
        int r;

        if (traffic->fd < 0)
                traffic->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
        if (traffic->fd < 0)
                return -errno;
        r = sock_diag_dump(traffic->fd, AF_INET, deadline_us, &traffic->seq, list);
        if (r)
                return r;
        r = sock_diag_dump(traffic->fd, AF_INET6, deadline_us, &traffic->seq, list);
        return r == -ENOENT || r == -EAFNOSUPPORT ? 0 : r; /* a kernel without IPv6 */
}

static gboolean fail(GError **error, const char *what, int code)
{
        g_set_error(error, G_IO_ERROR, g_io_error_from_errno(code), "%s: %s", what,
                    g_strerror(code));
        return FALSE;
}

/* A dump that is new enough, a reference; NULL: error is set. The mutex is held. */
static struct dump *acquire_dump(struct socket_traffic *traffic, GError **error)
{
        const gint64 now = g_get_monotonic_time();
        struct dump *dump;
        int r;

        if (traffic->last && now - traffic->last->made_at < (gint64)traffic->reuse_ms * 1000)
                return dump_ref(traffic->last);
        dump = g_new0(struct dump, 1);
        atomic_init(&dump->n_refs, 1);
        dump->made_at = now;
        r = dump_sockets(traffic, &dump->list);
        if (r) {
                if (traffic->fd >= 0)
                        close(traffic->fd); /* the rest of the answer with it */
                traffic->fd = -1;
                dump_unref(dump);
                fail(error, "the kernel does not tell its TCP sockets (sock_diag)", -r);
                return NULL;
        }
        sock_list_sort(&dump->list);
        traffic->n_dumps++;
        dump_unref(traffic->last);
        traffic->last = dump;
        return dump_ref(dump);
}

static struct dump *lock_and_acquire_dump(struct socket_traffic *traffic, GError **error)
{
        struct dump *dump;

        pthread_mutex_lock(&traffic->mutex);
        dump = acquire_dump(traffic, error);
        pthread_mutex_unlock(&traffic->mutex);
        return dump;
}

/* Reads a link with a NUL; false: errno is set. */
static bool read_link(int dir, const char *name, char ret_text[MAX_LINK])
{
        const ssize_t n = readlinkat(dir, name, ret_text, MAX_LINK - 1);

        if (n < 0)
                return false;
        ret_text[n] = '\0';
        return true;
}

struct socket_traffic *socket_traffic_open(unsigned reuse_ms, GError **error)
{
        struct socket_traffic *traffic = g_new0(struct socket_traffic, 1);
        struct dump *dump;

        traffic->reuse_ms = reuse_ms;
        traffic->fd = -1;
        pthread_mutex_init(&traffic->mutex, NULL);
        if (!read_link(AT_FDCWD, "/proc/thread-self/ns/net", traffic->namespace))
                traffic->namespace[0] = '\0';
        dump = lock_and_acquire_dump(traffic, error);
        if (!dump)
                return socket_traffic_close(traffic);
        dump_unref(dump);
        return traffic;
}

struct socket_traffic *socket_traffic_close(struct socket_traffic *traffic)
{
        if (!traffic)
                return NULL;
        if (traffic->fd >= 0)
                close(traffic->fd);
        dump_unref(traffic->last);
        pthread_mutex_destroy(&traffic->mutex);
        g_free(traffic);
        return NULL;
}

uint64_t socket_traffic_get_n_dumps(struct socket_traffic *traffic)
{
        uint64_t n_dumps;

        pthread_mutex_lock(&traffic->mutex);
        n_dumps = traffic->n_dumps;
        pthread_mutex_unlock(&traffic->mutex);
        return n_dumps;
}

/* ---- one process ----------------------------------------------------------------------------- */

/* What an error of a file of /proc/PID says of the process; false: nothing, it is our trouble. */
static bool note_errno(struct process_traffic *result, int code)
{
        if (code == ENOENT || code == ESRCH)
                *result = (struct process_traffic){.status = SOCKET_TRAFFIC_GONE};
        else if (code == EACCES || code == EPERM)
                result->status = SOCKET_TRAFFIC_NOT_PERMITTED;
        else
                return false;
        return true;
}

/* The fields of a stat file that matter, as proc_pid_stat(5) counts them. */
enum { STAT_NAME = 2, STAT_STARTTIME = 22, STAT_EXIT_SIGNAL = 38 };

/*
 * The second field, a name in parentheses, may have anything in it. The kernel tells a thread that
 * is not the first of its process by the exit signal -1. 0 or -errno.
 */
static int parse_stat(const char *text, uint64_t *ret_starttime, bool *ret_is_thread)
{
        const char *at = strrchr(text, ')'), *starttime = NULL;

        for (unsigned field = STAT_NAME; at && field < STAT_EXIT_SIGNAL; field++) {
                at = strchr(at + 1, ' ');
                if (field + 1 == STAT_STARTTIME)
                        starttime = at;
        }
        if (!at)
                return -EBADMSG;
        *ret_starttime = strtoull(starttime + 1, NULL, 10);
        *ret_is_thread = at[1] == '-';
        return 0;
}

/* 0 or -errno. */
static int read_stat(int dir, uint64_t *ret_starttime, bool *ret_is_thread)
{
        char text[MAX_STAT];
        const int fd = openat(dir, "stat", O_RDONLY | O_CLOEXEC);
        ssize_t n;

        if (fd < 0)
                return -errno;
        do
                n = read(fd, text, sizeof(text) - 1);
        while (n < 0 && errno == EINTR);
        if (n < 0) {
                const int r = -errno;

                close(fd);
                return r;
        }
        close(fd);
        text[n] = '\0';
        return parse_stat(text, ret_starttime, ret_is_thread);
}

/*
 * Every thread has a directory in /proc, with the fds of its process: that is no process, or the
 * same traffic would be told many times. What was the first thread looks like one of the others
 * for the moment in which another takes its PID over, in exec(): looking again finds that one.
 */
static int read_starttime(int dir, uint64_t *ret_starttime)
{
        bool is_thread = true;

        for (unsigned n = 0; is_thread && n < MAX_LOOKS; n++) {
                const int r = read_stat(dir, ret_starttime, &is_thread);

                if (r)
                        return r;
        }
        return is_thread ? -ESRCH : 0;
}

/* The inode of "socket:[N]"; false: not a socket. */
static bool parse_link(const char *text, uint32_t *ret_inode)
{
        char *end;
        unsigned long long inode;

        if (!g_str_has_prefix(text, "socket:[") || !g_ascii_isdigit(text[strlen("socket:[")]))
                return false;
        inode = strtoull(text + strlen("socket:["), &end, 10);
        *ret_inode = (uint32_t)inode;
        return strcmp(end, "]") == 0 && inode <= UINT32_MAX;
}

/* The sockets that a process has open, one for each fd. */
struct open_socks {
        const struct sock **socks; /* owned, unlike what they point to */
        size_t n, capacity;
};

static void add_open(struct open_socks *open_socks, const struct sock *sock)
{
        if (open_socks->n == open_socks->capacity) {
                open_socks->capacity = open_socks->capacity ? open_socks->capacity * 2 : 64;
                open_socks->socks =
                        g_renew(const struct sock *, open_socks->socks, open_socks->capacity);
        }
        open_socks->socks[open_socks->n++] = sock;
}

/* 0 or -errno. */
static int find_sockets(DIR *fds, const struct sock_list *list, struct open_socks *found,
                        bool *ret_partial)
{
        const struct dirent *entry;
        char text[MAX_LINK];

        for (errno = 0; (entry = readdir(fds)); errno = 0) {
                uint32_t inode;

                if (entry->d_name[0] == '.')
                        continue;
                if (!read_link(dirfd(fds), entry->d_name, text)) {
                        if (errno != ENOENT) /* closed meanwhile */
                                *ret_partial = true;
                        continue;
                }
                if (parse_link(text, &inode)) {
                        const struct sock *sock = sock_list_find(list, inode);

                        if (sock)
                                add_open(found, sock);
                }
        }
        return -errno;
}

static int compare_pointers(const void *a, const void *b)
{
        const uintptr_t x = (uintptr_t)(*(const void *const *)a);
        const uintptr_t y = (uintptr_t)(*(const void *const *)b);

        return (x > y) - (x < y);
}

/* Each socket once: fds may be duplicates of each other. */
static void add_up(struct open_socks *found, struct process_traffic *result)
{
        struct sock_figures *sum = &result->figures;

        if (found->n > 1)
                qsort(found->socks, found->n, sizeof(found->socks[0]), compare_pointers);
        result->known = SOCK_DIAG_ALL;
        for (size_t i = 0; i < found->n; i++) {
                const struct sock *sock = found->socks[i];
                const struct sock_figures *figures = &sock->figures;

                if (i > 0 && found->socks[i - 1] == sock)
                        continue;
                sum->rx_bytes += figures->rx_bytes;
                sum->tx_bytes += figures->tx_bytes;
                sum->sent_bytes += figures->sent_bytes;
                sum->retrans_bytes += figures->retrans_bytes;
                sum->rx_segments += figures->rx_segments;
                sum->tx_segments += figures->tx_segments;
                sum->rx_data_segments += figures->rx_data_segments;
                sum->tx_data_segments += figures->tx_data_segments;
                result->known &= sock->known;
                result->n_sockets++;
        }
}

/* 0 or -errno. dir: of the process. */
static int read_fds(const struct socket_traffic *traffic, const struct dump *dump, int dir,
                    struct process_traffic *result)
{
        struct open_socks found = {0};
        char namespace[MAX_LINK];
        const int fd = openat(dir, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *fds = fd >= 0 ? fdopendir(fd) : NULL;
        int r = -errno;

        if (!fds) {
                if (fd >= 0)
                        close(fd);
                return r;
        }
        r = find_sockets(fds, &dump->list, &found, &result->is_partial);
        closedir(fds);
        if (!r)
                add_up(&found, result);
        g_free(found.socks);
        if (!r && traffic->namespace[0] && read_link(dir, "ns/net", namespace))
                result->has_foreign_namespace = strcmp(namespace, traffic->namespace) != 0;
        return r;
}

/* All of it by one directory: another process that gets the PID meanwhile is another directory. */
static int read_process(const struct socket_traffic *traffic, const struct dump *dump, uint32_t pid,
                        struct process_traffic *result)
{
        char path[32];
        int dir, r;

        g_snprintf(path, sizeof(path), "/proc/%" G_GUINT32_FORMAT, pid);
        dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (dir < 0)
                return -errno;
        r = read_starttime(dir, &result->starttime);
        if (!r)
                r = read_fds(traffic, dump, dir, result);
        close(dir);
        return r;
}

gboolean socket_traffic_read(struct socket_traffic *traffic, const uint32_t *pids, size_t n,
                             struct process_traffic *ret_results, GError **error)
{
        struct dump *dump = lock_and_acquire_dump(traffic, error);
        gboolean ok = dump != NULL;

        for (size_t i = 0; ok && i < n; i++) {
                int r;

                ret_results[i] = (struct process_traffic){.status = SOCKET_TRAFFIC_FOUND};
                r = read_process(traffic, dump, pids[i], &ret_results[i]);
                if (r && !note_errno(&ret_results[i], -r))
                        ok = fail(error, "cannot look into processes", -r);
        }
        dump_unref(dump);
        return ok;
}
