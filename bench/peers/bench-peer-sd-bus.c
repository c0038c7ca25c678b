/* SPDX-License-Identifier: MIT */

/*
 * sd-bus, from peer to peer: D-Bus messages over a Unix socket, no daemon between the two. One at a
 * time is sd_bus_call_method(); several in flight is sd_bus_call_method_async().
 */

#include "peer.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#define PATH      "/nipc/bench"
#define INTERFACE "nipc.Bench"
#define N_ANSWERS 512u

static sd_bus *bus;
static uint64_t answers[N_ANSWERS]; /* in the order in which they came */
static unsigned n_answers, n_taken;

static struct sockaddr_un make_address(const char *dir)
{
        struct sockaddr_un address = {.sun_family = AF_UNIX};

        snprintf(address.sun_path, sizeof(address.sun_path), "%s/sd-bus.sock", dir);
        return address;
}

static int increment(sd_bus_message *request, void *userdata, sd_bus_error *error)
{
        unsigned char message[PEER_MESSAGE_SIZE];
        const void *bytes;
        size_t size;
        sd_bus_message *reply = NULL;
        int r = sd_bus_message_read_array(request, 'y', &bytes, &size);

        (void)userdata;
        (void)error;
        if (r < 0 || size != sizeof(message))
                return r < 0 ? r : -1;
        peer_put(message, peer_get(bytes) + 1);
        r = sd_bus_message_new_method_return(request, &reply);
        if (r >= 0)
                r = sd_bus_message_append_array(reply, 'y', message, sizeof(message));
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r;
}

static int serve_bus(int fd)
{
        static const sd_bus_vtable vtable[] = {
                SD_BUS_VTABLE_START(0),
                SD_BUS_METHOD("Increment", "ay", "ay", increment, SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_VTABLE_END,
        };
        sd_id128_t id;
        int r;

        if (sd_id128_randomize(&id) < 0 || sd_bus_new(&bus) < 0 || sd_bus_set_fd(bus, fd, fd) < 0 ||
            sd_bus_set_server(bus, 1, id) < 0 || sd_bus_set_anonymous(bus, 1) < 0 ||
            sd_bus_add_object_vtable(bus, NULL, PATH, INTERFACE, vtable, NULL) < 0 ||
            sd_bus_start(bus) < 0)
                return -1;
        for (;;) {
                r = sd_bus_process(bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(bus, UINT64_MAX);
                if (r < 0)
                        return -1;
        }
}

static int serve(const char *dir)
{
        struct sockaddr_un address = make_address(dir);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
            listen(fd, 1) < 0)
                return -1;
        peer_ready();
        fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        return fd < 0 ? -1 : serve_bus(fd);
}

static int open_client(const char *dir)
{
        struct sockaddr_un address = make_address(dir);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
            sd_bus_new(&bus) < 0 || sd_bus_set_fd(bus, fd, fd) < 0 || sd_bus_start(bus) < 0)
                return peer_fail("cannot connect");
        return 0;
}

static int make_request(uint64_t value, sd_bus_message **ret_request)
{
        unsigned char message[PEER_MESSAGE_SIZE];

        peer_put(message, value);
        if (sd_bus_message_new_method_call(bus, ret_request, NULL, PATH, INTERFACE, "Increment") <
                    0 ||
            sd_bus_message_append_array(*ret_request, 'y', message, sizeof(message)) < 0)
                return peer_fail("cannot make a request");
        return 0;
}

static int read_answer(sd_bus_message *reply, uint64_t *ret_value)
{
        const void *bytes;
        size_t size;

        if (sd_bus_message_is_method_error(reply, NULL) ||
            sd_bus_message_read_array(reply, 'y', &bytes, &size) < 0 || size != PEER_MESSAGE_SIZE)
                return -1;
        *ret_value = peer_get(bytes);
        return 0;
}

static int ping(uint64_t value)
{
        sd_bus_message *request = NULL, *reply = NULL;
        uint64_t answer = 0;
        int r = make_request(value, &request);

        if (r == 0 && sd_bus_call(bus, request, 0, NULL, &reply) < 0)
                r = peer_fail("cannot call");
        if (r == 0 && (read_answer(reply, &answer) < 0 || answer != value + 1))
                r = peer_fail_answer();
        sd_bus_message_unref(request);
        sd_bus_message_unref(reply);
        return r;
}

static int on_reply(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        (void)userdata;
        (void)error;
        if (read_answer(reply, &answers[n_answers % N_ANSWERS]) < 0)
                answers[n_answers % N_ANSWERS] = 0; /* not what anybody waits for */
        n_answers++;
        return 0;
}

static int send_one(uint64_t value)
{
        sd_bus_message *request = NULL;
        int r = make_request(value, &request);

        if (r == 0 && sd_bus_call_async(bus, NULL, request, on_reply, NULL, 0) < 0)
                r = peer_fail("cannot call");
        sd_bus_message_unref(request);
        return r;
}

static int receive_one(uint64_t value)
{
        while (n_taken == n_answers) {
                int r = sd_bus_process(bus, NULL);

                if (r == 0)
                        r = sd_bus_wait(bus, UINT64_MAX);
                if (r < 0)
                        return peer_fail("cannot receive");
        }
        return answers[n_taken++ % N_ANSWERS] == value + 1 ? 0 : peer_fail_answer();
}

int main(int argc, char **argv)
{
        static const struct peer peer = {.serve = serve,
                                         .open = open_client,
                                         .ping = ping,
                                         .send = send_one,
                                         .receive = receive_one};

        return peer_main(argc, argv, &peer);
}
