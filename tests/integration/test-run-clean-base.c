/* SPDX-License-Identifier: MIT */

/*
 * Run directories of other boots go, when they are old enough and nobody lives in them; what only
 * has the name of one stays, and so does whatever in them is not ours.
 */

#include "util-env.h"
#include "util-run-clean.h"
#include <errno.h>
#include <fcntl.h>
#include <nipc/run-dir.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define OTHER_BOOT "01234567-89ab-4def-8123-456789abcdef"
#define REGION     "a-0123456789abcdef.ipcshm"

static char other_name[64];

/* A base with a directory of this user and another boot. */
static struct run_clean make_base(const char *name, struct run_clean *ret_other)
{
        struct run_clean base = run_clean_make(name);

        base.is_base = true;
        snprintf(other_name, sizeof(other_name), "%lu-%s", (unsigned long)geteuid(), OTHER_BOOT);
        *ret_other = run_clean_make_below(&base, other_name);
        return base;
}

/* What a server and an agent leave that are killed, and a region of somebody who lives. */
static void fill(const struct run_clean *dir)
{
        run_clean_kill(run_clean_start_server(dir->path, "a"));
        run_clean_kill(run_clean_start_agent(dir->path, "trace"));
        run_clean_make_region(dir, REGION, getpid());
        run_clean_write(dir, "old.lock", "");
}

static void age_all(const struct run_clean *base, const struct run_clean *dir)
{
        static const char *const names[] = {"a.sock", "a.lock", "trace", REGION, "old.lock"};

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                run_clean_age(dir, names[i]);
        run_clean_age(base, other_name);
}

static const char *outcome(const struct run_clean *base, const char *name)
{
        char path[160];

        snprintf(path, sizeof(path), "%s/%s", other_name, name);
        return run_clean_outcome(base, path);
}

static void end(struct run_clean *base, struct run_clean *other)
{
        run_clean_end(base);
        run_clean_end(other);
}

static void test_all_dead(void)
{
        struct run_clean other, base = make_base("dead", &other);

        fill(&other);
        tap_eq_uint(run_clean_count(&other), 5);
        age_all(&base, &other);
        base.is_dry_run = true;
        tap_eq_int(run_clean(&base, 3600), 5);
        tap_eq_str(run_clean_outcome(&base, other_name), "removed");
        tap_eq_uint(run_clean_count(&other), 5);
        base.is_dry_run = false;
        tap_eq_int(run_clean(&base, 3600), 5); /* a lock goes with its socket */
        tap_eq_str(outcome(&base, "a.sock"), "removed");
        tap_eq_str(outcome(&base, "trace"), "removed");
        tap_eq_str(outcome(&base, REGION), "removed"); /* its number was another process's */
        tap_eq_str(outcome(&base, "old.lock"), "removed");
        tap_eq_str(run_clean_outcome(&base, other_name), "removed");
        tap_eq_uint(run_clean_count(&base), 0);
        end(&base, &other);
}

static void test_young(void)
{
        struct run_clean other, base = make_base("young", &other);

        fill(&other);
        age_all(&base, &other);
        run_clean_touch(&other, "trace"); /* what a boot left stays together */
        tap_eq_int(run_clean(&base, 3600), 0);
        tap_eq_uint(base.n_items, 1);
        tap_eq_str(run_clean_outcome(&base, other_name), "young");
        tap_eq_uint(run_clean_count(&other), 5);
        run_clean_age(&other, "trace");
        run_clean_touch(&base, other_name);
        tap_eq_int(run_clean(&base, 3600), 0);
        tap_eq_str(run_clean_outcome(&base, other_name), "young");
        tap_eq_int(run_clean(&base, 0), 5);
        end(&base, &other);
}

/* Somebody may have been told that directory by name. */
static void test_lives(void)
{
        struct run_clean other, base = make_base("lives", &other);
        pid_t server = run_clean_start_server(other.path, "live");
        pid_t agent = run_clean_start_agent(other.path, "live.lane");

        tap_require(server > 0 && agent > 0);
        fill(&other);
        tap_eq_int(run_clean(&base, 0), 4);
        tap_eq_str(outcome(&base, "live.sock"), "live");
        tap_eq_str(outcome(&base, "live.lane"), "live");
        tap_eq_str(run_clean_outcome(&base, other_name), "not empty");
        tap_eq_uint(run_clean_count(&other), 3);
        run_clean_kill(server);
        run_clean_kill(agent);
        tap_eq_int(run_clean(&base, 0), 3);
        tap_eq_uint(run_clean_count(&base), 0);
        end(&base, &other);
}

static void test_unknown(void)
{
        struct run_clean other, base = make_base("unknown", &other);

        fill(&other);
        run_clean_write(&other, "notes.txt", "mine");
        tap_check(mkdirat(other.fd, "sub", 0700) == 0);
        tap_check(symlinkat("/", other.fd, "root") == 0);
        tap_eq_int(run_clean(&base, 0), 4);
        tap_eq_str(outcome(&base, "notes.txt"), "unknown");
        tap_eq_str(outcome(&base, "sub"), "unknown");
        tap_eq_str(outcome(&base, "root"), "unknown");
        tap_eq_str(run_clean_outcome(&base, other_name), "not empty");
        tap_eq_uint(run_clean_count(&other), 3);
        tap_check(run_clean_is(&other, "notes.txt", "mine"));
        end(&base, &other);
}

