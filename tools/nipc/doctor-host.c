/* SPDX-License-Identifier: MIT */
/* Checks of the machine around: what providers of this tool read, and the limits that matter. */
#include "doctor.h"

#include "cgroup-scan.h"
#include "sock-diag.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Below these something is noticeably less than usual; chosen. */
#define FEW_DESCRIPTORS 256u
#define FEW_BUFFER      65536u
#define FEW_WATCHES     4096u
#define FEW_CONTEXTS    64u
#define LARGE_FILE      (UINT64_C(4) * 1024 * 1024) /* a region with a server's largest messages */

/* ---- sources -------------------------------------------------------------------------------- */

static void probe_sock_diag(const struct doctor_place *place, struct doctor_finding *finding)
{
        const int64_t deadline_us = g_get_monotonic_time() + 5 * G_USEC_PER_SEC;
        struct sock_list list = {0};
        uint32_t seq = 0;
        int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
        int r;

        if (fd < 0) {
                doctor_fail(finding, errno, "socket(NETLINK_SOCK_DIAG)");
                return;
        }
        r = sock_diag_dump(fd, AF_INET, deadline_us, &seq, &list);
        if (r < 0)
                doctor_fail(finding, -r, "asking for TCP sockets");
        else
                doctor_found(finding, "%zu TCP sockets of this network namespace", list.n_socks);
}

/* hidepid=1 hides what is in the directories of others, hidepid=2 the directories. */
static void probe_proc(const struct doctor_place *place, struct doctor_finding *finding)
{
        struct statfs fs;
        int fd;

        if (statfs("/proc", &fs) < 0 || fs.f_type != PROC_SUPER_MAGIC) {
                doctor_fail(finding, errno, "/proc is not mounted");
                return;
        }
        fd = open("/proc/1/stat", O_RDONLY | O_CLOEXEC);
        if (fd < 0) {
                doctor_limit(finding, errno,
                             "apps-lookup and pid-traffic know the processes of this user only",
                             "/proc/1 cannot be read: hidepid");
                doctor_advise(finding, "mount /proc with hidepid=0, or with gid= a group of the "
                                       "provider; or give it CAP_SYS_PTRACE");
                return;
        }
        close(fd);
        if (access("/proc/1/fd", R_OK) < 0)
                doctor_limit(finding, errno,
                             "pid-traffic counts the sockets of this user's processes only",
                             "descriptors of other users' processes cannot be read");
        else
                doctor_found(finding, "processes of all users, and their descriptors");
        if (finding->result)
                doctor_advise(finding, "run `nipc serve pid-traffic` as root or with "
                                       "CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH");
}

static const char *name_cgroups(const struct cgroup_hierarchy *hierarchy)
{
        struct statfs fs;

        if (statfs("/sys/fs/cgroup", &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC)
                return "v2";
        return hierarchy->unified ? "hybrid" : "v1";
}

static void probe_cgroups(const struct doctor_place *place, struct doctor_finding *finding)
{
        struct cgroup_hierarchy hierarchy = {0};
        g_autoptr(GError) error = NULL;

        if (!cgroup_hierarchy_find(NULL, &hierarchy, &error))
                doctor_fail(finding, 0, "%s", error->message);
        else if (access(hierarchy.path, R_OK | X_OK) < 0)
                doctor_fail(finding, errno, "%s cannot be read", hierarchy.path);
        else
                doctor_found(finding, "%s, at %s", name_cgroups(&hierarchy), hierarchy.path);
        cgroup_hierarchy_clear(&hierarchy);
}

/* ---- limits --------------------------------------------------------------------------------- */

/* A number of /proc/sys. False: it cannot be read. */
static bool read_number(const char *path, uint64_t *ret_value)
{
        FILE *file = fopen(path, "re");
        bool good;

        if (!file)
                return false;
        good = fscanf(file, "%" SCNu64, ret_value) == 1;
        fclose(file);
        return good;
}

static void probe_descriptors(const struct doctor_place *place, struct doctor_finding *finding)
{
        uint64_t used = 0, reserve = 0, all = UINT64_MAX;
        struct rlimit limit;
        FILE *file = fopen("/proc/sys/fs/file-nr", "re");

        if (file) {
                if (fscanf(file, "%" SCNu64 " %" SCNu64 " %" SCNu64, &used, &reserve, &all) != 3)
                        all = UINT64_MAX;
                fclose(file);
        }
        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                doctor_fail(finding, errno, "getrlimit(RLIMIT_NOFILE)");
        else if (limit.rlim_cur < FEW_DESCRIPTORS)
                doctor_fail(finding, 0, "%" PRIu64 " per process", (uint64_t)limit.rlim_cur);
        else if (all - used < FEW_DESCRIPTORS)
                doctor_fail(finding, 0, "%" PRIu64 " left of fs.file-max %" PRIu64, all - used,
                            all);
        else
                doctor_found(finding, "%" PRIu64 " per process", (uint64_t)limit.rlim_cur);
}

static void probe_file_size(const struct doctor_place *place, struct doctor_finding *finding)
{
        struct rlimit limit;

        if (getrlimit(RLIMIT_FSIZE, &limit) < 0)
                doctor_fail(finding, errno, "getrlimit(RLIMIT_FSIZE)");
        else if (limit.rlim_cur == RLIM_INFINITY)
                doctor_found(finding, "files of any size");
        else if (limit.rlim_cur < LARGE_FILE)
                doctor_fail(finding, 0, "files up to %" PRIu64 " bytes", (uint64_t)limit.rlim_cur);
        else
                doctor_found(finding, "files up to %" PRIu64 " bytes", (uint64_t)limit.rlim_cur);
}

/* What a packet may be as large as: sessions take the buffers that sockets have by default. */
static void probe_packets(const struct doctor_place *place, struct doctor_finding *finding)
{
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), size = 0;
        socklen_t length = sizeof(size);
        uint64_t most = 0;

        if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &length) < 0) {
                doctor_fail(finding, errno, "SO_SNDBUF");
                return;
        }
        if (!read_number("/proc/sys/net/core/wmem_max", &most))
                most = (uint64_t)size;
        if ((unsigned)size < FEW_BUFFER)
                doctor_fail(finding, 0, "%d bytes (net.core.wmem_default)", size);
        else
                doctor_found(finding, "%d bytes, net.core.wmem_max %" PRIu64, size, most);
}

