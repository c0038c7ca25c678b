/* SPDX-License-Identifier: MIT */

/*
 * The boot, as random(4) names it: containers of one machine share it, machines do not. A file
 * system that comes over a wire, or from a host to its guests, is one where the names of other
 * boots need not be those of the past.
 */

#include "boot.h"
#include "stdaux.h"
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

/* statfs(2) and linux/magic.h; headers of some age do not have all of them. */
static const uint32_t shared_file_systems[] = {
        0x00006969, /* NFS */
        0x0000517b, /* SMB */
        0xff534d42, /* CIFS */
        0xfe534d42, /* SMB 2 */
        0x01021997, /* 9P */
        0x65735546, /* FUSE, virtiofs */
        0x00c36400, /* Ceph */
        0x5346414f, /* AFS */
        0x6b414653, /* kAFS */
        0x73757245, /* Coda */
        0x01161970, /* GFS2 */
        0x7461636f, /* OCFS2 */
        0x0bd00bd0, /* Lustre */
        0x786f4256, /* VirtualBox */
        0xbacbacbc, /* VMware */
};

bool nipc__boot_id_is_valid(const char *text)
{
        for (unsigned i = 0; i < NIPC__BOOT_ID_LENGTH; i++) {
                const bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;

                if (!text[i] || !strchr(is_dash ? "-" : "0123456789abcdef", text[i]))
                        return false;
        }
        return true;
}

int nipc__boot_id_get(char id[NIPC__BOOT_ID_LENGTH + 1])
{
        char text[NIPC__BOOT_ID_LENGTH + 1] = "";
        int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
        ssize_t n;

        if (fd < 0)
                return errno == ENOENT || errno == ENOTDIR ? -ENOTSUP : -errno;
        do {
                n = read(fd, text, NIPC__BOOT_ID_LENGTH);
        } while (n < 0 && errno == EINTR);
        close(fd);
        if (!nipc__boot_id_is_valid(text))
                return -ENOTSUP;
        memcpy(id, text, sizeof(text));
        return 0;
}

bool nipc__boot_is_shared(int fd)
{
        struct statfs fs;

        if (fstatfs(fd, &fs) < 0)
                return true;
        for (size_t i = 0; i < NIPC__ARRAY_SIZE(shared_file_systems); i++)
                if ((uint32_t)fs.f_type == shared_file_systems[i])
                        return true;
        return false;
}
