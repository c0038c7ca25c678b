/* SPDX-License-Identifier: MIT */

/*
 * A listener on Windows: some instances of one pipe that wait for clients, so that a burst of them
 * finds room. A client who connected takes his instance along; another one is made before he is
 * handed out, so that there is no moment without.
 *
 * The name belongs to who made the first instance. Beside it a named mutex, never locked, says so
 * for our own servers, also where the system does not know of first instances.
 *
 * All instances share one manual-reset event: the listener's pollable handle. To start waiting on
 * one resets it, so all are looked at after that; under the lock.
 *
 * Not here: handing over and activation. Pipes of a predecessor cannot be inherited by a name.
 */

#include "identity.h"
#include "listener-private.h"
#include "names.h"
#include "pipe.h"
#include "shm.h"
#include "stdaux.h"
#include <errno.h>
#include <pthread.h>
#include <sddl.h>
#include <stdio.h>

/* Clients who wait to be accepted; chosen, not tuned. */
#define MAX_INSTANCES 8u

struct instance {
        HANDLE handle; /* NULL: none */
        OVERLAPPED connect;
        bool is_connected; /* else a connect is under way */
};

struct nipc__pipe_server {
        pthread_mutex_t lock;
        HANDLE event;
        HANDLE owner; /* the mutex */
        SECURITY_ATTRIBUTES attributes;
        DWORD buffer_bytes;
        uint32_t n_instances;
        struct instance instances[MAX_INSTANCES];
        wchar_t name[NIPC__NAME_MAX];
        char path[NIPC__NAME_MAX];
};

/* ---- who may connect ------------------------------------------------------------------------ */

/* Returns the text of a SID, to be freed with LocalFree(), or NULL. */
static wchar_t *sid_text(PSID sid)
{
        wchar_t *text;

        return ConvertSidToStringSidW(sid, &text) ? text : NULL;
}

/*
 * Owner and SYSTEM; of the mode, group means the primary group of our token, and others means
 * everyone. Nothing is inherited.
 */
static int make_security(struct nipc__pipe_server *server, uint32_t mode)
{
        wchar_t sddl[512], *user;
        struct nipc__sid own;
        int n, r;

        r = nipc__identity_of_process(GetCurrentProcess(), &own);
        if (r < 0)
                return r;
        user = sid_text(&own.sid);
        if (!user)
                return -ENOMEM;
        n = swprintf(sddl, sizeof(sddl) / sizeof(sddl[0]),
                     L"O:%lsD:P(A;;GA;;;%ls)(A;;GA;;;SY)%ls%ls", user, user,
                     mode & 0060 ? L"(A;;GRGW;;;CG)" : L"", mode & 0006 ? L"(A;;GRGW;;;WD)" : L"");
        LocalFree(user);
        server->attributes = (SECURITY_ATTRIBUTES){.nLength = sizeof(server->attributes)};
        if (n < 0 || !ConvertStringSecurityDescriptorToSecurityDescriptorW(
                             sddl, SDDL_REVISION_1, &server->attributes.lpSecurityDescriptor, NULL))
                return -EIO;
        return 0;
}

/* ---- instances ------------------------------------------------------------------------------ */

static int judge_create_error(DWORD error)
{
        return error == ERROR_ACCESS_DENIED || error == ERROR_PIPE_BUSY ? -EADDRINUSE
                                                                        : nipc__system_error(error);
}

/* Starts waiting for a client, who may be there already. */
static int start_connect(struct nipc__pipe_server *server, struct instance *instance)
{
        DWORD error;

        instance->connect = (OVERLAPPED){.hEvent = server->event};
        instance->is_connected = false;
        error = ConnectNamedPipe(instance->handle, &instance->connect) ? 0 : GetLastError();
        if (error == ERROR_IO_PENDING)
                return 0;
        instance->is_connected = !error || error == ERROR_PIPE_CONNECTED || error == ERROR_NO_DATA;
        return instance->is_connected ? 0 : nipc__system_error(error);
}

