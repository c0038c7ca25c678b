/* SPDX-License-Identifier: MIT */
/* See util-run-clean.h. */
#include "util-run-clean.h"

#include "shm.h"
#include "util-env.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <nipc/lane.h>
#include <nipc/listener.h>
#include <nipc/run-dir.h>
#include <nipc/wire.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#define TWO_HOURS 7200

static struct run_clean open_dir(const char *path)
{
        struct run_clean dir = {.fd = -1};

        snprintf(dir.path, sizeof(dir.path), "%s", path);
        if (mkdir(path, 0700) == 0)
                dir.fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return dir;
}

struct run_clean run_clean_make(const char *name)
{
        return open_dir(util_path(name));
}

struct run_clean run_clean_make_below(const struct run_clean *base, const char *name)
{
        char path[256];

        snprintf(path, sizeof(path), "%s/%s", base->path, name);
        return open_dir(path);
}

void run_clean_end(struct run_clean *dir)
{
        close(dir->fd);
}

static int note(void *userdata, const struct nipc_clean_item *item)
{
        static const char *const names[] = {"removed", "live",    "young",     "unproven",
                                            "unknown", "foreign", "not empty", "failed"};
        struct run_clean *dir = userdata;

        if (dir->n_items == RUN_CLEAN_MAX_ITEMS)
                return 1;
        snprintf(dir->items[dir->n_items].path, sizeof(dir->items[0].path), "%s", item->path);
        dir->items[dir->n_items++].outcome = names[item->outcome];
        return 0;
}

int run_clean(struct run_clean *dir, uint64_t min_age_s)
{
        struct nipc_clean_config config = NIPC_CLEAN_CONFIG_INIT;

        config.min_age_s = min_age_s;
        config.is_dry_run = dir->is_dry_run;
        config.visit = note;
        config.userdata = dir;
        dir->n_items = 0;
        return dir->is_base ? nipc_run_dir_clean_base(dir->path, &config)
                            : nipc_run_dir_clean(dir->path, &config);
}

const char *run_clean_outcome(const struct run_clean *dir, const char *path)
{
        for (size_t i = 0; i < dir->n_items; i++)
                if (!strcmp(dir->items[i].path, path))
                        return dir->items[i].outcome;
        return "not mentioned";
}

bool run_clean_has(const struct run_clean *dir, const char *name)
{
        struct stat st;

        return fstatat(dir->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

size_t run_clean_count(const struct run_clean *dir)
{
        int fd = openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *listing = fd < 0 ? NULL : fdopendir(fd);
        size_t n = 0;

        while (listing && readdir(listing))
                n++;
        if (listing)
                closedir(listing);
        return n < 2 ? SIZE_MAX : n - 2;
}

static void set_time(const struct run_clean *dir, const char *name, time_t ago)
{
        struct timespec times[2];

        clock_gettime(CLOCK_REALTIME, &times[0]);
        times[0].tv_sec -= ago;
        times[1] = times[0];
        (void)utimensat(dir->fd, name, times, AT_SYMLINK_NOFOLLOW);
}

void run_clean_age(const struct run_clean *dir, const char *name)
{
        set_time(dir, name, TWO_HOURS);
}

void run_clean_touch(const struct run_clean *dir, const char *name)
{
        set_time(dir, name, 0);
}

bool run_clean_is(const struct run_clean *dir, const char *name, const char *text)
{
        char found[64] = "";
        int fd = openat(dir->fd, name, O_RDONLY | O_CLOEXEC);
        ssize_t n = read(fd, found, sizeof(found) - 1);

        close(fd);
        return n >= 0 && !strcmp(found, text);
}

void run_clean_write(const struct run_clean *dir, const char *name, const char *text)
{
        int fd = openat(dir->fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

        if (write(fd, text, strlen(text)) < 0)
                tap_note("%s: %s", name, strerror(errno));
        close(fd);
}

void run_clean_make_region(const struct run_clean *dir, const char *name, pid_t owner)
{
        uint8_t header[4096] = {0};
        int fd = openat(dir->fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

        nipc_store_u32(header + NIPC__SHM_MAGIC_AT, NIPC__SHM_MAGIC);
        nipc_store_u32(header + NIPC__SHM_OWNER_PID_AT, (uint32_t)owner);
        nipc_store_u32(header + NIPC__SHM_OWNER_GENERATION_AT, 1);
        if (write(fd, header, sizeof(header)) < 0)
                tap_note("%s: %s", name, strerror(errno));
        close(fd);
}

/* ---- processes ------------------------------------------------------------------------------- */

static bool serve(const char *run_dir, const char *service)
{
        struct nipc_listener_config config = NIPC_LISTENER_CONFIG_INIT;
        struct nipc_listener *listener;

        config.run_dir = run_dir;
        config.service = service;
        return nipc_listener_open(&config, &listener) == 0;
}

static bool trace(const char *run_dir, const char *name)
{
        struct nipc_lane_pool_config config = NIPC_LANE_POOL_CONFIG_INIT;
        struct nipc_lane_pool *pool;
        char path[256];

        snprintf(path, sizeof(path), "%s/%s", run_dir, name);
        config.path = path;
        config.n_lanes = 1;
        config.ring_bytes = 4096;
        return nipc_lane_pool_new(&config, &pool) == 0;
}

/* Says whether it went well, and stays. */
static pid_t start(bool (*run)(const char *, const char *), const char *run_dir, const char *name)
{
        const pid_t parent = getpid();
        int ends[2];
        char c = 0;
        pid_t pid;

        if (pipe2(ends, O_CLOEXEC) < 0)
                return -1;
        pid = fork();
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (getppid() != parent)
                        _exit(98);
                c = run(run_dir, name) ? 'y' : 'n';
                if (write(ends[1], &c, 1) < 0)
                        _exit(1);
                for (;;)
                        pause();
        }
        close(ends[1]);
        util_waiting_for("a process to begin");
        if (pid > 0 && (read(ends[0], &c, 1) != 1 || c != 'y')) {
                run_clean_kill(pid);
                pid = -1;
        }
        close(ends[0]);
        return pid;
}

pid_t run_clean_start_server(const char *run_dir, const char *service)
{
        return start(serve, run_dir, service);
}

pid_t run_clean_start_agent(const char *run_dir, const char *name)
{
        return start(trace, run_dir, name);
}

void run_clean_kill(pid_t pid)
{
        if (pid <= 0)
                return;
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
}
