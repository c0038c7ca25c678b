/* SPDX-License-Identifier: MIT */

/* nipc.exe as a user has it: processes that serve, ask and list, statuses, and what is printed. */

#include "util-run.h"

#define TOOL getenv("NIPC_TOOL")

static bool is_wine(void)
{
        return GetProcAddress(GetModuleHandleA("ntdll.dll"), "wine_get_version") != NULL;
}

/* Arguments with the run directory of this test in front. */
static struct run_result nipc(const char *arguments, const char *input)
{
        char line[4096];

        snprintf(line, sizeof(line), "--run-dir \"%s\" %s", util_dir(), arguments);
        return run_program(TOOL, line, input);
}

/* Runs once, and checks the status and that both outputs contain these. */
static void expect(const char *arguments, int status, const char *out, const char *err)
{
        struct run_result result = nipc(arguments, NULL);

        if (!tap_eq_int(result.status, status) || !tap_check(strstr(result.out, out)) ||
            !tap_check(strstr(result.err, err)))
                tap_note("nipc %s: [%s] [%s]", arguments, result.out, result.err);
        /* One line of reason, and none without one. */
        tap_check(status == 0 || (*result.err && strchr(result.err, '\n')[1] == 0));
        run_result_clear(&result);
}

static bool serve(struct run *run, const char *arguments)
{
        char text[4096], line[512];

        snprintf(text, sizeof(text), "--run-dir \"%s\" serve %s", util_dir(), arguments);
        return tap_check(run_start(run, TOOL, text)) &&
               tap_check(run_line(run, line, sizeof(line))) &&
               tap_check(!strncmp(line, "READY \\\\.\\pipe\\netipc-", 22));
}

static void test_usage(void)
{
        expect("", 2, "", "a command is missing");
        expect("dance", 2, "", "'dance' is not a command");
        expect("--version", 0, "nipc ", "");
        expect("--help", 0, "Commands:", "");
        expect("call --help", 0, "--max-response-bytes=N", "");
        expect("call", 2, "", "name the service");
        expect("call dance", 2, "", "no service 'dance'");
        expect("call increment", 2, "", "name the numbers");
        expect("call increment x", 2, "", "not 'x'");
        expect("call increment 1 --timeout", 2, "", "Missing argument for --timeout");
        expect("call increment 1 --timeout=x", 2, "", "Cannot parse integer value");
        expect("call increment 1 --repeat 0", 2, "", "--repeat needs a number from 1");
        expect("serve dance", 2, "", "no service 'dance'");
        expect("serve increment --fd 5", 2, "", "--fd");
        expect("ping --nothing x", 2, "", "Unknown option --nothing");
        expect("--auth-token=x ls", 2, "", "--auth-token needs a number");
}

static void test_nobody_serves(void)
{
        expect("call increment 1", 1, "", "No such file or directory");
        expect("ping -c 1 nobody", 1, "", "No such file or directory");
}

static void test_increment(void)
{
        struct run server;

        tap_require(serve(&server, "increment"));
        expect("call increment 41", 0, "42\n", "");
        expect("call increment 1 0xfe 18446744073709551614", 0, "2\n255\n18446744073709551615\n",
               "");
        expect("call increment --batch 1 2 3 --repeat 3", 0, "2\n3\n4\n", "");
        expect("--json call increment 41", 0, "{\n  \"value\": 42\n}\n", "");
        expect("call increment 1 --json --profiles baseline", 0, "\"value\": 2", "");
        /* Another method, another token, another owner of the name. */
        expect("call string-reverse --name increment abc", 1, "", "UNSUPPORTED");
        expect("--auth-token 7 call increment 1", 1, "", "AUTH_FAILED");
        expect("serve increment", 1, "", "Address already in use");
        run_kill(&server);
        expect("call increment 1", 1, "", "No such file or directory");
}

static void test_string_reverse(void)
{
        struct run server;

        tap_require(serve(&server, "string-reverse --name rev --workers 0"));
        expect("call string-reverse --name rev stressed", 0, "desserts", "");
        expect("call string-reverse --name rev -- -x", 0, "x-", "");
        expect("--json call string-reverse --name rev \xc3\xa9", 0, "\"hex\": \"a9c3\"", "");
        run_kill(&server);
}

static void test_raw(void)
{
        struct run server;

        expect("serve echo", 2, "", "--method");
        tap_require(serve(&server, "echo --method 0x9000 --workers 2"));
        expect("call raw --name echo --method 0x9000 --hex 00ff10", 0, "00ff10", "");
        expect("call raw --name echo --method 0x9001 --hex 00", 1, "", "UNSUPPORTED");
        run_kill(&server);
}