static int make_instance(struct nipc__pipe_server *server, struct instance *instance, DWORD flags)
{
        int r;

        instance->handle =
                CreateNamedPipeW(server->name, PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED | flags,
                                 PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE | PIPE_WAIT |
                                         PIPE_REJECT_REMOTE_CLIENTS,
                                 PIPE_UNLIMITED_INSTANCES, server->buffer_bytes,
                                 server->buffer_bytes, 0, &server->attributes);
        if (instance->handle == INVALID_HANDLE_VALUE) {
                instance->handle = NULL;
                return judge_create_error(GetLastError());
        }
        r = start_connect(server, instance);
        if (r < 0) {
                CloseHandle(instance->handle);
                instance->handle = NULL;
        }
        return r;
}

/* Returns whether the connect ended with the thread that began it, and was begun again. */
static bool look_at(struct nipc__pipe_server *server, struct instance *instance)
{
        DWORD n;

        if (!instance->handle || instance->is_connected ||
            !HasOverlappedIoCompleted(&instance->connect))
                return false;
        instance->is_connected = true; /* or it failed: the client's first read says so */
        return !GetOverlappedResult(instance->handle, &instance->connect, &n, FALSE) &&
               GetLastError() == ERROR_OPERATION_ABORTED && start_connect(server, instance) == 0;
}

/* Under the lock: sets or resets the event by what there is. Returns one with a client, or NULL. */
static struct instance *find_connected(struct nipc__pipe_server *server)
{
        struct instance *found = NULL;
        bool is_again;
        uint32_t i;

        do { /* to begin again resets the event, which may have been set for another */
                is_again = false;
                ResetEvent(server->event);
                for (i = 0; i < server->n_instances; i++)
                        is_again |= look_at(server, &server->instances[i]);
        } while (is_again);
        for (i = 0; i < server->n_instances && !found; i++)
                if (server->instances[i].handle && server->instances[i].is_connected)
                        found = &server->instances[i];
        if (found)
                SetEvent(server->event);
        return found;
}

static void drop_instance(struct instance *instance)
{
        DWORD n;

        if (!instance->handle)
                return;
        if (!instance->is_connected) {
                CancelIoEx(instance->handle, &instance->connect);
                GetOverlappedResult(instance->handle, &instance->connect, &n, TRUE);
        }
        CloseHandle(instance->handle);
        instance->handle = NULL;
}

/* ---- the listener --------------------------------------------------------------------------- */

static void server_free(struct nipc__pipe_server *server)
{
        uint32_t i;

        for (i = 0; i < server->n_instances; i++)
                drop_instance(&server->instances[i]);
        if (server->event)
                CloseHandle(server->event);
        if (server->owner)
                CloseHandle(server->owner);
        if (server->attributes.lpSecurityDescriptor)
                LocalFree(server->attributes.lpSecurityDescriptor);
        pthread_mutex_destroy(&server->lock);
        free(server);
}

/* The mutex that says that one of ours serves the name. */
static int take_name(struct nipc__pipe_server *server)
{
        wchar_t name[NIPC__NAME_MAX];

        if (nipc__name_owner(server->name, name) < 0)
                return -ENAMETOOLONG;
        server->owner = CreateMutexW(&server->attributes, FALSE, name);
        if (!server->owner)
                return judge_create_error(GetLastError());
        return GetLastError() == ERROR_ALREADY_EXISTS ? -EADDRINUSE : 0;
}

static int server_open(struct nipc__pipe_server *server, const struct nipc_listener_config *config)
{
        DWORD flags = FILE_FLAG_FIRST_PIPE_INSTANCE;
        uint32_t i;
        int r;

        r = nipc__name_pipe(config->run_dir, config->service, server->name);
        if (r < 0)
                return r;
        for (i = 0; server->name[i]; i++)
                server->path[i] = (char)server->name[i];
        /* As much as a socket takes. It is spent on what is written only. */
        server->buffer_bytes =
                NIPC__MAX(2 * NIPC__MIN(config->packet_size, 1u << 30), 4 * NIPC__PIPE_PACKET_SIZE);
        r = make_security(server, config->mode);
        if (r == 0)
                r = take_name(server);
        if (r < 0)
                return r;
        server->event = CreateEventW(NULL, TRUE, FALSE, NULL);
        if (!server->event)
                return -EMFILE;
        for (i = 0; i < NIPC__MIN(config->backlog, MAX_INSTANCES); i++, flags = 0) {
                r = make_instance(server, &server->instances[i], flags);
                if (r < 0)
                        return r;
                server->n_instances = i + 1;
        }
        find_connected(server);
        return 0;
}

