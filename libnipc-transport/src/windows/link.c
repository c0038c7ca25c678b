/* SPDX-License-Identifier: MIT */

/* The link of a session as the planes see it, made of a pipe. See link.h, link-fast.h and pipe.h.
 */

#include "link-fast.h"
#include "pipe.h"
#include "stdaux.h"
#include <errno.h>
#include <string.h>

/* Packets that are thrown away before a close; chosen, not tuned. */
#define MAX_DISCARDED 256u

/* A buffer of this size is kept for the next packet; chosen, not tuned. */
#define TX_KEPT 4096u

/*
 * The rest of a message whose beginning was read is there: only a peer that takes a write back
 * while it is read makes one wait for it. He has broken his message.
 */
#define REST_TIMEOUT_NS UINT64_C(1000000000)

void nipc__link_init(struct nipc__link *link)
{
        *link = (struct nipc__link){.pipe = NULL};
}

void nipc__link_close(struct nipc__link *link)
{
        link->pipe = nipc__pipe_free(link->pipe);
}

uint32_t nipc__link_packet_size(const struct nipc__link *link)
{
        return NIPC__PIPE_PACKET_SIZE;
}

int nipc__link_get_fd(struct nipc__link *link)
{
        struct nipc__pipe *pipe = link->pipe;

        if (!pipe)
                return -EINVAL;
        pipe->is_polled = true;
        if (nipc__pipe_look(pipe))
                SetEvent(pipe->read.hEvent);
        return (int)(intptr_t)pipe->read.hEvent;
}

/* ---- receiving ------------------------------------------------------------------------------ */

/* Reads on in a message. Returns bytes; *ret_more: whether there is still more of it. */
static ssize_t read_rest(struct nipc__pipe *pipe, void *buf, size_t size, bool *ret_more)
{
        /* The low bit: not for the completion port. */
        OVERLAPPED rest = {.hEvent = (HANDLE)((uintptr_t)pipe->read.hEvent | 1)};
        DWORD n = 0, error;

        error = ReadFile(pipe->handle, buf, (DWORD)NIPC__MIN(size, (size_t)0x7fffffff), NULL, &rest)
                        ? 0
                        : GetLastError();
        if (error == ERROR_IO_PENDING) {
                if (nipc__event_wait(pipe->read.hEvent, NULL,
                                     nipc_clock_now_ns() + REST_TIMEOUT_NS) < 0)
                        CancelIoEx(pipe->handle, &rest);
                error = GetOverlappedResult(pipe->handle, &rest, &n, TRUE) ? 0 : GetLastError();
        } else {
                n = (DWORD)rest.InternalHigh;
        }
        if (error == ERROR_OPERATION_ABORTED)
                return -EBADMSG;
        if (error && error != ERROR_MORE_DATA)
                return nipc__system_error(error);
        *ret_more = error == ERROR_MORE_DATA;
        return (ssize_t)n;
}

/* Drops what is left of a message. Returns how much that was. */
static ssize_t drop_rest(struct nipc__pipe *pipe)
{
        uint8_t scrap[4096];
        bool more = true;
        ssize_t n, total = 0;

        while (more) {
                n = read_rest(pipe, scrap, sizeof(scrap), &more);
                if (n < 0)
                        return n;
                total += n;
        }
        return total;
}

/* The message that was read ahead, and its rest. */
static ssize_t take_message(struct nipc__pipe *pipe, const struct iovec *iov, size_t n_iov)
{
        size_t ahead = pipe->n_ahead, at = 0, k, total = ahead;
        bool more = pipe->has_more;
        ssize_t n;

        pipe->state = NIPC__PIPE_IDLE;
        for (; n_iov; iov++, n_iov--) {
                k = NIPC__MIN(iov->iov_len, ahead - at);
                memcpy(iov->iov_base, pipe->ahead + at, k);
                at += k;
                while (more && k < iov->iov_len) {
                        n = read_rest(pipe, (uint8_t *)iov->iov_base + k, iov->iov_len - k, &more);
                        if (n < 0)
                                return n;
                        k += (size_t)n;
                        total += (size_t)n;
                }
        }
        if (more) {
                n = drop_rest(pipe);
                if (n < 0)
                        return n;
                total += (size_t)n;
        }
        if (pipe->is_polled)
                nipc__pipe_look(pipe); /* the event tells of the next one */
        return (ssize_t)total;
}

