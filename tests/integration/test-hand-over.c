/* SPDX-License-Identifier: MIT */

/*
 * A service goes from one process to the next while client processes connect, call and disconnect
 * without a pause. The descriptors go through us, by SCM_RIGHTS, as they would through a service
 * manager. Nobody is ever refused and no call is lost, whoever is killed and whenever: a call that
 * the dead had in hand is sent again. A handshake is cut short for each client and kill at most.
 */

#include "util-env.h"
#include <errno.h>
#include <nipc/client.h>
#include <nipc/server.h>
#include <nipc/session.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SERVICE      "hand-over"
#define N_CLIENTS    6u
#define N_HAND_OVERS 20u

/* What is sent to a server, one byte each; it answers with the same when it is done. */
enum order {
        START = 's',     /* with two descriptors: those of the predecessor */
        SHARE = 'd',     /* the answer has two descriptors */
        HAND_OVER = 'h', /* ends the process */
        END = 'e',       /* the same */
};

/* ---- orders and descriptors -------------------------------------------------------------------
 */

static bool send_order(int fd, char order, const int *fds)
{
        char control[CMSG_SPACE(2 * sizeof(int))] = {0};
        struct iovec iov = {.iov_base = &order, .iov_len = 1};
        struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

        if (fds) {
                struct cmsghdr *cmsg;

                msg.msg_control = control;
                msg.msg_controllen = sizeof(control);
                cmsg = CMSG_FIRSTHDR(&msg);
                cmsg->cmsg_level = SOL_SOCKET;
                cmsg->cmsg_type = SCM_RIGHTS;
                cmsg->cmsg_len = CMSG_LEN(2 * sizeof(int));
                memcpy(CMSG_DATA(cmsg), fds, 2 * sizeof(int));
        }
        return sendmsg(fd, &msg, MSG_NOSIGNAL) == 1;
}

/* Returns the order, or 0 at the end. ret_fds: 0 and 0 where none came. */
static char receive_order(int fd, int *ret_fds)
{
        char control[CMSG_SPACE(2 * sizeof(int))], order = 0;
        struct iovec iov = {.iov_base = &order, .iov_len = 1};
        struct msghdr msg = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
        struct cmsghdr *cmsg;

        ret_fds[0] = ret_fds[1] = 0;
        if (recvmsg(fd, &msg, MSG_CMSG_CLOEXEC) != 1)
                return 0;
        cmsg = CMSG_FIRSTHDR(&msg);
        if (cmsg && cmsg->cmsg_len == CMSG_LEN(2 * sizeof(int)))
                memcpy(ret_fds, CMSG_DATA(cmsg), 2 * sizeof(int));
        return order;
}

/* ---- servers ----------------------------------------------------------------------------------
 */

static int increment(void *userdata, uint64_t value, uint64_t *ret_value)
{
        *ret_value = value + 1;
        return 0;
}

static struct nipc_server *new_server(const int *fds)
{
        const struct nipc_increment_handler handler = {sizeof(handler), increment, NULL};
        struct nipc_server_config config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_server *server;

        config.run_dir = util_dir();
        config.service = SERVICE;
        config.n_workers = 2;
        config.profiles = nipc_profile_get_available();
        config.listen_fd = fds[0];
        config.lock_fd = fds[1];
        if (nipc_server_new_increment(&config, &handler, &server) < 0)
                return NULL;
        return nipc_server_start(server) < 0 ? nipc_server_free(server) : server;
}

static int serve(int fd)
{
        struct nipc_server *server = NULL;
        int fds[2], status = 0;
        char order;

        while ((order = receive_order(fd, fds))) {
                bool has_fds = fds[0];

                if (order == START)
                        server = new_server(fds);
                if (!server || (order == SHARE && nipc_server_dup_fds(server, &fds[0], &fds[1])))
                        return 1;
                if (order == HAND_OVER)
                        status = nipc_server_hand_over(server, 60000) ? 2 : 0;
                if (order == HAND_OVER || order == END)
                        server = nipc_server_free(server);
                if (!send_order(fd, order, order == SHARE ? fds : NULL))
                        return 3;
                if (has_fds || order == SHARE) {
                        close(fds[0]);
                        close(fds[1]);
                }
                if (order == HAND_OVER || order == END)
                        return status;
        }
        return 4;
}