int nipc__listener_os_open(struct nipc_listener *listener,
                           const struct nipc_listener_config *config)
{
        struct nipc__pipe_server *server;
        DWORD attributes;
        wchar_t dir[MAX_PATH];
        int r;

        if (config->listen_fd || config->set_owner)
                return -EOPNOTSUPP;
        /* Only its name counts; that it must exist is for the sake of who mistyped it. */
        attributes = MultiByteToWideChar(CP_UTF8, 0, config->run_dir, -1, dir, MAX_PATH)
                             ? GetFileAttributesW(dir)
                             : INVALID_FILE_ATTRIBUTES;
        if (attributes == INVALID_FILE_ATTRIBUTES || !(attributes & FILE_ATTRIBUTE_DIRECTORY))
                return -ENOENT;
        server = calloc(1, sizeof(*server));
        if (!server)
                return -ENOMEM;
        if (pthread_mutex_init(&server->lock, NULL)) {
                free(server);
                return -ENOMEM;
        }
        r = server_open(server, config);
        if (r == 0 && (listener->profiles & (NIPC_PROFILE_SHM_HYBRID | NIPC_PROFILE_SHM_BUSYWAIT)))
                r = nipc__shm_place_new(config->run_dir, config->service, config->auth_token,
                                        &listener->shm_place);
        if (r < 0) {
                server_free(server);
                return r;
        }
        listener->os.server = server;
        listener->os.event = server->event;
        return 0;
}

void nipc__listener_os_close(struct nipc_listener *listener)
{
        server_free(listener->os.server);
}

void nipc__listener_os_leave(struct nipc_listener *listener)
{
}

int nipc__listener_os_dup(const struct nipc_listener *listener, int *ret_listen_fd,
                          int *ret_lock_fd)
{
        return -EOPNOTSUPP;
}

/* Takes a client, if there is one. Returns 0, -EAGAIN, or why he has to wait. */
static int take_client(struct nipc__pipe_server *server, HANDLE *ret_handle)
{
        struct instance *instance = find_connected(server), next = {.handle = NULL};
        uint32_t i, n_others = 0;
        int r;

        if (!instance)
                return -EAGAIN;
        for (i = 0; i < server->n_instances; i++)
                n_others += server->instances[i].handle && &server->instances[i] != instance;
        next.handle = instance->handle;
        r = make_instance(server, instance, 0);
        if (r < 0 && !n_others) { /* without it the name would be anybody's */
                instance->handle = next.handle;
                instance->is_connected = true;
                return r == -EADDRINUSE ? -ENOBUFS : r;
        }
        *ret_handle = next.handle;
        /* Room that could not be had before. */
        for (i = 0; i < server->n_instances; i++)
                if (!server->instances[i].handle)
                        make_instance(server, &server->instances[i], 0);
        find_connected(server);
        return 0;
}

static void identify_client(HANDLE handle, struct nipc_peer *peer)
{
        struct nipc__sid sid;
        ULONG pid;

        if (!GetNamedPipeClientProcessId(handle, &pid))
                return;
        peer->pid = (int64_t)pid;
        if (nipc__identity_of_pid(pid, &sid) == 0)
                peer->uid = nipc__identity_hash(&sid);
}

int nipc__listener_os_accept(struct nipc_listener *listener, uint64_t deadline_ns,
                             struct nipc_session *session)
{
        struct nipc__pipe_server *server = listener->os.server;
        HANDLE handle;
        int r;

        for (;;) {
                pthread_mutex_lock(&server->lock);
                r = take_client(server, &handle);
                pthread_mutex_unlock(&server->lock);
                if (r == 0)
                        break;
                if (r == -EAGAIN && deadline_ns != NIPC_DEADLINE_NOW)
                        r = nipc__event_wait(server->event, NULL, deadline_ns);
                if (r < 0)
                        return r;
        }
        identify_client(handle, &session->peer);
        return nipc__pipe_new(handle, &session->link.pipe);
}

NIPC__EXPORT int nipc_listener_get_fd(const struct nipc_listener *listener)
{
        return listener ? (int)(intptr_t)listener->os.server->event : -EINVAL;
}

NIPC__EXPORT const char *nipc_listener_get_path(const struct nipc_listener *listener)
{
        return listener ? listener->os.server->path : NULL;
}
