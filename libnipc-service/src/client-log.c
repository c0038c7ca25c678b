/* SPDX-License-Identifier: MIT */

/* What a client's log is told: sessions that came and went, and why. Nothing without a log. */

#include "client-private.h"
#include "log-private.h"

void nipc__client_say_connected(struct nipc_client *client, const struct nipc_session_info *info)
{
        struct nipc_log_record record = NIPC__LOG_RECORD(NIPC_LOG_CONNECTED);

        if (!client->log)
                return;
        client->said_error = 0;
        record.session_id = info->session_id;
        record.peer_pid = info->peer.pid;
        record.peer_uid = info->peer.uid;
        record.profile = info->profile;
        nipc__log_say(client->log, record);
        if (!info->downgrade_error)
                return;
        record.event = NIPC_LOG_DOWNGRADE;
        record.profile = info->refused_profiles;
        record.error = info->downgrade_error;
        record.step = info->downgrade_step;
        nipc__log_say(client->log, record);
}

/* A provider that is absent is looked for every second or so: that is said once. */
void nipc__client_say_failure(struct nipc_client *client, uint32_t event)
{
        struct nipc_log_record record = NIPC__LOG_RECORD(event);

        if (!client->log)
                return;
        if (event == NIPC_LOG_CONNECT_FAILED) {
                if (client->said_error == client->failure.error)
                        return;
                client->said_error = client->failure.error;
        }
        record.error = client->failure.error;
        record.step = client->failure.step;
        record.transport_status = client->failure.transport_status;
        nipc__log_say(client->log, record);
}
