/* SPDX-License-Identifier: MIT */
/*
 * A client of the service `increment`: asks once a second until it was answered five times, whether
 * the provider is there already, comes late or restarts in between.
 *
 *      example-increment-client RUN_DIR
 */
#include <nipc/client.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

int main(int argc, char **argv)
{
        struct nipc_client_config config = NIPC_CLIENT_CONFIG_INIT;
        const struct timespec pause = {.tv_sec = 1};
        struct nipc_client *client;
        uint64_t value = 41;
        int n_answers = 0;
        int r;

        if (argc != 2) {
                fprintf(stderr, "usage: %s RUN_DIR\n", argv[0]);
                return 2;
        }
        config.run_dir = argv[1];
        config.service = "increment";
        r = nipc_client_new(&config, &client);
        if (r < 0) {
                fprintf(stderr, "cannot make a client: %s\n", strerror(-r));
                return 1;
        }
        while (n_answers < 5) {
                nipc_client_refresh(client); /* the only place that connects first */
                if (!nipc_client_is_ready(client)) {
                        printf("%s\n", nipc_client_state_name(nipc_client_get_state(client)));
                        nanosleep(&pause, NULL);
                        continue;
                }
                r = nipc_client_increment(client, value, 1000, &value);
                if (r < 0) {
                        printf("no answer: %s\n", strerror(-r));
                } else {
                        printf("%" PRIu64 "\n", value);
                        n_answers++;
                }
        }
        nipc_client_free(client);
        return 0;
}
