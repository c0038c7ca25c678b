/* SPDX-License-Identifier: MIT */

/*
 * See watch.h. Words are watched in groups, each with a thread and a word of its own by which the
 * thread is called back to look at what has changed.
 *
 * Calling it back costs a context switch, so it happens as rarely as possible: after a word changed
 * the thread goes on to wait for its next change, though nobody has armed it yet. In the usual
 * case, request after request with a pause between them, whoever arms it then asks for just what is
 * being waited for. Only when the word changes again before it was armed (nobody sleeps: messages
 * come faster) the thread leaves it alone until it is armed.
 *
 * A peer wakes one waiter. If that was the thread and nobody had armed the word, its owner may be
 * waiting for it himself: he is woken in turn.
 *
 * One lock for all groups: it is held for a look at 127 words at most, never in the kernel's wait.
 * After a fork the child has none of the threads: it starts its own.
 */

#include "watch.h"
#include "fork.h"
#include "futex.h"
#include "stdaux.h"
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define N_SLOTS     (NIPC__FUTEX_WAITV_MAX - 1)
#define STACK_BYTES ((size_t)256 * 1024)

/* When the kernel refuses what it did before (a filter installed since), words are looked at. */
#define LOOK_INTERVAL_NS UINT64_C(5000000)

struct group;

struct nipc__watched {
        const _Atomic uint32_t *word;
        struct group *group;
        unsigned slot;
        int event_fd;
        bool is_armed;
        bool is_listed; /* the thread waits, or is about to, for a change from `listed` */
        bool is_lost;   /* the memory is not there any more */
        uint32_t seen;
        uint32_t listed;
};

struct group {
        struct group *next;
        struct nipc__fork_mark made_by; /* the process that has the thread */
        pthread_t thread;
        _Atomic uint32_t calls; /* changed to call the thread back */
        bool must_end;
        unsigned n_watched;
        struct nipc__watched *watched[N_SLOTS];
        /* The thread's own. */
        struct nipc__futex_waiter waiters[NIPC__FUTEX_WAITV_MAX];
};

static struct {
        pthread_mutex_t lock;
        struct group *groups;
        _Atomic(pid_t) pid; /* of the process that has the threads; -1: being changed */
} watch = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- the thread ----------------------------------------------------------------------------- */

static void call_back(struct group *group)
{
        /* Pairs with the load in list_words(): made under the lock, as is all that it is about. */
        atomic_fetch_add_explicit(&group->calls, 1, memory_order_relaxed);
        nipc__futex_wake(&group->calls);
}

static void ring(const struct nipc__watched *watched)
{
        static const uint64_t one = 1;
        ssize_t n = write(watched->event_fd, &one, sizeof(one));

        (void)n; /* fails only when the counter is full: it is readable then */
}

/* Decides whether a word is waited for, and from which value; rings for it if it has changed. */
static void look_at(struct nipc__watched *watched)
{
        uint32_t value;

        if (!watched->is_armed && !watched->is_listed)
                return;
        if (watched->is_lost) {
                watched->is_armed = watched->is_listed = false;
                return;
        }
        /* Pairs with the release of the peer that changed it. */
        value = atomic_load_explicit(watched->word, memory_order_acquire);
        if (watched->is_armed && value != watched->seen) {
                watched->is_armed = false;
                ring(watched);
                watched->is_listed = true;
        } else if (watched->is_armed) {
                watched->is_listed = true;
        } else if (value != watched->listed) {
                watched->is_listed = false;
                nipc__futex_wake(watched->word);
        }
        watched->listed = value;
}

/* Under the lock. Returns how many waiters there are. */
static unsigned list_words(struct group *group)
{
        unsigned n = 0;

        group->waiters[n++] =
                nipc__futex_waiter(&group->calls,
                                   atomic_load_explicit(&group->calls, memory_order_relaxed));
        for (unsigned i = 0; i < N_SLOTS; i++) {
                struct nipc__watched *watched = group->watched[i];

                if (!watched)
                        continue;
                look_at(watched);
                if (watched->is_listed)
                        group->waiters[n++] = nipc__futex_waiter(watched->word, watched->listed);
        }
        return n;
}

/* Some memory is gone: the kernel says whose, without a fault of our own. Under the lock. */
static void find_lost(struct group *group)
{
        for (unsigned i = 0; i < N_SLOTS; i++) {
                struct nipc__watched *watched = group->watched[i];

                if (!watched || !watched->is_listed ||
                    nipc__futex_wait(watched->word, watched->listed, 0) != -EFAULT)
                        continue;
                watched->is_lost = true;
                if (watched->is_armed)
                        ring(watched);
                watched->is_armed = false;
        }
}

static void *watch_main(void *userdata)
{
        struct group *group = userdata;
        unsigned n;
        int r;

        pthread_mutex_lock(&watch.lock);
        while (!group->must_end) {
                n = list_words(group);
                pthread_mutex_unlock(&watch.lock);
                r = nipc__futex_waitv(group->waiters, n);
                if (r < 0 && r != -EAGAIN && r != -EINTR && r != -EFAULT)
                        nipc__futex_wait(&group->calls, (uint32_t)group->waiters[0].value,
                                         LOOK_INTERVAL_NS);
                pthread_mutex_lock(&watch.lock);
                if (r == -EFAULT)
                        find_lost(group);
        }
        pthread_mutex_unlock(&watch.lock);
        return NULL;
}

