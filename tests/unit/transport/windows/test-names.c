/* SPDX-License-Identifier: MIT */

/* Names of kernel objects against those of name_derivations in tests/vectors/index.json. */

#include "names.h"
#include <errno.h>

#include "tap.h"

static bool same(const wchar_t *name, const char *text)
{
        size_t i;

        for (i = 0; text[i]; i++)
                if (name[i] != (wchar_t)text[i])
                        return tap_fail("differs from \"%s\" at %zu", text, i);
        return name[i] ? tap_fail("longer than \"%s\"", text) : true;
}

static uint64_t hash(const char *text)
{
        return nipc__fnv1a64(NIPC__FNV_BASIS, text, strlen(text));
}

static void test_hash(void)
{
        tap_eq_uint(hash(""), UINT64_C(0xcbf29ce484222325));
        tap_eq_uint(hash("a"), UINT64_C(0xaf63dc4c8601ec8c));
        tap_eq_uint(hash("foobar"), UINT64_C(0x85944171f73967e8));
        tap_eq_uint(hash("/run/netdata"), UINT64_C(0xefc07ed598ac339b));
        /* In parts as at once. */
        tap_eq_uint(nipc__fnv1a64(hash("foo"), "bar", 3), hash("foobar"));
}

static void test_pipe(void)
{
        wchar_t name[NIPC__NAME_MAX];

        tap_require(nipc__name_pipe("/run/netdata", "cgroups-snapshot", name) == 0);
        same(name, "\\\\.\\pipe\\netipc-efc07ed598ac339b-cgroups-snapshot");
}

static void test_shm(void)
{
        struct nipc__shm_names names;

        tap_require(nipc__name_shm("/run/netdata", "cgroups-snapshot", 12345, 2, 1, &names) == 0);
        same(names.mapping, "Local\\netipc-2095084fdb90921e-cgroups-snapshot-p2-"
                            "s0000000000000001-mapping");
        same(names.request_event, "Local\\netipc-2095084fdb90921e-cgroups-snapshot-p2-"
                                  "s0000000000000001-req_event");
        same(names.response_event, "Local\\netipc-2095084fdb90921e-cgroups-snapshot-p2-"
                                   "s0000000000000001-resp_event");
        tap_require(nipc__name_shm("/run/netdata", "cgroups-snapshot", 12345, 4, UINT64_MAX,
                                   &names) == 0);
        same(names.mapping, "Local\\netipc-2095084fdb90921e-cgroups-snapshot-p4-"
                            "sffffffffffffffff-mapping");
}

/* The hash is of bytes: nothing is folded, and the token has no padding. */
static void test_exact(void)
{
        struct nipc__shm_names names, others;

        tap_require(nipc__name_shm("/run/netdata", "s", 0, 2, 1, &names) == 0);
        tap_require(nipc__name_shm("/run/netdata/", "s", 0, 2, 1, &others) == 0);
        tap_check(memcmp(names.mapping, others.mapping, sizeof(L"Local\\netipc-") + 32) != 0);
        tap_require(nipc__name_shm("/run/Netdata", "s", 0, 2, 1, &others) == 0);
        tap_check(memcmp(names.mapping, others.mapping, sizeof(L"Local\\netipc-") + 32) != 0);
}

/* At the limit there is a name; one byte more is an error and leaves what was there. */
static void test_length(void)
{
        const size_t pipe_fixed = strlen("\\\\.\\pipe\\netipc-efc07ed598ac339b-");
        const size_t shm_fixed = strlen("Local\\netipc-efc07ed598ac339b--p2-"
                                        "s0000000000000001-resp_event");
        struct nipc__shm_names names;
        wchar_t name[NIPC__NAME_MAX];
        char service[NIPC__NAME_MAX + 1], run_dir[NIPC__NAME_TEXT_MAX + 1];

        memset(service, 's', sizeof(service));
        service[NIPC__NAME_MAX - pipe_fixed - 1] = 0;
        tap_eq_int(nipc__name_pipe("/run", service, name), 0);
        tap_eq_uint(wcslen(name), NIPC__NAME_MAX - 1);
        service[NIPC__NAME_MAX - pipe_fixed - 1] = 's';
        service[NIPC__NAME_MAX - pipe_fixed] = name[0] = 0;
        tap_eq_int(nipc__name_pipe("/run", service, name), -ENAMETOOLONG);
        tap_eq_uint(name[0], 0);

        memset(service, 's', sizeof(service));
        service[NIPC__NAME_MAX - shm_fixed - 1] = 0;
        tap_eq_int(nipc__name_shm("/run", service, 0, 2, 1, &names), 0);
        tap_eq_uint(wcslen(names.response_event), NIPC__NAME_MAX - 1);
        service[NIPC__NAME_MAX - shm_fixed - 1] = 's';
        service[NIPC__NAME_MAX - shm_fixed] = 0;
        tap_eq_int(nipc__name_shm("/run", service, 0, 2, 1, &names), -ENAMETOOLONG);

        memset(run_dir, 'r', sizeof(run_dir));
        run_dir[NIPC__NAME_TEXT_MAX - strlen("\ns\n0") - 1] = 0;
        tap_eq_int(nipc__name_shm(run_dir, "s", 0, 2, 1, &names), 0);
        tap_eq_int(nipc__name_shm(run_dir, "s", 10, 2, 1, &names), -ENAMETOOLONG);
}

TAP_MAIN(TAP_CASE(test_hash), TAP_CASE(test_pipe), TAP_CASE(test_shm), TAP_CASE(test_exact),
         TAP_CASE(test_length))
