/* SPDX-License-Identifier: MIT */
/* The commands of POSIX systems, and what is to be done before any of them. */
#include "command.h"

#include <fcntl.h>
#include <unistd.h>

const struct command *const command_list[] = {
        &command_serve, &command_call,   &command_watch,  &command_ping, &command_ls,
        &command_stat,  &command_top,    &command_clean,  &command_lane, &command_doctor,
        &command_bench, &command_encode, &command_decode, NULL,
};

/* What is opened next must not become what is printed to. */
void command_prepare_process(int *argc, char ***argv)
{
        int fd;

        do
                fd = open("/dev/null", O_RDONLY); /* writing to it fails, and is noticed */
        while (fd >= 0 && fd <= STDERR_FILENO);
        if (fd > STDERR_FILENO)
                close(fd);
}
