/* SPDX-License-Identifier: MIT */

/* GDBus, from peer to peer: g_dbus_connection_call_sync() to an object in the other's main loop. */

#include "peer.h"

#include <gio/gio.h>

#define PATH      "/nipc/bench"
#define INTERFACE "nipc.Bench"

static GDBusConnection *connection;

static GVariant *make_message(uint64_t value)
{
        unsigned char message[PEER_MESSAGE_SIZE];

        peer_put(message, value);
        return g_variant_new("(@ay)", g_variant_new_fixed_array(G_VARIANT_TYPE_BYTE, message,
                                                                sizeof(message), 1));
}

static gboolean read_message(GVariant *tuple, uint64_t *ret_value)
{
        g_autoptr(GVariant) array = g_variant_get_child_value(tuple, 0);
        const void *bytes;
        gsize size;

        bytes = g_variant_get_fixed_array(array, &size, 1);
        if (size != PEER_MESSAGE_SIZE)
                return FALSE;
        *ret_value = peer_get(bytes);
        return TRUE;
}

static void on_call(GDBusConnection *caller, const char *sender, const char *path,
                    const char *interface, const char *method, GVariant *parameters,
                    GDBusMethodInvocation *invocation, gpointer userdata)
{
        uint64_t value = 0;

        (void)caller;
        (void)sender;
        (void)path;
        (void)interface;
        (void)method;
        (void)userdata;
        if (!read_message(parameters, &value))
                g_error("not a message of ours");
        g_dbus_method_invocation_return_value(invocation, make_message(value + 1));
}

static gboolean on_connection(GDBusServer *server, GDBusConnection *client, gpointer userdata)
{
        static const GDBusInterfaceVTable vtable = {.method_call = on_call};
        GDBusInterfaceInfo *info = userdata;

        (void)server;
        g_object_ref(client);
        return g_dbus_connection_register_object(client, PATH, info, &vtable, NULL, NULL, NULL) > 0;
}

static int serve(const char *dir)
{
        g_autofree char *address = g_strdup_printf("unix:path=%s/gdbus.sock", dir);
        g_autofree char *guid = g_dbus_generate_guid();
        g_autoptr(GDBusNodeInfo) node = g_dbus_node_info_new_for_xml(
                "<node><interface name='" INTERFACE "'><method name='Increment'>"
                "<arg type='ay' direction='in'/><arg type='ay' direction='out'/>"
                "</method></interface></node>",
                NULL);
        g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
        g_autoptr(GDBusServer) server =
                g_dbus_server_new_sync(address, G_DBUS_SERVER_FLAGS_NONE, guid, NULL, NULL, NULL);

        if (!node || !server)
                return -1;
        g_signal_connect(server, "new-connection", G_CALLBACK(on_connection), node->interfaces[0]);
        g_dbus_server_start(server);
        peer_ready();
        g_main_loop_run(loop);
        return -1;
}

static int open_client(const char *dir)
{
        g_autofree char *address = g_strdup_printf("unix:path=%s/gdbus.sock", dir);

        connection = g_dbus_connection_new_for_address_sync(
                address, G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT, NULL, NULL, NULL);
        return connection ? 0 : peer_fail("cannot connect");
}

static int ping(uint64_t value)
{
        g_autoptr(GVariant) reply =
                g_dbus_connection_call_sync(connection, NULL, PATH, INTERFACE, "Increment",
                                            make_message(value), G_VARIANT_TYPE("(ay)"),
                                            G_DBUS_CALL_FLAGS_NONE, -1, NULL, NULL);
        uint64_t answer = 0;

        if (!reply)
                return peer_fail("cannot call");
        return read_message(reply, &answer) && answer == value + 1 ? 0 : peer_fail_answer();
}

int main(int argc, char **argv)
{
        static const struct peer peer = {.serve = serve, .open = open_client, .ping = ping};

        return peer_main(argc, argv, &peer);
}
