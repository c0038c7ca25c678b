/* SPDX-License-Identifier: MIT */

/*
 * Regions of Windows: the bytes of what a server makes, what a client takes, and everything in a
 * header that it must not. The other side is made of plain calls to the system.
 */

#include "shm-region.h"
#include <errno.h>
#include <nipc/hello.h>
#include <nipc/wire.h>

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#include <aclapi.h>

#include "tap.h"

static struct nipc__shm_names names_of_case(uint32_t profile)
{
        static uint64_t session_id;
        struct nipc__shm_names names;
        char run_dir[64];

        snprintf(run_dir, sizeof(run_dir), "C:/run/%lu", (unsigned long)GetCurrentProcessId());
        nipc__name_shm(run_dir, "region", 1, profile, ++session_id, &names);
        return names;
}

/* Wine's GetProcessHandleCount says 0. Handles are multiples of 4, the lowest free one is taken. */
static unsigned count_handles(void)
{
        unsigned n = 0;
        DWORD flags;

        for (uintptr_t i = 4; i < 4 * 2048; i += 4)
                n += GetHandleInformation((HANDLE)i, &flags) != 0;
        return n;
}

static uint32_t at(const uint8_t *map, size_t offset)
{
        return nipc_load_u32(map + offset);
}

/* The table of transport-windows §3, by its numbers. */
static void check_layout(const uint8_t *map, uint32_t profile)
{
        tap_eq_uint(at(map, 0), 0x4e535748);
        tap_eq_uint(at(map, 4), 3);
        tap_eq_uint(at(map, 8), 128);
        tap_eq_uint(at(map, 12), profile);
        tap_eq_uint(at(map, 16), 128);
        tap_eq_uint(at(map, 20), 64); /* 1 + 32 */
        tap_eq_uint(at(map, 24), 192);
        tap_eq_uint(at(map, 28), 1088); /* 1000 + 32 */
        tap_eq_uint(at(map, 32), 1024);
        for (size_t i = 36; i < 192 + 1088; i++)
                if (map[i])
                        tap_fail("byte %zu is not 0", i);
}

static void run_create(uint32_t profile)
{
        struct nipc__shm_names names = names_of_case(profile);
        struct nipc__shm_region region;
        const char *step;
        HANDLE mapping, event;
        uint8_t *map;

        tap_require(nipc__shm_region_create(&names, profile, 1, 1000, &region, &step) == 0);
        mapping = OpenFileMappingW(FILE_MAP_ALL_ACCESS, FALSE, names.mapping);
        tap_check(mapping != NULL);
        map = MapViewOfFile(mapping, FILE_MAP_ALL_ACCESS, 0, 0, 0);
        if (tap_check(map != NULL))
                check_layout(map, profile);
        UnmapViewOfFile(map);
        CloseHandle(mapping);

        event = OpenEventW(EVENT_MODIFY_STATE | SYNCHRONIZE, FALSE, names.request_event);
        tap_eq_int(event != NULL, profile == NIPC_PROFILE_SHM_HYBRID);
        if (event) {
                tap_eq_uint(WaitForSingleObject(event, 0), WAIT_TIMEOUT);
                SetEvent(event);
                tap_eq_uint(WaitForSingleObject(event, 0), WAIT_OBJECT_0);
                tap_eq_uint(WaitForSingleObject(event, 0), WAIT_TIMEOUT); /* resets itself */
                CloseHandle(event);
        }
        nipc__shm_region_release(&region);
        tap_check(!OpenFileMappingW(FILE_MAP_READ, FALSE, names.mapping));
        tap_eq_uint(GetLastError(), ERROR_FILE_NOT_FOUND);
}

static void test_create_hybrid(void)
{
        run_create(NIPC_PROFILE_SHM_HYBRID);
}

static void test_create_busywait(void)
{
        run_create(NIPC_PROFILE_SHM_BUSYWAIT);
}

