/* SPDX-License-Identifier: MIT */
/*
 * One probe in a child of its own: it says what it found through a pipe, or dies, or hangs. The
 * child ends by itself, too, should nobody be there any more to end it.
 */
#include "doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Chosen: far above what any probe takes on a machine that works. */
#define PROBE_SECONDS 10

static void print(char *buf, size_t size, const char *format, va_list arguments)
        __attribute__((__format__(__printf__, 3, 0)));

static void print(char *buf, size_t size, const char *format, va_list arguments)
{
        vsnprintf(buf, size, format, arguments); /* cut to what fits: text for people */
}

void doctor_found(struct doctor_finding *finding, const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        print(finding->found, sizeof(finding->found), format, arguments);
        va_end(arguments);
}

void doctor_fail(struct doctor_finding *finding, int error, const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        print(finding->found, sizeof(finding->found), format, arguments);
        va_end(arguments);
        finding->result = DOCTOR_MISSING; /* doctor_run() makes of it what the check says */
        finding->error = error;
}

void doctor_limit(struct doctor_finding *finding, int error, const char *effect, const char *format,
                  ...)
{
        va_list arguments;

        va_start(arguments, format);
        print(finding->found, sizeof(finding->found), format, arguments);
        va_end(arguments);
        finding->result = DOCTOR_LIMITED;
        finding->error = error;
        snprintf(finding->effect, sizeof(finding->effect), "%s", effect);
}

void doctor_advise(struct doctor_finding *finding, const char *format, ...)
{
        va_list arguments;

        va_start(arguments, format);
        print(finding->advice, sizeof(finding->advice), format, arguments);
        va_end(arguments);
}

void doctor_fail_scratch(const struct doctor_place *place, struct doctor_finding *finding)
{
        doctor_fail(finding, place->scratch_error, "nothing can be made in %s", place->run_dir);
        snprintf(finding->effect, sizeof(finding->effect), "it could not be tried");
        doctor_advise(finding, "see run-dir");
}

static void run_child(const struct doctor_check *check, const struct doctor_place *place, int fd)
{
        static const int defaults[] = {SIGINT, SIGTERM, SIGSYS, SIGALRM};
        const struct rlimit none = {0, 0};
        struct doctor_finding finding = {0};
        ssize_t n;

        for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++)
                signal(defaults[i], SIG_DFL);
        setrlimit(RLIMIT_CORE, &none); /* to be killed is an answer, not a crash */
        alarm(PROBE_SECONDS + 1);
        check->probe(place, &finding);
        n = write(fd, &finding, sizeof(finding));
        _exit(n != (ssize_t)sizeof(finding));
}

static int64_t now_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Reads the finding. 0: it is there, else what became of it instead: -ETIMEDOUT, or the end. */
static int read_finding(int fd, struct doctor_finding *ret_finding)
{
        const int64_t end_ms = now_ms() + PROBE_SECONDS * 1000;
        struct pollfd pollfd = {.fd = fd, .events = POLLIN};

        for (;;) {
                const int64_t left_ms = end_ms - now_ms();
                int n = left_ms > 0 ? poll(&pollfd, 1, (int)left_ms) : 0;

                if (n > 0)
                        break;
                if (n == 0)
                        return -ETIMEDOUT;
                if (errno != EINTR)
                        return -errno;
        }
        return read(fd, ret_finding, sizeof(*ret_finding)) == (ssize_t)sizeof(*ret_finding)
                       ? 0
                       : -EPIPE;
}

static void judge_death(int status, struct doctor_finding *finding)
{
        *finding = (struct doctor_finding){.result = DOCTOR_MISSING};
        if (!WIFSIGNALED(status)) {
                doctor_found(finding, "the probe ended without an answer");
                return;
        }
        finding->signal = WTERMSIG(status);
        if (finding->signal == SIGSYS)
                doctor_found(finding, "killed by seccomp (SIGSYS)");
        else
                doctor_found(finding, "killed by signal %d (%s)", finding->signal,
                             strsignal(finding->signal));
}

static void watch_child(pid_t pid, int fd, struct doctor_finding *finding)
{
        const int r = read_finding(fd, finding);
        int status = 0;

        if (r != -EPIPE) /* it has nothing more to say */
                kill(pid, SIGKILL);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        if (r == 0)
                return;
        if (r == -EPIPE) {
                judge_death(status, finding);
                return;
        }
        *finding = (struct doctor_finding){0};
        doctor_fail(finding, -r, "no answer within %d s", PROBE_SECONDS);
}

static void fail_look(struct doctor_finding *finding, int error, const char *step)
{
        doctor_fail(finding, error, "cannot look: %s", step);
        snprintf(finding->effect, sizeof(finding->effect), "it could not be tried");
        doctor_advise(finding, "raise RLIMIT_NOFILE or RLIMIT_NPROC, whichever is short");
}

static void run(const struct doctor_check *check, const struct doctor_place *place,
                struct doctor_finding *finding)
{
        int fds[2];
        pid_t pid;

        if (pipe2(fds, O_CLOEXEC) < 0) {
                fail_look(finding, errno, "pipe");
                return;
        }
        pid = fork();
        if (pid == 0) {
                close(fds[0]);
                run_child(check, place, fds[1]);
        }
        close(fds[1]);
        if (pid < 0)
                fail_look(finding, errno, "fork");
        else
                watch_child(pid, fds[0], finding);
        close(fds[0]);
}

static void fill_in(char *text, size_t size, const char *otherwise)
{
        if (!text[0] && otherwise)
                snprintf(text, size, "%s", otherwise);
}

void doctor_run(const struct doctor_check *check, const struct doctor_place *place,
                struct doctor_finding *ret_finding)
{
        *ret_finding = (struct doctor_finding){0};
        /* Whoever started us may ignore it; the kernel then keeps from us how children ended. */
        signal(SIGCHLD, SIG_DFL);
        run(check, place, ret_finding);
        if (ret_finding->result == DOCTOR_OK)
                return;
        if (ret_finding->result == DOCTOR_MISSING)
                ret_finding->result = check->failure;
        if (ret_finding->signal)
                fill_in(ret_finding->effect, sizeof(ret_finding->effect), check->killed_effect);
        if (ret_finding->signal == SIGSYS)
                fill_in(ret_finding->advice, sizeof(ret_finding->advice),
                        "allow the call in the seccomp filter, or have it fail with EPERM instead "
                        "of killing");
        fill_in(ret_finding->effect, sizeof(ret_finding->effect), check->effect);
        fill_in(ret_finding->advice, sizeof(ret_finding->advice), check->advice);
}
