/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * One end of a named pipe, overlapped. At most one read and one write are under way.
 *
 * A read ahead is started when somebody wants to know whether there is anything, and stays until a
 * message comes: nothing is taken back when a wait ends, and to look again costs no system call.
 * It takes the beginning of a message, which is all of most; the rest is read to where it belongs.
 *
 * All of this is for the thread that uses the session, which may be another one later: the system
 * ends what a thread began when that thread ends, and then it is begun again.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

/* A small message and its header; chosen, not tuned. */
#define NIPC__PIPE_AHEAD 512u

#define NIPC__PIPE_PACKET_SIZE 65536u /* transport-windows §2 */

enum nipc__pipe_read_state {
        NIPC__PIPE_IDLE = 0, /* no read is under way */
        NIPC__PIPE_READING,
        NIPC__PIPE_READ,  /* n_ahead bytes of a message, and more of it if has_more */
        NIPC__PIPE_ENDED, /* error */
};

struct nipc__pipe_watch; /* see poller.c */

struct nipc__pipe {
        HANDLE handle;
        OVERLAPPED read; /* its event is set when the read ended */
        enum nipc__pipe_read_state state;
        bool has_more;
        bool is_polled; /* somebody waits for the event by himself */
        DWORD n_ahead;
        int error;
        bool is_writing;
        OVERLAPPED write;
        uint8_t *tx; /* of the write */
        size_t tx_size;
        size_t tx_capacity;
        struct nipc__pipe_watch
                *watch; /* of the completion port that the pipe belongs to, or NULL */
        uint8_t ahead[NIPC__PIPE_AHEAD];
};

/* Takes the handle over, also when it fails. Returns 0, -ENOMEM or -EMFILE. */
int nipc__pipe_new(HANDLE handle, struct nipc__pipe **ret_pipe);
struct nipc__pipe *nipc__pipe_free(struct nipc__pipe *pipe);

/* Whether a message, or the end, is there. If not, a read is under way. */
bool nipc__pipe_look(struct nipc__pipe *pipe);

/* Writes the first tx_size bytes of tx. Returns 0, also when that goes on, or an error. */
DWORD nipc__pipe_write(struct nipc__pipe *pipe);

/* Whether no write is under way any more; *ret_error: how the last one ended, 0 or an errno. */
bool nipc__pipe_is_written(struct nipc__pipe *pipe, int *ret_error);

/* Gives up the place at a poller; see poller.c. */
void nipc__pipe_unwatch(struct nipc__pipe *pipe);

/* A negative errno for an error of the system. Those of a peer that is gone are -ECONNRESET. */
int nipc__system_error(DWORD error);

/*
 * Waits for an event, or the cancel object's. Returns 0, -ECANCELED, or -EAGAIN or -ETIMEDOUT as
 * the deadline says. cancel may be NULL.
 */
struct nipc_cancel;
int nipc__event_wait(HANDLE event, const struct nipc_cancel *cancel, uint64_t deadline_ns);
