/* SPDX-License-Identifier: MIT */
/*
 * Reads one process out of /proc, see process.h.
 *
 * PIDs are used again, so that of files opened one after another by number the last may be of
 * another process than the first. A file of /proc, however, stays with the process it was opened
 * for, and reading it fails with ESRCH once that has been reaped. So the stat file is opened first
 * and read last: that it can be read says that the number meant this one process all the while, and
 * whatever was read by number in between is of that process too. No directory need be held open.
 *
 * The same order lets the flags in stat judge what the cgroup file said before, see
 * judge_root().
 *
 * One PID is not one task, though: when a thread that is not the first calls exec(), it takes the
 * PID over from the first, which is reaped. A file that caught the first at its end tells of no
 * process, or of one in no cgroup; who reads again finds the other. So what may be due to that is
 * read again: such a process must not be taken for one that is gone.
 */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* 52 numbers of at most 20 digits, and a name of at most 64 bytes. */
#define STAT_SIZE 2048u
/*
 * The kernel gives no path of PATH_MAX or more, and there is one per hierarchy: at most one for
 * each of 13 controllers, systemd's, the unified one. Who mounts many more named ones gets an
 * error.
 */
#define CGROUP_SIZE 65536u

/*
 * How often to look at what may have been caught in an exec(). What dies and is a thread, or has
 * none, is gone with the next look, or was caught: the limit is only there to have one. Chosen; on
 * a busy machine one that did nothing but exec() was caught three times in a row.
 */
#define MAX_ROUNDS       3u
#define MAX_ROUNDS_DYING 64u

/* include/linux/sched.h; in stat since 2.6 and the same ever since. */
#define PF_EXITING UINT64_C(0x00000004)
#define PF_KTHREAD UINT64_C(0x00200000)

/* Fields of a stat file, as proc_pid_stat(5) counts them. */
enum {
        STAT_PPID = 4,
        STAT_FLAGS = 9,
        STAT_NUM_THREADS = 20,
        STAT_STARTTIME = 22,
        STAT_EXIT_SIGNAL = 38,
};

/* Where a process is in the hierarchies that matter, in the order of preference. */
enum {
        HIERARCHY_SYSTEMD,
        HIERARCHY_UNIFIED,
        HIERARCHY_CPU,
        HIERARCHY_CPUACCT,
        HIERARCHY_MEMORY,
        N_HIERARCHIES,
};

struct placement {
        char *path; /* in the buffer, NUL-terminated; NULL when no line was of use */
        size_t len;
        bool unified; /* the path is of the unified hierarchy */
        bool has_v1;  /* there are others */
};

int process_reader_open(const char *proc, struct process_reader *ret_reader)
{
        char *buffer = malloc(STAT_SIZE + CGROUP_SIZE);
        int fd;

        if (!buffer)
                return -ENOMEM;
        fd = open(proc ? proc : "/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0) {
                int error = errno;

                free(buffer);
                return -error;
        }
        *ret_reader = (struct process_reader){.root_fd = fd, .buffer = buffer};
        return 0;
}

void process_reader_close(struct process_reader *reader)
{
        if (!reader->buffer)
                return;
        close(reader->root_fd);
        free(reader->buffer);
        *reader = (struct process_reader){.root_fd = -1};
}