static void probe_watches(const struct doctor_place *place, struct doctor_finding *finding)
{
        uint64_t n;

        if (!read_number("/proc/sys/fs/epoll/max_user_watches", &n))
                doctor_found(finding, "not known");
        else if (n < FEW_WATCHES)
                doctor_fail(finding, 0, "%" PRIu64 " per user", n);
        else
                doctor_found(finding, "%" PRIu64 " per user", n);
}

static void probe_aio_contexts(const struct doctor_place *place, struct doctor_finding *finding)
{
        uint64_t used, all;

        if (!read_number("/proc/sys/fs/aio-nr", &used) ||
            !read_number("/proc/sys/fs/aio-max-nr", &all))
                doctor_found(finding, "not known");
        else if (all < used + FEW_CONTEXTS)
                doctor_fail(finding, 0, "%" PRIu64 " of fs.aio-max-nr %" PRIu64 " in use", used,
                            all);
        else
                doctor_found(finding, "%" PRIu64 " of %" PRIu64 " in use", used, all);
}

const struct doctor_check doctor_host_checks[] = {
        {"sock-diag", DOCTOR_LIMITED, probe_sock_diag, "`nipc serve pid-traffic` has no source",
         NULL, "allow NETLINK_SOCK_DIAG; the kernel needs CONFIG_INET_DIAG", 0},
        {"proc", DOCTOR_LIMITED, probe_proc,
         "`nipc serve apps-lookup` and `pid-traffic` have no source", NULL,
         "mount -t proc proc /proc", 0},
        {"cgroups", DOCTOR_LIMITED, probe_cgroups,
         "`nipc serve cgroups-snapshot` and `cgroups-lookup` need a --source", NULL,
         "mount the hierarchy at /sys/fs/cgroup (containers: --cgroupns=host, or a bind mount)", 0},
        {"descriptors", DOCTOR_LIMITED, probe_descriptors,
         "a server takes so many clients at most, over SHM_HYBRID a third; others wait in the "
         "queue",
         NULL, "raise RLIMIT_NOFILE (ulimit -n, LimitNOFILE=) or fs.file-max", 0},
        {"file-size", DOCTOR_LIMITED, probe_file_size,
         "SHM_HYBRID is not offered where its region would be larger", NULL,
         "raise RLIMIT_FSIZE (ulimit -f, LimitFSIZE=)", 0},
        {"socket-buffer", DOCTOR_LIMITED, probe_packets,
         "baseline messages travel in smaller packets: more system calls for large ones", NULL,
         "raise net.core.wmem_default to 212992, its usual value", 0},
        {"epoll-watches", DOCTOR_LIMITED, probe_watches,
         "servers of this user watch so many clients and no more", NULL,
         "raise fs.epoll.max_user_watches", 0},
        {"aio-contexts", DOCTOR_LIMITED, probe_aio_contexts,
         "busy servers ask the kernel for news by one system call more", NULL,
         "raise fs.aio-max-nr", 0},
};
const size_t doctor_n_host_checks = sizeof(doctor_host_checks) / sizeof(doctor_host_checks[0]);
