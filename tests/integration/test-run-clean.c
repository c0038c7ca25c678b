/* SPDX-License-Identifier: MIT */

/*
 * What earlier boots and dead owners left is removed, and nothing else is: real processes that were
 * killed or live, directories that say they are of another boot, and things that only look like
 * ours.
 */

#include "lane-private.h"
#include "util-env.h"
#include "util-run-clean.h"
#include <errno.h>
#include <fcntl.h>
#include <nipc/endpoint.h>
#include <nipc/listener.h>
#include <nipc/run-dir.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- dead owners ----------------------------------------------------------------------------- */

static void test_dead_server(void)
{
        struct run_clean dir = run_clean_make("server");
        pid_t pid = run_clean_start_server(dir.path, "a");

        tap_require(pid > 0);
        tap_eq_int(run_clean(&dir, 0), 0);
        tap_eq_str(run_clean_outcome(&dir, "a.sock"), "live");
        run_clean_kill(pid);
        tap_eq_int(run_clean(&dir, 3600), 0);
        tap_eq_str(run_clean_outcome(&dir, "a.sock"), "young");
        tap_check(run_clean_has(&dir, "a.sock") && run_clean_has(&dir, "a.lock"));
        run_clean_age(&dir, "a.sock");
        tap_eq_int(run_clean(&dir, 3600), 0); /* its lock is young */
        run_clean_age(&dir, "a.lock");
        dir.is_dry_run = true;
        tap_eq_int(run_clean(&dir, 3600), 1);
        tap_check(run_clean_has(&dir, "a.sock") && run_clean_has(&dir, "a.lock"));
        dir.is_dry_run = false;
        tap_eq_int(run_clean(&dir, 3600), 1);
        tap_eq_str(run_clean_outcome(&dir, "a.sock"), "removed");
        tap_eq_uint(run_clean_count(&dir), 0);
        run_clean_end(&dir);
}

static void test_dead_agent(void)
{
        struct run_clean dir = run_clean_make("agent");
        pid_t pid = run_clean_start_agent(dir.path, "trace.lane");

        tap_require(pid > 0);
        run_clean_age(&dir, "trace.lane");
        tap_eq_int(run_clean(&dir, 0), 0);
        tap_eq_str(run_clean_outcome(&dir, "trace.lane"), "live");
        run_clean_kill(pid);
        run_clean_touch(&dir, "trace.lane");
        tap_eq_int(run_clean(&dir, 3600), 0);
        tap_eq_str(run_clean_outcome(&dir, "trace.lane"), "young");
        run_clean_age(&dir, "trace.lane");
        tap_eq_int(run_clean(&dir, 3600), 1);
        tap_eq_uint(run_clean_count(&dir), 0);
        run_clean_end(&dir);
}

/* Who made it is told by the file, not by where it lies. */
static void patch_owner(const struct run_clean *dir, const char *name, bool is_other_boot)
{
        struct nipc__lane_header header;
        int fd = openat(dir->fd, name, O_RDWR | O_CLOEXEC);

        tap_check(pread(fd, &header, sizeof(header), 0) == sizeof(header));
        if (is_other_boot)
                header.owner.boot_id[3] ^= 1;
        else
                header.owner.pid_ns ^= 1;
        tap_check(pwrite(fd, &header, sizeof(header), 0) == sizeof(header));
        close(fd);
}

static void test_agent_elsewhere(void)
{
        struct run_clean dir = run_clean_make("elsewhere");
        pid_t pid = run_clean_start_agent(dir.path, "namespace");
        pid_t other = run_clean_start_agent(dir.path, "boot");

        tap_require(pid > 0 && other > 0);
        patch_owner(&dir, "namespace", false);
        patch_owner(&dir, "boot", true);
        tap_eq_int(run_clean(&dir, 0), 1);
        tap_eq_str(run_clean_outcome(&dir, "namespace"), "unproven");
        tap_eq_str(run_clean_outcome(&dir, "boot"), "removed");
        run_clean_kill(pid);
        run_clean_kill(other);
        tap_eq_int(run_clean(&dir, 0), 0);
        tap_check(run_clean_has(&dir, "namespace"));
        run_clean_end(&dir);
}

