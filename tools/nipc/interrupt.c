/* SPDX-License-Identifier: MIT */
/* SIGINT and SIGTERM through a pipe, so that a signal between a check and a wait is not missed. */
#include "interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

static int pipe_fds[2] = {-1, -1};
static void (*cancel_function)(void *data);
static void *cancel_data;
static volatile sig_atomic_t is_set;

static void on_signal(int number)
{
        int saved = errno;
        ssize_t ignored;

        is_set = 1;
        ignored = write(pipe_fds[1], "", 1); /* full: it is readable anyway */
        (void)ignored;
        if (cancel_function)
                cancel_function(cancel_data);
        errno = saved;
}

static void set_handlers(void (*handler)(int))
{
        struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};

        sigemptyset(&action.sa_mask);
        sigaction(SIGINT, &action, NULL);
        sigaction(SIGTERM, &action, NULL);
}

int interrupt_init(void (*cancel)(void *data), void *data)
{
        if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) < 0)
                return -errno;
        cancel_function = cancel;
        cancel_data = data;
        is_set = 0;
        set_handlers(on_signal);
        return 0;
}

bool interrupt_is_set(void)
{
        return is_set;
}

bool interrupt_pause_us(int64_t microseconds)
{
        gint64 end = g_get_monotonic_time() + microseconds;
        gint64 left;

        while (!is_set && (left = end - g_get_monotonic_time()) > 0) {
                struct pollfd pollfd = {.fd = pipe_fds[0], .events = POLLIN};
                struct timespec timeout = {
                        .tv_sec = left / G_USEC_PER_SEC,
                        .tv_nsec = left % G_USEC_PER_SEC * 1000,
                };

                if (ppoll(&pollfd, 1, &timeout, NULL) < 0 && errno != EINTR)
                        return false;
        }
        return !is_set;
}

void interrupt_deinit(void)
{
        set_handlers(SIG_DFL);
        close(pipe_fds[0]);
        close(pipe_fds[1]);
        pipe_fds[0] = pipe_fds[1] = -1;
        cancel_function = NULL;
}
