/* SPDX-License-Identifier: MIT */
/* What is made of the files of /proc, in a directory laid out like it: as they are, and broken. */
#include <process.h>

#include "util-env.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define PID 4242u

/* Fields 3 to 38 and the rest, of a process with so many threads. */
#define FIELDS_OF(n_threads, flags, exit_signal)                                       \
        " S 4000 4242 4242 0 -1 " flags " 10 11 12 13 14 15 16 17 18 19 " n_threads    \
        " 0 987654321 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 " exit_signal " 39" \
        " 40 41 42 43 44 45 46 47 48 49 50 51 52\n"
#define FIELDS(flags, exit_signal) FIELDS_OF("1", flags, exit_signal)
#define STAT(flags, exit_signal)   "4242 (sh)" FIELDS(flags, exit_signal)
#define ALIVE                      STAT("4194560", "17")
#define ZOMBIE                     STAT("4194564", "17")
#define REAPED                     "4242 (sh)" FIELDS_OF("0", "4194564", "17")

static void write_bytes(const char *name, const char *bytes, size_t size)
{
        FILE *file = fopen(util_path(name), "we");

        if (!file || fwrite(bytes, 1, size, file) != size || fclose(file) != 0)
                tap_fail("cannot write %s", name);
}

/* NULL: there is no such file. */
static void write_text(const char *name, const char *text)
{
        util_remove(util_path(name));
        if (text)
                write_bytes(name, text, strlen(text));
}

static struct process_reader open_reader(void)
{
        struct process_reader reader = {.root_fd = -1};

        mkdir(util_path("4242"), 0700);
        util_eq_error(process_reader_open(util_dir(), &reader), 0);
        return reader;
}

static void test_stat(void)
{
        struct process_reader reader = open_reader();
        struct process process = {0};

        write_text("4242/stat", ALIVE);
        write_text("4242/cgroup", "0::/a\n");
        util_eq_error(process_read(&reader, PID, &process), 0);
        tap_eq_uint(process.pid, PID);
        tap_eq_uint(process.ppid, 4000);
        tap_eq_uint(process.uid, geteuid());
        tap_eq_uint(process.starttime, 987654321);
        tap_eq_str(process.comm, "sh");
        tap_check(!process.kernel_thread && !process.exiting);
        write_text("4242/stat", STAT("2129984", "0"));
        util_eq_error(process_read(&reader, PID, &process), 0);
        tap_check(process.kernel_thread);
        write_text("4242/stat", ZOMBIE);
        util_eq_error(process_read(&reader, PID, &process), 0);
        tap_check(process.exiting);
        process_reader_close(&reader);
}

static void test_stat_names(void)
{
        static const struct {
                const char *name, *comm;
        } rows[] = {
                {"a)b(c) 1 2 ()", "a)b(c) 1 2 ()"},
                {"kworker/u8:3-events_unbound", "kworker/u8:3-ev"},
                {"", "?"},
                {")", ")"},
                {"\n", "\n"},
        };
        struct process_reader reader = open_reader();

        write_text("4242/cgroup", "0::/a\n");
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct process process = {0};
                char text[512];

                snprintf(text, sizeof(text), "4242 (%s)%s", rows[i].name, FIELDS("0", "17"));
                write_text("4242/stat", text);
                util_eq_error(process_read(&reader, PID, &process), 0);
                tap_eq_str(process.comm, rows[i].comm);
                tap_eq_uint(process.comm_len, strlen(rows[i].comm));
                tap_eq_uint(process.ppid, 4000);
        }
        process_reader_close(&reader);
}

static void test_stat_broken(void)
{
        static const struct {
                const char *stat;
                int r;
        } rows[] = {
                {NULL, -ESRCH},
                {STAT("0", "-1"), -ESRCH}, /* a thread */
                {REAPED, -ESRCH},
                {"", -EBADMSG},
                {"\n", -EBADMSG},
                {"4242", -EBADMSG},
                {"4242 (sh", -EBADMSG},
                {"4242 )sh(" FIELDS("0", "17"), -EBADMSG},
                {"(sh)" FIELDS("0", "17"), -EBADMSG},
                {" (sh)" FIELDS("0", "17"), -EBADMSG},
                {"4243 (sh)" FIELDS("0", "17"), -EBADMSG},
                {"-4242 (sh)" FIELDS("0", "17"), -EBADMSG},
                {"4242(sh)" FIELDS("0", "17"), -EBADMSG},
                {STAT("-1", "17"), -EBADMSG},
                {STAT("x", "17"), -EBADMSG},
                {STAT("", "17"), -EBADMSG},
                {STAT("18446744073709551616", "17"), -EBADMSG},
                {STAT("0", "x"), -EBADMSG},
                {STAT("x", "-1"), -EBADMSG},
        };
        struct process_reader reader = open_reader();

        write_text("4242/cgroup", "0::/a\n");
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct process process = {.pid = 77};

                write_text("4242/stat", rows[i].stat);
                util_eq_error(process_read(&reader, PID, &process), rows[i].r);
                tap_eq_uint(process.pid, 77);
        }
        process_reader_close(&reader);
}

