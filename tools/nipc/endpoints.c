/* SPDX-License-Identifier: MIT */
/* Names of endpoints, see endpoints.h. */
#include "endpoints.h"

#include "failure.h"

#include <errno.h>
#include <nipc/endpoint.h>

static int collect(void *userdata, const char *service)
{
        g_ptr_array_add(userdata, g_strdup(service));
        return 0;
}

static int compare_names(const void *a, const void *b)
{
        const char *const *left = a;
        const char *const *right = b;

        return strcmp(*left, *right);
}

/* Can nothing in this directory be an endpoint, however short its name? */
static bool is_too_long(const char *run_dir)
{
        char path[NIPC_ENDPOINT_PATH_MAX];

        return nipc_endpoint_format_path(run_dir, "x", path, sizeof(path)) == -ENAMETOOLONG;
}

GPtrArray *endpoints_list(const struct command *command, const char *run_dir)
{
        g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
        int r = nipc_endpoint_list(run_dir, collect, names);

        if (!r && is_too_long(run_dir))
                r = -ENAMETOOLONG;
        if (r) {
                g_autofree char *reason = failure_describe_endpoint(r, run_dir, NULL);

                command_fail(command, "%s", reason);
                return NULL;
        }
        g_ptr_array_sort(names, compare_names);
        return g_steal_pointer(&names);
}

gboolean endpoints_check_name(const struct command *command, const char *name)
{
        if (nipc_endpoint_check_name(name) == 0)
                return TRUE;
        command_usage(
                command,
                "'%s' is no service name: those are made of letters, digits, '.', '_' and '-'",
                name);
        return FALSE;
}
