/* SPDX-License-Identifier: MIT */

/* Who may open what we make. */

#include "security.h"
#include <errno.h>
#include <string.h>

/* The user of this process, into `buf`. */
static int own_sid(uint8_t *buf, DWORD size)
{
        HANDLE token;
        BOOL good;

        if (!OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token))
                return -EACCES;
        good = GetTokenInformation(token, TokenUser, buf, size, &size);
        CloseHandle(token);
        return good ? 0 : -EACCES;
}

int nipc__security_init(struct nipc__security *security)
{
        union {
                TOKEN_USER user;
                uint8_t bytes[sizeof(TOKEN_USER) + SECURITY_MAX_SID_SIZE];
        } own;
        uint8_t system[SECURITY_MAX_SID_SIZE];
        DWORD system_size = sizeof(system);
        int r;

        r = own_sid(own.bytes, sizeof(own.bytes));
        if (r < 0)
                return r;
        memset(security, 0, sizeof(*security));
        if (!CreateWellKnownSid(WinLocalSystemSid, NULL, system, &system_size) ||
            !InitializeAcl(&security->acl, sizeof(security->acl_bytes), ACL_REVISION) ||
            !AddAccessAllowedAce(&security->acl, ACL_REVISION, GENERIC_ALL, own.user.User.Sid) ||
            !AddAccessAllowedAce(&security->acl, ACL_REVISION, GENERIC_ALL, system) ||
            !InitializeSecurityDescriptor(&security->descriptor, SECURITY_DESCRIPTOR_REVISION) ||
            !SetSecurityDescriptorDacl(&security->descriptor, TRUE, &security->acl, FALSE) ||
            /* What a container would pass on stays out. */
            !SetSecurityDescriptorControl(&security->descriptor, SE_DACL_PROTECTED,
                                          SE_DACL_PROTECTED))
                return -EIO;
        security->attributes.nLength = sizeof(security->attributes);
        security->attributes.lpSecurityDescriptor = &security->descriptor;
        return 0;
}
