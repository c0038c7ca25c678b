/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A run directory or a base to be cleaned, what to put into it, and what became of it. Servers and
 * agents are processes of their own, which die with the test.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define RUN_CLEAN_MAX_ITEMS 64u

struct run_clean {
        char path[104];
        int fd;
        bool is_base;
        bool is_dry_run;
        size_t n_items;
        struct {
                char path[160];
                const char *outcome;
        } items[RUN_CLEAN_MAX_ITEMS];
};

/* A new directory of util_dir(). */
struct run_clean run_clean_make(const char *name);

/* One in a base, with this name; its path is relative to that of the test. */
struct run_clean run_clean_make_below(const struct run_clean *base, const char *name);

void run_clean_end(struct run_clean *dir);

/* Cleans, and notes what was said. Returns what the library did. */
int run_clean(struct run_clean *dir, uint64_t min_age_s);

/* What was said of this, in the last run: "live", "young", ...; "not mentioned". */
const char *run_clean_outcome(const struct run_clean *dir, const char *path);

bool run_clean_has(const struct run_clean *dir, const char *name);
size_t run_clean_count(const struct run_clean *dir);

/* Changed two hours ago, or now. */
void run_clean_age(const struct run_clean *dir, const char *name);
void run_clean_touch(const struct run_clean *dir, const char *name);

bool run_clean_is(const struct run_clean *dir, const char *name, const char *text);
void run_clean_write(const struct run_clean *dir, const char *name, const char *text);

/* A region of a NetIPC v1 server, which holds no lock. */
void run_clean_make_region(const struct run_clean *dir, const char *name, pid_t owner);

/* Once they serve, and once their file has lanes. Return -1 when that fails. */
pid_t run_clean_start_server(const char *run_dir, const char *service);
pid_t run_clean_start_agent(const char *run_dir, const char *name);
void run_clean_kill(pid_t pid);
