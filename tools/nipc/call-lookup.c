/* SPDX-License-Identifier: MIT */
/*
 * The calls of lookups: keys as they were given, an item for each in the same order. An unknown key
 * is an answer, not a failure.
 */
#include "call.h"
#include "cgroup-name.h"
#include "failure.h"
#include "output.h"

#include <arpa/inet.h>
#include <errno.h>
#include <nipc/apps-lookup.h>
#include <nipc/cgroups-lookup.h>
#include <nipc/ip-to-asn.h>
#include <nipc/pid-traffic.h>
#include <stdio.h>

/* Chosen: data that changes more often than that does not keep still for a call of its size. */
#define MAX_TRIES 8u

/* What is particular to one lookup. */
struct lookup {
        const struct nipc_lookup_class *(*get_class)(void);
        guint n_columns;
        void (*add_heading)(struct output_table *table);
        void (*add_row)(struct output_table *table, struct nipc_lookup_item raw);
};

/* ---- keys --------------------------------------------------------------------------------- */

static gboolean prepare_pids(struct call *call, GError **error)
{
        for (guint i = 0; i < call->n_keys; i++) {
                g_autoptr(GError) local = NULL;
                guint64 pid;
                guint32 value;

                if (!g_ascii_string_to_unsigned(call->keys[i], 10, 0, G_MAXUINT32, &pid, &local)) {
                        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                                    "'%s' is no PID", call->keys[i]);
                        return FALSE;
                }
                value = (guint32)pid;
                g_byte_array_append(call->request, (const guint8 *)&value, sizeof(value));
        }
        return TRUE;
}

static gboolean prepare_strings(struct call *call, GError **error)
{
        for (guint i = 0; i < call->n_keys; i++)
                if (!*call->keys[i]) {
                        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                                    "a key must not be empty");
                        return FALSE;
                }
        return TRUE;
}

static struct nipc_lookup_keys list_keys(const struct call *call,
                                         const struct nipc_lookup_class *class_)
{
        if (class_->key_size)
                return nipc_lookup_keys_of_pids((const guint32 *)(const void *)call->request->data,
                                                call->n_keys);
        return nipc_lookup_keys_of_strings((const char *const *)call->keys, call->n_keys);
}

/* ---- calls -------------------------------------------------------------------------------- */

/* Keeps the answer as one message, however many it came in. */
static int keep(struct call *call, const struct nipc_lookup_view *view)
{
        uint64_t bound = NIPC_LOOKUP_HEADER_SIZE;
        struct nipc_lookup_builder builder;
        g_autofree guint8 *buf = NULL;
        size_t size;
        int r;

        for (uint32_t i = 0; i < view->item_count; i++)
                bound += NIPC_LOOKUP_ENTRY_SIZE + nipc_align8(nipc_lookup_view_get(view, i).size);
        if (bound > G_MAXUINT32)
                return -EMSGSIZE;
        buf = g_malloc(bound);
        nipc_lookup_builder_init_unasked(&builder, view->class_, buf, bound, view->item_count);
        nipc_lookup_builder_set_generation(&builder, view->generation);
        for (uint32_t i = 0; i < view->item_count; i++)
                nipc_lookup_builder_add_item(&builder, nipc_lookup_view_get(view, i));
        r = nipc_lookup_builder_finish(&builder, &size);
        if (r)
                return -EMSGSIZE;
        call_add_answer(call, buf, size);
        return 0;
}

static bool is_changed(const struct call *call, int error)
{
        struct nipc_client_failure failure = NIPC_CLIENT_FAILURE_INIT;

        if (error != -EBADMSG)
                return false;
        nipc_client_get_failure(call->client, &failure);
        return failure_is_changed_data(&failure.fault);
}

/* A provider that loads other data while it is asked in parts is asked for all of it again. */
static int ask(struct call *call, const struct nipc_lookup_class *class_)
{
        const struct nipc_lookup_keys keys = list_keys(call, class_);
        struct nipc_lookup_view view;
        int r;

        for (unsigned int n = 1;; n++) {
                r = nipc_client_lookup(call->client, class_, &keys, 0, &view);
                if (!r)
                        return keep(call, &view);
                if (n == MAX_TRIES || !is_changed(call, r))
                        return r;
        }
}

static int print(const struct call *call, const struct lookup *lookup)
{
        const GByteArray *answer = call->answers->pdata[0];
        struct output_table *table = output_table_new(lookup->n_columns);
        struct nipc_lookup_view view;

        if (nipc_lookup_view_init(&view, lookup->get_class(), answer->data, answer->len, NULL))
                g_assert_not_reached(); /* we built it */
        lookup->add_heading(table);
        for (uint32_t i = 0; i < view.item_count; i++)
                lookup->add_row(table, nipc_lookup_view_get(&view, i));
        output_table_finish(table, TRUE);
        return COMMAND_SUCCESS;
}

/* ---- tables ------------------------------------------------------------------------------- */

static char *show(struct nipc_lookup_string string)
{
        return cgroup_name_show(string.str, string.len);
}

