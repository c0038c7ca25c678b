/* SPDX-License-Identifier: MIT */

/*
 * Records for the caller's log, see <nipc/log.h>: how many of them, and how they read. What there
 * is to say is known where it happens.
 */

#include <errno.h>
#include <nipc/clock.h>
#include <nipc/hello.h>
#include <stdlib.h>

#include "errno-name.h"
#include "log-private.h"
#include "stdaux.h"
#include "text.h"

#define SECOND_NS UINT64_C(1000000000)

int nipc__log_new(void (*callback)(void *userdata, const struct nipc_log_record *record),
                  void *userdata, const char *service, struct nipc__log **ret_log)
{
        struct nipc__log *log;

        if (!callback)
                return 0;
        log = calloc(1, sizeof(*log));
        if (!log)
                return -ENOMEM;
        log->callback = callback;
        log->userdata = userdata;
        log->service = service;
        *ret_log = log;
        return 0;
}

void nipc__log_say(struct nipc__log *log, struct nipc_log_record record)
{
        uint64_t now_ns;

        if (!log || record.event >= NIPC__LOG_N_EVENTS)
                return;
        now_ns = nipc_clock_now_ns();
        if (now_ns - log->events[record.event].since_ns >= SECOND_NS) {
                log->events[record.event].since_ns = now_ns;
                log->events[record.event].n_said = 0;
        }
        if (log->events[record.event].n_said >= NIPC_LOG_BURST) {
                log->events[record.event].n_suppressed++;
                /* Read relaxed by nipc_server_get_metrics(). */
                atomic_store_explicit(
                        &log->n_suppressed,
                        atomic_load_explicit(&log->n_suppressed, memory_order_relaxed) + 1,
                        memory_order_relaxed);
                return;
        }
        log->events[record.event].n_said++;
        record.n_suppressed = log->events[record.event].n_suppressed;
        log->events[record.event].n_suppressed = 0;
        record.service = log->service;
        log->callback(log->userdata, &record);
}

NIPC__EXPORT const char *nipc_log_event_name(uint32_t event)
{
        static const char *const names[NIPC__LOG_N_EVENTS] = {
                [NIPC_LOG_LISTENER_OPENED] = "listener-opened",
                [NIPC_LOG_LISTENER_CLOSED] = "listener-closed",
                [NIPC_LOG_STALE_CLEANED] = "stale-cleaned",
                [NIPC_LOG_SESSION_ACCEPTED] = "session-accepted",
                [NIPC_LOG_SESSION_ENDED] = "session-ended",
                [NIPC_LOG_SESSION_REFUSED] = "session-refused",
                [NIPC_LOG_DOWNGRADE] = "downgrade",
                [NIPC_LOG_LIMIT_HIT] = "limit-hit",
                [NIPC_LOG_TIMEOUT] = "timeout",
                [NIPC_LOG_EVICTED] = "evicted",
                [NIPC_LOG_SHORTAGE_BEGAN] = "shortage-began",
                [NIPC_LOG_SHORTAGE_ENDED] = "shortage-ended",
                [NIPC_LOG_WORKER_FAILED] = "worker-failed",
                [NIPC_LOG_CONNECTED] = "connected",
                [NIPC_LOG_CONNECT_FAILED] = "connect-failed",
                [NIPC_LOG_DISCONNECTED] = "disconnected",
                [NIPC_LOG_RETRIED] = "retried",
        };

        return event < NIPC__LOG_N_EVENTS && names[event] ? names[event] : "unknown";
}

static void add_uint(struct nipc__text *text, const char *key, uint64_t value)
{
        if (!value)
                return;
        nipc__text_add(text, key);
        nipc__text_add_uint(text, value);
}

static void add_errno(struct nipc__text *text, int error)
{
        if (!error)
                return;
        nipc__text_add(text, " error=");
        if (nipc__errno_name(error))
                nipc__text_add(text, nipc__errno_name(error));
        else
                nipc__text_add_int(text, error);
}

static void add_profile(struct nipc__text *text, uint32_t profile)
{
        static const char digits[] = "0123456789abcdef";
        char hex[] = " profile=0x0000";
        unsigned i;

        if (!profile)
                return;
        for (i = 0; i < 4; i++)
                hex[sizeof(hex) - 2 - i] = digits[(profile >> (4 * i)) & 0xf];
        nipc__text_add(text, hex);
}

/* The size that the caller knows, or less: what is beyond it is zero. */
static int load_record(struct nipc_log_record *record, const struct nipc_log_record *from)
{
        if (!from || from->size < sizeof(size_t))
                return -EINVAL;
        memset(record, 0, sizeof(*record));
        memcpy(record, from, NIPC__MIN(from->size, sizeof(*record)));
        return 0;
}

NIPC__EXPORT int nipc_log_format(const struct nipc_log_record *from, char *buf, size_t capacity)
{
        char whole[NIPC_LOG_LINE_SIZE] = {0};
        struct nipc__text text = {.buf = whole, .capacity = sizeof(whole)};
        struct nipc_log_record record;
        size_t size;

        if (!buf || !capacity || load_record(&record, from) < 0)
                return -EINVAL;
        nipc__text_add(&text, nipc_log_event_name(record.event));
        nipc__text_add(&text, " service=");
        nipc__text_add(&text, record.service ? record.service : "-");
        add_uint(&text, " session=", record.session_id);
        if (record.peer_pid > 0)
                add_uint(&text, " pid=", (uint64_t)record.peer_pid);
        if (record.peer_uid >= 0) {
                nipc__text_add(&text, " uid=");
                nipc__text_add_int(&text, record.peer_uid);
        }
        add_profile(&text, record.profile);
        if (record.transport_status) {
                nipc__text_add(&text, " status=");
                nipc__text_add(&text,
                               nipc_transport_status_name((uint16_t)record.transport_status));
        }
        if (record.step) {
                nipc__text_add(&text, " step=");
                nipc__text_add_quoted(&text, record.step);
        }
        add_errno(&text, record.error);
        add_uint(&text, " value=", record.value);
        add_uint(&text, " suppressed=", record.n_suppressed);
        size = NIPC__MIN(NIPC__MIN(text.size, text.capacity), capacity - 1);
        memcpy(buf, whole, size);
        buf[size] = '\0';
        return 0;
}
