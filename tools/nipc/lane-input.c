/* SPDX-License-Identifier: MIT */
/* Files and pools that `nipc lane` reads, see lane.h. */
#include "lane.h"

#include "command-file.h"

#include <errno.h>
#include <fcntl.h>
#include <nipc/fault.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

const char *lane_skip_name(uint32_t skip)
{
        switch (skip) {
        case NIPC_LANE_SKIP_HEADER:
                return "damaged header";
        case NIPC_LANE_SKIP_RING:
                return "damaged ring";
        case NIPC_LANE_SKIP_RECORD:
                return "damaged records";
        case NIPC_LANE_SKIP_CUT:
                return "cut off";
        default:
                return "unknown";
        }
}

const char *lane_error_name(int error)
{
        switch (error) {
        case -EBADMSG:
                return "neither a pool of lanes nor a recording";
        case -EPROTONOSUPPORT:
                return "of another version or byte order";
        default:
                return g_strerror(-error);
        }
}

static bool look(const struct command *command, const char *path, struct lane_input *input)
{
        int r = input->fd >= 0
                        ? nipc_lane_recovery_open(input->fd, &input->recovery)
                        : nipc_lane_recovery_new(input->contents, input->size, &input->recovery);

        if (r < 0) {
                command_fail(command, "%s: %s", path, lane_error_name(r));
                return false;
        }
        input->info = (struct nipc_lane_file_info)NIPC_LANE_FILE_INFO_INIT;
        nipc_lane_recovery_get_info(input->recovery, &input->info);
        return true;
}

bool lane_input_open(const struct command *command, const char *path, struct lane_input *input)
{
        g_autoptr(GError) error = NULL;

        *input = (struct lane_input){.fd = -1};
        if (!strcmp(path, "-")) {
                if (!command_file_read(path, &input->contents, &input->size, &error)) {
                        command_fail(command, "%s", error->message);
                        return false;
                }
        } else {
                input->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
                if (input->fd < 0) {
                        command_fail(command, "%s: %s", path, g_strerror(errno));
                        return false;
                }
        }
        if (look(command, path, input))
                return true;
        lane_input_close(input);
        return false;
}

bool lane_input_rewind(const struct command *command, const char *path, struct lane_input *input)
{
        input->recovery = nipc_lane_recovery_free(input->recovery);
        return look(command, path, input);
}

void lane_input_close(struct lane_input *input)
{
        input->recovery = nipc_lane_recovery_free(input->recovery);
        g_clear_pointer(&input->contents, g_free);
        if (input->fd >= 0)
                close(input->fd);
        input->fd = -1;
}

/* ---- pools ----------------------------------------------------------------------------------- */

bool lane_pool_parse(const struct command *command, struct lane_pool_options *options, int argc,
                     char **argv)
{
        const bool has_fd = options->fd != -1;

        if (argc > 2 || (argc == 2) == has_fd) {
                command_usage(command, "expected one POOL, or --fd");
                return false;
        }
        if (options->fd < -1 || options->fd > G_MAXINT || options->wake_fd < -1 ||
            options->wake_fd > G_MAXINT || (options->wake_fd != -1 && !has_fd)) {
                command_usage(command, "--fd and --wake-fd need descriptors, the second the first");
                return false;
        }
        options->path = argc == 2 ? argv[1] : NULL;
        return true;
}

static void on_fault(int number, siginfo_t *info, void *context)
{
        if (nipc_fault_handle(info->si_addr))
                return;
        signal(number, SIG_DFL);
        raise(number);
}

void lane_pool_catch_faults(void)
{
        const struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};

        sigaction(SIGBUS, &action, NULL);
}

const char *lane_pool_name(const struct lane_pool_options *options)
{
        return options->path ? options->path : "what was handed over";
}

int lane_pool_open(const struct lane_pool_options *options, struct nipc_lane_reader **ret_reader,
                   struct nipc_lane_file_info *ret_info)
{
        struct nipc_lane_recovery *recovery;
        int fd = (int)options->fd, r;

        if (options->path) {
                fd = open(options->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
                if (fd < 0)
                        return -errno;
        }
        r = nipc_lane_reader_open(fd, options->path ? -1 : (int)options->wake_fd, ret_reader);
        if (r == 0) {
                r = nipc_lane_recovery_open(fd, &recovery);
                if (r == 0) {
                        *ret_info = (struct nipc_lane_file_info)NIPC_LANE_FILE_INFO_INIT;
                        nipc_lane_recovery_get_info(recovery, ret_info);
                        nipc_lane_recovery_free(recovery);
                } else {
                        nipc_lane_reader_close(*ret_reader);
                }
        }
        if (options->path)
                close(fd);
        return r;
}
