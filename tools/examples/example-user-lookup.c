/* SPDX-License-Identifier: MIT */
/*
 * A lookup service of one's own, outside the libraries: UIDs ask, users answer. Provider and client
 * are one process here; what they share, the first part, would be a header of yours. Limits,
 * budget, splitting of long lists, reconnecting and all checks are those of nipc's own lookups.
 *
 *      example-user-lookup
 */
#include <nipc/client.h>
#include <nipc/server.h>

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the method: u32 uid -> name, home, shell --------------------------------------------- */

enum { USER_KNOWN, USER_UNKNOWN, USER_EXCEEDED, USER_OVERSIZED };
enum { ITEM_STATUS = 2, ITEM_UID = 4, ITEM_STRINGS = 8, ITEM_SIZE = 32 };

struct user {
        uint16_t status;
        uint32_t uid;
        struct nipc_lookup_string name, home, shell;
};

/* What the class cannot say: who is unknown has no strings. */
static int check_user(const void *header, struct nipc_fault *ret_fault)
{
        const uint8_t *p = header;
        const uint16_t status = nipc_load_u16(p + ITEM_STATUS);
        const bool has_name = nipc_load_u32(p + ITEM_STRINGS + 4);

        if (status <= USER_OVERSIZED && has_name == (status == USER_KNOWN))
                return 0;
        if (ret_fault)
                *ret_fault = (struct nipc_fault){NIPC_PROTO_E_BAD_LAYOUT, ITEM_STATUS,
                                                 "users have names, others do not"};
        return NIPC_PROTO_E_BAD_LAYOUT;
}

static const struct nipc_lookup_class user_class = {
        .size = sizeof(user_class),
        .method = NIPC_METHOD_PRIVATE + 1,
        .key_size = sizeof(uint32_t),
        .key_echo_size = sizeof(uint32_t),
        .key_offset = ITEM_UID,
        .item_header_size = ITEM_SIZE,
        .n_strings = 3,
        .strings_offset = ITEM_STRINGS,
        .status_exceeded = USER_EXCEEDED,
        .status_oversized = USER_OVERSIZED,
        .check_item = check_user,
};

static int user_add(struct nipc_lookup_builder *builder, const struct user *user)
{
        const struct nipc_lookup_string strings[] = {user->name, user->home, user->shell};
        uint8_t header[ITEM_SIZE] = {0};

        nipc_store_u16(header + ITEM_STATUS, user->status);
        nipc_store_u32(header + ITEM_UID, user->uid);
        return nipc_lookup_builder_add(builder, header, strings, NULL, 0);
}

static void user_load(struct nipc_lookup_item item, struct user *ret_user)
{
        ret_user->status = nipc_lookup_item_get_status(item);
        ret_user->uid = nipc_load_u32(item.bytes + ITEM_UID);
        ret_user->name = nipc_lookup_item_get_string(&user_class, item, 0);
        ret_user->home = nipc_lookup_item_get_string(&user_class, item, 1);
        ret_user->shell = nipc_lookup_item_get_string(&user_class, item, 2);
}

static int client_users(struct nipc_client *client, const uint32_t *uids, uint32_t n_uids,
                        struct nipc_lookup_view *ret_view)
{
        const struct nipc_lookup_keys keys = nipc_lookup_keys_of_array(uids, sizeof(*uids), n_uids);

        return nipc_client_lookup(client, &user_class, &keys, 1000, ret_view);
}

/* ---- the provider ------------------------------------------------------------------------- */

static struct nipc_lookup_string string_of(const char *str)
{
        return (struct nipc_lookup_string){str, strlen(str)};
}

/* The builder keeps its first error, and knows what to do when it is full. */
static int answer(void *userdata, const struct nipc_lookup_request_view *request,
                  struct nipc_lookup_builder *builder)
{
        struct passwd passwd, *found;
        char buf[4096];
        size_t size;

        for (uint32_t i = 0; i < request->item_count; i++) {
                struct user user = {.status = USER_UNKNOWN};

                user.uid = nipc_load_u32(nipc_lookup_request_view_get(request, i, &size));
                if (getpwuid_r(user.uid, &passwd, buf, sizeof(buf), &found) == 0 && found) {
                        user.status = USER_KNOWN;
                        user.name = string_of(passwd.pw_name);
                        user.home = string_of(passwd.pw_dir);
                        user.shell = string_of(passwd.pw_shell);
                }
                user_add(builder, &user);
        }
        return 0;
}

/* ---- the client --------------------------------------------------------------------------- */

static int print_users(struct nipc_client *client, const uint32_t *uids, uint32_t n_uids)
{
        struct nipc_lookup_view view;
        struct user user;
        int r;

        r = client_users(client, uids, n_uids, &view);
        for (uint32_t i = 0; r == 0 && i < view.item_count; i++) {
                user_load(nipc_lookup_view_get(&view, i), &user);
                printf("%u  %s  %s  %s\n", user.uid,
                       user.status == USER_KNOWN ? user.name.str : "(unknown)", user.home.str,
                       user.shell.str);
        }
        return r;
}

int main(void)
{
        struct nipc_server_config server_config = NIPC_SERVER_CONFIG_INIT;
        struct nipc_client_config client_config = NIPC_CLIENT_CONFIG_INIT;
        const struct nipc_lookup_handler handler = {.size = sizeof(handler), .lookup = answer};
        const uint32_t uids[] = {0, UINT32_MAX - 1};
        struct nipc_server *server = NULL;
        struct nipc_client *client = NULL;
        char run_dir[] = "users-XXXXXX"; /* relative to where we are */
        int r;

        r = mkdtemp(run_dir) ? 0 : -errno;
        server_config.run_dir = client_config.run_dir = run_dir;
        server_config.service = client_config.service = "users";
        server_config.n_workers = 1;
        if (r == 0)
                r = nipc_server_new_lookup(&server_config, &user_class, &handler, &server);
        if (r == 0)
                r = nipc_server_start(server);
        if (r == 0)
                r = nipc_client_new(&client_config, &client);
        if (r == 0) {
                nipc_client_refresh(client);
                r = print_users(client, uids, 2);
        }
        nipc_client_free(client);
        nipc_server_free(server);
        rmdir(run_dir);
        if (r < 0)
                fprintf(stderr, "no answer: %s\n", strerror(-r));
        return r < 0;
}
