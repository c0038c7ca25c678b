/* SPDX-License-Identifier: MIT */

/* See util-shm-peer.h. */

#include "util-shm-peer.h"
#include "util-env.h"
#include "util-raw.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
        OP_WAIT = 0,
        OP_WAKE = 1,
        N_SPINS = 128,
};

const char *shm_peer_path(const char *service, uint64_t session_id)
{
        char name[200];

        snprintf(name, sizeof(name), "%s-%016" PRIx64 ".ipcshm", service, session_id);
        return util_path(name);
}

static void write_region(uint8_t *map, pid_t pid, uint32_t generation, uint32_t request_capacity,
                         uint32_t response_capacity)
{
        raw_put32(map, SHM_MAGIC, 0x4e53484d);
        raw_put16(map, SHM_VERSION, 3);
        raw_put16(map, SHM_HEADER_LEN, 64);
        raw_put32(map, SHM_PID, (uint32_t)pid);
        raw_put32(map, SHM_GENERATION, generation);
        raw_put32(map, SHM_REQUEST_OFFSET, 64);
        raw_put32(map, SHM_REQUEST_CAPACITY, request_capacity);
        raw_put32(map, SHM_RESPONSE_OFFSET, 64 + request_capacity);
        raw_put32(map, SHM_RESPONSE_CAPACITY, response_capacity);
        __atomic_thread_fence(__ATOMIC_RELEASE);
}

static bool map_region(struct shm_peer *peer, int flags)
{
        struct stat st;

        peer->region_fd = open(peer->path, O_RDWR | O_CLOEXEC | flags, 0600);
        if (peer->region_fd < 0)
                return false;
        if (flags && fallocate(peer->region_fd, 0, 0, (off_t)peer->size) < 0)
                return false;
        if (fstat(peer->region_fd, &st) < 0)
                return false;
        peer->size = (size_t)st.st_size;
        peer->map = mmap(NULL, peer->size, PROT_READ | PROT_WRITE, MAP_SHARED, peer->region_fd, 0);
        if (peer->map != MAP_FAILED)
                return true;
        peer->map = NULL;
        return false;
}

static void read_layout(struct shm_peer *peer)
{
        peer->request_offset = raw_get32(peer->map, SHM_REQUEST_OFFSET);
        peer->request_capacity = raw_get32(peer->map, SHM_REQUEST_CAPACITY);
        peer->response_offset = raw_get32(peer->map, SHM_RESPONSE_OFFSET);
        peer->response_capacity = raw_get32(peer->map, SHM_RESPONSE_CAPACITY);
}

bool shm_peer_create(const char *path, pid_t pid, uint32_t generation, uint32_t request_capacity,
                     uint32_t response_capacity)
{
        struct shm_peer peer = {.fd = -1, .size = 64 + request_capacity + response_capacity};
        bool good;

        snprintf(peer.path, sizeof(peer.path), "%s", path);
        good = map_region(&peer, O_CREAT | O_EXCL);
        if (good) {
                write_region(peer.map, pid, generation, request_capacity, response_capacity);
                munmap(peer.map, peer.size);
        }
        if (peer.region_fd >= 0)
                close(peer.region_fd);
        return good;
}

bool shm_peer_attach(struct shm_peer *peer, const char *service, int fd)
{
        uint8_t ack[128];

        *peer = (struct shm_peer){.fd = fd, .region_fd = -1};
        if (raw_receive(fd, ack, sizeof(ack)) != RAW_ACK_SIZE || raw_get16(ack, RAW_STATUS) != 0 ||
            raw_get32(ack, RAW_ACK_SELECTED) != 2)
                return false;
        peer->session_id = raw_get64(ack, RAW_ACK_SESSION_ID);
        snprintf(peer->path, sizeof(peer->path), "%s", shm_peer_path(service, peer->session_id));
        if (!map_region(peer, 0) || raw_get32(peer->map, SHM_MAGIC) != 0x4e53484d)
                return false;
        read_layout(peer);
        return true;
}

bool shm_peer_connect(struct shm_peer *peer, const char *service, uint8_t *hello)
{
        int fd = raw_connect(service, SOCK_SEQPACKET);

        raw_put32(hello, RAW_HELLO_PROFILES, 3);
        raw_put32(hello, RAW_HELLO_PREFERRED, 3);
        if (fd < 0 || !raw_send(fd, hello, RAW_HELLO_SIZE)) {
                *peer = (struct shm_peer){.fd = fd, .region_fd = -1};
                return false;
        }
        return shm_peer_attach(peer, service, fd);
}

static uint32_t capacity_of(const uint8_t *ack, size_t at)
{
        return (raw_get32(ack, at) + 32 + 63) / 64 * 64;
}