static void test_attach(void)
{
        struct nipc__shm_names names = names_of_case(NIPC_PROFILE_SHM_HYBRID);
        struct nipc__shm_region server, client;
        const char *step;
        bool is_early;
        unsigned n_handles = count_handles();

        tap_eq_int(nipc__shm_region_attach(&names, 2, &client, &step, &is_early), -ENOENT);
        tap_check(is_early);
        tap_require(nipc__shm_region_create(&names, 2, 100, 5000, &server, &step) == 0);
        tap_require(nipc__shm_region_attach(&names, 2, &client, &step, &is_early) == 0);
        tap_eq_uint(client.request_offset, server.request_offset);
        tap_eq_uint(client.request_capacity, server.request_capacity);
        tap_eq_uint(client.response_offset, server.response_offset);
        tap_eq_uint(client.response_capacity, server.response_capacity);
        memcpy(server.map + server.response_offset, "from the server", 16);
        tap_eq_str((const char *)client.map + client.response_offset, "from the server");
        SetEvent(client.request_event);
        tap_eq_uint(WaitForSingleObject(server.request_event, 0), WAIT_OBJECT_0);
        SetEvent(server.response_event);
        tap_eq_uint(WaitForSingleObject(client.response_event, 0), WAIT_OBJECT_0);
        nipc__shm_region_release(&client);
        nipc__shm_region_release(&server);
        tap_eq_uint(count_handles(), n_handles);
}

/* A name that is taken, be it by a mapping, an event, or something else. */
static void test_taken(void)
{
        struct nipc__shm_names names = names_of_case(2);
        struct nipc__shm_region first, second;
        const char *step;
        HANDLE other;
        unsigned n_handles = count_handles();

        tap_require(nipc__shm_region_create(&names, 2, 1, 1, &first, &step) == 0);
        tap_eq_int(nipc__shm_region_create(&names, 2, 1, 1, &second, &step), -EADDRINUSE);
        nipc__shm_region_release(&first);
        other = CreateEventW(NULL, FALSE, FALSE, names.response_event);
        tap_eq_int(nipc__shm_region_create(&names, 2, 1, 1, &second, &step), -EADDRINUSE);
        tap_eq_str(step, "creating the events of the region");
        CloseHandle(other);
        other = CreateEventW(NULL, FALSE, FALSE, names.mapping);
        tap_eq_int(nipc__shm_region_create(&names, 2, 1, 1, &second, &step), -EADDRINUSE);
        CloseHandle(other);
        tap_eq_uint(count_handles(), n_handles);
}

static void test_too_large(void)
{
        struct nipc__shm_names names = names_of_case(2);
        struct nipc__shm_region region;
        const char *step;

        tap_eq_int(nipc__shm_region_create(&names, 2, UINT32_MAX, 1, &region, &step), -EOVERFLOW);
        tap_eq_int(nipc__shm_region_create(&names, 2, 1, INT32_MAX, &region, &step), -EOVERFLOW);
        tap_eq_str(step, "sizing the region");
}

/* What is set: whether it is kept is the system's to prove, and Wine's not. */
static void test_security(void)
{
        struct nipc__shm_names names = names_of_case(2);
        struct nipc__shm_region region;
        const char *step;
        PSECURITY_DESCRIPTOR descriptor = NULL;
        SECURITY_DESCRIPTOR_CONTROL control;
        DWORD revision;
        ACL *acl = NULL;

        tap_require(nipc__shm_region_create(&names, 2, 1, 1, &region, &step) == 0);
        tap_eq_uint(GetSecurityInfo(region.request_event, SE_KERNEL_OBJECT,
                                    DACL_SECURITY_INFORMATION, NULL, NULL, &acl, NULL, &descriptor),
                    ERROR_SUCCESS);
        if (tap_check(acl != NULL)) {
                tap_eq_uint(acl->AceCount, 2);
                tap_check(GetSecurityDescriptorControl(descriptor, &control, &revision));
                tap_check(control & SE_DACL_PROTECTED);
        }
        LocalFree(descriptor);
        nipc__shm_region_release(&region);
}

/* ---- what a client must not take ------------------------------------------------------------ */

struct word {
        size_t at;
        uint32_t value;
};

