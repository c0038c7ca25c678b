/* SPDX-License-Identifier: MIT */

/* How messages go through a region on Windows: beginning, waiting and end. */

#include "shm-channel.h"
#include "deadline.h"
#include "spin.h"
#include <nipc/clock.h>

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#define OTHERS_MAX 7u

#define LOOKS_PER_YIELD 256u /* 1,024 of v1 are 25 us, in which a peer on our CPU cannot answer */

void nipc__shm_channel_init(struct nipc__shm_channel *channel,
                            const struct nipc__shm_region *region, bool is_server)
{
        uint8_t *map = region->map;

        *channel = (struct nipc__shm_channel){
                .tx_capacity = region->request_capacity,
                .rx_capacity = region->response_capacity,
                .tx = map + region->request_offset,
                .rx = map + region->response_offset,
                .tx_len = (void *)(map + NIPC__SHM_REQUEST_LEN_AT),
                .tx_seq = (void *)(map + NIPC__SHM_REQUEST_SEQ_AT),
                .tx_waiting = (void *)(map + NIPC__SHM_SERVER_WAITING_AT),
                .rx_len = (void *)(map + NIPC__SHM_RESPONSE_LEN_AT),
                .rx_seq = (void *)(map + NIPC__SHM_RESPONSE_SEQ_AT),
                .rx_waiting = (void *)(map + NIPC__SHM_CLIENT_WAITING_AT),
                .own_closed = (void *)(map + NIPC__SHM_CLIENT_CLOSED_AT),
                .peer_closed = (void *)(map + NIPC__SHM_SERVER_CLOSED_AT),
                .tx_event = region->request_event,
                .rx_event = region->response_event,
                .looks_per_yield =
                        GetActiveProcessorCount(ALL_PROCESSOR_GROUPS) > 1 ? LOOKS_PER_YIELD : 1,
        };
        if (is_server) {
                channel->tx_capacity = region->response_capacity;
                channel->rx_capacity = region->request_capacity;
                channel->tx = map + region->response_offset;
                channel->rx = map + region->request_offset;
                channel->tx_len = (void *)(map + NIPC__SHM_RESPONSE_LEN_AT);
                channel->tx_seq = (void *)(map + NIPC__SHM_RESPONSE_SEQ_AT);
                channel->tx_waiting = (void *)(map + NIPC__SHM_CLIENT_WAITING_AT);
                channel->rx_len = (void *)(map + NIPC__SHM_REQUEST_LEN_AT);
                channel->rx_seq = (void *)(map + NIPC__SHM_REQUEST_SEQ_AT);
                channel->rx_waiting = (void *)(map + NIPC__SHM_SERVER_WAITING_AT);
                channel->own_closed = (void *)(map + NIPC__SHM_SERVER_CLOSED_AT);
                channel->peer_closed = (void *)(map + NIPC__SHM_CLIENT_CLOSED_AT);
                channel->tx_event = region->response_event;
                channel->rx_event = region->request_event;
        }
        /* Nobody has used it: what the counters say now is where both begin. */
        channel->rx_next = atomic_load_explicit(channel->rx_seq, memory_order_acquire) + 1;
        channel->tx_last = atomic_load_explicit(channel->tx_seq, memory_order_relaxed);
}

void nipc__shm_channel_close(struct nipc__shm_channel *channel)
{
        /* Pairs with the load in is_peer_closed; a sleeper looks again when it is woken. */
        atomic_exchange_explicit(channel->own_closed, 1, memory_order_seq_cst);
        if (channel->tx_event)
                SetEvent(channel->tx_event);
}

void nipc__shm_channel_wake(void *event)
{
        SetEvent(event);
}

/* ---- waiting -------------------------------------------------------------------------------- */

/* 0: there is a message; -EAGAIN: nothing yet; -ECONNRESET: nothing any more. */
static int look(const struct nipc__shm_channel *channel)
{
        if (nipc__shm_channel_has_message(channel))
                return 0;
        if (!nipc__shm_channel_is_peer_closed(channel))
                return -EAGAIN;
        /* What was said before the end counts. */
        return nipc__shm_channel_has_message(channel) ? 0 : -ECONNRESET;
}

/* Waits for the handles alone. Returns 1 + i, -ETIMEDOUT or -EIO. */
static int wait_handles(const HANDLE *handles, DWORD n, DWORD timeout_ms)
{
        DWORD w;

        if (n == 0) {
                Sleep(timeout_ms);
                return -ETIMEDOUT;
        }
        w = WaitForMultipleObjects(n, handles, FALSE, timeout_ms);
        if (w == WAIT_TIMEOUT)
                return -ETIMEDOUT;
        return w < n ? 1 + (int)w : -EIO;
}

static int wait_event(struct nipc__shm_channel *channel, void *const *others, unsigned n_others,
                      uint64_t deadline_ns)
{
        HANDLE handles[1 + OTHERS_MAX] = {channel->rx_event};
        int r, k;

        for (unsigned i = 0; i < n_others; i++)
                handles[1 + i] = others[i];
        do {
                /* Before the look: pairs with the exchange in publish of the peer. */
                atomic_exchange_explicit(channel->rx_waiting, 1, memory_order_seq_cst);
                r = look(channel);
                if (r == -EAGAIN)
                        r = wait_handles(handles, 1 + n_others,
                                         nipc__deadline_to_wait_ms(deadline_ns));
                /* Nobody has to be woken who looks; a wake too many does no harm. */
                atomic_store_explicit(channel->rx_waiting, 0, memory_order_relaxed);
                if (r == 0 || r == -ECONNRESET)
                        return r;
                k = look(channel);
                if (k != -EAGAIN)
                        return k;
        } while (r == -ETIMEDOUT && nipc_clock_now_ns() < deadline_ns); /* a tick early */
        if (r == 1)
                return -EAGAIN;
        return r > 1 ? r - 1 : r;
}

static int wait_busy(struct nipc__shm_channel *channel, void *const *others, unsigned n_others,
                     uint64_t deadline_ns)
{
        const uint64_t start_ns = nipc_clock_now_ns();
        uint64_t now_ns = start_ns, look_ns = start_ns + NIPC__SHM_LOOK_NS;
        int r, k;

        for (uint32_t i = 1;; i++) {
                r = look(channel);
                if (r != -EAGAIN)
                        return r;
                if (i % channel->looks_per_yield) {
                        nipc__spin_pause();
                        continue;
                }
                now_ns = nipc_clock_now_ns();
                if (now_ns >= look_ns) {
                        const bool is_busy = now_ns - start_ns < NIPC__SHM_BUSY_NS;

                        k = wait_handles(others, n_others, is_busy ? 0 : 1);
                        if (k != -ETIMEDOUT) {
                                r = look(channel);
                                return r != -EAGAIN ? r : k;
                        }
                        if (is_busy)
                                look_ns = now_ns + NIPC__SHM_LOOK_NS;
                }
                if (now_ns >= deadline_ns)
                        return -ETIMEDOUT;
                SwitchToThread();
        }
}

int nipc__shm_channel_wait(struct nipc__shm_channel *channel, void *const *others,
                           unsigned n_others, uint64_t deadline_ns)
{
        if (n_others > OTHERS_MAX)
                return -EINVAL;
        return channel->rx_event ? wait_event(channel, others, n_others, deadline_ns)
                                 : wait_busy(channel, others, n_others, deadline_ns);
}
