/* SPDX-License-Identifier: MIT */

/* Endpoints that are pipes: what there is of a run directory, and whose it is. */

#include "util-env.h"
#include "util-raw.h"
#include <errno.h>
#include <nipc/endpoint.h>
#include <nipc/listener.h>
#include <unistd.h>

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

static struct nipc_listener *open_listener(const char *run_dir, const char *service)
{
        struct nipc_listener_config config = NIPC_LISTENER_CONFIG_INIT;
        struct nipc_listener *listener = NULL;

        config.run_dir = run_dir;
        config.service = service;
        util_eq_error(nipc_listener_open(&config, &listener), 0);
        return listener;
}

/* How often each of three was named. */
struct seen {
        unsigned n[3];
        unsigned n_others;
        int answer;
};

static const char *const names[3] = {"one", "two.2", "three_-"};

static int visit(void *userdata, const char *service)
{
        struct seen *seen = userdata;

        for (unsigned i = 0; i < 3; i++)
                if (!strcmp(names[i], service)) {
                        seen->n[i]++;
                        return seen->answer;
                }
        seen->n_others++;
        return seen->answer;
}

static bool is_wine(void)
{
        return GetProcAddress(GetModuleHandleA("ntdll.dll"), "wine_get_version") != NULL;
}

static void test_list(void)
{
        struct nipc_listener *listeners[3], *elsewhere;
        struct seen seen = {{0}};

        if (is_wine())
                tap_skip("Wine does not list pipes");
        util_eq_error(nipc_endpoint_list(util_dir(), visit, &seen), 0);
        tap_eq_uint(seen.n[0] + seen.n[1] + seen.n[2] + seen.n_others, 0);
        for (unsigned i = 0; i < 3; i++)
                listeners[i] = open_listener(util_dir(), names[i]);
        elsewhere = open_listener("C:\\", "elsewhere");
        util_eq_error(nipc_endpoint_list(util_dir(), visit, &seen), 0);
        for (unsigned i = 0; i < 3; i++)
                tap_eq_uint(seen.n[i], 1);
        tap_eq_uint(seen.n_others, 0);
        seen = (struct seen){.answer = 7};
        util_eq_error(nipc_endpoint_list(util_dir(), visit, &seen), 7);
        tap_eq_uint(seen.n[0] + seen.n[1] + seen.n[2], 1);
        nipc_listener_close(listeners[1]);
        seen = (struct seen){{0}};
        util_eq_error(nipc_endpoint_list(util_dir(), visit, &seen), 0);
        tap_check(seen.n[0] && !seen.n[1] && seen.n[2]);
        nipc_listener_close(listeners[0]);
        nipc_listener_close(listeners[2]);
        nipc_listener_close(elsewhere);
        util_eq_error(nipc_endpoint_list(NULL, visit, &seen), -EINVAL);
        util_eq_error(nipc_endpoint_list("", visit, &seen), -EINVAL);
        util_eq_error(nipc_endpoint_list(util_dir(), NULL, &seen), -EINVAL);
}

static struct nipc_endpoint_info probe(const char *service)
{
        struct nipc_endpoint_info info = {.size = sizeof(info)};

        util_eq_error(nipc_endpoint_probe(util_dir(), service, true, &info), 0);
        return info;
}

static void test_probe(void)
{
        struct nipc_listener *listener;
        int fd;

        tap_eq_int(probe("svc").state, NIPC_ENDPOINT_ABSENT);
        util_eq_error(nipc_endpoint_clean(util_dir(), "svc"), 0);
        listener = open_listener(util_dir(), "svc");
        tap_eq_int(probe("svc").state, NIPC_ENDPOINT_LIVE);
        tap_check(probe("svc").locked);
        util_eq_error(nipc_endpoint_clean(util_dir(), "svc"), -EBUSY);
        nipc_listener_close(listener);
        tap_eq_int(probe("svc").state, NIPC_ENDPOINT_ABSENT);
        fd = raw_listen("svc", SOCK_SEQPACKET, 1); /* of a NetIPC v1 peer, who has no mutex */
        tap_eq_int(probe("svc").state, NIPC_ENDPOINT_LIVE);
        tap_check(!probe("svc").locked);
        close(fd);
        tap_eq_int(probe("svc").state, NIPC_ENDPOINT_ABSENT);
}

/* A name is served by one, as long as he has it. */
static void test_second_listener(void)
{
        struct nipc_listener_config config = NIPC_LISTENER_CONFIG_INIT;
        struct nipc_listener *listener = open_listener(util_dir(), "svc"), *second = NULL;

        config.run_dir = util_dir();
        config.service = "svc";
        util_eq_error(nipc_listener_open(&config, &second), -EADDRINUSE);
        tap_eq_ptr(second, NULL);
        nipc_listener_close(listener);
        second = open_listener(util_dir(), "svc");
        nipc_listener_close(second);
}

UTIL_MAIN(TAP_CASE(test_list), TAP_CASE(test_probe), TAP_CASE(test_second_listener))
