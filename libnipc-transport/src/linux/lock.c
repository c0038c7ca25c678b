/* SPDX-License-Identifier: MIT */

/*
 * The endpoint lock on Linux: an open file description lock over the whole file. It belongs to the
 * description, not the process: no other close() in the process drops it, the kernel drops it when
 * the owner dies, and others can ask whether it is held without taking it even for an instant
 * (which would make a server that starts just then believe that it lost).
 */

#include "endpoint-private.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int nipc__lock_take(int fd)
{
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

        if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
                return 0;
        return errno == EAGAIN || errno == EACCES ? -EADDRINUSE : -errno;
}

int nipc__lock_is_held(int fd)
{
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

        if (fcntl(fd, F_OFD_GETLK, &lock) < 0)
                return -errno;
        return lock.l_type != F_UNLCK;
}