static void test_regions(void)
{
        static const char dead[] = "a-0123456789abcdef.ipcshm";
        static const char live[] = "a-00000000000000aa.ipcshm";
        struct run_clean dir = run_clean_make("regions");
        pid_t pid = fork();

        if (pid == 0)
                _exit(0);
        tap_require(pid > 0 && waitpid(pid, NULL, 0) == pid);
        run_clean_make_region(&dir, dead, pid);
        run_clean_make_region(&dir, live, getpid());
        run_clean_make_region(&dir, "a-123.ipcshm", pid); /* none of ours */
        tap_eq_int(run_clean(&dir, 3600), 0);
        tap_eq_str(run_clean_outcome(&dir, dead), "young");
        tap_eq_int(run_clean(&dir, 0), 1);
        tap_eq_str(run_clean_outcome(&dir, dead), "removed");
        tap_eq_str(run_clean_outcome(&dir, live), "live");
        tap_eq_str(run_clean_outcome(&dir, "a-123.ipcshm"), "unknown");
        tap_eq_uint(run_clean_count(&dir), 2);
        run_clean_end(&dir);
}

/* Locks without a socket: those that say who had them, when that one is dead. */
static void test_locks(void)
{
        struct run_clean dir = run_clean_make("locks");
        char self[16], none[16];
        pid_t pid = fork();

        if (pid == 0)
                _exit(0);
        tap_require(pid > 0 && waitpid(pid, NULL, 0) == pid);
        snprintf(self, sizeof(self), "%d\n", (int)getpid());
        snprintf(none, sizeof(none), "%d\n", (int)pid);
        run_clean_write(&dir, "self.lock", self);
        run_clean_write(&dir, "dead.lock", none);
        run_clean_write(&dir, "empty.lock", "");
        run_clean_write(&dir, "text.lock", "whose is this\n");
        tap_eq_int(run_clean(&dir, 0), 1);
        tap_eq_str(run_clean_outcome(&dir, "dead.lock"), "removed");
        tap_eq_str(run_clean_outcome(&dir, "self.lock"), "unproven");
        tap_eq_str(run_clean_outcome(&dir, "empty.lock"), "unknown");
        tap_eq_str(run_clean_outcome(&dir, "text.lock"), "unknown");
        tap_eq_uint(run_clean_count(&dir), 3);
        run_clean_end(&dir);
}

/* ---- things that are not ours ---------------------------------------------------------------- */

static void test_hostile(void)
{
        static const char *const names[] = {
                "link.sock", "link.lock", "link-0123456789abcdef.ipcshm", "link",
                "pipe.sock", "pipe.lock", "pipe-0123456789abcdef.ipcshm", "pipe",
                "dir.sock",  "dir.lock",  "dir-0123456789abcdef.ipcshm",  "dir",
                "file.sock", "file"};
        struct run_clean dir = run_clean_make("hostile");
        struct run_clean victim = run_clean_make("victim");

        run_clean_write(&victim, "file", "1\n");
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
                if (names[i][0] == 'l')
                        tap_check(symlinkat("../victim/file", dir.fd, names[i]) == 0);
                else if (names[i][0] == 'p')
                        tap_check(mkfifoat(dir.fd, names[i], 0600) == 0);
                else if (names[i][0] == 'd')
                        tap_check(mkdirat(dir.fd, names[i], 0700) == 0);
                else
                        run_clean_write(&dir, names[i], "1\n");
        }
        tap_eq_int(run_clean(&dir, 0), 0);
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                if (!tap_eq_str(run_clean_outcome(&dir, names[i]), "unknown"))
                        tap_note("name: %s", names[i]);
        tap_eq_uint(run_clean_count(&dir), sizeof(names) / sizeof(names[0]));
        tap_check(run_clean_is(&victim, "file", "1\n"));
        run_clean_end(&dir);
        run_clean_end(&victim);
}

/* A dead socket whose lock leads to somebody else's file: it would be truncated, and made private.
 */
static void test_hostile_lock(void)
{
        struct run_clean dir = run_clean_make("lock");
        struct run_clean victim = run_clean_make("locked");
        struct stat st;

        run_clean_write(&victim, "file", "1\n");
        tap_check(fchmodat(victim.fd, "file", 0644, 0) == 0);
        run_clean_kill(run_clean_start_server(dir.path, "a"));
        tap_check(unlinkat(dir.fd, "a.lock", 0) == 0);
        tap_check(linkat(victim.fd, "file", dir.fd, "a.lock", 0) == 0);
        tap_eq_int(run_clean(&dir, 0), 0);
        tap_eq_str(run_clean_outcome(&dir, "a.sock"), "unknown");
        tap_check(unlinkat(dir.fd, "a.lock", 0) == 0);
        tap_check(symlinkat("../locked/file", dir.fd, "a.lock") == 0);
        tap_eq_int(run_clean(&dir, 0), 0);
        tap_check(unlinkat(dir.fd, "a.lock", 0) == 0 && mkfifoat(dir.fd, "a.lock", 0600) == 0);
        tap_eq_int(run_clean(&dir, 0), 0);
        tap_check(run_clean_has(&dir, "a.lock") && run_clean_has(&dir, "a.sock"));
        tap_check(fstatat(victim.fd, "file", &st, 0) == 0 && (st.st_mode & 0777) == 0644);
        tap_check(run_clean_is(&victim, "file", "1\n"));
        tap_check(unlinkat(dir.fd, "a.lock", 0) == 0);
        tap_eq_int(run_clean(&dir, 0), 1);
        run_clean_end(&dir);
        run_clean_end(&victim);
}

