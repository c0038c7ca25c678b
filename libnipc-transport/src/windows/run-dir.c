/* SPDX-License-Identifier: MIT */

/*
 * Run directories by user, see <nipc/run-dir.h>: parts of names, which nobody makes and nothing is
 * left of. Who may use what has such a name is for its security descriptor to say.
 */

#include "abi.h"
#include "identity.h"
#include "stdaux.h"
#include <errno.h>
#include <inttypes.h>
#include <nipc/run-dir.h>
#include <stdio.h>

NIPC__EXPORT int nipc_run_dir_format(const char *base, int64_t uid, char *buf, size_t size)
{
        struct nipc__sid sid;
        int n, r;

        if (!base || !base[0] || !buf || uid < -1)
                return -EINVAL;
        if (uid < 0) {
                r = nipc__identity_of_process(GetCurrentProcess(), &sid);
                if (r < 0)
                        return r;
                uid = nipc__identity_hash(&sid);
        }
        n = snprintf(NULL, 0, "%s/%" PRId64, base, uid);
        if (n < 0 || (size_t)n >= size)
                return -ENAMETOOLONG;
        snprintf(buf, size, "%s/%" PRId64, base, uid);
        return 0;
}

NIPC__EXPORT int nipc_run_dir_find(const char *base, int64_t uid, char *buf, size_t size)
{
        return nipc_run_dir_format(base, uid, buf, size);
}

NIPC__EXPORT int nipc_run_dir_make(const char *base, char *buf, size_t size)
{
        return nipc_run_dir_format(base, -1, buf, size);
}

/* What has a name goes with the last who has it open. */
static int clean_nothing(const char *run_dir, const struct nipc_clean_config *user_config)
{
        static const struct nipc_clean_config defaults = NIPC_CLEAN_CONFIG_INIT;
        struct nipc_clean_config config;

        if (!run_dir || !run_dir[0])
                return -EINVAL;
        return nipc__abi_load(&config, sizeof(config), user_config ? user_config : &defaults);
}

NIPC__EXPORT int nipc_run_dir_clean(const char *run_dir, const struct nipc_clean_config *config)
{
        return clean_nothing(run_dir, config);
}

NIPC__EXPORT int nipc_run_dir_clean_base(const char *base, const struct nipc_clean_config *config)
{
        return clean_nothing(base, config);
}
