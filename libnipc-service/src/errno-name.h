/* SPDX-License-Identifier: MIT */
#pragma once

/* Names of errors, for labels and logs: unlike their texts they have no language. */

#include <errno.h>
#include <stddef.h>

/* "ENOMEM" for -ENOMEM; NULL for one that is not expected here. */
static inline const char *nipc__errno_name(int error)
{
        switch (error < 0 ? -(unsigned)error : 0) {
        case EACCES:
                return "EACCES";
        case EADDRINUSE:
                return "EADDRINUSE";
        case EAGAIN:
                return "EAGAIN";
        case EBADF:
                return "EBADF";
        case EBADMSG:
                return "EBADMSG";
        case ECANCELED:
                return "ECANCELED";
        case ECONNREFUSED:
                return "ECONNREFUSED";
        case ECONNRESET:
                return "ECONNRESET";
        case EEXIST:
                return "EEXIST";
        case EINVAL:
                return "EINVAL";
        case EIO:
                return "EIO";
        case EMFILE:
                return "EMFILE";
        case EMSGSIZE:
                return "EMSGSIZE";
        case ENFILE:
                return "ENFILE";
        case ENOBUFS:
                return "ENOBUFS";
        case ENOENT:
                return "ENOENT";
        case ENOMEM:
                return "ENOMEM";
        case ENOSPC:
                return "ENOSPC";
        case ENOSYS:
                return "ENOSYS";
        case ENOTCONN:
                return "ENOTCONN";
        case EPERM:
                return "EPERM";
        case EPIPE:
                return "EPIPE";
        case EPROTO:
                return "EPROTO";
        case EPROTONOSUPPORT:
                return "EPROTONOSUPPORT";
        case ETIMEDOUT:
                return "ETIMEDOUT";
        default:
                return NULL;
        }
}