/* Labels as KEY=VALUE, separated by commas; a shell would read them the same way. */
static char *show_labels(const struct nipc_lookup_class *class_, struct nipc_lookup_item raw)
{
        GString *text = g_string_new(NULL);

        for (uint32_t i = 0; i < nipc_lookup_item_get_label_count(class_, raw); i++) {
                struct nipc_label label = nipc_lookup_item_get_label(class_, raw, i);
                g_autofree char *key = output_escape(label.key, label.key_len);
                g_autofree char *value = output_escape(label.value, label.value_len);

                g_string_append_printf(text, "%s%s=%s", i ? "," : "", key, value);
        }
        return g_string_free(text, FALSE);
}

static void cgroups_heading(struct output_table *table)
{
        output_table_add(table, "STATUS", "ORCHESTRATOR", "NAME", "PATH", "LABELS", NULL);
}

static void cgroups_row(struct output_table *table, struct nipc_lookup_item raw)
{
        struct nipc_cgroups_lookup_item item;
        g_autofree char *labels = show_labels(nipc_cgroups_lookup_get_class(), raw);
        g_autofree char *name = NULL;
        g_autofree char *path = NULL;
        bool known;

        nipc_cgroups_lookup_item_load(raw, &item);
        known = item.status == NIPC_CGROUPS_LOOKUP_KNOWN;
        name = show(item.name);
        path = show(item.path);
        output_table_add(table, nipc_cgroups_lookup_status_name(item.status),
                         known ? nipc_orchestrator_name(item.orchestrator) : "", name, path, labels,
                         NULL);
}

static void apps_heading(struct output_table *table)
{
        output_table_add(table, "PID", "STATUS", "PPID", "UID", "STARTTIME", "COMM", "CGROUP",
                         "ORCHESTRATOR", "NAME", "PATH", "LABELS", NULL);
}

static void apps_unknown_row(struct output_table *table, const struct nipc_apps_lookup_item *item)
{
        g_autofree char *pid = g_strdup_printf("%u", item->pid);

        output_table_add(table, pid, nipc_apps_lookup_status_name(item->status), "", "", "", "", "",
                         "", "", "", "", NULL);
}

static void apps_row(struct output_table *table, struct nipc_lookup_item raw)
{
        struct nipc_apps_lookup_item item;
        g_autofree char *pid = NULL, *ppid = NULL, *uid = NULL, *start = NULL;
        g_autofree char *comm = NULL, *name = NULL, *path = NULL, *labels = NULL;

        nipc_apps_lookup_item_load(raw, &item);
        if (item.status != NIPC_APPS_LOOKUP_KNOWN) {
                apps_unknown_row(table, &item);
                return;
        }
        pid = g_strdup_printf("%u", item.pid);
        ppid = g_strdup_printf("%u", item.ppid);
        uid = item.uid == NIPC_APPS_LOOKUP_UID_UNSET ? g_strdup("")
                                                     : g_strdup_printf("%u", item.uid);
        start = g_strdup_printf("%" G_GUINT64_FORMAT, item.starttime);
        comm = show(item.comm);
        name = show(item.cgroup_name);
        path = show(item.cgroup_path);
        labels = show_labels(nipc_apps_lookup_get_class(), raw);
        output_table_add(table, pid, nipc_apps_lookup_status_name(item.status), ppid, uid, start,
                         comm, nipc_apps_lookup_cgroup_status_name(item.cgroup_status),
                         item.cgroup_status == NIPC_APPS_LOOKUP_CGROUP_KNOWN
                                 ? nipc_orchestrator_name(item.orchestrator)
                                 : "",
                         name, path, labels, NULL);
}

static void ip_heading(struct output_table *table)
{
        output_table_add(table, "IP", "STATUS", "ASN", "COUNTRY", "FIRST", "LAST", "NAME", NULL);
}

static char *show_address(const uint8_t *address)
{
        static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
        char text[INET6_ADDRSTRLEN];

        if (memcmp(address, mapped, sizeof(mapped)) == 0)
                return g_strdup(inet_ntop(AF_INET, address + sizeof(mapped), text, sizeof(text)));
        return g_strdup(inet_ntop(AF_INET6, address, text, sizeof(text)));
}

static void ip_row(struct output_table *table, struct nipc_lookup_item raw)
{
        struct nipc_ip_to_asn_item item;
        g_autofree char *ip = NULL, *asn = NULL, *country = NULL, *name = NULL;
        g_autofree char *first = NULL, *last = NULL;

        nipc_ip_to_asn_item_load(raw, &item);
        ip = show(item.ip);
        asn = item.status == NIPC_IP_TO_ASN_KNOWN ? g_strdup_printf("%u", item.asn) : g_strdup("");
        country = show(item.country);
        name = show(item.as_name);
        if (item.flags & NIPC_IP_TO_ASN_RANGE) {
                first = show_address(item.range_first);
                last = show_address(item.range_last);
        }
        output_table_add(table, ip, nipc_ip_to_asn_status_name(item.status), asn, country,
                         first ? first : "", last ? last : "", name, NULL);
}

