/* SPDX-License-Identifier: MIT */
/*
 * Checks of the run directory: who may do what in it, how long names may be, what its file system
 * does. What has to be tried is tried in a directory of our own within it.
 */
#include "doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <nipc/endpoint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#define REGION_BYTES  ((off_t)128 * 1024) /* above what SHM_HYBRID takes for a session at first */
#define LONGEST_NAME  16u                 /* "cgroups-snapshot", of the services of this tool */
#define SUFFIX_LENGTH (sizeof(".sock") - 1)

#ifndef FUSE_SUPER_MAGIC
#define FUSE_SUPER_MAGIC 0x65735546
#endif
#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC 0x58465342
#endif

/* ---- who may do what ------------------------------------------------------------------------ */

static void judge_missing(const struct doctor_place *place, int error,
                          struct doctor_finding *finding)
{
        if (error == ENOENT && place->run_dir_is_default && place->scratch) {
                doctor_limit(finding, error, "clients find no provider until there is one", "%s",
                             place->run_dir);
                doctor_advise(finding, "`nipc serve` makes this directory when it starts");
                return;
        }
        doctor_fail(finding, error, "%s", place->run_dir);
        if (error == ENOENT)
                doctor_advise(finding, "mkdir -m 0700 %s, or name another with --run-dir",
                              place->run_dir);
        else
                doctor_advise(finding, "name a directory that this user may enter with --run-dir");
}

static void judge_others(const struct stat *st, struct doctor_finding *finding)
{
        const unsigned mode = st->st_mode & 07777;

        if (!(mode & S_IWOTH)) {
                doctor_found(finding, "owner %u, mode %04o, may be written to",
                             (unsigned)st->st_uid, mode);
                return;
        }
        doctor_limit(finding, 0,
                     mode & S_ISVTX ? "anybody can take a name before its provider does"
                                    : "anybody can take a name, and remove the endpoints of others",
                     "mode %04o: writable by others", mode);
        doctor_advise(finding, "chmod o-w the directory; clients trust providers run by root, by "
                               "themselves, or by its owner only");
}

static void probe_access(const struct doctor_place *place, struct doctor_finding *finding)
{
        struct stat st;

        if (stat(place->run_dir, &st) < 0)
                judge_missing(place, errno, finding);
        else if (!S_ISDIR(st.st_mode))
                doctor_fail(finding, ENOTDIR, "%s", place->run_dir);
        else if (faccessat(AT_FDCWD, place->run_dir, W_OK | X_OK, AT_EACCESS) < 0)
                doctor_fail(finding, errno, "owner %u, mode %04o", (unsigned)st.st_uid,
                            (unsigned)st.st_mode & 07777u);
        else
                judge_others(&st, finding);
}

static void probe_path(const struct doctor_place *place, struct doctor_finding *finding)
{
        const size_t taken = strlen(place->run_dir) + 1 + SUFFIX_LENGTH;
        const size_t left =
                taken < NIPC_ENDPOINT_PATH_MAX - 1 ? NIPC_ENDPOINT_PATH_MAX - 1 - taken : 0;

        if (!left)
                doctor_fail(finding, ENAMETOOLONG, "nothing left of %u bytes for a name",
                            NIPC_ENDPOINT_PATH_MAX - 1);
        else if (left < LONGEST_NAME)
                doctor_limit(finding, 0, "services with longer names have no place here",
                             "names up to %zu bytes", left);
        else
                doctor_found(finding, "names up to %zu bytes", left);
}

/* ---- the file system ------------------------------------------------------------------------ */

static const struct {
        uint32_t magic;
        const char *name;
        bool is_remote;
} file_systems[] = {
        {TMPFS_MAGIC, "tmpfs", false},
        {RAMFS_MAGIC, "ramfs", false},
        {EXT4_SUPER_MAGIC, "ext4", false},
        {XFS_SUPER_MAGIC, "xfs", false},
        {BTRFS_SUPER_MAGIC, "btrfs", false},
        {OVERLAYFS_SUPER_MAGIC, "overlay", false},
        {NFS_SUPER_MAGIC, "nfs", true},
        {FUSE_SUPER_MAGIC, "fuse", true},
        {SMB_SUPER_MAGIC, "smb", true},
        {0xff534d42u, "cifs", true},
        {V9FS_MAGIC, "9p", true},
};

static void judge_file_system(const struct statfs *fs, struct doctor_finding *finding)
{
        for (size_t i = 0; i < sizeof(file_systems) / sizeof(file_systems[0]); i++) {
                if ((uint32_t)fs->f_type != file_systems[i].magic)
                        continue;
                if (file_systems[i].is_remote)
                        doctor_fail(finding, 0, "%s", file_systems[i].name);
                else
                        doctor_found(finding, "%s", file_systems[i].name);
                return;
        }
        doctor_found(finding, "type 0x%" PRIx32, (uint32_t)fs->f_type);
}

