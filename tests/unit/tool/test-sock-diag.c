/* SPDX-License-Identifier: MIT */
/* Answers of sock_diag that a kernel may give, and those that none does. */
#include "util-netlink.h"

#include <errno.h>
#include <glib.h>
#include <sock-diag.h>
#include <sys/socket.h>
#include <tap.h>
#include <unistd.h>

enum { SEQ = 1, N_MUTATIONS = 100000 };

static const struct tcp_info info = {
        .tcpi_bytes_acked = 1001,
        .tcpi_bytes_received = 1002,
        .tcpi_segs_out = 1003,
        .tcpi_segs_in = 1004,
        .tcpi_data_segs_in = 1005,
        .tcpi_data_segs_out = 1006,
        .tcpi_bytes_sent = 1007,
        .tcpi_bytes_retrans = 1008,
};

static void test_figures(void)
{
        struct datagram datagram = {.size = 0};
        struct sock_list list = {0};
        const struct sock *sock;

        datagram_add_sock(&datagram, NLM_F_MULTI, SEQ, 77, &info, sizeof(info));
        datagram_add_sock(&datagram, NLM_F_MULTI, SEQ, 0, &info, sizeof(info));
        tap_eq_int(sock_diag_parse(&list, datagram.bytes, datagram.size, SEQ), 0);
        tap_require(list.n_socks == 1);
        sock = sock_list_find(&list, 77);
        tap_require(sock != NULL);
        tap_eq_uint(sock->known, SOCK_DIAG_ALL);
        tap_eq_uint(sock->figures.tx_bytes, 1001);
        tap_eq_uint(sock->figures.rx_bytes, 1002);
        tap_eq_uint(sock->figures.tx_segments, 1003);
        tap_eq_uint(sock->figures.rx_segments, 1004);
        tap_eq_uint(sock->figures.rx_data_segments, 1005);
        tap_eq_uint(sock->figures.tx_data_segments, 1006);
        tap_eq_uint(sock->figures.sent_bytes, 1007);
        tap_eq_uint(sock->figures.retrans_bytes, 1008);
        tap_check(!sock_list_find(&list, 0) && !sock_list_find(&list, 78));
        sock_list_deinit(&list);
}

/* What older kernels and newer ones tell. */
static void test_info_sizes(void)
{
        static const struct {
                size_t size;
                uint32_t known;
        } kernels[] = {
                {0, 0},
                {104, 0}, /* until 4.0, but for the pacing rates */
                {offsetof(struct tcp_info, tcpi_bytes_received), 0},
                {offsetof(struct tcp_info, tcpi_segs_out), SOCK_DIAG_BYTES},
                {offsetof(struct tcp_info, tcpi_notsent_bytes),
                 SOCK_DIAG_BYTES | SOCK_DIAG_SEGMENTS},
                {offsetof(struct tcp_info, tcpi_delivery_rate), SOCK_DIAG_ALL & ~SOCK_DIAG_SENT},
                {offsetof(struct tcp_info, tcpi_bytes_retrans), SOCK_DIAG_ALL & ~SOCK_DIAG_SENT},
                {offsetof(struct tcp_info, tcpi_dsack_dups), SOCK_DIAG_ALL},
                {sizeof(info), SOCK_DIAG_ALL},
        };

        for (size_t i = 0; i < G_N_ELEMENTS(kernels); i++) {
                struct datagram datagram = {.size = 0};
                struct sock_list list = {0};

                datagram_add_sock(&datagram, 0, SEQ, 5, &info, kernels[i].size);
                tap_eq_int(sock_diag_parse(&list, datagram.bytes, datagram.size, SEQ), 0);
                if (tap_eq_uint(list.n_socks, 1))
                        tap_eq_uint(list.socks[0].known, kernels[i].known);
                sock_list_deinit(&list);
        }
}

/* How an answer ends: 1, what the kernel says, or that it is none. */
static void test_ends(void)
{
        static const struct {
                uint16_t type;
                int32_t value;
                int expected;
        } ends[] = {
                {NLMSG_DONE, 0, 1},
                {NLMSG_DONE, -ENOENT, -ENOENT},
                {NLMSG_DONE, 5, -EBADMSG},
                {NLMSG_ERROR, -EPERM, -EPERM},
                {NLMSG_ERROR, 0, -EBADMSG},
                {NLMSG_ERROR, 1, -EBADMSG},
                {NLMSG_ERROR, INT32_MIN, -EBADMSG},
                {NLMSG_OVERRUN, 0, -ENOBUFS},
                {NLMSG_NOOP, 0, 0},
                {4711, 0, 0},
        };
        struct datagram empty = {.size = 0};
        struct sock_list list = {0};

        for (size_t i = 0; i < G_N_ELEMENTS(ends); i++) {
                struct datagram datagram = {.size = 0};

                datagram_add_int(&datagram, ends[i].type, SEQ + 1, ends[i].value);
                tap_eq_int(sock_diag_parse(&list, datagram.bytes, datagram.size, SEQ), 0);
                datagram_add_int(&datagram, ends[i].type, SEQ, ends[i].value);
                tap_eq_int(sock_diag_parse(&list, datagram.bytes, datagram.size, SEQ),
                           ends[i].expected);
        }
        datagram_add(&empty, NLMSG_DONE, 0, SEQ, NULL, 0);
        tap_eq_int(sock_diag_parse(&list, empty.bytes, empty.size, SEQ), 1);
        sock_list_deinit(&list);
}

