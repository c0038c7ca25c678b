/* SPDX-License-Identifier: MIT */

/* See news.h. The ring's layout is the kernel's, fs/aio.c, and checked by its magic number. */

#include "news.h"
#include "stdaux.h"
#include <errno.h>
#include <linux/aio_abi.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RING_MAGIC 0xa10a10a1u

/* The beginning of struct aio_ring. The kernel writes tail, we never write. */
struct ring {
        uint32_t id;
        uint32_t nr;
        _Atomic uint32_t head;
        _Atomic uint32_t tail;
        uint32_t magic;
};

static const struct ring *ring_of(const struct nipc__news *news)
{
        return (const struct ring *)(uintptr_t)news->context;
}

int nipc__news_open(struct nipc__news *news)
{
        aio_context_t context = 0;

        *news = (struct nipc__news){0};
        if (syscall(SYS_io_setup, 1, &context) < 0)
                return -errno;
        news->context = (unsigned long)context;
        if (ring_of(news)->magic == RING_MAGIC)
                return 0;
        nipc__news_close(news);
        return -EOPNOTSUPP;
}

void nipc__news_close(struct nipc__news *news)
{
        if (news->context)
                syscall(SYS_io_destroy, (aio_context_t)news->context);
        *news = (struct nipc__news){0};
}

int nipc__news_arm(struct nipc__news *news, int fd)
{
        struct iocb request, *requests[] = {&request};

        if (news->is_armed)
                return 0;
        memset(&request, 0, sizeof(request));
        request.aio_lio_opcode = IOCB_CMD_POLL;
        request.aio_fildes = (uint32_t)fd;
        request.aio_buf = POLLIN;
        if (syscall(SYS_io_submit, (aio_context_t)news->context, 1L, requests) != 1)
                return -errno;
        news->is_armed = true;
        return 0;
}

bool nipc__news_has(const struct nipc__news *news)
{
        const struct ring *ring = ring_of(news);

        /* Written by the kernel when it completes the request; what it tells is asked for anyway.
         */
        return ring && atomic_load_explicit(&ring->tail, memory_order_relaxed) !=
                               atomic_load_explicit(&ring->head, memory_order_relaxed);
}

void nipc__news_take(struct nipc__news *news)
{
        struct timespec now = {0};
        struct io_event event;

        if (syscall(SYS_io_getevents, (aio_context_t)news->context, 0L, 1L, &event, &now) == 1)
                news->is_armed = false;
}
