/* SPDX-License-Identifier: MIT */
/* The commands of Windows; see README.md for what is left out. */
#include "command.h"

#include <fcntl.h>
#include <io.h>
#include <stdio.h>

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#include <shellapi.h> /* needs the one before */

const struct command *const command_list[] = {
        &command_serve,  &command_call,   &command_ping, &command_ls,
        &command_encode, &command_decode, NULL,
};

/* What main() gets is in the code page of the system, and has lost what is not in that. */
static char **get_arguments(int *ret_argc)
{
        wchar_t **wide = CommandLineToArgvW(GetCommandLineW(), ret_argc);
        char **argv;

        if (!wide)
                return NULL;
        argv = g_new0(char *, *ret_argc + 1);
        for (int i = 0; i < *ret_argc; i++)
                argv[i] = g_narrow(wide[i]);
        LocalFree(wide);
        return argv;
}

/* Bytes are bytes: hex or raw in, and lines that end as elsewhere out. */
void command_prepare_process(int *argc, char ***argv)
{
        int n;
        char **arguments = get_arguments(&n);

        if (arguments) {
                *argc = n;
                *argv = arguments;
        }
        SetConsoleOutputCP(CP_UTF8);
        _setmode(_fileno(stdin), _O_BINARY);
        _setmode(_fileno(stdout), _O_BINARY);
        _setmode(_fileno(stderr), _O_BINARY);
}