static void test_ping(void)
{
        struct run server;

        tap_require(serve(&server, "increment --name pinged"));
        expect("ping -c 5 -i 0 pinged", 0, "5 requests, 5 answers", "");
        expect("ping -qc 5 -i0 pinged", 0, "profile ", "");
        expect("ping -c 5 -i 0 pinged --json", 0, "\"answers\": 5", "");
        run_kill(&server);
}

static void test_ls(void)
{
        struct run server;
        char pid[32];

        if (is_wine())
                tap_skip("Wine does not list pipes");
        tap_require(serve(&server, "increment --name listed"));
        snprintf(pid, sizeof(pid), "  %lu  ", server.pid);
        expect("ls", 0, "listed", "");
        expect("ls", 0, pid, "");
        expect("ls --json", 0, "\"state\": \"live\"", "");
        run_kill(&server);
}

static void test_plan(void)
{
        expect("serve increment --plan --max-sessions 3", 0, "3", "");
}

/* Ctrl-Break is what a console, or who keeps services, says to end it. */
static void test_ends_well(void)
{
        static const char *const workers[] = {"0", "1"};
        struct run server;
        char arguments[80];

        for (unsigned i = 0; i < 2; i++) {
                snprintf(arguments, sizeof(arguments), "increment --name ends --workers %s",
                         workers[i]);
                tap_require(serve(&server, arguments));
                expect("call increment --name ends 1", 0, "2", "");
                if (!GenerateConsoleCtrlEvent(CTRL_BREAK_EVENT, server.pid)) {
                        run_kill(&server);
                        tap_skip("no console");
                }
                tap_eq_int(run_wait(&server, NULL), 0);
        }
}

static void test_files(void)
{
        struct run_result result = nipc("encode --type increment -", "{\"value\": 1}");

        tap_eq_int(result.status, 0);
        tap_eq_str(result.out, "0100000000000000\n");
        run_result_clear(&result);
        result = nipc("decode --type increment -", "02 00 00 00\n00000000\n");
        tap_eq_int(result.status, 0);
        tap_eq_str(result.out, "{\n  \"value\": 2\n}\n");
        run_result_clear(&result);
        result = nipc("encode --type increment -", "{\"value\": }");
        tap_eq_int(result.status, 1);
        tap_check(strstr(result.err, "Parse error"));
        run_result_clear(&result);
        result = nipc("decode --type increment -", "0200");
        tap_eq_int(result.status, 1);
        tap_check(strstr(result.err, "TRUNCATED at offset"));
        run_result_clear(&result);
        expect("decode --type increment nowhere.hex", 1, "", "No such file");
        expect("decode --type dance -", 2, "", "dance");
}

/* What no code page of the system has together, as directory, variable and file. */
static void test_any_name(void)
{
        static const wchar_t file_name[] = L"nipc-\u00e9\u0436\u4e2d.hex";
        FILE *file = _wfopen(file_name, L"wb");
        wchar_t wide[1024];
        char dir[1024], line[1200];
        struct run_result result;
        struct run server;

        tap_require(file && fputs("0200000000000000\n", file) >= 0 && fclose(file) == 0);
        expect("decode --type increment nipc-\u00e9\u0436\u4e2d.hex", 0, "\"value\": 2", "");
        tap_check(_wremove(file_name) == 0);

        snprintf(dir, sizeof(dir), "%s-\u00e9\u0436\u4e2d", util_dir());
        MultiByteToWideChar(CP_UTF8, 0, dir, -1, wide, 1024);
        tap_require(CreateDirectoryW(wide, NULL));
        snprintf(line, sizeof(line), "--run-dir \"%s\" serve increment --name any", dir);
        tap_require(run_start(&server, TOOL, line));
        tap_check(run_line(&server, line, sizeof(line)));
        SetEnvironmentVariableW(L"NIPC_RUN_DIR", wide);
        result = run_program(TOOL, "call increment --name any 1", NULL);
        SetEnvironmentVariableW(L"NIPC_RUN_DIR", NULL);
        tap_eq_int(result.status, 0);
        tap_eq_str(result.out, "2\n");
        run_result_clear(&result);
        run_kill(&server);
        tap_check(RemoveDirectoryW(wide));
}

int main(int argc, char **argv)
{
        static const struct tap_case cases[] = {
                TAP_CASE(test_usage),     TAP_CASE(test_nobody_serves),
                TAP_CASE(test_increment), TAP_CASE(test_string_reverse),
                TAP_CASE(test_raw),       TAP_CASE(test_ping),
                TAP_CASE(test_ls),        TAP_CASE(test_plan),
                TAP_CASE(test_ends_well), TAP_CASE(test_files),
                TAP_CASE(test_any_name),
        };

        AllocConsole(); /* if there is none yet */
        util_begin();
        return tap_run(cases, sizeof(cases) / sizeof(cases[0]), argc, argv);
}
