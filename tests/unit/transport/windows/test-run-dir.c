/* SPDX-License-Identifier: MIT */

/* Run directories where they are but parts of names: one for each user, and nothing is made. */

#include "identity.h"
#include <errno.h>
#include <inttypes.h>
#include <nipc/run-dir.h>
#include <stdio.h>

#include "tap.h"

static void test_names(void)
{
        char expected[64], buf[64], found[64], made[64];
        struct nipc__sid sid;

        tap_require(nipc__identity_of_process(GetCurrentProcess(), &sid) == 0);
        snprintf(expected, sizeof(expected), "/b/%" PRId64, nipc__identity_hash(&sid));
        tap_eq_int(nipc_run_dir_format("/b", -1, buf, sizeof(buf)), 0);
        tap_eq_int(nipc_run_dir_find("/b", -1, found, sizeof(found)), 0);
        tap_eq_int(nipc_run_dir_make("/b", made, sizeof(made)), 0);
        tap_eq_str(buf, expected);
        tap_eq_str(found, expected);
        tap_eq_str(made, expected);
        tap_eq_int(nipc_run_dir_find("/b", 7, buf, sizeof(buf)), 0);
        tap_eq_str(buf, "/b/7");
}

static void test_arguments(void)
{
        char buf[8] = "before";

        tap_eq_int(nipc_run_dir_format("", 7, buf, sizeof(buf)), -EINVAL);
        tap_eq_int(nipc_run_dir_format(NULL, 7, buf, sizeof(buf)), -EINVAL);
        tap_eq_int(nipc_run_dir_format("/b", -2, buf, sizeof(buf)), -EINVAL);
        tap_eq_int(nipc_run_dir_make("/b", NULL, sizeof(buf)), -EINVAL);
        tap_eq_int(nipc_run_dir_format("/b", 7, buf, 4), -ENAMETOOLONG);
        tap_eq_int(nipc_run_dir_format("/b", 7, buf, 5), 0);
}

static void test_clean(void)
{
        struct nipc_clean_config config = NIPC_CLEAN_CONFIG_INIT;

        tap_eq_int(nipc_run_dir_clean("/b", &config), 0);
        tap_eq_int(nipc_run_dir_clean("/b", NULL), 0);
        tap_eq_int(nipc_run_dir_clean_base("/b", &config), 0);
        config.size = 0;
        tap_eq_int(nipc_run_dir_clean("/b", &config), -EINVAL);
        tap_eq_int(nipc_run_dir_clean_base("", NULL), -EINVAL);
}

TAP_MAIN(TAP_CASE(test_names), TAP_CASE(test_arguments), TAP_CASE(test_clean))