/* Cut anywhere it is whole or broken; with any byte changed it is read or refused. */
static void test_stat_mutated(void)
{
        static const char stat[] = ALIVE;
        struct process_reader reader = open_reader();
        struct process process = {0};
        size_t needed = (size_t)(strstr(stat, " 17 39") - stat) + 2; /* with one digit of it */

        write_text("4242/cgroup", "0::/a\n");
        for (size_t i = 0; i < sizeof(stat) - 1; i++) {
                char text[sizeof(stat)];
                int r;

                write_bytes("4242/stat", stat, i);
                r = process_read(&reader, PID, &process);
                util_eq_error(r, i < needed ? -EBADMSG : 0);
                memcpy(text, stat, sizeof(stat));
                text[i] = '\0';
                write_bytes("4242/stat", text, sizeof(stat) - 1);
                util_eq_error(process_read(&reader, PID, &process), -EBADMSG);
                text[i] = (char)(stat[i] ^ 0x11);
                write_bytes("4242/stat", text, sizeof(stat) - 1);
                r = process_read(&reader, PID, &process);
                tap_check(r == 0 || r == -EBADMSG || r == -ESRCH);
        }
        process_reader_close(&reader);
}

static void test_huge(void)
{
        struct process_reader reader = open_reader();
        struct process process = {0};
        size_t size = 100000;
        char *bytes = malloc(size);

        tap_require(bytes != NULL);
        memset(bytes, 'a', size);
        memcpy(bytes, "0::/", 4);
        write_text("4242/stat", ALIVE);
        write_bytes("4242/cgroup", bytes, size);
        util_eq_error(process_read(&reader, PID, &process), 0);
        tap_eq_int(process.cgroup_status, PROCESS_CGROUP_RETRY_LATER);
        tap_eq_int(process.cgroup_error, EMSGSIZE);
        memcpy(bytes, "4242 (", 6);
        write_bytes("4242/stat", bytes, size);
        util_eq_error(process_read(&reader, PID, &process), -EBADMSG);
        free(bytes);
        process_reader_close(&reader);
}

struct placement {
        const char *stat;
        const char *cgroup; /* the file */
        enum process_cgroup_status status;
        const char *path;
};

static const struct placement placements[] = {
        {ALIVE, "0::/\n", PROCESS_CGROUP_HOST_ROOT, ""},
        {ZOMBIE, "0::/\n", PROCESS_CGROUP_HOST_ROOT, ""},
        {ALIVE, "0::/a.slice/b\n", PROCESS_CGROUP_KNOWN, "/a.slice/b"},
        {ALIVE, "0::/a:b::c\n", PROCESS_CGROUP_KNOWN, "/a:b::c"},
        {ALIVE, "0::/\xff\xfe\n", PROCESS_CGROUP_KNOWN, "/\xff\xfe"},
        /* only the dead stay in what was removed */
        {ZOMBIE, "0::/a (deleted)\n", PROCESS_CGROUP_KNOWN, "/a"},
        {ALIVE, "0::/a (deleted)\n", PROCESS_CGROUP_KNOWN, "/a (deleted)"},
        {ZOMBIE, "0::/ (deleted)\n", PROCESS_CGROUP_KNOWN, "/ (deleted)"},
        {ZOMBIE, "1:name=systemd:/a (deleted)\n", PROCESS_CGROUP_KNOWN, "/a (deleted)"},
        /* beyond the root of our namespace */
        {ALIVE, "0::/..\n", PROCESS_CGROUP_PERMANENT, "/.."},
        {ALIVE, "0::/../../a\n", PROCESS_CGROUP_PERMANENT, "/../../a"},
        {ALIVE, "0::/..a\n", PROCESS_CGROUP_KNOWN, "/..a"},
        /* several hierarchies */
        {ALIVE, "2:cpu,cpuacct:/c\n1:name=systemd:/s\n0::/u\n", PROCESS_CGROUP_KNOWN, "/s"},
        {ALIVE, "2:cpu,cpuacct:/c\n1:name=systemd:/\n0::/u\n", PROCESS_CGROUP_KNOWN, "/u"},
        {ALIVE, "3:memory:/m\n2:cpu,cpuacct:/c\n1:name=systemd:/\n0::/\n", PROCESS_CGROUP_KNOWN,
         "/c"},
        {ALIVE, "3:memory:/m\n2:cpuacct,cpu:/\n0::/\n", PROCESS_CGROUP_KNOWN, "/m"},
        {ALIVE, "3:cpuset:/m\n2:cpu:/\n0::/\n", PROCESS_CGROUP_HOST_ROOT, ""},
        {ALIVE, "2:cpuset,cpuacct:/c\n", PROCESS_CGROUP_KNOWN, "/c"},
        {ALIVE, "4:name=mine:/m\n1:name=systemd:/\n", PROCESS_CGROUP_HOST_ROOT, ""},
        /* v1 says the root of all that exit */
        {ZOMBIE, "2:cpu:/\n1:name=systemd:/\n", PROCESS_CGROUP_RETRY_LATER, ""},
        {ZOMBIE, "2:cpu:/\n1:name=systemd:/\n0::/u\n", PROCESS_CGROUP_KNOWN, "/u"},
        /* nothing of use */
        {ALIVE, NULL, PROCESS_CGROUP_RETRY_LATER, ""},
        {ALIVE, "", PROCESS_CGROUP_RETRY_LATER, ""},
        {ALIVE, "\n", PROCESS_CGROUP_RETRY_LATER, ""},
        {ALIVE, "0::/cut", PROCESS_CGROUP_RETRY_LATER, ""},
        {ALIVE, "0:/\n0\n::/x\n", PROCESS_CGROUP_RETRY_LATER, ""},
        {ALIVE, "0::relative\n", PROCESS_CGROUP_RETRY_LATER, ""},
        {ALIVE, "0::\n", PROCESS_CGROUP_RETRY_LATER, ""},
        {ALIVE, "7:cpusets:/x\n", PROCESS_CGROUP_RETRY_LATER, ""},
};

