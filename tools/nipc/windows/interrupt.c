/* SPDX-License-Identifier: MIT */
/*
 * See ../interrupt.h: Ctrl-C, Ctrl-Break and the end of the console, of which the system tells in a
 * thread of its own.
 */
#include "interrupt.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

/*
 * Of what follows, for the thread that tells: the handler may still run when it has been taken
 * back, and then what it cancels must not go away under it.
 */
static SRWLOCK lock = SRWLOCK_INIT;
static HANDLE event; /* NULL: nobody listens */
static void (*cancel_function)(void *data);
static void *cancel_data;
static atomic_bool is_set; /* read by interrupt_is_set() */

static BOOL WINAPI on_control(DWORD number)
{
        atomic_store_explicit(&is_set, true, memory_order_relaxed);
        AcquireSRWLockExclusive(&lock);
        if (cancel_function)
                cancel_function(cancel_data);
        if (event)
                SetEvent(event);
        ReleaseSRWLockExclusive(&lock);
        /* When the console goes away, the process does so, too, once we return. */
        if (number != CTRL_C_EVENT && number != CTRL_BREAK_EVENT)
                Sleep(INFINITE);
        return TRUE;
}

/* Waits for a handler that is at it. */
static void forget(void)
{
        AcquireSRWLockExclusive(&lock);
        CloseHandle(event);
        event = NULL;
        cancel_function = NULL;
        ReleaseSRWLockExclusive(&lock);
}

int interrupt_init(void (*cancel)(void *data), void *data)
{
        HANDLE new_event = CreateEventW(NULL, TRUE, FALSE, NULL);

        if (!new_event)
                return -ENOMEM;
        AcquireSRWLockExclusive(&lock);
        event = new_event;
        cancel_function = cancel;
        cancel_data = data;
        ReleaseSRWLockExclusive(&lock);
        atomic_store_explicit(&is_set, false, memory_order_relaxed);
        SetConsoleCtrlHandler(NULL, FALSE); /* whoever started us may have ignored Ctrl-C */
        if (SetConsoleCtrlHandler(on_control, TRUE))
                return 0;
        forget();
        return -EIO;
}

bool interrupt_is_set(void)
{
        return atomic_load_explicit(&is_set, memory_order_relaxed);
}

bool interrupt_pause_us(int64_t microseconds)
{
        /* Upwards: a pause is not shorter than it was to be. */
        return WaitForSingleObject(event, (DWORD)((microseconds + 999) / 1000)) == WAIT_TIMEOUT;
}

void interrupt_deinit(void)
{
        SetConsoleCtrlHandler(on_control, FALSE);
        forget();
}
