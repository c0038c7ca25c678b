/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What `nipc bench` measures: a subject is one way to ask another process. Most scenarios ask for
 * value + 1, by 40-byte messages (a 32-byte header and a number), one at a time, several in flight,
 * many in one message, or by many clients at once; the others fetch a snapshot of cgroups, look
 * cgroups up, or have a payload sent back. Each subject is a pair of real processes; every answer
 * is checked.
 */

#include "histogram.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum subject_scenario {
        SUBJECT_PING_PONG,
        SUBJECT_PIPELINE,
        SUBJECT_BATCH,
        SUBJECT_SNAPSHOT,
        SUBJECT_LARGE,
        SUBJECT_CLIENTS,
        SUBJECT_FAIRNESS,
        SUBJECT_LANE, /* has subjects of its own */
        SUBJECT_PIPELINE_BATCH,
        SUBJECT_LOOKUP,
        SUBJECT_IDLE,
        SUBJECT_N_SCENARIOS,
};

/* Who asks meanwhile, from another process: the same server, but for apart. */
enum subject_trouble {
        SUBJECT_TROUBLE_NONE,
        SUBJECT_TROUBLE_APART, /* one that sends as much as it can, to a server of its own */
        SUBJECT_TROUBLE_FLOOD, /* the same, to the one server */
        SUBJECT_TROUBLE_CROWD, /* many that say nothing, half of it, or never read */
        SUBJECT_N_TROUBLES,
};

/*
 * What a server handled: numbers, keys of a lookup, or requests. It alone writes it, before it
 * answers, and the answer makes it visible to the client, which counts answers.
 */
struct subject_count {
        _Atomic uint64_t n;
};

/* Takes NULL. */
static inline void subject_count(struct subject_count *count, uint64_t n)
{
        if (!count)
                return;
        n += atomic_load_explicit(&count->n, memory_order_relaxed);
        atomic_store_explicit(&count->n, n, memory_order_relaxed);
}

/* What both ends of a pair know before they are two. */
struct subject_options {
        enum subject_scenario scenario;
        const char *run_dir; /* a private directory */
        uint32_t depth;      /* of a pipeline: at most so many requests in flight */
        uint32_t items;      /* in one batch, snapshot or lookup */
        uint32_t bytes;      /* of one large payload, 8 or more */
        uint32_t n_clients;  /* of a crowd, all driven by one process */
        enum subject_trouble trouble;
        int server_cpu;      /* -1: not pinned */
        uint32_t profile;    /* of the subject */
        const char *program; /* of the subject */
        void *memory;        /* shared by the two, made by prepare() */
        size_t memory_size;
        struct subject_count *served; /* shared by the two, too; NULL: nobody asks */
};
/* The client's end. Calls return 0, or a negative errno; a wrong answer is -EBADMSG. */
struct subject_client;

/* What a client is asked that drives itself. */
struct subject_slice {
        uint64_t length_ns; /* at least one round trip, whatever the length */
        uint64_t rate;      /* per second; 0: as many as possible */
        uint64_t value;     /* of the first request; then of the next slice */
        uint64_t busy_ns;   /* how long it took */
        uint64_t n_done;    /* requests that were answered */
        struct histogram *latency;
};

