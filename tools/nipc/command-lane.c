/* SPDX-License-Identifier: MIT */
/*
 * nipc lane: one-way streams of a traced program. What to do with them is said by a verb, each of
 * which is a command of its own with its own options.
 */
#include "lane.h"

#include <stdio.h>
#include <string.h>

static const struct command *const verbs[] = {
        &command_lane_record,  &command_lane_stat,   &command_lane_dump,
        &command_lane_recover, &command_lane_export,
};

static const char *get_verb(const struct command *command)
{
        return strchr(command->name, ' ') + 1;
}

static int run(const struct command_context *context, int argc, char **argv)
{
        int status;

        for (size_t i = 0; argc > 1 && i < G_N_ELEMENTS(verbs); i++)
                if (!strcmp(argv[1], get_verb(verbs[i])))
                        return verbs[i]->run(context, argc - 1, argv + 1);
        if (!command_parse(&command_lane, NULL, &argc, &argv, &status)) {
                if (status == COMMAND_SUCCESS)
                        for (size_t i = 0; i < G_N_ELEMENTS(verbs); i++)
                                printf("%s  %-8s %s\n", i ? "" : "Verbs:\n", get_verb(verbs[i]),
                                       verbs[i]->summary);
                return status;
        }
        return argc < 2 ? command_usage(&command_lane, "a verb is missing")
                        : command_usage(&command_lane, "'%s' is not a verb", argv[1]);
}

const struct command command_lane = {
        .name = "lane",
        .arguments = "record|stat|dump|recover|export …",
        .summary = "Record, watch, print and recover the lanes of a traced program",
        .run = run,
};
