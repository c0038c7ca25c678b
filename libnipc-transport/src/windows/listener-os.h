/* SPDX-License-Identifier: MIT */
#pragma once

/* The endpoint of a listener on Windows: instances of a named pipe, see pipe-listener.c. */

struct nipc__pipe_server;

struct nipc__listener_os {
        struct nipc__pipe_server *server;
        void *event; /* a HANDLE, set while a client waits */
};
