/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the tests of libnipc-service share: a run directory, leak counting, a provider that follows
 * a script, a client that sends whatever bytes it likes, and a service whose behaviour the request
 * chooses.
 */

#include <nipc/client.h>
#include <nipc/hello.h>
#include <nipc/listener.h>
#include <nipc/server.h>
#include <nipc/session.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define UTIL_WATCHDOG_MS 20000

/* The run directory of this program, made on first use, gone at exit. */
const char *util_run_dir(void);

/* Descriptors and threads more than when the run directory was made. */
int util_more_fds(void);
int util_more_threads(void);

/*
 * The last case of every program: as many descriptors and threads as before the first. Here, and
 * not in util-service.c, because tap.h counts failures per file.
 */
#define UTIL_TEST_LEAKS_NOTHING                     \
        static void test_leaks_nothing(void)        \
        {                                           \
                util_run_dir();                     \
                tap_eq_int(util_more_fds(), 0);     \
                tap_eq_int(util_more_threads(), 0); \
        }

/* ---- a provider that follows a script ---- */

#define UTIL_CLOSE (-1) /* end the session */
#define UTIL_LEAVE (-2) /* end the session and the endpoint */

struct util_script {
        struct nipc_listener_config config;
        /* Answers one request; returns 0, UTIL_CLOSE or UTIL_LEAVE. */
        int (*answer)(struct util_script *script, struct nipc_session *session,
                      const struct nipc_message *request);
        void (*before_accept)(struct util_script *script); /* or NULL */
        void *userdata;
        uint16_t refuse;        /* status to refuse handshakes with, 0: none */
        uint32_t mute_from;     /* connections from this one on get no answer, 0: none */
        uint64_t message_id;    /* of the last request */
        atomic_uint n_connects; /* accepted connections */
        atomic_uint n_requests;

        struct nipc_listener *listener;
        struct nipc_poller *poller;
        atomic_bool stop;
        pthread_t thread;
};

/* Fills defaults in; then set fields, then start. */
void util_script_init(struct util_script *script, const char *service);
bool util_script_start(struct util_script *script);
void util_script_stop(struct util_script *script);

/* Sends a response to a request. Returns as nipc_session_send(). */
int util_reply(struct nipc_session *session, const struct nipc_message *request, uint16_t status,
               const void *payload, size_t size);

/* An answer() that increments a number, or each of a batch. */
int util_answer_increment(struct util_script *script, struct nipc_session *session,
                          const struct nipc_message *request);

/* A client of a service in the run directory; refreshed once. */
struct nipc_client *util_client(const char *service);

/* ---- a client that sends bytes ---- */

/* Connects without a word. Returns the socket or -1. */
int util_raw_connect(const char *service);

/* One packet of any bytes; how many there are in the next one, or 0 or less at the end. */
bool util_raw_packet(int fd, const void *packet, size_t size);
ssize_t util_raw_receive_packet(int fd, void *buf, size_t size);

/* HELLO with 1024 bytes and max_items, says nothing more. */
bool util_raw_hello(int fd, uint32_t max_items);

/* Waits for HELLO_ACK. Returns its status, or -1 if there was none. */
int util_raw_ack(int fd, struct nipc_hello_ack *ret_ack);

/* Connects and shakes hands. Returns the socket or -1. */
int util_raw_open(const char *service, uint32_t max_items);

/* One packet: header (payload_len as it says) and size bytes. */
bool util_raw_send(int fd, const struct nipc_header *header, const void *payload, size_t size);

/* One packet. Returns the payload bytes it carries, or -1 at the end of the connection. */
int util_raw_receive(int fd, struct nipc_header *ret_header, void *buf, size_t size);

/* A request header of the service below. */
struct nipc_header util_request(uint64_t id, uint32_t payload_len);

/* ---- a service whose behaviour the request chooses ---- */

#define UTIL_CODE 0x9000u

/*
 * By the first byte of the request: 'e' the request, 'b' BAD_LAYOUT, 'o' OVERFLOW, 'm' -EMSGSIZE,
 * 'n' -EIO, 'l' says more than the capacity, 'f' fills the capacity, 'z' answers 100000 bytes.
 */
int util_handle(void *userdata, const struct nipc_request *request, void *response, size_t capacity,
                size_t *ret_size);

/* A server of it. config: run_dir and service are set here. */
struct nipc_server *util_server(struct nipc_server_config *config, const char *service);

/* Whether a server's descriptor is readable, or is so in time. */
bool util_wait_fd(int fd, int timeout_ms);

/* Dispatches a server without threads until the descriptor is readable. */
bool util_pump(struct nipc_server *server, int fd);

/* util_raw_open() on a server without threads. */
int util_pump_open(struct nipc_server *server, const char *service);

/* ---- what only some systems have ---- */

/* Runs a function in a signal handler of that thread; where there are no signals, here and now. */
void util_run_interrupting(pthread_t thread, void (*run)(void));

/* Whether the calling thread leaves signals to others, faults apart; true where there are none. */
bool util_has_quiet_signals(void);

/* Whether that is how peers know the user of this process. */
bool util_is_own_uid(int64_t uid);

/* Lets the process have so many descriptors and no more. Returns false where it cannot. */
bool util_limit_fds(unsigned n);

/* Sees to it that it may have so many. */
bool util_has_room_for_fds(unsigned n);

/* How often to do what only chance finds, where that would take long. */
unsigned util_rounds(unsigned n);

/* Whether the end of a connection is seen before what came earlier is read. */
bool util_sees_end_behind_data(void);

/* Whether the descriptor of a server that has nothing to do is not readable. */
bool util_becomes_quiet(struct nipc_server *server);

/* How the path of a service ends, the service being "new". */
const char *util_path_suffix(void);

/* Whether a server can have sessions of a profile that the build has. */
bool util_can_serve(uint32_t profile);
