/* SPDX-License-Identifier: MIT */

/* A peer that sends descriptors along, in the handshake and later: none of them stays here. */

#include "util-conformance.h"
#include <sys/socket.h>
#include <unistd.h>

static struct nipc_session *open_victim(int *ret_fd)
{
        struct pair_config config;
        uint8_t hello[RAW_HELLO_SIZE];

        pair_config_init(&config);
        config.listener.max_request_payload_bytes = 4096;
        raw_hello(hello);
        raw_put32(hello, RAW_HELLO_MAX_REQUEST, 4096);
        raw_put32(hello, RAW_HELLO_MAX_REQUEST_ITEMS, 1000);
        raw_put32(hello, RAW_HELLO_PACKET_SIZE, 1024);
        return open_server(&config.listener, hello, ret_fd);
}

static bool send_descriptors(int fd, const void *packet, size_t size, int n_fds)
{
        union {
                char bytes[CMSG_SPACE(16 * sizeof(int))];
                struct cmsghdr align;
        } control = {{0}};
        struct iovec iov = {(void *)(uintptr_t)packet, size};
        struct msghdr msg = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = CMSG_SPACE((size_t)n_fds * sizeof(int))};
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN((size_t)n_fds * sizeof(int));
        for (int i = 0; i < n_fds; i++)
                memcpy(CMSG_DATA(cmsg) + (size_t)i * sizeof(int), &fd, sizeof(int));
        return sendmsg(fd, &msg, MSG_NOSIGNAL) == (ssize_t)size;
}

/* Descriptors that nobody asked for do not pile up here. */
static void test_descriptors(void)
{
        struct nipc_message message;
        uint8_t packet[64] = {0};
        int fd, n_fds;
        struct nipc_session *session;

        if (!conformance_is_baseline())
                tap_skip("packets of the baseline");
        session = open_victim(&fd);
        tap_require(session != NULL);
        n_fds = util_count_fds();
        raw_header(packet, 1, 7, 32, 1, 5);
        for (unsigned i = 0; i < 10; i++) {
                tap_check(send_descriptors(fd, packet, sizeof(packet), 16));
                util_eq_error(nipc_session_receive(session, util_soon(), &message), 0);
        }
        raw_put32(packet, RAW_PAYLOAD_LEN, 2000); /* and with continuations */
        tap_check(send_descriptors(fd, packet, sizeof(packet), 16));
        raw_chunk(packet, 5, 2032, 1, 3, 32);
        tap_check(send_descriptors(fd, packet, sizeof(packet), 16));
        util_eq_error(nipc_session_receive(session, NIPC_DEADLINE_NOW, &message), -EAGAIN);
        tap_eq_int(util_count_fds(), n_fds);
        nipc_session_close(session);
        close(fd);
}

/* Descriptors with HELLO and with its answer are nobody's either. */
static void test_descriptors_in_handshake(void)
{
        struct nipc_listener *listener = NULL;
        struct nipc_session *session = NULL;
        struct pair_config config;
        uint8_t hello[RAW_HELLO_SIZE];
        int fd, n_fds;

        if (util_is_emulated())
                tap_skip("the emulator loses descriptors that there is no room for");
        pair_config_init(&config);
        util_eq_error(nipc_listener_open(&config.listener, &listener), 0);
        fd = raw_connect("pair", SOCK_SEQPACKET);
        raw_hello(hello);
        tap_check(send_descriptors(fd, hello, sizeof(hello), 16));
        util_eq_error(nipc_listener_accept(listener, util_soon(), &session), 0);
        n_fds = util_count_fds();
        util_eq_error(nipc_session_handshake(session, util_soon()), 0);
        tap_eq_int(util_count_fds(), n_fds);
        nipc_session_close(session);
        close(fd);
        nipc_listener_close(listener);
}

UTIL_MAIN(TAP_CASE(test_descriptors), TAP_CASE(test_descriptors_in_handshake))