static int open_file(const struct process_reader *reader, uint32_t pid, const char *name)
{
        char path[32];
        int fd;

        snprintf(path, sizeof(path), "%" PRIu32 "/%s", pid, name);
        fd = openat(reader->root_fd, path, O_RDONLY | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

/*
 * Reads a file whole and ends it with a NUL; one call, since these files come in one piece into
 * whatever has room for them. Returns its length, -EMSGSIZE when it does not fit, or -errno.
 */
static ssize_t read_file(int fd, char *buffer, size_t size)
{
        ssize_t n;

        do
                n = pread(fd, buffer, size, 0);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        if ((size_t)n == size)
                return -EMSGSIZE;
        buffer[n] = '\0';
        return n;
}

/* Decimal digits and nothing else, up to a space, a newline or the end. */
static bool parse_number(const char *text, uint64_t *ret_value)
{
        uint64_t value = 0;

        if (*text < '0' || *text > '9')
                return false;
        for (; *text >= '0' && *text <= '9'; text++) {
                unsigned int digit = (unsigned int)(*text - '0');

                if (value > (UINT64_MAX - digit) / 10)
                        return false;
                value = value * 10 + digit;
        }
        if (*text != '\0' && *text != ' ' && *text != '\n')
                return false;
        *ret_value = value;
        return true;
}

static void set_comm(struct process *process, const char *name, size_t len)
{
        if (!len) {
                name = "?";
                len = 1;
        }
        process->comm_len = len < PROCESS_COMM_MAX ? len : PROCESS_COMM_MAX;
        memcpy(process->comm, name, process->comm_len);
        process->comm[process->comm_len] = '\0';
}

/* The name, which may hold anything: what is behind the last ")" cannot hold one. */
static const char *parse_comm(const char *text, size_t len, struct process *process)
{
        const char *open = strchr(text, '(');
        const char *close = strrchr(text, ')');
        uint64_t pid;

        if (strlen(text) != len || !open || !close || close < open)
                return NULL;
        if (!parse_number(text, &pid) || pid != process->pid || open == text || open[-1] != ' ')
                return NULL;
        set_comm(process, open + 1, (size_t)(close - open) - 1);
        return close + 1;
}

/*
 * 0, -EBADMSG, or -ESRCH for what is no process, or none any more. Every thread has a directory in
 * /proc, unlisted; the kernel itself tells those that are no leaders by their exit signal of -1
 * (thread_group_leader()). A process that is just being reaped can still be read, but it has no
 * threads then, nor the parent that it had (do_task_stat() without the sighand).
 */
static int parse_stat(const char *text, size_t len, struct process *process)
{
        static const unsigned char wanted[] = {STAT_PPID, STAT_FLAGS, STAT_NUM_THREADS,
                                               STAT_STARTTIME, STAT_EXIT_SIGNAL};
        uint64_t values[sizeof(wanted)];
        const char *p = parse_comm(text, len, process);
        bool is_thread = false;
        size_t n = 0;

        for (int field = 3; n < sizeof(wanted); field++) {
                if (!p || *p != ' ')
                        return -EBADMSG;
                p++;
                if (field == wanted[n]) {
                        is_thread = field == STAT_EXIT_SIGNAL && *p == '-';
                        if (!parse_number(p + is_thread, &values[n++]))
                                return -EBADMSG;
                }
                p = strchr(p, ' ');
        }
        if (values[0] > UINT32_MAX)
                return -EBADMSG;
        process->exiting = values[1] & PF_EXITING;
        if (is_thread || !values[2])
                return -ESRCH;
        process->ppid = (uint32_t)values[0];
        process->kernel_thread = values[1] & PF_KTHREAD;
        process->starttime = values[3];
        return 0;
}

static bool has_controller(const char *list, const char *name)
{
        size_t len = strlen(name);

        while (list) {
                if (strncmp(list, name, len) == 0 && (list[len] == ',' || list[len] == '\0'))
                        return true;
                list = strchr(list, ',');
                list = list ? list + 1 : NULL;
        }
        return false;
}

/* The path of a line "ID:CONTROLLERS:PATH" is put where it belongs. */
static void read_line(char *line, char *paths[N_HIERARCHIES], bool *has_v1)
{
        static const char *const controllers[N_HIERARCHIES] = {
                [HIERARCHY_SYSTEMD] = "name=systemd",
                [HIERARCHY_CPU] = "cpu",
                [HIERARCHY_CPUACCT] = "cpuacct",
                [HIERARCHY_MEMORY] = "memory",
        };
        char *list = strchr(line, ':');
        char *path = list ? strchr(list + 1, ':') : NULL;

        if (!path || path[1] != '/')
                return;
        *path++ = '\0';
        list++;
        if (!*list) {
                if (strcmp(line, "0:") == 0)
                        paths[HIERARCHY_UNIFIED] = path;
                return;
        }
        *has_v1 = true;
        for (int i = 0; i < N_HIERARCHIES; i++)
                if (controllers[i] && has_controller(list, controllers[i]))
                        paths[i] = path;
}

/* No cgroup has a newline in its name, so lines are lines. One that is cut does not count. */
static void parse_cgroup(char *text, struct placement *placement)
{
        char *paths[N_HIERARCHIES] = {NULL};
        int chosen = -1;

        for (char *end; (end = strchr(text, '\n')); text = end + 1) {
                *end = '\0';
                read_line(text, paths, &placement->has_v1);
        }
        for (int i = 0; i < N_HIERARCHIES; i++) {
                if (!paths[i])
                        continue;
                if (chosen < 0 || (!paths[chosen][1] && paths[i][1]))
                        chosen = i;
        }
        if (chosen < 0)
                return;
        placement->path = paths[chosen];
        placement->len = strlen(paths[chosen]);
        placement->unified = chosen == HIERARCHY_UNIFIED;
}

/* Why there is no placement: an errno, or 0. */
static int read_placement(struct process_reader *reader, uint32_t pid, struct placement *placement)
{
        char *buffer = reader->buffer + STAT_SIZE;
        int fd = open_file(reader, pid, "cgroup");
        ssize_t n;

        if (fd < 0)
                return -fd;
        n = read_file(fd, buffer, CGROUP_SIZE);
        close(fd);
        if (n < 0)
                return (int)-n;
        if (strlen(buffer) != (size_t)n)
                return EBADMSG;
        parse_cgroup(buffer, placement);
        return placement->path ? 0 : EBADMSG;
}

/*
 * In the root, or so it says: of a process that exits v1 hierarchies claim it always. Its flag is
 * set before that and never cleared, and was read later, so who has it not was where it said.
 */
static void judge_root(const struct placement *placement, struct process *process)
{
        bool doubtful = placement->has_v1 && process->exiting;

        process->cgroup_status = doubtful ? PROCESS_CGROUP_RETRY_LATER : PROCESS_CGROUP_HOST_ROOT;
}

static void judge_placement(const struct placement *placement, struct process *process)
{
        static const char deleted[] = " (deleted)";
        size_t len = placement->len, deleted_len = sizeof(deleted) - 1;

        process->cgroup_path = "";
        process->cgroup_path_len = 0;
        if (!placement->path) {
                process->cgroup_status = PROCESS_CGROUP_RETRY_LATER;
                return;
        }
        /* Said of v2 only, and only zombies stay in a cgroup that was removed: others have it in
         * the name. */
        if (process->exiting && placement->unified && len > deleted_len + 1 &&
            strcmp(placement->path + len - deleted_len, deleted) == 0) {
                len -= deleted_len;
                placement->path[len] = '\0';
        }
        if (len == 1) {
                judge_root(placement, process);
                return;
        }
        process->cgroup_path = placement->path;
        process->cgroup_path_len = len;
        /* Of another cgroup namespace: it is relative to our root, and nobody here can look it up.
         */
        process->cgroup_status =
                strncmp(placement->path, "/..", 3) == 0 && (len == 3 || placement->path[3] == '/')
                        ? PROCESS_CGROUP_PERMANENT
                        : PROCESS_CGROUP_KNOWN;
}

/* The owner of /proc/PID is the effective user, whether or not the process may be dumped. */
static int read_owner(const struct process_reader *reader, uint32_t pid, uint32_t *ret_uid)
{
        char path[16];
        struct stat st;

        snprintf(path, sizeof(path), "%" PRIu32, pid);
        if (fstatat(reader->root_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        *ret_uid = st.st_uid;
        return 0;
}

/* What failed says of the process, in the terms of process_read(). */
static int fold_error(int r)
{
        switch (r) {
        case -ENOENT:
        case -ENOTDIR: /* a proc that holds files of such names */
                return -ESRCH;
        case -EPERM:
                return -EACCES;
        case -EMSGSIZE:
                return -EBADMSG;
        default:
                return r;
        }
}

/*
 * All but opening and closing the stat file. Sets *ret_doubtful when what it says is right, unless
 * the process was caught in an exec().
 */
static int read_round(struct process_reader *reader, int stat_fd, struct process *process,
                      bool *ret_doubtful)
{
        struct placement placement = {0};
        ssize_t n;
        int r;

        process->cgroup_error = read_placement(reader, process->pid, &placement);
        r = read_owner(reader, process->pid, &process->uid);
        if (r < 0)
                return r;
        n = read_file(stat_fd, reader->buffer, STAT_SIZE);
        if (n < 0)
                return (int)n;
        r = parse_stat(reader->buffer, (size_t)n, process);
        if (r < 0) {
                *ret_doubtful = r == -ESRCH;
                return r;
        }
        judge_placement(&placement, process);
        *ret_doubtful = process->cgroup_status == PROCESS_CGROUP_HOST_ROOT && placement.has_v1 &&
                        !process->kernel_thread;
        return 0;
}

int process_read(struct process_reader *reader, uint32_t pid, struct process *ret_process)
{
        struct process process = {.pid = pid};
        bool doubtful = true;
        int fd, r;

        if (!pid || pid > INT32_MAX)
                return -ESRCH;
        fd = open_file(reader, pid, "stat");
        if (fd < 0)
                return fold_error(fd);
        for (unsigned int n = 0, max = MAX_ROUNDS; n < max && doubtful; n++) {
                doubtful = false;
                r = read_round(reader, fd, &process, &doubtful);
                max = r == -ESRCH && process.exiting ? MAX_ROUNDS_DYING : MAX_ROUNDS;
        }
        close(fd);
        if (r < 0)
                return fold_error(r);
        *ret_process = process;
        return 0;
}
