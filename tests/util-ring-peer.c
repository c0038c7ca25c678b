/* SPDX-License-Identifier: MIT */

/* See util-ring-peer.h. */

#include "util-ring-peer.h"
#include "util-env.h"
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

size_t ring_page_size(void)
{
        size_t size = (size_t)sysconf(_SC_PAGESIZE);

        return size < RING_HEADER_BYTES ? RING_HEADER_BYTES : size;
}

/* ---- memory --------------------------------------------------------------------------------- */

int ring_memory_seals(void)
{
        return F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;
}

uint8_t *ring_memory_map(int fd, uint32_t size, int protection)
{
        const size_t header = ring_page_size();
        uint8_t *map = mmap(NULL, header + 2 * (size_t)size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
                            -1, 0);

        if (map == MAP_FAILED)
                return NULL;
        if (mmap(map, header + size, protection, MAP_SHARED | MAP_FIXED, fd, 0) != MAP_FAILED &&
            mmap(map + header + size, size, protection, MAP_SHARED | MAP_FIXED, fd,
                 (off_t)header) != MAP_FAILED)
                return map;
        ring_memory_unmap(map, size);
        return NULL;
}

void ring_memory_unmap(uint8_t *map, uint32_t size)
{
        if (map)
                munmap(map, ring_page_size() + 2 * (size_t)size);
}

int ring_memory_new_unsealed(uint32_t size, uint8_t **ret_map)
{
        const size_t header = ring_page_size();
        int fd = memfd_create("ring-peer", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        uint8_t *map;

        if (fd < 0)
                return -errno;
        if (ftruncate(fd, (off_t)(header + size)) < 0 ||
            fallocate(fd, 0, 0, (off_t)(header + size)) < 0 ||
            !(map = ring_memory_map(fd, size, PROT_READ | PROT_WRITE))) {
                close(fd);
                return -errno;
        }
        raw_put64(map, RING_MAGIC, UINT64_C(0x31474e524350494e));
        raw_put32(map, RING_VERSION, 1);
        raw_put32(map, RING_HEADER_SIZE, (uint32_t)header);
        raw_put32(map, RING_SIZE, size);
        raw_put32(map, RING_WAIT, RING_SEQ | RING_WAITS_DATA);
        raw_put32(map, RING_CPU, UINT32_MAX);
        *ret_map = map;
        return fd;
}

int ring_memory_new(uint32_t size, uint8_t **ret_map)
{
        uint8_t *map;
        int fd = ring_memory_new_unsealed(size, &map);

        if (fd < 0)
                return fd;
        if (fcntl(fd, F_ADD_SEALS, ring_memory_seals()) < 0) {
                ring_memory_unmap(map, size);
                close(fd);
                return -errno;
        }
        *ret_map = map;
        return fd;
}

static _Atomic uint64_t *at64(const uint8_t *map, size_t at)
{
        return (void *)(uintptr_t)(map + at);
}

static _Atomic uint32_t *at32(const uint8_t *map, size_t at)
{
        return (void *)(uintptr_t)(map + at);
}

/* Where a position of a ring is in its memory. */
static size_t cell_at(uint64_t pos, uint32_t size)
{
        return ring_page_size() + (size_t)(pos & (size - 1));
}

static uint64_t cells_of(uint32_t size)
{
        return ((uint64_t)size + 8 + RING_CELL - 1) / RING_CELL * RING_CELL;
}

/* ---- packets with descriptors ---------------------------------------------------------------- */

union control {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(4 * sizeof(int))];
};