static void traffic_heading(struct output_table *table)
{
        output_table_add(table, "PID", "STATUS", "PROTOCOL", "SOCKETS", "RX_BYTES", "TX_BYTES",
                         "RX_PACKETS", "TX_PACKETS", "NOTES", NULL);
}

/* A number that was counted, or nothing. */
static char *show_counted(const struct nipc_pid_traffic_protocol *protocol, uint32_t what,
                          uint64_t value)
{
        return protocol->counted & what ? g_strdup_printf("%" G_GUINT64_FORMAT, value)
                                        : g_strdup("");
}

static void traffic_protocol_row(struct output_table *table,
                                 const struct nipc_pid_traffic_item *item, const char *name,
                                 const struct nipc_pid_traffic_protocol *protocol)
{
        const uint32_t bytes = NIPC_PID_TRAFFIC_BYTES, packets = NIPC_PID_TRAFFIC_PACKETS;
        g_autofree char *pid = g_strdup_printf("%u", item->pid);
        g_autofree char *sockets =
                show_counted(protocol, NIPC_PID_TRAFFIC_SOCKETS, protocol->n_sockets);
        g_autofree char *rx_bytes = show_counted(protocol, bytes, protocol->rx_bytes);
        g_autofree char *tx_bytes = show_counted(protocol, bytes, protocol->tx_bytes);
        g_autofree char *rx_packets = show_counted(protocol, packets, protocol->rx_packets);
        g_autofree char *tx_packets = show_counted(protocol, packets, protocol->tx_packets);

        output_table_add(table, pid, nipc_pid_traffic_status_name(item->status), name, sockets,
                         rx_bytes, tx_bytes, rx_packets, tx_packets,
                         item->flags & NIPC_PID_TRAFFIC_PARTIAL ? "partial" : "", NULL);
}

static void traffic_row(struct output_table *table, struct nipc_lookup_item raw)
{
        static const struct nipc_pid_traffic_protocol none;
        struct nipc_pid_traffic_item item;

        nipc_pid_traffic_item_load(raw, &item);
        if (item.tcp.counted)
                traffic_protocol_row(table, &item, "tcp", &item.tcp);
        if (item.udp.counted)
                traffic_protocol_row(table, &item, "udp", &item.udp);
        if (!item.tcp.counted && !item.udp.counted)
                traffic_protocol_row(table, &item, "", &none);
}

/* ---- services ----------------------------------------------------------------------------- */

static const struct lookup cgroups_lookup = {
        .get_class = nipc_cgroups_lookup_get_class,
        .n_columns = 5,
        .add_heading = cgroups_heading,
        .add_row = cgroups_row,
};

static int cgroups_ask(struct call *call)
{
        return ask(call, cgroups_lookup.get_class());
}

static int cgroups_print(const struct call *call)
{
        return print(call, &cgroups_lookup);
}

const struct call_service call_cgroups_lookup = {
        .name = "cgroups-lookup",
        .response_type = "cgroups_lookup_response",
        .prepare = prepare_strings,
        .ask = cgroups_ask,
        .print = cgroups_print,
};

static const struct lookup apps_lookup = {
        .get_class = nipc_apps_lookup_get_class,
        .n_columns = 11,
        .add_heading = apps_heading,
        .add_row = apps_row,
};

static int apps_ask(struct call *call)
{
        return ask(call, apps_lookup.get_class());
}

static int apps_print(const struct call *call)
{
        return print(call, &apps_lookup);
}

const struct call_service call_apps_lookup = {
        .name = "apps-lookup",
        .response_type = "apps_lookup_response",
        .prepare = prepare_pids,
        .ask = apps_ask,
        .print = apps_print,
};

static const struct lookup ip_to_asn = {
        .get_class = nipc_ip_to_asn_get_class,
        .n_columns = 7,
        .add_heading = ip_heading,
        .add_row = ip_row,
};

static int ip_ask(struct call *call)
{
        return ask(call, ip_to_asn.get_class());
}

static int ip_print(const struct call *call)
{
        return print(call, &ip_to_asn);
}

const struct call_service call_ip_to_asn = {
        .name = "ip-to-asn",
        .response_type = "ip_to_asn_response",
        .prepare = prepare_strings,
        .ask = ip_ask,
        .print = ip_print,
};

static const struct lookup pid_traffic = {
        .get_class = nipc_pid_traffic_get_class,
        .n_columns = 9,
        .add_heading = traffic_heading,
        .add_row = traffic_row,
};

static int traffic_ask(struct call *call)
{
        return ask(call, pid_traffic.get_class());
}

static int traffic_print(const struct call *call)
{
        return print(call, &pid_traffic);
}

const struct call_service call_pid_traffic = {
        .name = "pid-traffic",
        .response_type = "pid_traffic_response",
        .prepare = prepare_pids,
        .ask = traffic_ask,
        .print = traffic_print,
};
