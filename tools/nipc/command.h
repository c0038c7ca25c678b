/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * One subcommand of the nipc tool per file: each defines a `const struct command command_<name>`,
 * command-list.c lists them. A command parses its own options with GOptionContext from argv
 * (argv[0] is the command's name), writes results to stdout and one line of reason to stderr.
 */

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

enum {
        COMMAND_SUCCESS = 0,
        COMMAND_FAILURE = 1, /* reason on stderr, one line */
        COMMAND_USAGE = 2,
};

/*
 * The global options, accepted before the command and among its own. Borrowed by commands; complete
 * once command_parse() returned.
 */
struct command_context {
        const char *run_dir;     /* see globals.c */
        const char *run_base;    /* what it is composed from, by user and boot; NULL: it is not */
        bool run_dir_is_default; /* nobody named it: `nipc serve` makes it */
        uint64_t auth_token;
        bool json;
        char **argv; /* of the process, as it got them: NULL-terminated */
};

struct command {
        const char *name;
        const char *arguments; /* for the usage line, "SERVICE [KEY...]" */
        const char *summary;   /* one line for `nipc --help` */
        bool uses_run_dir;     /* which is checked, where it is one by user and boot */
        int (*run)(const struct command_context *context, int argc, char **argv);
};

extern const struct command command_bench;
extern const struct command command_call;
extern const struct command command_clean;
extern const struct command command_decode;
extern const struct command command_doctor;
extern const struct command command_encode;
extern const struct command command_lane;
extern const struct command command_ls;
extern const struct command command_ping;
extern const struct command command_serve;
extern const struct command command_stat;
extern const struct command command_top;
extern const struct command command_watch;

/* Those of this system, NULL at the end. */
extern const struct command *const command_list[];

/*
 * To be called first: what the standard descriptors need, and arguments in UTF-8. *argv: is
 * replaced where it is not, and then lives as long as the process.
 */
void command_prepare_process(int *argc, char ***argv);

/*
 * Parses the command's own options. entries: NULL-terminated. Returns true to go on; false when the
 * command is over (--help was printed, or the usage was wrong and said so), *ret_status set then.
 */
bool command_parse(const struct command *command, const GOptionEntry *entries, int *argc,
                   char ***argv, int *ret_status);

/*
 * Prints "nipc COMMAND: reason" to stderr, in one line, and returns COMMAND_FAILURE. command: NULL
 * before there is one.
 */
int command_fail(const struct command *command, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* The same for wrong usage, with a pointer to --help; returns COMMAND_USAGE. */
int command_usage(const struct command *command, const char *format, ...) G_GNUC_PRINTF(2, 3);
