/* SPDX-License-Identifier: MIT */

/* What a reader must know of the machine, in machine.csv. */

#include "bench-suite.h"
#include "command.h"

#include <gnu/libc-version.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#ifndef NIPC_BENCH_FLAGS
#define NIPC_BENCH_FLAGS "unknown"
#endif

/* The first line, or what follows `key` in the first line that begins with it; NULL: none. Owned.
 */
static char *read_fact(const char *path, const char *key)
{
        g_autofree char *text = NULL;
        g_auto(GStrv) lines = NULL;

        if (!g_file_get_contents(path, &text, NULL, NULL))
                return NULL;
        lines = g_strsplit(text, "\n", -1);
        for (guint i = 0; lines[i]; i++) {
                const char *value = lines[i];

                if (key && !g_str_has_prefix(value, key))
                        continue;
                if (key)
                        value += strcspn(value, ":") + (strchr(value, ':') != NULL);
                return g_strstrip(g_strdup(value));
        }
        return NULL;
}

static void write_fact(FILE *csv, const char *key, const char *value)
{
        fprintf(csv, "%s,", key);
        bench_write_quoted(csv, value && value[0] ? value : "not told");
        fputc('\n', csv);
}

static void write_read(FILE *csv, const char *name, const char *path, const char *key)
{
        g_autofree char *value = read_fact(path, key);

        write_fact(csv, name, value);
}

static char *find_virtualisation(void)
{
        g_autofree char *flags = read_fact("/proc/cpuinfo", "flags");
        g_autofree char *vendor = read_fact("/sys/class/dmi/id/sys_vendor", NULL);
        g_autofree char *product = read_fact("/sys/class/dmi/id/product_name", NULL);
        bool is_virtual = flags && strstr(flags, " hypervisor");

        return g_strdup_printf("%s, %s %s", is_virtual ? "virtual" : "no hypervisor",
                               vendor ? vendor : "unknown", product ? product : "machine");
}

static char *find_placement(void)
{
        return g_strdup_printf("two: client on CPU 0, server on CPU 1; same: both on CPU 0; "
                               "free: where the scheduler puts them; of %u",
                               g_get_num_processors());
}

int bench_write_facts(const char *dir, const struct bench_suite *suite)
{
        FILE *csv = bench_suite_open(dir, "machine.csv");
        g_autoptr(GDateTime) now = g_date_time_new_now_utc();
        g_autofree char *date = g_date_time_format(now, "%Y-%m-%d %H:%M:%S UTC");
        g_autofree char *virtualisation = find_virtualisation();
        g_autofree char *placement = find_placement();
        g_autofree char *kernel = NULL;
        g_autofree char *glib = g_strdup_printf("%u.%u.%u", glib_major_version, glib_minor_version,
                                                glib_micro_version);
        struct utsname uts;

        if (!csv)
                return COMMAND_FAILURE;
        fputs("fact,value\n", csv);
        uname(&uts);
        kernel = g_strdup_printf("%s %s %s", uts.sysname, uts.release, uts.machine);
        write_fact(csv, "date", date);
        write_fact(csv, "suite", suite->full ? "full" : "short");
        write_fact(csv, "nipc", suite->version);
        write_fact(csv, "compiler", __VERSION__);
        write_fact(csv, "flags", NIPC_BENCH_FLAGS);
        write_fact(csv, "kernel", kernel);
        write_read(csv, "cpu", "/proc/cpuinfo", "model name");
        write_fact(csv, "placement", placement);
        write_fact(csv, "virtualisation", virtualisation);
        write_read(csv, "governor", "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", NULL);
        write_read(csv, "idle driver", "/sys/devices/system/cpu/cpuidle/current_driver", NULL);
        write_read(csv, "guest halt poll ns", "/sys/module/haltpoll/parameters/guest_halt_poll_ns",
                   NULL);
        write_read(csv, "memory", "/proc/meminfo", "MemTotal");
        write_read(csv, "load when it began", "/proc/loadavg", NULL);
        write_fact(csv, "libc", gnu_get_libc_version());
        write_fact(csv, "glib", glib);
        return bench_suite_close(csv, "machine.csv");
}