/* By inode, each once, with the figures that are higher. */
static void test_sort(void)
{
        struct sock_list list = {0};
        uint64_t state = 1;

        for (uint32_t i = 0; i < 1000; i++) {
                struct datagram datagram = {.size = 0};
                struct tcp_info other = info;

                other.tcpi_bytes_acked = i;
                datagram_add_sock(&datagram, 0, SEQ, 1 + (uint32_t)(tap_random(&state) % 2000),
                                  &other, sizeof(other));
                datagram_add_sock(&datagram, 0, SEQ, 1 + i % 10, &other, sizeof(other));
                tap_eq_int(sock_diag_parse(&list, datagram.bytes, datagram.size, SEQ), 0);
        }
        sock_list_sort(&list);
        for (size_t i = 1; i < list.n_socks; i++)
                tap_check(list.socks[i - 1].inode < list.socks[i].inode);
        for (uint32_t i = 0; i < 10; i++)
                if (tap_check(sock_list_find(&list, 1 + i)))
                        tap_check(sock_list_find(&list, 1 + i)->figures.tx_bytes >= 990 + i);
        sock_list_deinit(&list);
}

/* Where it can be read beyond, the sanitizers see it. */
static int parse_copy(const unsigned char *bytes, size_t size)
{
        unsigned char *copy = g_memdup2(bytes, size ? size : 1);
        unsigned char *exact = size ? copy : NULL;
        struct sock_list list = {0};
        const int r = sock_diag_parse(&list, exact, size, SEQ);

        sock_list_sort(&list);
        sock_list_deinit(&list);
        g_free(copy);
        return r;
}

static void make_answer(struct datagram *datagram)
{
        datagram->size = 0;
        datagram_add_sock(datagram, NLM_F_MULTI, SEQ, 1, &info, sizeof(info));
        datagram_add_sock(datagram, NLM_F_MULTI, SEQ, 2, &info, 100);
        datagram_add_int(datagram, NLMSG_DONE, SEQ, 0);
}

static void test_cuts(void)
{
        struct datagram datagram, first = {.size = 0}, second = {.size = 0};

        make_answer(&datagram);
        datagram_add_sock(&first, 0, SEQ, 1, &info, sizeof(info));
        datagram_add_sock(&second, 0, SEQ, 2, &info, 100);
        for (size_t size = 0; size < datagram.size; size++) {
                const bool is_whole =
                        size == 0 || size == first.size || size == first.size + second.size;

                tap_eq_int(parse_copy(datagram.bytes, size), is_whole ? 0 : -EBADMSG);
        }
        tap_eq_int(parse_copy(datagram.bytes, datagram.size), 1);
}

/* A message that is shorter than what it says it is. */
static void test_short_messages(void)
{
        struct datagram whole = {.size = 0};

        datagram_add_sock(&whole, 0, SEQ, 1, &info, sizeof(info));
        for (uint32_t size = 0; size < whole.size; size++) {
                const size_t at = sizeof(struct nlmsghdr) + sizeof(struct inet_diag_msg);
                /* behind the first attribute, with or without what pads it */
                const bool ends_well = size == at || (size >= at + 5 && size <= at + 8);
                struct datagram datagram = whole;

                memcpy(datagram.bytes, &size, sizeof(size));
                tap_eq_int(parse_copy(datagram.bytes, size), size == 0 || ends_well ? 0 : -EBADMSG);
        }
}

static void test_mutations(void)
{
        static const unsigned char extremes[] = {0, 1, 3, 4, 5, 16, 20, 127, 128, 255};
        struct datagram answer, datagram;
        uint64_t state = 6;

        make_answer(&answer);
        for (unsigned i = 0; i < N_MUTATIONS; i++) {
                size_t size = answer.size;
                int r;

                datagram = answer;
                for (uint64_t k = 1 + tap_random(&state) % 4; k > 0; k--) {
                        const size_t at = tap_random(&state) % answer.size;

                        datagram.bytes[at] = tap_random(&state) % 2
                                                     ? extremes[tap_random(&state) % 10]
                                                     : (unsigned char)tap_random(&state);
                }
                if (tap_random(&state) % 4 == 0)
                        size = tap_random(&state) % (size + 1);
                r = parse_copy(datagram.bytes, size);
                if (!tap_check(r <= 1 && r >= -4095))
                        return;
        }
}

