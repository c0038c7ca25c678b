/* SPDX-License-Identifier: MIT */

/* A client's numbers as text, and how it asks a provider for those of the provider. */

#include <nipc/hello.h>
#include <nipc/metrics.h>
#include <nipc/wire.h>

#include "client-private.h"
#include "errno-name.h"
#include "stdaux.h"
#include "text.h"

static const char *profile_name(uint32_t profile)
{
        switch (profile) {
        case 0:
                return "none";
        case NIPC_PROFILE_BASELINE:
                return "baseline";
        case NIPC_PROFILE_SHM_HYBRID:
                return "shm_hybrid";
        case NIPC_PROFILE_SHM_BUSYWAIT:
                return "shm_busywait";
        case NIPC_PROFILE_RING:
                return "ring";
        default:
                return "other";
        }
}

static void add_state(struct nipc__text *text, const struct nipc_client_status *status)
{
        static const char name[] = "nipc_client_state";
        int state;

        nipc__text_describe(text, name, "gauge", "1 for the state that the client is in.");
        for (state = NIPC_CLIENT_STATE_DISCONNECTED; state <= NIPC_CLIENT_STATE_BROKEN; state++)
                nipc__text_sample(text, name, "state",
                                  nipc_client_state_name((enum nipc_client_state)state),
                                  (enum nipc_client_state)state == status->state);
}

static void add_info(struct nipc__text *text, const struct nipc_client_status *status)
{
        static const char name[] = "nipc_client_session_info";
        const char *error_name = nipc__errno_name(status->downgrade_error);

        nipc__text_describe(text, name, "gauge",
                            "The profile in use, and why it is not a better one.");
        nipc__text_begin(text, name, "");
        nipc__text_add_label(text, "profile", profile_name(status->profile));
        nipc__text_add_label(text, "downgrade_step",
                             status->downgrade_step ? status->downgrade_step : "");
        nipc__text_add(text, ",downgrade_error=\"");
        if (error_name)
                nipc__text_add(text, error_name);
        else if (status->downgrade_error)
                nipc__text_add_int(text, status->downgrade_error);
        nipc__text_add(text, "\"");
        nipc__text_end(text);
        nipc__text_add(text, "1\n");
}

NIPC__EXPORT int nipc_client_format_metrics(const struct nipc_client *client, char *buf,
                                            size_t capacity, size_t *ret_size)
{
        static const char calls[] = "nipc_client_calls_total";
        struct nipc_client_status status = NIPC_CLIENT_STATUS_INIT;
        struct nipc__text text = {.buf = buf, .capacity = capacity};

        if (!client || !ret_size || (!buf && capacity))
                return -EINVAL;
        (void)nipc_client_get_status(client, &status);
        text.service = client->service;
        add_state(&text, &status);
        add_info(&text, &status);
        nipc__text_describe(&text, calls, "counter", "Calls, as they ended.");
        nipc__text_sample(&text, calls, "result", "ok", status.n_calls);
        nipc__text_sample(&text, calls, "result", "error", status.n_errors);
        nipc__text_metric(&text, "nipc_client_connects_total", "counter",
                          "Sessions where there was none.", status.n_connects);
        nipc__text_metric(&text, "nipc_client_reconnects_total", "counter",
                          "Sessions in the place of broken ones.", status.n_reconnects);
        return nipc__text_finish(&text, ret_size);
}

NIPC__EXPORT int nipc_client_stat(struct nipc_client *client, uint32_t timeout_ms,
                                  const char **ret_text, size_t *ret_size)
{
        uint8_t payload[NIPC_STAT_REQUEST_SIZE];
        struct nipc_response response;
        uint16_t status = 0;
        int r;

        if (!client || !ret_text || !ret_size)
                return -EINVAL;
        nipc_store_u16(payload, NIPC_STAT_LAYOUT);
        nipc_store_u16(payload + 2, NIPC_STAT_FORMAT_PROMETHEUS);
        r = nipc_client_call(client, NIPC_METHOD_STAT, payload, sizeof(payload), timeout_ms,
                             &response, &status);
        if (r == -EREMOTEIO && status == NIPC_TRANSPORT_STATUS_UNSUPPORTED)
                return -EOPNOTSUPP;
        if (r < 0)
                return r;
        *ret_text = response.payload;
        *ret_size = response.payload_size;
        return 0;
}