bool shm_peer_serve(struct shm_peer *peer, const char *service, int listen_fd, uint8_t *ack)
{
        uint32_t request = capacity_of(ack, RAW_ACK_MAX_REQUEST);
        uint32_t response = capacity_of(ack, RAW_ACK_MAX_RESPONSE);
        uint8_t hello[128];

        *peer = (struct shm_peer){.fd = -1, .is_server = true, .size = 64 + request + response};
        peer->session_id = raw_get64(ack, RAW_ACK_SESSION_ID);
        snprintf(peer->path, sizeof(peer->path), "%s", shm_peer_path(service, peer->session_id));
        if (!map_region(peer, O_CREAT | O_EXCL))
                return false;
        write_region(peer->map, getpid(), 4711, request, response);
        read_layout(peer);
        raw_put32(ack, RAW_ACK_PROFILES, 3);
        raw_put32(ack, RAW_ACK_INTERSECTION, 3);
        raw_put32(ack, RAW_ACK_SELECTED, 2);
        peer->fd = raw_accept(listen_fd);
        return peer->fd >= 0 && raw_receive(peer->fd, hello, sizeof(hello)) == RAW_HELLO_SIZE &&
               raw_send(peer->fd, ack, RAW_ACK_SIZE);
}

void *shm_peer_word(const struct shm_peer *peer, bool of_server, size_t of_request, size_t width)
{
        return peer->map + of_request + (of_server ? width : 0);
}

static uint8_t *area(const struct shm_peer *peer, bool of_server)
{
        return peer->map + (of_server ? peer->response_offset : peer->request_offset);
}

uint8_t *shm_peer_area(const struct shm_peer *peer)
{
        return area(peer, peer->is_server);
}

void shm_peer_wake(const struct shm_peer *peer)
{
        syscall(SYS_futex, shm_peer_word(peer, peer->is_server, SHM_REQUEST_SIGNAL, 4), OP_WAKE, 1,
                NULL, NULL, 0);
}

void shm_peer_announce(struct shm_peer *peer, uint32_t len)
{
        uint32_t *signal = shm_peer_word(peer, peer->is_server, SHM_REQUEST_SIGNAL, 4);

        __atomic_store_n((uint32_t *)shm_peer_word(peer, peer->is_server, SHM_REQUEST_LEN, 4), len,
                         __ATOMIC_RELEASE);
        __atomic_add_fetch((uint64_t *)shm_peer_word(peer, peer->is_server, SHM_REQUEST_SEQ, 8), 1,
                           __ATOMIC_RELEASE);
        __atomic_add_fetch(signal, 1, __ATOMIC_RELEASE);
        shm_peer_wake(peer);
}

bool shm_peer_send(struct shm_peer *peer, const void *message, uint32_t len)
{
        if (!len || len > (peer->is_server ? peer->response_capacity : peer->request_capacity))
                return false;
        memcpy(area(peer, peer->is_server), message, len);
        shm_peer_announce(peer, len);
        return true;
}

static bool has_come(const struct shm_peer *peer)
{
        return __atomic_load_n((uint64_t *)shm_peer_word(peer, !peer->is_server, SHM_REQUEST_SEQ,
                                                         8),
                               __ATOMIC_ACQUIRE) > peer->n_received;
}

int64_t shm_peer_receive(struct shm_peer *peer, void *buf, size_t size, unsigned timeout_ms)
{
        const struct timespec timeout = {timeout_ms / 1000, timeout_ms % 1000 * 1000000L};
        uint32_t *signal = shm_peer_word(peer, !peer->is_server, SHM_REQUEST_SIGNAL, 4), value, len;

        util_waiting_for("a message in memory");
        for (unsigned i = 0; i < N_SPINS && !has_come(peer); i++)
                ;
        for (;;) {
                value = __atomic_load_n(signal, __ATOMIC_ACQUIRE);
                if (has_come(peer))
                        break;
                if (syscall(SYS_futex, signal, OP_WAIT, value, &timeout, NULL, 0) < 0 &&
                    errno == ETIMEDOUT)
                        return -ETIMEDOUT;
        }
        len = __atomic_load_n((uint32_t *)shm_peer_word(peer, !peer->is_server, SHM_REQUEST_LEN, 4),
                              __ATOMIC_ACQUIRE);
        memcpy(buf, area(peer, !peer->is_server), len < size ? len : size);
        peer->n_received++;
        return len;
}

void shm_peer_close(struct shm_peer *peer)
{
        if (peer->map)
                munmap(peer->map, peer->size);
        if (peer->region_fd >= 0)
                close(peer->region_fd);
        if (peer->is_server)
                unlink(peer->path);
        if (peer->fd >= 0)
                close(peer->fd);
        *peer = (struct shm_peer){.fd = -1, .region_fd = -1};
}

void shm_peer_skip_unless_watchable(void)
{
        /* Without arguments it is refused for those; where it is not there, for that. */
        if (syscall(449 /* futex_waitv */, NULL, 0, 0, NULL, 0) < 0 && errno != ENOSYS &&
            errno != EPERM)
                return;
        printf("1..0 # SKIP no futex_waitv\n");
        exit(0);
}