struct owner {
        pid_t pid;
        int fd;
};

static pid_t start_process(int (*run)(int argument), int argument)
{
        pid_t pid;

        (void)util_dir(); /* is made by the first who asks, and shall be the same for all */
        fflush(NULL);     /* or both would print what is still to be printed */
        pid = fork();
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                util_arm_watchdog();
                _exit(run(argument));
        }
        return pid;
}

/* Does one thing there, and waits until it is done. */
static bool ask_owner(const struct owner *owner, char order, const int *fds, int *ret_fds)
{
        int ignored[2];

        util_waiting_for("a server to do as it was told");
        return send_order(owner->fd, order, fds) &&
               receive_order(owner->fd, ret_fds ? ret_fds : ignored) == order;
}

/* fds: of the predecessor, or NULL. */
static struct owner start_owner(const int *fds)
{
        struct owner owner = {.pid = -1, .fd = -1};
        int pair[2];

        tap_check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
        owner.pid = start_process(serve, pair[1]);
        owner.fd = pair[0];
        close(pair[1]);
        tap_check(owner.pid > 0);
        tap_check(ask_owner(&owner, START, fds, NULL));
        return owner;
}

static void expect_end(const struct owner *owner, bool is_killed)
{
        int status = -1;

        if (is_killed)
                kill(owner->pid, SIGKILL);
        close(owner->fd);
        tap_eq_int(waitpid(owner->pid, &status, 0), owner->pid);
        if (is_killed)
                tap_check(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        else
                tap_check(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* ---- clients ----------------------------------------------------------------------------------
 */

struct counters {
        atomic_uint n_calls;
        atomic_uint n_lost;    /* calls without an answer */
        atomic_uint n_cut;     /* connected, but without a handshake */
        atomic_uint n_refused; /* nobody listened */
};

static struct shared {
        atomic_bool is_over;
        struct counters clients[N_CLIENTS];
} * shared;

static void count_failure(const struct nipc_client *client, struct counters *mine)
{
        struct nipc_client_failure failure = NIPC_CLIENT_FAILURE_INIT;

        nipc_client_get_failure(client, &failure);
        if (failure.error == -ECONNRESET || failure.error == -EPIPE)
                atomic_fetch_add(&mine->n_cut, 1);
        else
                atomic_fetch_add(&mine->n_refused, 1);
}

/* Half of them keep their client, the others have one for each call. */
static int call_on(int number)
{
        static const uint32_t profiles[] = {
                NIPC_PROFILE_BASELINE,
                NIPC_PROFILE_BASELINE | NIPC_PROFILE_RING,
                NIPC_PROFILE_BASELINE | NIPC_PROFILE_SHM_HYBRID,
        };
        struct nipc_client_config config = NIPC_CLIENT_CONFIG_INIT;
        struct counters *mine = &shared->clients[number];
        struct nipc_client *client = NULL;
        uint64_t value, n;

        config.run_dir = util_dir();
        config.service = SERVICE;
        config.profiles = profiles[number % 3] & nipc_profile_get_available();
        for (n = 0; !atomic_load(&shared->is_over); n++) {
                if (!client && nipc_client_new(&config, &client) < 0)
                        return 1;
                nipc_client_refresh(client);
                if (!nipc_client_is_ready(client))
                        count_failure(client, mine);
                else if (nipc_client_increment(client, n, 60000, &value) < 0 || value != n + 1)
                        atomic_fetch_add(&mine->n_lost, 1);
                else
                        atomic_fetch_add(&mine->n_calls, 1);
                if (number < (int)N_CLIENTS / 2)
                        client = nipc_client_free(client);
        }
        nipc_client_free(client);
        return 0;
}

static void wait_for_calls(void)
{
        util_waiting_for("every client to be answered");
        for (unsigned i = 0; i < N_CLIENTS; i++) {
                unsigned before = atomic_load(&shared->clients[i].n_calls);

                while (atomic_load(&shared->clients[i].n_calls) == before)
                        sched_yield();
        }
}

static void start_clients(pid_t *pids)
{
        memset(shared, 0, sizeof(*shared));
        for (unsigned i = 0; i < N_CLIENTS; i++) {
                pids[i] = start_process(call_on, (int)i);
                tap_require(pids[i] > 0);
        }
        wait_for_calls();
}

static void end_clients(const pid_t *pids, unsigned n_kills)
{
        unsigned n_calls = 0, n_lost = 0, n_cut = 0;
        int status;

        atomic_store(&shared->is_over, true);
        for (unsigned i = 0; i < N_CLIENTS; i++) {
                struct counters *one = &shared->clients[i];

                status = -1;
                tap_eq_int(waitpid(pids[i], &status, 0), pids[i]);
                tap_eq_int(status, 0);
                tap_eq_uint(atomic_load(&one->n_refused), 0);
                tap_eq_uint(atomic_load(&one->n_lost), 0);
                tap_check(atomic_load(&one->n_cut) <= n_kills);
                n_calls += atomic_load(&one->n_calls);
                n_lost += atomic_load(&one->n_lost);
                n_cut += atomic_load(&one->n_cut);
        }
        printf("# %u calls, %u kills: %u calls lost, %u handshakes cut\n", n_calls, n_kills, n_lost,
               n_cut);
}

/* ---- cases ------------------------------------------------------------------------------------
 */

enum killed {
        NOBODY,
        OLD_FIRST, /* when its descriptors are on the way */
        OLD,       /* when both serve */
        NEW,       /* the same */
};

/* Returns who owns the service now. */
static struct owner hand_over(struct owner old, enum killed killed)
{
        struct owner next;
        int fds[2] = {-1, -1};

        tap_check(ask_owner(&old, SHARE, NULL, fds));
        if (killed == OLD_FIRST)
                expect_end(&old, true);
        next = start_owner(fds);
        close(fds[0]);
        close(fds[1]);
        if (killed == NEW) {
                wait_for_calls();
                expect_end(&next, true);
                return old;
        }
        if (killed == NOBODY)
                tap_check(ask_owner(&old, HAND_OVER, NULL, NULL));
        if (killed != OLD_FIRST)
                expect_end(&old, killed == OLD);
        return next;
}

static bool has_file(const char *name)
{
        struct stat st;

        return lstat(util_path(name), &st) == 0;
}

static void run(enum killed killed)
{
        struct owner owner = {.pid = -1};
        pid_t pids[N_CLIENTS];

        owner = start_owner(NULL);
        start_clients(pids);
        for (unsigned i = 0; i < N_HAND_OVERS; i++) {
                owner = hand_over(owner, killed);
                wait_for_calls();
        }
        end_clients(pids, killed == NOBODY ? 0 : N_HAND_OVERS);
        tap_check(has_file(SERVICE ".sock"));
        tap_check(ask_owner(&owner, END, NULL, NULL));
        expect_end(&owner, false);
        tap_check(!has_file(SERVICE ".sock"));
        tap_check(!has_file(SERVICE ".lock"));
}

static void test_hand_over(void)
{
        run(NOBODY);
}

static void test_old_killed_first(void)
{
        run(OLD_FIRST);
}

static void test_old_killed(void)
{
        run(OLD);
}

static void test_new_killed(void)
{
        run(NEW);
}

int main(int argc, char **argv)
{
        static const struct tap_case cases[] = {
                TAP_CASE(test_hand_over),      TAP_CASE(test_old_killed_first),
                TAP_CASE(test_old_killed),     TAP_CASE(test_new_killed),
                TAP_CASE(test_nothing_leaked),
        };

        shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                      0);
        if (shared == MAP_FAILED)
                return 1;
        util_begin();
        return tap_run(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