static void test_foreign(void)
{
        struct run_clean dir = run_clean_make("foreign");

        run_clean_kill(run_clean_start_server(dir.path, "a"));
        if (fchownat(dir.fd, "a.sock", 12345, (gid_t)-1, AT_SYMLINK_NOFOLLOW) < 0) {
                run_clean_end(&dir);
                tap_skip("only root can give files away");
        }
        tap_eq_int(run_clean(&dir, 0), 0);
        tap_eq_str(run_clean_outcome(&dir, "a.sock"), "foreign");
        tap_check(run_clean_has(&dir, "a.sock") && run_clean_has(&dir, "a.lock"));
        run_clean_end(&dir);
}

static void test_link_to_directory(void)
{
        struct run_clean dir = run_clean_make("target");
        struct nipc_clean_config config = NIPC_CLEAN_CONFIG_INIT;

        run_clean_kill(run_clean_start_server(dir.path, "a"));
        tap_check(symlink(dir.path, util_path("named")) == 0);
        tap_check(nipc_run_dir_clean(util_path("named"), &config) < 0);
        tap_check(run_clean_has(&dir, "a.sock"));
        run_clean_end(&dir);
}

/* ---- those who start meanwhile --------------------------------------------------------------- */

#define STARTS 200

static void start_often(void *userdata)
{
        const char *run_dir = userdata;

        for (unsigned i = 0; i < STARTS; i++) {
                struct nipc_endpoint_info info = {.size = sizeof(info)};
                struct nipc_listener_config config = NIPC_LISTENER_CONFIG_INIT;
                struct nipc_listener *listener = NULL;

                /* The one before it leaves something to take over, or to clean, but not both. */
                run_clean_kill(run_clean_start_server(run_dir, "a"));
                config.run_dir = run_dir;
                config.service = "a";
                if (!util_eq_error(nipc_listener_open(&config, &listener), 0))
                        return;
                for (unsigned look = 0; look < 20; look++) {
                        util_eq_error(nipc_endpoint_probe(run_dir, "a", true, &info), 0);
                        if (!tap_check(info.state == NIPC_ENDPOINT_LIVE && info.locked))
                                break;
                }
                nipc_listener_close(listener);
        }
}

static void test_race(void)
{
        struct run_clean dir = run_clean_make("race");
        const pid_t parent = getpid(), pid = fork();
        int status = -1;

        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (getppid() != parent)
                        _exit(98);
                util_arm_watchdog();
                start_often(dir.path);
                _exit(atomic_load(&tap__state.failures) != 0);
        }
        tap_require(pid > 0);
        while (waitpid(pid, &status, WNOHANG) == 0)
                if (!tap_check(run_clean(&dir, 0) >= 0))
                        break;
        tap_eq_int(status, 0);
        run_clean(&dir, 0);
        tap_eq_uint(run_clean_count(&dir), 0);
        run_clean_end(&dir);
}

static void test_arguments(void)
{
        struct {
                struct nipc_clean_config config;
                uint64_t more;
        } newer = {NIPC_CLEAN_CONFIG_INIT, 1};
        struct nipc_clean_config config = NIPC_CLEAN_CONFIG_INIT;

        util_eq_error(nipc_run_dir_clean(NULL, &config), -EINVAL);
        util_eq_error(nipc_run_dir_clean("", &config), -EINVAL);
        util_eq_error(nipc_run_dir_clean_base(NULL, &config), -EINVAL);
        util_eq_error(nipc_run_dir_clean(util_path("none"), &config), -ENOENT);
        util_eq_error(nipc_run_dir_clean_base(util_path("none"), NULL), -ENOENT);
        newer.config.size = sizeof(newer);
        util_eq_error(nipc_run_dir_clean(util_dir(), &newer.config), -E2BIG);
        config.size = 0;
        util_eq_error(nipc_run_dir_clean(util_dir(), &config), -EINVAL);
}

UTIL_MAIN(TAP_CASE(test_dead_server), TAP_CASE(test_dead_agent), TAP_CASE(test_agent_elsewhere),
          TAP_CASE(test_regions), TAP_CASE(test_locks), TAP_CASE(test_hostile),
          TAP_CASE(test_hostile_lock), TAP_CASE(test_foreign), TAP_CASE(test_link_to_directory),
          TAP_CASE(test_race), TAP_CASE(test_arguments))