/* What a subject cannot do is NULL. */
struct subject {
        const char *name;
        uint32_t profile; /* NIPC_PROFILE_*; 0: bare, nothing of nipc in it */
        bool by_default;  /* measured when nobody names profiles */
        bool spins;       /* its server uses a CPU also when nobody asks */
        /* Before the server's process is made: what the two share, in options->memory. */
        int (*prepare)(struct subject_options *options);
        /* In the child: serves until killed. Writes one byte to ready_fd when it can be asked. */
        int (*serve)(const struct subject_options *options, int ready_fd);
        /* options: borrowed until close. */
        int (*open)(const struct subject_options *options, struct subject_client **ret_client);
        void (*close)(struct subject_client *client);
        /* Whether it is what it says. ret_reason: why not, owned, release with g_free(). */
        int (*check)(struct subject_client *client, char **ret_reason);
        /* One round trip. */
        int (*ping)(struct subject_client *client, uint64_t value);
        /* Half of one: answers come in order. */
        int (*send)(struct subject_client *client, uint64_t value);
        int (*receive)(struct subject_client *client, uint64_t value);
        /* One round trip of options.items numbers from value on. */
        int (*batch)(struct subject_client *client, uint64_t value);
        /* Half of one: several in flight, answers come in order. */
        int (*send_batch)(struct subject_client *client, uint64_t value);
        int (*receive_batch)(struct subject_client *client, uint64_t value);
        /* One snapshot of options.items cgroups, all of them looked at. */
        int (*snapshot)(struct subject_client *client, uint64_t value);
        /* One lookup of options.items keys, all answers looked at. */
        int (*lookup)(struct subject_client *client, uint64_t value);
        /* One round trip of options.bytes, different for each value. */
        int (*large)(struct subject_client *client, uint64_t value);
        /*
         * options.n_clients at once, each with one request in flight: asks again until end_ns, then
         * takes the answers that are owed. latency: each round trip is recorded.
         */
        int (*crowd)(struct subject_client *client, uint64_t end_ns, struct histogram *latency);
        /* In a child: makes options->trouble until killed. */
        int (*trouble)(const struct subject_options *options);
        /* A client in a process of its own: all of a slice, in place of all of the above. */
        int (*slice)(struct subject_client *client, struct subject_slice *slice);
        /* Of such a client: the process, and the one that serves if it has its own. */
        void (*get_pids)(const struct subject_client *client, pid_t *client_pid, pid_t *server_pid);
        /* What it said before it failed; NULL: nothing. Borrowed until close. */
        const char *(*get_reason)(const struct subject_client *client);
        const char *program; /* of such a client: what it is called, see subject-peer.h */
        bool one_at_a_time;  /* and whether its program has no pipeline */
        const char *needs;   /* and what it is missing without */
};

extern const struct subject subject_baseline;
extern const struct subject subject_shm_hybrid;
extern const struct subject subject_ring;
extern const struct subject subject_bare_seqpacket;
extern const struct subject subject_bare_shm;
extern const struct subject subject_bare_futex;
extern const struct subject subject_bare_spin128;
extern const struct subject subject_bare_epoll;
extern const struct subject subject_bare_epoll_mt;
extern const struct subject subject_bare_stream;
extern const struct subject subject_bare_pipe;

/* Whether there are several requests in flight; whether there are many clients of one process. */
static inline bool subject_is_pipeline(enum subject_scenario scenario)
{
        return scenario == SUBJECT_PIPELINE || scenario == SUBJECT_PIPELINE_BATCH;
}

static inline bool subject_has_crowd(enum subject_scenario scenario)
{
        return scenario == SUBJECT_CLIENTS || scenario == SUBJECT_FAIRNESS ||
               scenario == SUBJECT_IDLE;
}

/* Whether it has what the scenario needs. */
bool subject_can(const struct subject *subject, enum subject_scenario scenario);

/* Starts serve() in a child. Returns its pid once it is ready, or a negative errno. */
pid_t subject_start(const struct subject *subject, const struct subject_options *options);

/* Starts trouble() in a child. Returns its pid or a negative errno. */
pid_t subject_start_trouble(const struct subject *subject, const struct subject_options *options);

/*
 * Halts a child that would use a CPU while others are measured, and lets it go on. Return once it
 * has happened, 0 or a negative errno: -ECHILD when the child is gone.
 */
int subject_pause(pid_t pid);
int subject_resume(pid_t pid);

/* Ends a child of subject_start() and reaps it. */
void subject_stop(pid_t pid);

/* CPU time a running child has used, in seconds. */
double subject_cpu_seconds(pid_t pid);

/* How often a process (0: this one) was switched away from, by itself or not, its threads too. */
uint64_t subject_count_switches(pid_t pid);

/* Its share of the memory it uses, in KiB; 0: unknown. */
double subject_memory_kb(pid_t pid);

/* Pins all threads of another process; cpu -1: nothing is done. Returns 0 or a negative errno. */
int subject_pin_process(pid_t pid, int cpu);

/* Pins the calling process; cpu -1: to all it may use. Returns 0 or a negative errno. */
int subject_pin(int cpu);
