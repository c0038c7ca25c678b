/* SPDX-License-Identifier: MIT */

/* See identity.h. */

#include "identity.h"
#include "names.h"
#include <aclapi.h>
#include <errno.h>

static int copy_sid(PSID sid, struct nipc__sid *ret_sid)
{
        return CopySid(sizeof(ret_sid->bytes), &ret_sid->sid, sid) ? 0 : -EIO;
}

int nipc__identity_of_process(HANDLE process, struct nipc__sid *ret_sid)
{
        union {
                TOKEN_USER user;
                uint8_t bytes[sizeof(TOKEN_USER) + SECURITY_MAX_SID_SIZE];
        } info;
        DWORD size;
        HANDLE token;
        BOOL good;

        if (!OpenProcessToken(process, TOKEN_QUERY, &token))
                return -EACCES;
        good = GetTokenInformation(token, TokenUser, &info, sizeof(info), &size);
        CloseHandle(token);
        return good ? copy_sid(info.user.User.Sid, ret_sid) : -EACCES;
}

int nipc__identity_of_pid(DWORD pid, struct nipc__sid *ret_sid)
{
        HANDLE process = OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, FALSE, pid);
        int r;

        if (!process)
                return -EACCES;
        r = nipc__identity_of_process(process, ret_sid);
        CloseHandle(process);
        return r;
}

int nipc__identity_of_owner(HANDLE object, struct nipc__sid *ret_sid)
{
        PSECURITY_DESCRIPTOR descriptor = NULL;
        PSID owner = NULL;
        int r = -EACCES;

        if (GetSecurityInfo(object, SE_KERNEL_OBJECT, OWNER_SECURITY_INFORMATION, &owner, NULL,
                            NULL, NULL, &descriptor) == ERROR_SUCCESS &&
            owner)
                r = copy_sid(owner, ret_sid);
        if (descriptor)
                LocalFree(descriptor);
        return r;
}

static bool owns_directory(const struct nipc__sid *sid, const char *run_dir)
{
        PSECURITY_DESCRIPTOR descriptor = NULL;
        wchar_t path[MAX_PATH];
        PSID owner = NULL;
        bool is_equal;

        if (!MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, run_dir, -1, path, MAX_PATH))
                return false;
        is_equal = GetNamedSecurityInfoW(path, SE_FILE_OBJECT, OWNER_SECURITY_INFORMATION, &owner,
                                         NULL, NULL, NULL, &descriptor) == ERROR_SUCCESS &&
                   owner && EqualSid((PSID)(uintptr_t)&sid->sid, owner);
        if (descriptor)
                LocalFree(descriptor);
        return is_equal;
}

bool nipc__identity_is_trusted(const struct nipc__sid *sid, const char *run_dir)
{
        PSID psid = (PSID)(uintptr_t)&sid->sid;
        struct nipc__sid own;

        if (IsWellKnownSid(psid, WinLocalSystemSid) ||
            IsWellKnownSid(psid, WinBuiltinAdministratorsSid))
                return true;
        if (nipc__identity_of_process(GetCurrentProcess(), &own) == 0 && EqualSid(psid, &own.sid))
                return true;
        return owns_directory(sid, run_dir);
}

int64_t nipc__identity_hash(const struct nipc__sid *sid)
{
        PSID psid = (PSID)(uintptr_t)&sid->sid;

        return (int64_t)(nipc__fnv1a64(NIPC__FNV_BASIS, sid->bytes, GetLengthSid(psid)) &
                         INT64_MAX);
}
