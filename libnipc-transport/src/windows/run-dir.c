/* SPDX-License-Identifier: MIT */

/*
 * Run directories by user, see <nipc/run-dir.h>: parts of names, which nobody makes and nothing is
 * left of. Who may use what has such a name is for its security descriptor to say.
 */

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
