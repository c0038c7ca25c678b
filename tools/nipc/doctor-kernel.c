/* SPDX-License-Identifier: MIT */
/*
 * Checks of what the kernel offers and a filter of system calls may take away: memory without a
 * name, descriptors that travel, waits.
 */
#include "doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008u
#endif
#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449 /* on all systems that do not number on their own */
#endif
#ifdef SYS_futex
#define FUTEX_CALL SYS_futex
#else /* younger 32-bit systems */
#define FUTEX_CALL SYS_futex_time64
#endif

#define MEMORY_BYTES ((size_t)256 * 1024) /* what a ring of the default size takes */
#define MAX_CPUS     8192

#define NO_RING "RING is not offered: sessions use SHM_HYBRID or the baseline instead"
#define NO_SHM  "SHM_HYBRID is not offered by servers: sessions use RING or the baseline instead"

/* ---- memory --------------------------------------------------------------------------------- */

/* As the ring profile makes it. Returns the descriptor, or -1 after having said why. */
static int make_memory(struct doctor_finding *finding)
{
        int fd = memfd_create("nipc-doctor", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

        if (fd < 0 && errno == EINVAL) /* older than Linux 6.3 */
                fd = memfd_create("nipc-doctor", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (fd < 0) {
                doctor_fail(finding, errno, "memfd_create");
                return -1;
        }
        if (ftruncate(fd, (off_t)MEMORY_BYTES) < 0 ||
            fallocate(fd, 0, 0, (off_t)MEMORY_BYTES) < 0) {
                doctor_fail(finding, errno, "reserving %zu KiB", MEMORY_BYTES / 1024);
                return -1;
        }
        return fd;
}

static void probe_memfd(const struct doctor_place *place, struct doctor_finding *finding)
{
        if (make_memory(finding) >= 0)
                doctor_found(finding, "memfd_create, %zu KiB reserved", MEMORY_BYTES / 1024);
}

/* Whoever is given sealed memory can read it, and never write it. */
static void check_sealed(int fd, const volatile char *own, struct doctor_finding *finding)
{
        const volatile char *other = mmap(NULL, MEMORY_BYTES, PROT_READ, MAP_SHARED, fd, 0);

        if (other == MAP_FAILED)
                doctor_fail(finding, errno, "mapping sealed memory for reading");
        else if (other[0] != own[0])
                doctor_fail(finding, 0, "a reader of sealed memory does not see what is written");
        else if (mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED)
                doctor_fail(finding, 0, "sealed memory can be mapped for writing");
        else
                doctor_found(finding, "SHRINK, GROW, FUTURE_WRITE, SEAL");
}

static void probe_seals(const struct doctor_place *place, struct doctor_finding *finding)
{
        const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;
        int fd = make_memory(finding);
        volatile char *own;

        if (fd < 0)
                return;
        own = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (own == MAP_FAILED) {
                doctor_fail(finding, errno, "mapping memory");
        } else if (fcntl(fd, F_ADD_SEALS, seals) < 0) {
                doctor_fail(finding, errno, "F_SEAL_FUTURE_WRITE");
        } else {
                own[0] = 'x';
                check_sealed(fd, own, finding);
        }
}

/* The same memory twice in a row: a record that passes the end of the ring lies in one piece. */
static void probe_double_mapping(const struct doctor_place *place, struct doctor_finding *finding)
{
        int fd = make_memory(finding);
        volatile char *view; /* two addresses of one byte, which compilers do not expect */
        char *map;

        if (fd < 0)
                return;
        map = mmap(NULL, 2 * MEMORY_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
        if (map == MAP_FAILED ||
            mmap(map, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) ==
                    MAP_FAILED ||
            mmap(map + MEMORY_BYTES, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
                 fd, 0) == MAP_FAILED) {
                doctor_fail(finding, errno, "mapping memory twice");
                return;
        }
        view = map;
        view[0] = 'x';
        if (view[MEMORY_BYTES] == 'x')
                doctor_found(finding, "one memory twice in a row");
        else
                doctor_fail(finding, 0, "two mappings of one memory differ");
}

/* ---- sockets -------------------------------------------------------------------------------- */

static bool make_pair(int fds[2], struct doctor_finding *finding)
{
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == 0)
                return true;
        doctor_fail(finding, errno, "socketpair(AF_UNIX, SOCK_SEQPACKET)");
        return false;
}

static void probe_seqpacket(const struct doctor_place *place, struct doctor_finding *finding)
{
        struct ucred peer = {0};
        socklen_t size = sizeof(peer);
        char bytes[2];
        int fds[2];

        if (!make_pair(fds, finding))
                return;
        if (send(fds[0], "x", 1, MSG_NOSIGNAL) != 1 || recv(fds[1], bytes, sizeof(bytes), 0) != 1)
                doctor_fail(finding, errno, "a packet there and back");
        else if (getsockopt(fds[0], SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
                doctor_fail(finding, errno, "SO_PEERCRED");
        else if (peer.pid != getpid() && peer.pid != getppid())
                doctor_limit(finding, 0, "peers are shown by user, not by PID",
                             "SO_PEERCRED tells PID %d for our own", (int)peer.pid);
        else
                doctor_found(finding, "packets and credentials of the peer");
}

static ssize_t send_descriptor(int socket_fd, int fd)
{
        union {
                struct cmsghdr align;
                char bytes[CMSG_SPACE(sizeof(int))];
        } control = {0};
        struct iovec iov = {.iov_base = (char[]){'x'}, .iov_len = 1};
        struct msghdr msg = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = control.bytes,
                .msg_controllen = sizeof(control.bytes),
        };
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(sizeof(fd));
        memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
        return sendmsg(socket_fd, &msg, MSG_NOSIGNAL);
}

/* Returns whether a descriptor came. */
static bool receive_descriptor(int socket_fd)
{
        union {
                struct cmsghdr align;
                char bytes[CMSG_SPACE(sizeof(int))];
        } control = {0};
        char byte;
        struct iovec iov = {.iov_base = &byte, .iov_len = 1};
        struct msghdr msg = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = control.bytes,
                .msg_controllen = sizeof(control.bytes),
        };
        const struct cmsghdr *cmsg;

        if (recvmsg(socket_fd, &msg, MSG_CMSG_CLOEXEC) != 1)
                return false;
        errno = EBADF; /* what a policy that strips descriptors leaves */
        cmsg = CMSG_FIRSTHDR(&msg);
        return cmsg && cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SCM_RIGHTS &&
               !(msg.msg_flags & MSG_CTRUNC);
}

static void probe_passing(const struct doctor_place *place, struct doctor_finding *finding)
{
        int fds[2];

        if (!make_pair(fds, finding))
                return;
        if (send_descriptor(fds[0], fds[1]) != 1)
                doctor_fail(finding, errno, "sending a descriptor");
        else if (!receive_descriptor(fds[1]))
                doctor_fail(finding, errno, "receiving a descriptor");
        else
                doctor_found(finding, "SCM_RIGHTS over SEQPACKET");
}

/* ---- waits ---------------------------------------------------------------------------------- */

static void probe_futex(const struct doctor_place *place, struct doctor_finding *finding)
{
        static const _Atomic uint32_t word = 1;

        /* FUTEX_WAIT for another value than there is must say so; FUTEX_WAKE finds nobody. */
        if (syscall(FUTEX_CALL, &word, 0, 2, NULL, NULL, 0) == 0 || errno != EAGAIN)
                doctor_fail(finding, errno, "FUTEX_WAIT");
        else if (syscall(FUTEX_CALL, &word, 1, 1, NULL, NULL, 0) < 0)
                doctor_fail(finding, errno, "FUTEX_WAKE");
        else
                doctor_found(finding, "wait and wake");
}

static void probe_futex_waitv(const struct doctor_place *place, struct doctor_finding *finding)
{
        /* Asked for nothing it is there when it says that this is wrong. */
        if (syscall(SYS_futex_waitv, NULL, 0, 0, NULL, 0) < 0 && errno != EINVAL)
                doctor_fail(finding, errno, "futex_waitv");
        else
                doctor_found(finding, "futex_waitv");
}

static void probe_eventfd(const struct doctor_place *place, struct doctor_finding *finding)
{
        const uint64_t one = 1;
        uint64_t count = 0;
        int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

        if (fd < 0)
                doctor_fail(finding, errno, "eventfd");
        else if (write(fd, &one, sizeof(one)) < 0 || read(fd, &count, sizeof(count)) < 0)
                doctor_fail(finding, errno, "using an eventfd");
        else
                doctor_found(finding, "eventfd");
}

static void probe_epoll(const struct doctor_place *place, struct doctor_finding *finding)
{
        struct epoll_event event = {.events = EPOLLIN};
        int fds[2], epoll_fd;

        if (!make_pair(fds, finding))
                return;
        epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        if (epoll_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fds[0], &event) < 0 ||
            send(fds[1], "x", 1, MSG_NOSIGNAL) != 1)
                doctor_fail(finding, errno, "epoll");
        else if (epoll_wait(epoll_fd, &event, 1, 1000) != 1)
                doctor_fail(finding, 0, "epoll_wait does not see a packet");
        else
                doctor_found(finding, "epoll");
}

/* As a poller asks the kernel to write its news to memory. */
static int ask_kernel_aio(const char **ret_step)
{
        struct timespec second = {.tv_sec = 1};
        struct iocb request = {0}, *requests[] = {&request};
        aio_context_t context = 0;
        struct io_event event;
        int fd = eventfd(1, EFD_CLOEXEC);

        *ret_step = "io_setup";
        if (fd < 0 || syscall(SYS_io_setup, 1, &context) < 0)
                return errno;
        *ret_step = "io_submit(IOCB_CMD_POLL)";
        request.aio_lio_opcode = IOCB_CMD_POLL;
        request.aio_fildes = (uint32_t)fd;
        request.aio_buf = POLLIN;
        if (syscall(SYS_io_submit, context, 1L, requests) != 1)
                return errno;
        *ret_step = "io_getevents";
        return syscall(SYS_io_getevents, context, 1L, 1L, &event, &second) == 1 ? 0 : ENODATA;
}

static void probe_aio(const struct doctor_place *place, struct doctor_finding *finding)
{
        const char *step;
        int error = ask_kernel_aio(&step);

        if (error)
                doctor_fail(finding, error, "%s", step);
        else
                doctor_found(finding, "io_submit(IOCB_CMD_POLL)");
}

static void probe_cpus(const struct doctor_place *place, struct doctor_finding *finding)
{
        const size_t size = CPU_ALLOC_SIZE(MAX_CPUS);
        cpu_set_t *set = CPU_ALLOC(MAX_CPUS);
        int n;

        if (!set || sched_getaffinity(0, size, set) < 0) {
                doctor_fail(finding, errno, "sched_getaffinity");
                return;
        }
        n = CPU_COUNT_S(size, set);
        CPU_FREE(set);
        if (n > 1)
                doctor_found(finding, "%d usable", n);
        else
                doctor_fail(finding, 0, "1 usable");
}

const struct doctor_check doctor_kernel_checks[] = {
        {"seqpacket", DOCTOR_MISSING, probe_seqpacket,
         "nothing works: every session begins on such a socket", NULL,
         "allow socket(AF_UNIX, SOCK_SEQPACKET), sendmsg and recvmsg", 0},
        {"fd-passing", DOCTOR_LIMITED, probe_passing, NO_RING, NULL,
         "let the policy (SELinux, AppArmor) pass descriptors of memory between the peers", 0},
        {"memfd", DOCTOR_LIMITED, probe_memfd, NO_RING,
         "a program that offers RING is killed: leave it out of its profiles",
         "allow memfd_create (Linux 3.17) in the seccomp filter or policy; raise the memory limit "
         "if that is full",
         0},
        {"seals", DOCTOR_LIMITED, probe_seals, NO_RING,
         "a program that offers RING is killed: leave it out of its profiles",
         "needs Linux 5.1 and fcntl(F_ADD_SEALS)", 0},
        {"double-mapping", DOCTOR_LIMITED, probe_double_mapping, NO_RING, NULL,
         "allow mmap with MAP_FIXED, raise RLIMIT_AS", 0},
        {"futex", DOCTOR_MISSING, probe_futex,
         "SHM_HYBRID peers are not woken: leave it out of the profiles", NULL,
         "allow futex in the seccomp filter", 0},
        {"futex-waitv", DOCTOR_LIMITED, probe_futex_waitv, NO_SHM,
         "a server that offers SHM_HYBRID is killed: leave it out of its profiles",
         "needs Linux 5.16 and futex_waitv in the seccomp filter", 0},
        {"eventfd", DOCTOR_MISSING, probe_eventfd,
         "no server and no poller works, and sessions in memory cannot be polled", NULL,
         "allow eventfd2 in the seccomp filter", 0},
        {"epoll", DOCTOR_MISSING, probe_epoll, "no server and no poller works", NULL,
         "allow epoll_create1, epoll_ctl and epoll_pwait in the seccomp filter", 0},
        {"aio-poll", DOCTOR_LIMITED, probe_aio,
         "busy servers ask the kernel for news by one system call more", "busy servers are killed",
         "allow io_setup, io_submit and io_getevents (Linux 4.18), raise fs.aio-max-nr", 0},
        {"cpus", DOCTOR_LIMITED, probe_cpus,
         "no spinning: every wait in shared memory sleeps in the kernel", NULL,
         "give the process two CPUs or more (taskset, cpuset) if it is to be fast", 0},
};
const size_t doctor_n_kernel_checks =
        sizeof(doctor_kernel_checks) / sizeof(doctor_kernel_checks[0]);
