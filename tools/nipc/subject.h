/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What `nipc bench` measures: a subject is one way to ask another process for value + 1, by 40-byte
 * messages (a 32-byte header and a number), one at a time, several in flight, or many in one
 * message. Each is a pair of real processes; every answer is checked.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What all subjects of one run have in common. */
struct subject_options {
        const char *run_dir;  /* a private directory */
        bool is_pipelined;    /* send and receive will be used, else ping or batch */
        uint32_t batch_items; /* numbers in one batch message */
        int server_cpu;       /* -1: not pinned */
};

/* The client's end. Calls return 0, or a negative errno; a wrong answer is -EBADMSG. */
struct subject_client;

struct subject {
        const char *name;
        /* In the child: serves until killed. Writes one byte to ready_fd when it can be asked. */
        int (*serve)(const struct subject_options *options, int ready_fd);
        int (*open)(const struct subject_options *options, struct subject_client **ret_client);
        void (*close)(struct subject_client *client);
        /* One round trip. */
        int (*ping)(struct subject_client *client, uint64_t value);
        /* Half of one: answers come in order. */
        int (*send)(struct subject_client *client, uint64_t value);
        int (*receive)(struct subject_client *client, uint64_t value);
        /* One round trip of options.batch_items numbers from value on. */
        int (*batch)(struct subject_client *client, uint64_t value);
};

extern const struct subject subject_baseline;
extern const struct subject subject_bare_seqpacket;

/* Starts serve() in a child. Returns its pid once it is ready, or a negative errno. */
pid_t subject_start(const struct subject *subject, const struct subject_options *options);

/* Ends a child of subject_start() and reaps it. */
void subject_stop(pid_t pid);

/* CPU time a running child has used, in seconds. */
double subject_cpu_seconds(pid_t pid);

/* Pins the calling process; cpu -1: to all it may use. Returns 0 or a negative errno. */
int subject_pin(int cpu);
