/* SPDX-License-Identifier: MIT */
/* Inherited sockets, see listen-fd.h. */
#include "listen-fd.h"
#include "number.h"

#include <string.h>
#include <unistd.h>

#define FIRST_FD 3 /* sd_listen_fds(3) */

static bool has_number(const char *variable, uint64_t expected)
{
        const char *text = g_getenv(variable);
        uint64_t value;

        return text && number_parse_u64(text, UINT32_MAX, &value) && value == expected;
}

bool listen_fd_parse(const struct command *command, const char *text, int *ret_fd)
{
        uint64_t value = 0;

        if (text && strcmp(text, "systemd") == 0) {
                if (!has_number("LISTEN_PID", (uint64_t)getpid()) || !has_number("LISTEN_FDS", 1)) {
                        command_usage(command, "--fd systemd needs LISTEN_PID and LISTEN_FDS for "
                                               "one socket of this process");
                        return false;
                }
                value = FIRST_FD;
        } else if (text && (!number_parse_u64(text, INT32_MAX, &value) || value < FIRST_FD)) {
                command_usage(command, "--fd needs a descriptor from 3 up, or systemd, not %s",
                              text);
                return false;
        }
        *ret_fd = (int)value;
        return true;
}

bool listen_fd_parse_lock(const struct command *command, const char *text, int listen_fd,
                          int *ret_fd)
{
        uint64_t value = 0;

        if (text && (!number_parse_u64(text, INT32_MAX, &value) || value < FIRST_FD)) {
                command_usage(command, "--lock-fd needs a descriptor from 3 up, not %s", text);
                return false;
        }
        if (text && !listen_fd) {
                command_usage(command, "--lock-fd needs the socket of the same provider, --fd");
                return false;
        }
        *ret_fd = (int)value;
        return true;
}