/* ---- a dump, answered beforehand ------------------------------------------------------------- */

struct pair {
        int own, peer;
        uint32_t seq;
        struct sock_list list;
};

static bool pair_open(struct pair *pair)
{
        int fds[2];

        if (!tap_check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == 0))
                return false;
        *pair = (struct pair){.own = fds[0], .peer = fds[1]};
        return true;
}

static void pair_close(struct pair *pair)
{
        close(pair->own);
        if (pair->peer >= 0)
                close(pair->peer);
        sock_list_deinit(&pair->list);
}

static void pair_answer(struct pair *pair, const struct datagram *datagram)
{
        tap_eq_int(send(pair->peer, datagram->bytes, datagram->size, 0), (ssize_t)datagram->size);
}

static int pair_dump(struct pair *pair, unsigned timeout_ms)
{
        return sock_diag_dump(pair->own, AF_INET, g_get_monotonic_time() + timeout_ms * 1000,
                              &pair->seq, &pair->list);
}

static void test_dump(void)
{
        struct datagram datagram = {.size = 0}, done = {.size = 0};
        struct nlmsghdr request;
        struct pair pair;

        tap_require(pair_open(&pair));
        datagram_add_sock(&datagram, 0, 1, 1, &info, sizeof(info));
        datagram_add_int(&done, NLMSG_DONE, 1, 0);
        pair_answer(&pair, &datagram);
        pair_answer(&pair, &datagram);
        pair_answer(&pair, &done);
        tap_eq_int(pair_dump(&pair, 60000), 0);
        tap_eq_uint(pair.list.n_socks, 2);
        tap_check(recv(pair.peer, &request, sizeof(request), 0) == sizeof(request));
        tap_eq_uint(request.nlmsg_type, SOCK_DIAG_BY_FAMILY);
        tap_eq_uint(request.nlmsg_seq, 1);
        pair_close(&pair);
}

/* Answers number 1 to n_interrupted are interrupted, and the next one is not. */
static int dump_interrupted(unsigned n_interrupted, size_t *ret_n_socks)
{
        struct pair pair;
        int r;

        if (!pair_open(&pair))
                return 0;
        for (uint32_t i = 1; i <= n_interrupted + 1; i++) {
                struct datagram datagram = {.size = 0};

                datagram_add_sock(&datagram, i <= n_interrupted ? NLM_F_DUMP_INTR : 0, i, i, &info,
                                  sizeof(info));
                datagram_add_int(&datagram, NLMSG_DONE, i, 0);
                pair_answer(&pair, &datagram);
        }
        r = pair_dump(&pair, 60000);
        *ret_n_socks = pair.list.n_socks;
        pair_close(&pair);
        return r;
}

static void test_interrupted(void)
{
        size_t n_socks;

        tap_eq_int(dump_interrupted(0, &n_socks), 0);
        tap_eq_uint(n_socks, 1);
        tap_eq_int(dump_interrupted(2, &n_socks), 0);
        tap_eq_uint(n_socks, 1); /* nothing of the first two is left */
        tap_eq_int(dump_interrupted(10, &n_socks), -EAGAIN);
}

static void test_no_answer(void)
{
        struct pair pair;

        tap_require(pair_open(&pair));
        tap_eq_int(pair_dump(&pair, 1), -ETIMEDOUT);
        close(pair.peer);
        pair.peer = -1;
        tap_check(pair_dump(&pair, 60000) < 0); /* -EPIPE or -ECONNRESET */
        pair_close(&pair);
}

static void test_refused(void)
{
        struct datagram datagram = {.size = 0};
        struct pair pair;

        tap_require(pair_open(&pair));
        datagram_add_int(&datagram, NLMSG_ERROR, 1, -ENOENT);
        pair_answer(&pair, &datagram);
        tap_eq_int(pair_dump(&pair, 60000), -ENOENT);
        pair_close(&pair);
}

/* More than a datagram of the kernel can be. */
static void test_cut_datagram(void)
{
        g_autofree unsigned char *bytes = g_malloc0(100000);
        struct pair pair;

        tap_require(pair_open(&pair));
        tap_require(send(pair.peer, bytes, 100000, 0) == 100000);
        tap_eq_int(pair_dump(&pair, 60000), -EMSGSIZE);
        pair_close(&pair);
}

TAP_MAIN(TAP_CASE(test_figures), TAP_CASE(test_info_sizes), TAP_CASE(test_ends),
         TAP_CASE(test_sort), TAP_CASE(test_cuts), TAP_CASE(test_short_messages),
         TAP_CASE(test_mutations), TAP_CASE(test_dump), TAP_CASE(test_interrupted),
         TAP_CASE(test_no_answer), TAP_CASE(test_refused), TAP_CASE(test_cut_datagram))