bool ring_send_fds(int fd, const void *packet, size_t size, const int *fds, size_t n)
{
        union control control = {.header = {.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
        struct iovec iov = {(void *)(uintptr_t)packet, size};
        struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

        if (n) {
                control.header.cmsg_len = CMSG_LEN(n * sizeof(int));
                memcpy(CMSG_DATA(&control.header), fds, n * sizeof(int));
                msg.msg_control = &control;
                msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
        }
        return sendmsg(fd, &msg, MSG_NOSIGNAL) == (ssize_t)size;
}

ssize_t ring_receive_fd(int fd, void *packet, size_t size, int *ret_fd)
{
        union control control;
        struct iovec iov = {packet, size};
        struct msghdr msg = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
        const struct cmsghdr *cmsg;
        ssize_t n;

        util_waiting_for("a packet of the handshake");
        *ret_fd = -1;
        n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
        if (n < 0)
                return -errno;
        cmsg = CMSG_FIRSTHDR(&msg);
        if (n > 0 && cmsg && cmsg->cmsg_type == SCM_RIGHTS)
                memcpy(ret_fd, CMSG_DATA(cmsg), sizeof(*ret_fd));
        return n;
}

/* ---- the handshake --------------------------------------------------------------------------- */

static bool make_own(struct ring_peer *peer, uint32_t size)
{
        *peer = (struct ring_peer){
                .fd = -1, .memory_fd = -1, .own_size = size, .wait_seq = RING_SEQ};
        peer->memory_fd = ring_memory_new(size, &peer->own);
        return peer->memory_fd >= 0;
}

/* Takes the other's memory. */
static bool attach(struct ring_peer *peer, int fd)
{
        uint8_t bytes[RING_SIZE + 4];
        bool good;

        good = fd >= 0 && pread(fd, bytes, sizeof(bytes), 0) == (ssize_t)sizeof(bytes) &&
               (fcntl(fd, F_GET_SEALS) & ring_memory_seals()) == ring_memory_seals() &&
               raw_get64(bytes, RING_MAGIC) == UINT64_C(0x31474e524350494e) &&
               raw_get32(bytes, RING_VERSION) == 1 &&
               raw_get32(bytes, RING_HEADER_SIZE) == ring_page_size();
        if (good) {
                peer->peer_size = raw_get32(bytes, RING_SIZE);
                peer->peer = ring_memory_map(fd, peer->peer_size, PROT_READ);
        }
        if (fd >= 0)
                close(fd);
        return peer->peer != NULL;
}

bool ring_peer_connect(struct ring_peer *peer, const char *service, uint32_t size,
                       uint32_t max_payload)
{
        uint8_t packet[RAW_ACK_SIZE];
        int fd = -1;

        if (!make_own(peer, size))
                return false;
        peer->fd = raw_connect(service, SOCK_SEQPACKET);
        if (peer->fd < 0)
                return false;
        raw_hello(packet);
        raw_put32(packet, RAW_HELLO_PROFILES, RING_PROFILE | 1);
        raw_put32(packet, RAW_HELLO_PREFERRED, RING_PROFILE);
        raw_put32(packet, RAW_HELLO_MAX_REQUEST, max_payload);
        raw_put32(packet, RAW_HELLO_MAX_REQUEST_ITEMS, 16);
        if (!ring_send_fds(peer->fd, packet, RAW_HELLO_SIZE, &peer->memory_fd, 1) ||
            ring_receive_fd(peer->fd, packet, sizeof(packet), &fd) != RAW_ACK_SIZE)
                return false;
        peer->selected = raw_get32(packet, RAW_ACK_SELECTED);
        return attach(peer, fd) && peer->selected == RING_PROFILE &&
               raw_get16(packet, RAW_STATUS) == 0;
}

bool ring_peer_accept(struct ring_peer *peer, int listen_fd, uint32_t size, uint32_t max_payload)
{
        uint8_t packet[RAW_ACK_SIZE];
        int fd = -1;

        if (!make_own(peer, size))
                return false;
        peer->fd = raw_accept(listen_fd);
        if (peer->fd < 0 ||
            ring_receive_fd(peer->fd, packet, sizeof(packet), &fd) != RAW_HELLO_SIZE)
                return false;
        if (!attach(peer, fd) || !(raw_get32(packet, RAW_HELLO_PROFILES) & RING_PROFILE))
                return false;
        peer->selected = RING_PROFILE;
        raw_ack(packet);
        raw_put32(packet, RAW_ACK_PROFILES, RING_PROFILE | 1);
        raw_put32(packet, RAW_ACK_INTERSECTION, RING_PROFILE | 1);
        raw_put32(packet, RAW_ACK_SELECTED, RING_PROFILE);
        raw_put32(packet, RAW_ACK_MAX_REQUEST, max_payload);
        raw_put32(packet, RAW_ACK_MAX_RESPONSE, max_payload);
        raw_put32(packet, RAW_ACK_MAX_RESPONSE_ITEMS, 16);
        return ring_send_fds(peer->fd, packet, RAW_ACK_SIZE, &peer->memory_fd, 1);
}

void ring_peer_close(struct ring_peer *peer)
{
        if (peer->fd >= 0)
                close(peer->fd);
        if (peer->memory_fd >= 0)
                close(peer->memory_fd);
        ring_memory_unmap(peer->own, peer->own_size);
        ring_memory_unmap(peer->peer, peer->peer_size);
        *peer = (struct ring_peer){.fd = -1, .memory_fd = -1};
}

/* ---- by hand --------------------------------------------------------------------------------- */

uint8_t *ring_peer_record(struct ring_peer *peer)
{
        return peer->own + cell_at(peer->tx_pos, peer->own_size) + 8;
}

uint64_t ring_peer_word(const struct ring_peer *peer, uint32_t size)
{
        return peer->tx_pos / RING_CELL << 32 | size;
}

static void ring_if_waiting(struct ring_peer *peer, uint32_t why)
{
        uint32_t wait;

        atomic_thread_fence(memory_order_seq_cst);
        wait = atomic_load_explicit(at32(peer->peer, RING_WAIT), memory_order_relaxed);
        if (!(wait & why) || wait == peer->rung)
                return;
        peer->rung = wait;
        ring_peer_ring(peer);
}

void ring_peer_publish_word(struct ring_peer *peer, uint64_t word)
{
        atomic_store_explicit(at64(peer->own, cell_at(peer->tx_pos, peer->own_size)), word,
                              memory_order_release);
        ring_if_waiting(peer, RING_WAITS_DATA);
}

void ring_peer_publish(struct ring_peer *peer, uint32_t size)
{
        const uint64_t next = peer->tx_pos + cells_of(size);

        atomic_store_explicit(at64(peer->own, cell_at(next, peer->own_size)), 0,
                              memory_order_relaxed);
        ring_peer_publish_word(peer, ring_peer_word(peer, size));
        peer->tx_pos = next;
}

void ring_peer_set_consumed(struct ring_peer *peer, uint64_t consumed)
{
        atomic_store_explicit(at64(peer->own, RING_CONSUMED), consumed, memory_order_release);
        ring_if_waiting(peer, RING_WAITS_SPACE);
}

void ring_peer_set_wait(struct ring_peer *peer, uint32_t wait)
{
        atomic_store(at32(peer->own, RING_WAIT), wait);
        atomic_thread_fence(memory_order_seq_cst);
}

void ring_peer_set_n_rung(struct ring_peer *peer, uint32_t n_rung)
{
        atomic_store(at32(peer->own, RING_N_RUNG), n_rung);
}

bool ring_peer_ring(struct ring_peer *peer)
{
        ring_peer_set_n_rung(peer, ++peer->n_rung);
        return send(peer->fd, "!", 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1;
}

/* Waits for a doorbell. */
static bool hear(struct ring_peer *peer)
{
        char byte;

        return recv(peer->fd, &byte, 1, 0) > 0;
}

bool ring_peer_is_closed(struct ring_peer *peer)
{
        util_waiting_for("a session to be ended");
        while (hear(peer))
                ;
        return true;
}

/* ---- as it should be ------------------------------------------------------------------------- */

static bool has_space(const struct ring_peer *peer, uint32_t size)
{
        uint64_t consumed =
                atomic_load_explicit(at64(peer->peer, RING_CONSUMED), memory_order_acquire);

        return peer->tx_pos + cells_of(size) + RING_CELL <= consumed + peer->own_size;
}

static bool has_data(const struct ring_peer *peer)
{
        return atomic_load_explicit(at64(peer->peer, cell_at(peer->rx_pos, peer->peer_size)),
                                    memory_order_acquire) != 0;
}

/* Sleeps until there is space for so many bytes, or (0) data. false: that will not come. */
static bool wait_for(struct ring_peer *peer, uint32_t size)
{
        const uint32_t why = size ? RING_WAITS_SPACE : RING_WAITS_DATA;
        bool is_there = false, has_ended = false;

        util_waiting_for("a peer to publish or to consume");
        for (;;) {
                is_there = size ? has_space(peer, size) : has_data(peer);
                if (is_there || has_ended)
                        break;
                peer->wait_seq += RING_SEQ;
                ring_peer_set_wait(peer, peer->wait_seq | why);
                is_there = size ? has_space(peer, size) : has_data(peer);
                if (is_there)
                        break;
                has_ended = !hear(peer);
        }
        ring_peer_set_wait(peer, peer->wait_seq);
        return is_there;
}

bool ring_peer_send(struct ring_peer *peer, const void *record, uint32_t size)
{
        if (!has_space(peer, size) && !wait_for(peer, size))
                return false;
        memcpy(ring_peer_record(peer), record, size);
        ring_peer_publish(peer, size);
        return true;
}

bool ring_peer_send_message(struct ring_peer *peer, uint16_t kind, uint16_t code, uint64_t id,
                            const void *payload, uint32_t size)
{
        if (!has_space(peer, RAW_HEADER_SIZE + size) && !wait_for(peer, RAW_HEADER_SIZE + size))
                return false;
        raw_header(ring_peer_record(peer), kind, code, size, 1, id);
        if (size)
                memcpy(ring_peer_record(peer) + RAW_HEADER_SIZE, payload, size);
        ring_peer_publish(peer, RAW_HEADER_SIZE + size);
        return true;
}

ssize_t ring_peer_receive(struct ring_peer *peer, void *record, size_t size)
{
        const uint8_t *cell = peer->peer + cell_at(peer->rx_pos, peer->peer_size);
        uint32_t length;
        uint64_t word;

        if (!has_data(peer) && !wait_for(peer, 0))
                return -ECONNRESET;
        word = atomic_load_explicit(at64(cell, 0), memory_order_acquire);
        length = (uint32_t)word;
        if (word >> 32 != (uint32_t)(peer->rx_pos / RING_CELL) || length < RAW_HEADER_SIZE ||
            cells_of(length) + RING_CELL > peer->peer_size)
                return -EBADMSG;
        memcpy(record, cell + 8, length < size ? length : size);
        peer->rx_pos += cells_of(length);
        ring_peer_set_consumed(peer, peer->rx_pos);
        return length;
}