/* That of this boot: by what each thing says, and the directory stays. */
static void test_this_boot(void)
{
        struct run_clean other, own, base = make_base("this", &other);
        char path[160];
        const char *name;

        tap_require(nipc_run_dir_format(base.path, -1, path, sizeof(path)) == 0);
        name = strrchr(path, '/') + 1;
        own = run_clean_make_below(&base, name);
        fill(&own);
        tap_eq_int(run_clean(&base, 0), 3); /* endpoint, lanes; and the other directory, empty */
        tap_eq_str(run_clean_outcome(&base, name), "not mentioned");
        tap_eq_uint(run_clean_count(&own),
                    2); /* the region's owner lives, and a lock says nothing */
        tap_check(run_clean_has(&own, REGION) && run_clean_has(&own, "old.lock"));
        tap_eq_uint(run_clean_count(&base), 1);
        run_clean_end(&own);
        end(&base, &other);
}

/* ---- no run directories ---------------------------------------------------------------------- */

static void test_other_names(void)
{
        static const char *const names[] = {"x",
                                            "-" OTHER_BOOT,
                                            "0x-" OTHER_BOOT,
                                            "00-" OTHER_BOOT,
                                            "4294967296-" OTHER_BOOT,
                                            "99999999999-" OTHER_BOOT,
                                            "0-" OTHER_BOOT "0",
                                            "0-01234567-89AB-4def-8123-456789abcdef",
                                            "0-01234567-89ab-4def-8123_456789abcdef",
                                            "0-0123456789ab4def8123456789abcdef"};
        struct run_clean other, base = make_base("names", &other);

        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                struct run_clean dir = run_clean_make_below(&base, names[i]);

                run_clean_kill(run_clean_start_server(dir.path, "a"));
                run_clean_end(&dir);
        }
        tap_eq_int(run_clean(&base, 0), 1);
        tap_eq_uint(base.n_items, 1);
        tap_eq_uint(run_clean_count(&base), sizeof(names) / sizeof(names[0]));
        end(&base, &other);
}

/* A link to a directory of another boot, a file, a pipe. */
static void test_no_directory(void)
{
        struct run_clean other, base = make_base("kinds", &other);

        fill(&other);
        tap_check(renameat(base.fd, other_name, base.fd, "target") == 0);
        tap_check(symlinkat("target", base.fd, other_name) == 0);
        tap_eq_int(run_clean(&base, 0), 0);
        tap_eq_str(run_clean_outcome(&base, other_name), "unknown");
        tap_check(run_clean_has(&base, other_name));
        tap_eq_uint(run_clean_count(&other), 5);
        tap_check(unlinkat(base.fd, other_name, 0) == 0);
        tap_check(mkfifoat(base.fd, other_name, 0600) == 0);
        tap_eq_int(run_clean(&base, 0), 0);
        tap_eq_str(run_clean_outcome(&base, other_name), "unknown");
        tap_check(run_clean_has(&base, other_name));
        end(&base, &other);
}

static void run_as_other(void *userdata)
{
        struct run_clean *base = userdata;

        tap_check(setgid(12345) == 0 && setuid(12345) == 0);
        tap_eq_int(run_clean(base, 0), 0);
        tap_eq_str(run_clean_outcome(base, other_name), "foreign");
}

/* Root cleans up after everybody, others after themselves; nobody where name and owner differ. */
static void test_foreign(void)
{
        struct run_clean other, base = make_base("foreign", &other);
        char name[64];

        fill(&other);
        snprintf(name, sizeof(name), "%u-%s", 54321u, OTHER_BOOT);
        tap_check(renameat(base.fd, other_name, base.fd, name) == 0);
        tap_eq_int(run_clean(&base, 0), 0);
        tap_eq_str(run_clean_outcome(&base, name), "foreign");
        tap_check(renameat(base.fd, name, base.fd, other_name) == 0);
        if (geteuid() == 0 && chmod(base.path, 01777) == 0 && chmod(util_dir(), 0755) == 0)
                util_in_child(run_as_other, &base);
        tap_eq_uint(run_clean_count(&other), 5);
        if (fchown(other.fd, 54321, (gid_t)-1) == 0) {
                tap_check(renameat(base.fd, other_name, base.fd, name) == 0);
                tap_eq_int(run_clean(&base, 0), 0); /* files in it that are not that user's */
                tap_eq_str(run_clean_outcome(&base, name), "not empty");
                tap_eq_uint(run_clean_count(&other), 5);
        }
        end(&base, &other);
}

static int stop(void *userdata, const struct nipc_clean_item *item)
{
        return ++*(int *)userdata == 2 ? -EINTR : 0;
}

static void test_visitor_ends(void)
{
        struct nipc_clean_config config = NIPC_CLEAN_CONFIG_INIT;
        struct run_clean other, base = make_base("ends", &other);
        int n = 0;

        fill(&other);
        config.visit = stop;
        config.userdata = &n;
        config.is_dry_run = true;
        util_eq_error(nipc_run_dir_clean_base(base.path, &config), -EINTR);
        tap_eq_int(n, 2);
        end(&base, &other);
}

UTIL_MAIN(TAP_CASE(test_all_dead), TAP_CASE(test_young), TAP_CASE(test_lives),
          TAP_CASE(test_unknown), TAP_CASE(test_this_boot), TAP_CASE(test_other_names),
          TAP_CASE(test_no_directory), TAP_CASE(test_foreign), TAP_CASE(test_visitor_ends))