/* Signals are the application's threads' business, but a fault belongs to who made it. */
static int start_thread(struct group *group)
{
        static const int own[] = {SIGBUS, SIGSEGV, SIGILL, SIGFPE, SIGSYS, SIGTRAP};
        sigset_t blocked, before;
        pthread_attr_t attr;
        int r;

        r = -pthread_attr_init(&attr);
        if (r < 0)
                return r;
        /* It needs next to nothing, a handler of SIGBUS a little. Too little is not set. */
        pthread_attr_setstacksize(&attr, STACK_BYTES);
        sigfillset(&blocked);
        for (size_t i = 0; i < NIPC__ARRAY_SIZE(own); i++)
                sigdelset(&blocked, own[i]);
        pthread_sigmask(SIG_SETMASK, &blocked, &before);
        r = -pthread_create(&group->thread, &attr, watch_main, group);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        pthread_attr_destroy(&attr);
        if (r == 0)
                pthread_setname_np(group->thread, "nipc-watch");
        return r;
}

/* ---- groups --------------------------------------------------------------------------------- */

/* A child has the memory of its parent, but neither its threads nor, maybe, its lock. */
static void notice_fork(void)
{
        pid_t own = getpid(), pid = atomic_load_explicit(&watch.pid, memory_order_acquire);

        while (pid != own) {
                if (pid != -1 && atomic_compare_exchange_strong_explicit(&watch.pid, &pid, -1,
                                                                         memory_order_acquire,
                                                                         memory_order_acquire)) {
                        if (pid) { /* the groups stay with the sessions that are in them */
                                pthread_mutex_init(&watch.lock, NULL);
                                watch.groups = NULL;
                        }
                        /* Whoever sees it sees the lock: pairs with the loads here. */
                        atomic_store_explicit(&watch.pid, own, memory_order_release);
                        return;
                }
                sched_yield();
                pid = atomic_load_explicit(&watch.pid, memory_order_acquire);
        }
}

/* Under the lock. */
static int find_group(struct group **ret_group)
{
        struct group *group;
        int r;

        for (group = watch.groups; group; group = group->next)
                if (group->n_watched < N_SLOTS) {
                        *ret_group = group;
                        return 0;
                }
        group = calloc(1, sizeof(*group));
        if (!group)
                return -ENOMEM;
        r = nipc__fork_mark_init(&group->made_by);
        if (r == 0)
                r = start_thread(group);
        if (r < 0) {
                free(group);
                return r;
        }
        group->next = watch.groups;
        watch.groups = group;
        *ret_group = group;
        return 0;
}

static void join(struct group *group, struct nipc__watched *watched)
{
        unsigned i = 0;

        while (group->watched[i])
                i++;
        group->watched[i] = watched;
        group->n_watched++;
        watched->group = group;
        watched->slot = i;
}

int nipc__watch_new(const _Atomic uint32_t *word, struct nipc__watched **ret_watched)
{
        struct nipc__watched *watched = calloc(1, sizeof(*watched));
        struct group *group = NULL;
        int r;

        if (!watched)
                return -ENOMEM;
        watched->word = word;
        watched->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (watched->event_fd < 0) {
                r = -errno;
                free(watched);
                return r;
        }
        notice_fork();
        pthread_mutex_lock(&watch.lock);
        r = find_group(&group);
        if (r == 0)
                join(group, watched);
        pthread_mutex_unlock(&watch.lock);
        if (r < 0) {
                close(watched->event_fd);
                free(watched);
                return r;
        }
        *ret_watched = watched;
        return 0;
}

static void unlink_group(const struct group *group)
{
        struct group **link = &watch.groups;

        while (*link && *link != group)
                link = &(*link)->next;
        if (*link)
                *link = group->next;
}

/* Returns the group if its thread has to be waited for. */
static struct group *leave(struct nipc__watched *watched)
{
        struct group *group = watched->group;

        group->watched[watched->slot] = NULL;
        if (--group->n_watched)
                return NULL;
        group->must_end = true;
        unlink_group(group);
        call_back(group);
        return group;
}

struct nipc__watched *nipc__watch_free(struct nipc__watched *watched)
{
        struct group *ended = NULL;

        if (!watched)
                return NULL;
        /* What a child inherited has no thread, and a lock that somebody may have held. */
        if (!nipc__fork_is_inherited(&watched->group->made_by)) {
                pthread_mutex_lock(&watch.lock);
                ended = leave(watched);
                pthread_mutex_unlock(&watch.lock);
        }
        if (ended) {
                pthread_join(ended->thread, NULL);
                free(ended);
        }
        close(watched->event_fd);
        free(watched);
        return NULL;
}

/* ---- words ---------------------------------------------------------------------------------- */

int nipc__watch_get_fd(const struct nipc__watched *watched)
{
        return watched->event_fd;
}

void nipc__watch_arm(struct nipc__watched *watched, uint32_t seen)
{
        pthread_mutex_lock(&watch.lock);
        watched->is_armed = true;
        watched->is_lost = false; /* or it is found out again */
        watched->seen = seen;
        if (!watched->is_listed || watched->listed != seen)
                call_back(watched->group);
        pthread_mutex_unlock(&watch.lock);
}

void nipc__watch_disarm(struct nipc__watched *watched)
{
        pthread_mutex_lock(&watch.lock);
        watched->is_armed = false;
        pthread_mutex_unlock(&watch.lock);
}

void nipc__watch_ring(struct nipc__watched *watched)
{
        ring(watched);
}

void nipc__watch_silence(struct nipc__watched *watched)
{
        uint64_t count;
        ssize_t n = read(watched->event_fd, &count, sizeof(count));

        (void)n; /* it may not have rung */
}