/* A region of `size` bytes that is right for 64 and 64, but for one word. */
static int attach_with(struct word word, uint32_t size, DWORD kind, bool *ret_is_early)
{
        struct nipc__shm_names names = names_of_case(2);
        struct nipc__shm_region region;
        const struct word words[] = {{0, 0x4e535748}, {4, 3},    {8, 128}, {12, 2}, {16, 128},
                                     {20, 64},        {24, 192}, {28, 64}, word};
        HANDLE mapping = CreateFileMappingW(INVALID_HANDLE_VALUE, NULL, PAGE_READWRITE | kind, 0,
                                            size, names.mapping);
        HANDLE request = CreateEventW(NULL, FALSE, FALSE, names.request_event);
        HANDLE response = CreateEventW(NULL, FALSE, FALSE, names.response_event);
        uint8_t *map = MapViewOfFile(mapping, FILE_MAP_ALL_ACCESS, 0, 0, 0);
        const char *step;
        int r;

        if (!(kind & SEC_RESERVE))
                for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
                        nipc_store_u32(map + words[i].at, words[i].value);
        r = nipc__shm_region_attach(&names, 2, &region, &step, ret_is_early);
        if (r == 0)
                nipc__shm_region_release(&region);
        UnmapViewOfFile(map);
        CloseHandle(mapping);
        CloseHandle(request);
        CloseHandle(response);
        return r;
}

static void test_bad_header(void)
{
        static const struct {
                struct word word;
                int error;
        } bad[] = {
                {{0, 0x4e535748}, 0}, /* the same, with nothing wrong */
                {{0, 0}, -ENODATA},
                {{4, 2}, -EPROTONOSUPPORT},
                {{8, 64}, -EBADMSG},
                {{12, 4}, -EBADMSG},
                {{16, 64}, -EBADMSG},
                {{16, 132}, -EBADMSG},
                {{16, 0xffffffc0}, -EBADMSG},
                {{20, 0}, -EBADMSG},
                {{20, 65}, -EBADMSG},
                {{20, 128}, -EBADMSG},
                {{20, 0xffffff80}, -EBADMSG},
                {{24, 128}, -EBADMSG},
                {{24, 200}, -EBADMSG},
                {{24, 4096}, -EBADMSG},
                {{24, 0xffffffc0}, -EBADMSG},
                {{28, 0}, -EBADMSG},
                {{28, 32}, -EBADMSG},
                {{28, 0x7fffffc0}, -EBADMSG},
                {{28, 0xffffffc0}, -EBADMSG},
                {{32, 0xffffffff}, 0}, /* spin_tries is nothing to us */
        };
        unsigned n_handles = count_handles();
        bool is_early;

        for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
                int r = attach_with(bad[i].word, 256, SEC_COMMIT, &is_early);

                if (!tap_eq_int(r, bad[i].error) || !tap_eq_int(is_early, bad[i].error == -ENODATA))
                        tap_note("word at %zu: 0x%" PRIx32, bad[i].word.at, bad[i].word.value);
        }
        tap_eq_uint(count_handles(), n_handles);
}

/* The size that counts is what the system says: a page is always there, and no more than that. */
static void test_true_size(void)
{
        bool is_early;

        tap_eq_int(attach_with((struct word){28, 4096 - 192}, 4096, SEC_COMMIT, &is_early), 0);
        tap_eq_int(attach_with((struct word){28, 4096 - 128}, 4096, SEC_COMMIT, &is_early),
                   -EBADMSG);
        tap_eq_int(attach_with((struct word){28, 4096 - 128}, 4097, SEC_COMMIT, &is_early), 0);
}

/* Memory that would fault when it is touched. */
static void test_reserved_only(void)
{
        bool is_early;

        tap_eq_int(attach_with((struct word){0, 0}, 65536, SEC_RESERVE, &is_early), -EBADMSG);
}

TAP_MAIN(TAP_CASE(test_create_hybrid), TAP_CASE(test_create_busywait), TAP_CASE(test_attach),
         TAP_CASE(test_taken), TAP_CASE(test_too_large), TAP_CASE(test_security),
         TAP_CASE(test_bad_header), TAP_CASE(test_true_size), TAP_CASE(test_reserved_only))
