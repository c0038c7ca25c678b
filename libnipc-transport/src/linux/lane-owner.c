/* SPDX-License-Identifier: MIT */

/*
 * Whose lanes these are, and whether he is still there (doc/lane.md §6): a thread is known by its
 * number and the time it started, in the namespace and the boot where these mean something. Dead is
 * only who is proven to be; where /proc does not say, everybody lives.
 *
 * Threads' slots are keys of the C library, whose destructors run when a thread ends.
 */

#include "boot.h"
#include "lane-private.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

struct task {
        char state;
        uint64_t n_threads;
        uint64_t start_time;
};

static int read_file(const char *path, char *buffer, size_t size)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n;

        if (fd < 0)
                return -errno;
        do {
                n = read(fd, buffer, size - 1);
        } while (n < 0 && errno == EINTR);
        if (n < 0)
                n = -errno;
        close(fd);
        if (n >= 0)
                buffer[n] = '\0';
        return n < 0 ? (int)n : 0;
}

/* proc(5): fields 3, 20 and 22. Returns 0, -ENOENT or -ESRCH: none; others: not known. */
static int read_task(const char *path, struct task *ret_task)
{
        char text[1024], *p;
        int r = read_file(path, text, sizeof(text));

        if (r < 0)
                return r;
        p = strrchr(text, ')'); /* a name can have anything in it */
        if (!p || p[1] != ' ' || !p[2])
                return -EIO;
        p += 2;
        ret_task->state = *p;
        for (unsigned field = 3; field < 20; field++) {
                p = strchr(p, ' ');
                if (!p)
                        return -EIO;
                p++;
        }
        ret_task->n_threads = strtoull(p, &p, 10);
        strtoull(p, &p, 10);
        ret_task->start_time = strtoull(p, NULL, 10);
        return ret_task->start_time ? 0 : -EIO;
}

static void read_boot_id(uint8_t id[16])
{
        char text[NIPC__BOOT_ID_LENGTH + 1];
        unsigned n = 0;

        memset(id, 0, 16);
        if (nipc__boot_id_get(text) < 0)
                return;
        for (const char *p = text; *p && n < 32; p++) {
                const char *digits = "0123456789abcdef", *digit = strchr(digits, *p);

                if (!digit)
                        continue;
                id[n / 2] = (uint8_t)(id[n / 2] << 4 | (digit - digits));
                n++;
        }
}

void nipc__lane_owner_init(struct nipc__lane_owner *owner)
{
        struct task task;
        struct stat st;

        memset(owner, 0, sizeof(*owner));
        owner->pid = (uint32_t)getpid();
        if (stat("/proc/self/ns/pid", &st) == 0)
                owner->pid_ns = st.st_ino;
        if (read_task("/proc/self/stat", &task) == 0)
                owner->start_time = task.start_time;
        read_boot_id(owner->boot_id);
}

void nipc__lane_owner_thread(uint32_t *ret_tid, uint64_t *ret_start_time)
{
        char path[64];
        struct task task;

        *ret_tid = (uint32_t)syscall(SYS_gettid);
        *ret_start_time = 0;
        snprintf(path, sizeof(path), "/proc/self/task/%u/stat", *ret_tid);
        if (read_task(path, &task) == 0)
                *ret_start_time = task.start_time;
}

/* Whether the numbers mean anything here; *ret_is_over: another boot, where all are dead. */
static bool can_tell(const struct nipc__lane_owner *owner, bool *ret_is_over)
{
        static const uint8_t unknown[16];
        struct nipc__lane_owner self;

        nipc__lane_owner_init(&self);
        *ret_is_over = memcmp(owner->boot_id, unknown, 16) && memcmp(self.boot_id, unknown, 16) &&
                       memcmp(owner->boot_id, self.boot_id, 16);
        /* A /proc that shows us shows those of our namespace. */
        return !*ret_is_over && owner->pid_ns && owner->pid_ns == self.pid_ns && self.start_time;
}

static bool is_gone(int r, const struct task *task, uint64_t start_time)
{
        if (r == -ENOENT || r == -ESRCH)
                return true;
        return r == 0 && start_time && task->start_time != start_time;
}

static bool is_ended(const struct task *task)
{
        return task->state == 'Z' || task->state == 'X' || task->state == 'x';
}

bool nipc__lane_owner_is_dead(const struct nipc__lane_owner *owner)
{
        char path[64];
        struct task task = {0};
        bool is_over;
        int r;

        if (!can_tell(owner, &is_over))
                return is_over;
        snprintf(path, sizeof(path), "/proc/%u/stat", owner->pid);
        r = read_task(path, &task);
        /* A process whose first thread ended, and whose others did not, looks like a zombie. */
        return is_gone(r, &task, owner->start_time) ||
               (r == 0 && is_ended(&task) && task.n_threads <= 1);
}

bool nipc__lane_thread_is_dead(const struct nipc__lane_owner *owner, uint32_t tid,
                               uint64_t start_time)
{
        char path[64];
        struct task task = {0};
        bool is_over;
        int r;

        if (!can_tell(owner, &is_over))
                return is_over;
        snprintf(path, sizeof(path), "/proc/%u/task/%u/stat", owner->pid, tid);
        r = read_task(path, &task);
        return is_gone(r, &task, start_time) || (r == 0 && is_ended(&task));
}

/* ---- slots ----------------------------------------------------------------------------------- */

int nipc__lane_slot_new(void (*end)(void *), void **ret_slot)
{
        pthread_key_t *key = malloc(sizeof(*key));
        int r;

        if (!key)
                return -ENOMEM;
        r = pthread_key_create(key, end);
        if (r) {
                free(key);
                return r == EAGAIN ? -ENOMEM : -r;
        }
        *ret_slot = key;
        return 0;
}

void nipc__lane_slot_free(void *slot)
{
        if (slot)
                pthread_key_delete(*(pthread_key_t *)slot);
        free(slot);
}

void *nipc__lane_slot_get(const void *slot)
{
        return pthread_getspecific(*(const pthread_key_t *)slot);
}

int nipc__lane_slot_set(const void *slot, void *value)
{
        return -pthread_setspecific(*(const pthread_key_t *)slot, value);
}