static void test_placements(void)
{
        struct process_reader reader = open_reader();

        for (size_t i = 0; i < sizeof(placements) / sizeof(placements[0]); i++) {
                const struct placement *row = &placements[i];
                struct process process = {0};

                write_text("4242/stat", row->stat);
                write_text("4242/cgroup", row->cgroup);
                util_eq_error(process_read(&reader, PID, &process), 0);
                tap_eq_int(process.cgroup_status, row->status);
                tap_eq_str(process.cgroup_path, row->path);
                if (!tap_eq_uint(process.cgroup_path_len, strlen(row->path)))
                        tap_note("%s", row->cgroup);
        }
        process_reader_close(&reader);
}

/* A path in more bytes than any of one name, up to what the kernel may give. */
static void test_long_path(void)
{
        struct process_reader reader = open_reader();
        struct process process = {0};
        char text[4200] = "0::";

        for (size_t len = 3; len < 4098; len++)
                text[len] = len % 100 == 3 ? '/' : 'a';
        strcat(text, "\n");
        write_text("4242/stat", ALIVE);
        write_text("4242/cgroup", text);
        util_eq_error(process_read(&reader, PID, &process), 0);
        tap_eq_int(process.cgroup_status, PROCESS_CGROUP_KNOWN);
        tap_eq_uint(process.cgroup_path_len, 4095);
        process_reader_close(&reader);
}

/* Not what it should be, and not for us to read; a link is not followed. */
static void test_odd_files(void)
{
        struct process_reader reader = open_reader();
        struct process process = {0};

        write_text("4242/stat", NULL);
        write_text("4242/cgroup", "0::/a\n");
        tap_require(mkdir(util_path("4242/stat"), 0700) == 0);
        util_eq_error(process_read(&reader, PID, &process), -EISDIR);
        write_text("4242/stat", NULL);
        write_text("real", ALIVE);
        tap_require(symlink(util_path("real"), util_path("4242/stat")) == 0);
        util_eq_error(process_read(&reader, PID, &process), -ELOOP);
        write_text("4242/stat", ALIVE);
        chmod(util_path("4242/stat"), 0);
        if (geteuid() != 0)
                util_eq_error(process_read(&reader, PID, &process), -EACCES);
        write_text("17", "a file\n");
        util_eq_error(process_read(&reader, 17, &process), -ESRCH);
        util_eq_error(process_reader_open(util_path("none"), &reader), -ENOENT);
        util_eq_error(process_reader_open(util_path("17"), &reader), -ENOTDIR);
        process_reader_close(&reader);
}

UTIL_MAIN(TAP_CASE(test_stat), TAP_CASE(test_stat_names), TAP_CASE(test_stat_broken),
          TAP_CASE(test_stat_mutated), TAP_CASE(test_huge), TAP_CASE(test_placements),
          TAP_CASE(test_long_path), TAP_CASE(test_odd_files))