int nipc__link_wait(struct nipc_session *session, uint64_t deadline_ns)
{
        struct nipc__pipe *pipe = session->link.pipe;
        int r;

        while (!nipc__pipe_look(pipe)) {
                r = nipc__session_cancelled_or(session, 0);
                if (r == 0)
                        r = deadline_ns == NIPC_DEADLINE_NOW
                                    ? -EAGAIN
                                    : nipc__event_wait(pipe->read.hEvent, session->cancel,
                                                       deadline_ns);
                if (r < 0)
                        return r;
        }
        return nipc__session_cancelled_or(session, 0);
}

ssize_t nipc__link_receive(struct nipc_session *session, const struct iovec *iov, size_t n_iov,
                           uint64_t deadline_ns)
{
        struct nipc__pipe *pipe = session->link.pipe;
        int r = nipc__link_wait(session, deadline_ns);

        if (r < 0)
                return r;
        if (pipe->state == NIPC__PIPE_ENDED)
                return pipe->error;
        return take_message(pipe, iov, n_iov);
}

ssize_t nipc__link_receive_fd(struct nipc_session *session, void *buf, size_t size,
                              uint64_t deadline_ns, int *ret_fd)
{
        struct iovec iov = {buf, size};

        *ret_fd = -1;
        return nipc__link_receive(session, &iov, 1, deadline_ns);
}

void nipc__link_discard(struct nipc__link *link)
{
        struct nipc__pipe *pipe = link->pipe;

        for (unsigned i = 0; pipe && i < MAX_DISCARDED; i++)
                if (!nipc__pipe_look(pipe) || pipe->state == NIPC__PIPE_ENDED ||
                    take_message(pipe, NULL, 0) < 0)
                        break;
}

/* ---- sending -------------------------------------------------------------------------------- */

int nipc__link_flush(struct nipc_session *session, uint64_t deadline_ns)
{
        struct nipc__pipe *pipe = session->link.pipe;
        int error, r;

        while (!nipc__pipe_is_written(pipe, &error)) {
                r = nipc__session_cancelled_or(session, 0);
                if (r == 0)
                        r = deadline_ns <= NIPC_DEADLINE_SPIN
                                    ? -EAGAIN
                                    : nipc__event_wait(pipe->write.hEvent, session->cancel,
                                                       deadline_ns);
                if (r < 0)
                        return r;
        }
        if (pipe->tx_capacity > TX_KEPT) {
                free(pipe->tx);
                pipe->tx = NULL;
                pipe->tx_capacity = 0;
        }
        return error ? nipc__session_cancelled_or(session, error) : 0;
}

static int gather(struct nipc__pipe *pipe, const struct iovec *iov, size_t n_iov)
{
        size_t size = 0, at = 0, i;
        uint8_t *tx;

        for (i = 0; i < n_iov; i++)
                size += iov[i].iov_len;
        if (size > pipe->tx_capacity) {
                tx = malloc(size);
                if (!tx)
                        return -ENOMEM;
                free(pipe->tx);
                pipe->tx = tx;
                pipe->tx_capacity = size;
        }
        for (i = 0; i < n_iov; i++) {
                memcpy(pipe->tx + at, iov[i].iov_base, iov[i].iov_len);
                at += iov[i].iov_len;
        }
        pipe->tx_size = size;
        return 0;
}

ssize_t nipc__link_send(struct nipc_session *session, const struct iovec *iov, size_t n_iov,
                        uint64_t deadline_ns)
{
        struct nipc__pipe *pipe = session->link.pipe;
        DWORD error;
        int r;

        r = nipc__link_flush(session, deadline_ns); /* the one before */
        if (r == 0)
                r = gather(pipe, iov, n_iov); /* one packet is one write */
        if (r < 0)
                return r;
        error = nipc__pipe_write(pipe);
        if (error)
                return nipc__session_cancelled_or(session, nipc__system_error(error));
        return (ssize_t)pipe->tx_size;
}

int nipc__link_send_fd(struct nipc_session *session, const void *buf, size_t size, int fd)
{
        return -EOPNOTSUPP;
}
