/* SPDX-License-Identifier: MIT */

/*
 * iceoryx: its client and server over shared memory, both waiting in a WaitSet, which is the way
 * to wait that it recommends; requests and responses are built where the other reads them. The
 * server starts the daemon that hands out the memory, without its watch over processes, since
 * servers are halted and killed here; one that runs already is used.
 */

#include "peer.h"

#include <fcntl.h>
#include <iceoryx_binding_c/client.h>
#include <iceoryx_binding_c/log.h>
#include <iceoryx_binding_c/notification_info.h>
#include <iceoryx_binding_c/runtime.h>
#include <iceoryx_binding_c/server.h>
#include <iceoryx_binding_c/wait_set.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SERVICE   "nipc"
#define EVENT     "increment"
#define N_TRIES   50
#define PAUSE_NS  100000000L
#define MAX_LINES 200

static iox_client_storage_t client_storage;
static iox_client_t client;
static iox_ws_storage_t set_storage;
static iox_ws_t set;
static char instance[64];

/* Each pair has a name of its own, that of its directory. */
static void start_runtime(const char *dir, const char *role)
{
        char name[100];
        const char *own = dir + strlen(dir);
        unsigned n = 0;

        while (own > dir && n < 2) /* the last two parts: where all are, and this one's */
                n += *--own == '/';
        snprintf(instance, sizeof(instance), "%.60s", own + (*own == '/'));
        for (char *p = instance; *p; p++)
                if (*p == '/')
                        *p = '-';
        snprintf(name, sizeof(name), "%s-%s", role, instance);
        iox_set_loglevel(Iceoryx_LogLevel_Off); /* lines of its log would be taken for ours */
        iox_runtime_init(name);
}

/* ---- the daemon ----------------------------------------------------------------------------- */

/* Returns once it can be used: 1 it runs, 0 it ended at once, since there is another or one ends.
 */
static int try_daemon(void)
{
        char line[256];
        int fds[2], n = 0, found = 0;
        FILE *out;
        pid_t pid;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return 0;
        pid = fork();
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGTERM);
                dup2(fds[1], STDOUT_FILENO);
                dup2(fds[1], STDERR_FILENO);
                execlp("iox-roudi", "iox-roudi", "-m", "off", "-l", "warning", NULL);
                _exit(127);
        }
        close(fds[1]);
        out = fdopen(fds[0], "r");
        while (out && !found && n++ < MAX_LINES && fgets(line, sizeof(line), out))
                found = strstr(line, "RouDi is ready") != NULL;
        if (!found)
                waitpid(pid, NULL, 0);
        return found; /* the pipe stays open: it must be able to write */
}

static int is_there_another(void)
{
        return access("/dev/shm/iceoryx_mgmt", F_OK) == 0;
}

static int start_daemon(void)
{
        const struct timespec pause = {0, PAUSE_NS};

        for (int i = 0; i < N_TRIES; i++) {
                if (try_daemon())
                        return 0;
                nanosleep(&pause, NULL); /* the one of the pair before may be about to end */
        }
        return is_there_another() ? 0 : -1;
}

/* ---- the server ----------------------------------------------------------------------------- */

static int answer_all(iox_server_t server)
{
        const void *request;
        void *response;

        while (iox_server_take_request(server, &request) == ServerRequestResult_SUCCESS) {
                if (iox_server_loan_response(server, request, &response, PEER_MESSAGE_SIZE) !=
                    AllocationResult_SUCCESS)
                        return -1;
                peer_put(response, peer_get(request) + 1);
                iox_server_release_request(server, request);
                if (iox_server_send(server, response) != ServerSendResult_SUCCESS)
                        return -1;
        }
        return 0;
}

static int serve(const char *dir)
{
        static iox_server_storage_t storage;
        iox_notification_info_t events[2];
        iox_server_t server;
        uint64_t missed;

        if (start_daemon() < 0)
                return -1;
        start_runtime(dir, "server");
        set = iox_ws_init(&set_storage);
        server = iox_server_init(&storage, SERVICE, instance, EVENT, NULL);
        if (iox_ws_attach_server_event(set, server, ServerEvent_REQUEST_RECEIVED, 0, NULL) !=
            WaitSetResult_SUCCESS)
                return -1;
        peer_ready();
        for (;;) {
                iox_ws_wait(set, events, 2, &missed);
                if (answer_all(server) < 0)
                        return -1;
        }
}

/* ---- the client ----------------------------------------------------------------------------- */

static int open_client(const char *dir)
{
        const struct timespec pause = {0, PAUSE_NS / 10};

        start_runtime(dir, "client");
        set = iox_ws_init(&set_storage);
        client = iox_client_init(&client_storage, SERVICE, instance, EVENT, NULL);
        if (iox_ws_attach_client_event(set, client, ClientEvent_RESPONSE_RECEIVED, 0, NULL) !=
            WaitSetResult_SUCCESS)
                return peer_fail("cannot wait");
        for (int i = 0; i < N_TRIES * 10; i++) {
                if (iox_client_get_connection_state(client) == ConnectionState_CONNECTED)
                        return 0;
                nanosleep(&pause, NULL);
        }
        return peer_fail("cannot connect");
}

static int ping(uint64_t value)
{
        iox_notification_info_t events[2];
        const void *response = NULL;
        void *request;
        uint64_t missed, answer;

        if (iox_client_loan_request(client, &request, PEER_MESSAGE_SIZE) !=
            AllocationResult_SUCCESS)
                return peer_fail("cannot make a request");
        peer_put(request, value);
        if (iox_client_send(client, request) != ClientSendResult_SUCCESS)
                return peer_fail("cannot send");
        while (iox_client_take_response(client, &response) != ChunkReceiveResult_SUCCESS)
                iox_ws_wait(set, events, 2, &missed);
        answer = peer_get(response);
        iox_client_release_response(client, response);
        return answer == value + 1 ? 0 : peer_fail_answer();
}

int main(int argc, char **argv)
{
        static const struct peer peer = {.serve = serve, .open = open_client, .ping = ping};

        return peer_main(argc, argv, &peer);
}