static void probe_file_system(const struct doctor_place *place, struct doctor_finding *finding)
{
        const char *path = place->scratch ? place->scratch : place->run_dir;
        struct statvfs flags;
        struct statfs fs;

        if (statfs(path, &fs) < 0 || statvfs(path, &flags) < 0) {
                doctor_fail_scratch(place, finding);
        } else if (flags.f_flag & ST_RDONLY) {
                doctor_fail(finding, EROFS, "mounted read-only");
                snprintf(finding->effect, sizeof(finding->effect), "nothing can be served here");
                doctor_advise(finding, "use a directory of a tmpfs, like /run");
        } else {
                judge_file_system(&fs, finding);
        }
}

/* As the region of a session is reserved. A limit of the process would answer with a signal. */
static int reserve_file(int fd)
{
        struct rlimit limit;
        int r;

        if (fd < 0)
                return errno;
        if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < (rlim_t)REGION_BYTES)
                return EFBIG;
        do {
                r = fallocate(fd, 0, 0, REGION_BYTES) < 0 ? errno : 0;
        } while (r == EINTR);
        return r;
}

static void judge_space(int fd, int error, struct doctor_finding *finding)
{
        struct statvfs fs = {0};

        if (error)
                doctor_fail(finding, error, "reserving 128 KiB");
        else if (fstatvfs(fd, &fs) < 0)
                doctor_fail(finding, errno, "statvfs");
        else
                doctor_found(finding, "%" PRIu64 " KiB free",
                             (uint64_t)fs.f_bavail * fs.f_frsize / 1024);
}

static void probe_space(const struct doctor_place *place, struct doctor_finding *finding)
{
        char path[4096];
        int fd;

        if (!place->scratch) {
                doctor_fail_scratch(place, finding);
                return;
        }
        snprintf(path, sizeof(path), "%s/space", place->scratch);
        fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        judge_space(fd, reserve_file(fd), finding);
        unlink(path);
}

static void probe_dev_shm(const struct doctor_place *place, struct doctor_finding *finding)
{
        char path[] = "/dev/shm/nipc-doctor-XXXXXX";
        int fd = mkostemp(path, O_CLOEXEC);

        if (fd >= 0)
                unlink(path);
        judge_space(fd, reserve_file(fd), finding);
}

/* Whether one descriptor's lock keeps another out, in this very process. */
static void try_locks(const char *path, struct doctor_finding *finding)
{
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        int other = open(path, O_RDWR | O_CLOEXEC);

        if (fd < 0 || other < 0)
                doctor_fail(finding, errno, "making a file");
        else if (fcntl(fd, F_OFD_SETLK, &lock) < 0)
                doctor_fail(finding, errno, "F_OFD_SETLK");
        else if (fcntl(other, F_OFD_SETLK, &lock) == 0)
                doctor_fail(finding, 0, "a lock keeps nobody out");
        else
                doctor_found(finding, "F_OFD_SETLK");
}

static void probe_locks(const struct doctor_place *place, struct doctor_finding *finding)
{
        char path[4096];

        if (!place->scratch) {
                doctor_fail_scratch(place, finding);
                return;
        }
        snprintf(path, sizeof(path), "%s/lock", place->scratch);
        try_locks(path, finding);
        unlink(path);
}

const struct doctor_check doctor_directory_checks[] = {
        {"run-dir", DOCTOR_MISSING, probe_access,
         "nothing can be served here by this user; what others serve can be asked at best", NULL,
         "run as the directory's owner, or name another with --run-dir", 0},
        {"run-dir-path", DOCTOR_MISSING, probe_path, "no endpoint can have an address here", NULL,
         "use a shorter --run-dir: sockets have addresses of 107 bytes", 0},
        {"run-dir-fs", DOCTOR_LIMITED, probe_file_system,
         "endpoints work for this machine alone, and locks may be slow or missing", NULL,
         "use a directory of a tmpfs, like /run", 0},
        {"run-dir-space", DOCTOR_LIMITED, probe_space,
         "SHM_HYBRID is not offered: sessions use RING or the baseline instead", NULL,
         "free space there, or enlarge the file system (mount -o remount,size=)", 0},
        {"run-dir-locks", DOCTOR_MISSING, probe_locks, "nothing can be served here", NULL,
         "use a file system that keeps locks (Linux 3.15), like a tmpfs", 0},
        {"dev-shm", DOCTOR_LIMITED, probe_dev_shm,
         "a run directory there offers no SHM_HYBRID; RING does not need it", NULL,
         "mount or enlarge it (containers: --shm-size)", 0},
};
const size_t doctor_n_directory_checks =
        sizeof(doctor_directory_checks) / sizeof(doctor_directory_checks[0]);
