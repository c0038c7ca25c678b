/* SPDX-License-Identifier: MIT */

/*
 * Endpoints on Windows: pipes whose names carry a hash of the run directory. A pipe is there for as
 * long as a process has it, so there are no dead ones, and nothing to clean.
 */

#include "identity.h"
#include "names.h"
#include "pipe.h"
#include "stdaux.h"
#include <errno.h>
#include <inttypes.h>
#include <nipc/endpoint.h>
#include <stdio.h>
#include <string.h>

static bool is_name_byte(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '.' || c == '_' || c == '-';
}

NIPC__EXPORT int nipc_endpoint_check_name(const char *service)
{
        const char *c;

        if (!service || !service[0] || !strcmp(service, ".") || !strcmp(service, ".."))
                return -EINVAL;
        for (c = service; *c; c++)
                if (!is_name_byte(*c))
                        return -EINVAL;
        return 0;
}

static int pipe_name(const char *run_dir, const char *service, wchar_t *ret_name)
{
        int r = nipc_endpoint_check_name(service);

        if (r < 0)
                return r;
        return run_dir && run_dir[0] ? nipc__name_pipe(run_dir, service, ret_name) : -EINVAL;
}

NIPC__EXPORT int nipc_endpoint_format_path(const char *run_dir, const char *service, char *buf,
                                           size_t size)
{
        wchar_t name[NIPC__NAME_MAX];
        int r = pipe_name(run_dir, service, name);
        size_t i, n;

        if (r < 0)
                return r;
        if (!buf)
                return -EINVAL;
        n = wcslen(name);
        if (n >= size)
                return -ENAMETOOLONG;
        for (i = 0; i <= n; i++)
                buf[i] = (char)name[i];
        return 0;
}

static bool is_owned(const wchar_t *pipe)
{
        wchar_t name[NIPC__NAME_MAX];
        HANDLE owner;

        if (nipc__name_owner(pipe, name) < 0)
                return false;
        owner = OpenMutexW(SYNCHRONIZE, FALSE, name);
        if (!owner)
                return false;
        CloseHandle(owner);
        return true;
}

/* Asks a server by a connection that is closed at once. */
static void probe_server(const wchar_t *name, struct nipc_endpoint_info *info)
{
        HANDLE handle = CreateFileW(name, GENERIC_READ, 0, NULL, OPEN_EXISTING,
                                    SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION, NULL);
        struct nipc__sid owner;
        ULONG pid;

        if (handle == INVALID_HANDLE_VALUE)
                return;
        if (GetNamedPipeServerProcessId(handle, &pid))
                info->pid = (int64_t)pid;
        if (nipc__identity_of_owner(handle, &owner) == 0)
                info->uid = nipc__identity_hash(&owner);
        CloseHandle(handle);
}

NIPC__EXPORT int nipc_endpoint_probe(const char *run_dir, const char *service, bool connect_probe,
                                     struct nipc_endpoint_info *ret_info)
{
        struct nipc_endpoint_info info = {.state = NIPC_ENDPOINT_ABSENT, .pid = -1, .uid = -1};
        wchar_t name[NIPC__NAME_MAX];
        int r;

        if (!ret_info || ret_info->size < sizeof(size_t))
                return -EINVAL;
        r = pipe_name(run_dir, service, name);
        if (r < 0)
                return r;
        /* It waits for an instance that is free, for a moment; that there is none is an answer. */
        if (WaitNamedPipeW(name, 1) || GetLastError() != ERROR_FILE_NOT_FOUND) {
                info.state = NIPC_ENDPOINT_LIVE;
                info.locked = is_owned(name);
                if (connect_probe && !info.locked)
                        probe_server(name, &info);
        }
        info.size = ret_info->size;
        memcpy(ret_info, &info, NIPC__MIN(ret_info->size, sizeof(info)));
        return 0;
}

NIPC__EXPORT int nipc_endpoint_list(const char *run_dir,
                                    int (*visit)(void *userdata, const char *service),
                                    void *userdata)
{
        char prefix[64], service[NIPC__NAME_MAX];
        WIN32_FIND_DATAW found;
        size_t i, skip;
        HANDLE search;
        int r = 0;

        if (!run_dir || !run_dir[0] || !visit)
                return -EINVAL;
        skip = (size_t)snprintf(prefix, sizeof(prefix), "netipc-%016" PRIx64 "-",
                                nipc__fnv1a64(NIPC__FNV_BASIS, run_dir, strlen(run_dir)));
        search = FindFirstFileW(L"\\\\.\\pipe\\*", &found);
        if (search == INVALID_HANDLE_VALUE)
                return nipc__system_error(GetLastError());
        do {
                for (i = 0; found.cFileName[i] && i + 1 < sizeof(service); i++)
                        service[i] = found.cFileName[i] < 128 ? (char)found.cFileName[i] : ' ';
                service[i] = 0;
                if (!strncmp(service, prefix, skip) &&
                    nipc_endpoint_check_name(service + skip) == 0)
                        r = visit(userdata, service + skip);
        } while (r == 0 && FindNextFileW(search, &found));
        FindClose(search);
        return r;
}

NIPC__EXPORT int nipc_endpoint_clean(const char *run_dir, const char *service)
{
        struct nipc_endpoint_info info = {.size = sizeof(info)};
        int r = nipc_endpoint_probe(run_dir, service, false, &info);

        if (r < 0)
                return r;
        return info.state == NIPC_ENDPOINT_ABSENT ? 0 : -EBUSY;
}
