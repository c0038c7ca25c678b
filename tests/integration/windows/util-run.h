/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Programs that are run by a test: with arguments and input, to their end, or for as long as they
 * are needed. They are in a job that ends with the test, so none is left behind.
 *
 * How to use: run_program() for one that ends by itself; run_start(), run_line(), run_end() for a
 * server. Arguments: a command line behind the program's path, NUL-terminated UTF-8.
 */

#include "tap.h"
#include "util-env.h"

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

struct run {
        HANDLE process, out, err, in;
        DWORD pid;
};

struct run_result {
        int status;
        char *out, *err; /* NUL-terminated; run_result_clear() */
        size_t out_size;
};

/* A pipe of which the child gets one end. */
static inline bool run__pipe(HANDLE *ret_ours, HANDLE *ret_theirs, bool is_input)
{
        SECURITY_ATTRIBUTES inherited = {.nLength = sizeof(inherited), .bInheritHandle = TRUE};
        HANDLE *reader = is_input ? ret_theirs : ret_ours,
               *writer = is_input ? ret_ours : ret_theirs;

        return CreatePipe(reader, writer, &inherited, 1 << 20) &&
               SetHandleInformation(*ret_ours, HANDLE_FLAG_INHERIT, 0);
}

/* Ends with the last handle to it, which is ours. */
static inline HANDLE run__job(void)
{
        static HANDLE job;
        JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits = {.BasicLimitInformation.LimitFlags =
                                                               JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE};

        if (!job) {
                job = CreateJobObjectW(NULL, NULL);
                SetInformationJobObject(job, JobObjectExtendedLimitInformation, &limits,
                                        sizeof(limits));
        }
        return job;
}

/* Our libraries, $NIPC_LIBRARIES, are where programs look for them. */
static inline void run__set_path(void)
{
        static bool is_set;
        const char *libraries = getenv("NIPC_LIBRARIES"), *path = getenv("PATH");
        char text[32767];

        if (is_set || !libraries)
                return;
        snprintf(text, sizeof(text), "%s;%s", libraries, path ? path : "");
        is_set = SetEnvironmentVariableA("PATH", text);
}

static inline bool run_start(struct run *run, const char *program, const char *arguments)
{
        wchar_t line[32768];
        STARTUPINFOW startup = {.cb = sizeof(startup), .dwFlags = STARTF_USESTDHANDLES};
        PROCESS_INFORMATION info;
        char text[16384];
        bool is_good = false;

        *run = (struct run){0};
        util_arm_watchdog(); /* anew: each program has its own time */
        run__set_path();
        snprintf(text, sizeof(text), "\"%s\" %s", program, arguments);
        MultiByteToWideChar(CP_UTF8, 0, text, -1, line, 32768);
        if (!run__pipe(&run->in, &startup.hStdInput, true) ||
            !run__pipe(&run->out, &startup.hStdOutput, false) ||
            !run__pipe(&run->err, &startup.hStdError, false))
                return false;
        /* Under Wine it fails now and then, once in some thousand times, when all is busy. */
        for (unsigned i = 0; !is_good && i < 3; i++) {
                is_good = CreateProcessW(NULL, line, NULL, NULL, TRUE, CREATE_NEW_PROCESS_GROUP,
                                         NULL, NULL, &startup, &info);
                if (!is_good)
                        tap_note("CreateProcess: error %lu", GetLastError());
        }
        CloseHandle(startup.hStdInput);
        CloseHandle(startup.hStdOutput);
        CloseHandle(startup.hStdError);
        if (!is_good)
                return false;
        AssignProcessToJobObject(run__job(), info.hProcess);
        CloseHandle(info.hThread);
        run->process = info.hProcess;
        run->pid = info.dwProcessId;
        return true;
}

/* One line of what it prints, without its end. Returns false at the end. */
static inline bool run_line(const struct run *run, char *line, size_t size)
{
        size_t n = 0;
        DWORD got;
        char c;

        util_waiting_for("a program to print a line");
        while (ReadFile(run->out, &c, 1, &got, NULL) && got && c != '\n')
                if (n + 1 < size && c != '\r')
                        line[n++] = c;
        line[n] = 0;
        return n > 0;
}

static inline char *run__read_all(HANDLE from, size_t *ret_size)
{
        char *text = NULL, buf[4096];
        size_t size = 0;
        DWORD n;

        util_waiting_for("a program to say all it has to say");
        while (ReadFile(from, buf, sizeof(buf), &n, NULL) && n) {
                text = realloc(text, size + n + 1);
                memcpy(text + size, buf, n);
                size += n;
        }
        if (!text)
                text = malloc(1);
        text[size] = 0;
        *ret_size = size;
        return text;
}

/* Waits for its end. result: NULL, or filled with what it has said since. */
static inline int run_wait(struct run *run, struct run_result *ret_result)
{
        struct run_result result;
        DWORD status = 99;
        size_t size;

        if (run->in)
                CloseHandle(run->in);
        result.out = run__read_all(run->out, &result.out_size);
        result.err = run__read_all(run->err, &size);
        util_waiting_for("a program to end");
        WaitForSingleObject(run->process, INFINITE);
        GetExitCodeProcess(run->process, &status);
        CloseHandle(run->out);
        CloseHandle(run->err);
        CloseHandle(run->process);
        result.status = (int)status;
        if (ret_result) {
                *ret_result = result;
        } else {
                free(result.out);
                free(result.err);
        }
        return (int)status;
}

static inline void run_kill(struct run *run)
{
        TerminateProcess(run->process, 9);
        run_wait(run, NULL);
}

/* input: NULL, or what it reads, which fits into a pipe. */
static inline struct run_result run_program(const char *program, const char *arguments,
                                            const char *input)
{
        struct run_result result = {.status = -1, .out = strdup(""), .err = strdup("")};
        struct run run;
        DWORD n;

        if (!tap_check(run_start(&run, program, arguments)))
                return result;
        free(result.out);
        free(result.err);
        if (input)
                WriteFile(run.in, input, (DWORD)strlen(input), &n, NULL);
        run_wait(&run, &result);
        return result;
}

static inline void run_result_clear(struct run_result *result)
{
        free(result->out);
        free(result->err);
}
