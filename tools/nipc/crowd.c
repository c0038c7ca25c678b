/* SPDX-License-Identifier: MIT */

/* Many nipc clients of one process, see crowd.h. */

#include "crowd.h"
#include "subject-nipc.h"

#include <errno.h>
#include <glib.h>
#include <nipc/increment.h>
#include <nipc/poller.h>

#define N_EVENTS 64

struct member {
        struct nipc_session *session;
        uint64_t value; /* of the last request, and its message id */
        uint64_t sent_ns;
};

struct crowd {
        struct nipc_poller *poller;
        struct nipc_session_buffers *buffers;
        struct member *members;
        uint32_t n_members;
        uint32_t profile;
};

static int open_member(struct crowd *crowd, const struct subject_options *options,
                       struct member *member)
{
        struct nipc_session_config config = NIPC_SESSION_CONFIG_INIT;
        int r;

        config.run_dir = options->run_dir;
        config.service = SUBJECT_SERVICE;
        config.supported_profiles = NIPC_PROFILE_BASELINE | options->profile;
        config.preferred_profiles = config.supported_profiles;
        config.max_request_payload_bytes = subject_nipc_request_bytes(options);
        config.max_response_payload_bytes = subject_nipc_response_bytes(options);
        r = nipc_session_open(&config, nipc_deadline_after_ms(SUBJECT_TIMEOUT_MS), &member->session,
                              NULL);
        if (r < 0)
                return r;
        nipc_session_set_buffers(member->session, crowd->buffers);
        return nipc_poller_add_session(crowd->poller, member->session, member);
}

int crowd_open(const struct subject_options *options, struct crowd **ret_crowd)
{
        struct crowd *crowd = g_new0(struct crowd, 1);
        int r;

        crowd->profile = options->profile;
        crowd->members = g_new0(struct member, options->n_clients);
        r = nipc_poller_new(&crowd->poller);
        if (r == 0)
                r = nipc_session_buffers_new(&crowd->buffers);
        for (; r == 0 && crowd->n_members < options->n_clients; crowd->n_members++)
                r = open_member(crowd, options, &crowd->members[crowd->n_members]);
        if (r < 0) {
                crowd_close(crowd);
                return r;
        }
        *ret_crowd = crowd;
        return 0;
}

void crowd_close(struct crowd *crowd)
{
        if (!crowd)
                return;
        for (uint32_t i = 0; i < crowd->n_members; i++) {
                nipc_poller_remove_session(crowd->poller, crowd->members[i].session);
                nipc_session_close(crowd->members[i].session);
        }
        nipc_session_buffers_free(crowd->buffers);
        nipc_poller_free(crowd->poller);
        g_free(crowd->members);
        g_free(crowd);
}

const struct nipc_session *crowd_get_session(const struct crowd *crowd)
{
        struct nipc_session_info info = NIPC_SESSION_INFO_INIT;

        for (uint32_t i = 0; i < crowd->n_members; i++) {
                nipc_session_get_info(crowd->members[i].session, &info);
                if (info.profile != crowd->profile)
                        return crowd->members[i].session;
        }
        return crowd->members[0].session;
}

static int ask(struct member *member, uint64_t now_ns)
{
        const struct nipc_header header = {
                .kind = NIPC_KIND_REQUEST,
                .code = NIPC_METHOD_INCREMENT,
                .item_count = 1,
                .message_id = ++member->value,
        };
        void *payload;
        int r;

        r = nipc_session_reserve(member->session, NIPC_INCREMENT_SIZE, &payload);
        if (r < 0)
                return r;
        nipc_increment_encode(member->value, payload);
        member->sent_ns = now_ns;
        return nipc_session_commit(member->session, &header, NIPC_INCREMENT_SIZE,
                                   NIPC_DEADLINE_NOW);
}

/* Returns -EAGAIN when there is no answer yet. */
static int take(struct member *member)
{
        struct nipc_message message;
        uint64_t answer;
        int r;

        r = nipc_session_receive(member->session, NIPC_DEADLINE_NOW, &message);
        if (r < 0)
                return r;
        if (message.header.message_id != member->value || message.header.transport_status ||
            nipc_increment_decode(message.payload, message.payload_size, &answer, NULL) ||
            answer != member->value + 1)
                return -EBADMSG;
        return 0;
}

/* What a wait came back with. Returns how many of them do not ask again, or a negative errno. */
static int go_on(const struct nipc_poller_event *events, int n, uint64_t end_ns,
                 struct histogram *latency)
{
        int n_finished = 0, r;

        for (int i = 0; i < n; i++) {
                struct member *member = events[i].userdata;
                uint64_t now_ns;

                r = take(member);
                if (r == -EAGAIN)
                        continue;
                if (r < 0)
                        return r;
                now_ns = nipc_clock_now_ns();
                histogram_record(latency, now_ns - member->sent_ns);
                if (now_ns >= end_ns) {
                        n_finished++;
                        continue;
                }
                r = ask(member, now_ns);
                if (r < 0)
                        return r;
        }
        return n_finished;
}

int crowd_run(struct crowd *crowd, uint64_t end_ns, struct histogram *latency)
{
        uint64_t deadline_ns = nipc_deadline_after_ms(SUBJECT_TIMEOUT_MS);
        struct nipc_poller_event events[N_EVENTS];
        uint32_t n_in_flight = 0;
        int n, r;

        for (; n_in_flight < crowd->n_members; n_in_flight++) {
                r = ask(&crowd->members[n_in_flight], nipc_clock_now_ns());
                if (r < 0)
                        return r;
        }
        while (n_in_flight) {
                n = nipc_poller_wait(crowd->poller, deadline_ns, events, N_EVENTS);
                if (n <= 0)
                        return n < 0 ? n : -ETIMEDOUT;
                r = go_on(events, n, end_ns, latency);
                if (r < 0)
                        return r;
                n_in_flight -= (uint32_t)r;
        }
        return 0;
}
