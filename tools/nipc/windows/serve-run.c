/* SPDX-License-Identifier: MIT */
/*
 * See ../serve-run.h. Ctrl-C, Ctrl-Break and the end of the console or of the session end it well.
 * There is no hand-over, and no source is read anew.
 */
#include "serve-run.h"

#include "failure.h"
#include "interrupt.h"
#include "run-dir.h"

#include <errno.h>
#include <stdio.h>

static void on_interrupt(void *data)
{
        nipc_server_stop(data);
}

static int announce(const struct nipc_server *server)
{
        if (printf("READY %s\n", nipc_server_get_path(server)) >= 0 && fflush(stdout) == 0 &&
            !ferror(stdout))
                return COMMAND_SUCCESS;
        return command_fail(&command_serve, "cannot write READY to standard output: %s",
                            g_strerror(errno ? errno : EIO));
}

/* By the server's workers, or by this thread until it is told to stop. */
static int wait_for_end(const struct serve_task *task, struct nipc_server *server)
{
        int r = 0;

        if (task->config->n_workers)
                while (interrupt_pause_us(INT64_C(3600) * G_USEC_PER_SEC))
                        ;
        else
                while (r >= 0)
                        r = nipc_server_dispatch(server, UINT32_MAX);
        return r < 0 && r != -ESHUTDOWN ? r : 0;
}

static int serve(const struct serve_task *task, struct nipc_server *server,
                 uint32_t drain_timeout_ms)
{
        int r = task->config->n_workers ? nipc_server_start(server) : 0, status;

        if (!r)
                r = interrupt_init(task->config->n_workers ? NULL : on_interrupt, server);
        if (!r) {
                status = announce(server);
                if (!status)
                        r = wait_for_end(task, server);
                if (!status && !r && nipc_server_drain(server, drain_timeout_ms) == -ETIMEDOUT)
                        command_fail(&command_serve, "sessions that did not end in %u ms were cut",
                                     drain_timeout_ms);
                interrupt_deinit();
        }
        if (r) {
                g_autofree char *reason = failure_describe_local(r);

                return command_fail(&command_serve, "cannot serve %s: %s", task->config->service,
                                    reason);
        }
        return status;
}

int serve_run(const struct serve_task *task, uint32_t drain_timeout_ms)
{
        struct nipc_server *server = NULL;
        int r = 0, status;

        if (task->config->listen_fd)
                return command_usage(&command_serve, "--fd: no pipe is inherited on this system");
        if (task->context->run_dir_is_default && !task->context->run_base)
                r = run_dir_make(task->context->run_dir);
        if (!r)
                r = task->provider->new_server(task->data, task->config, &server);
        if (r) {
                g_autofree char *reason =
                        failure_describe_server(r, task->config->run_dir, task->config->service);

                return command_fail(&command_serve, "%s", reason);
        }
        status = serve(task, server, drain_timeout_ms);
        nipc_server_free(server);
        return status;
}
