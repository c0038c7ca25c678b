/* SPDX-License-Identifier: MIT */

/* See util-lane.h. */

#include "util-lane.h"

#define FACTOR UINT64_C(0x9e3779b97f4a7c15)

struct util_lane_item util_lane_item(uint64_t number)
{
        return (struct util_lane_item){number, number * FACTOR, {number, 1, 2, 3, number}};
}

bool util_lane_count(struct util_lane_tally *tally, const struct nipc_lane_record *record)
{
        struct util_lane_item item = {0};

        if (record->sequence != tally->expected) {
                tally->wrong = record->sequence < tally->expected ? "a record comes twice"
                                                                  : "a record is missing";
                return false;
        }
        if (record->type == NIPC_LANE_GAP) {
                tally->n_gaps++;
                tally->n_dropped += record->n_dropped;
                tally->n_recycled += record->n_recycled;
                tally->expected += record->n_dropped + record->n_recycled;
                return true;
        }
        memcpy(&item, record->data, record->size < sizeof(item) ? record->size : sizeof(item));
        if (record->size != sizeof(item) || item.check != item.number * FACTOR ||
            item.more[0] != item.number || item.more[4] != item.number) {
                tally->wrong = "a record is torn";
                return false;
        }
        if (item.number != record->sequence) {
                tally->wrong = "a record is another one";
                return false;
        }
        tally->n_received++;
        tally->expected++;
        return true;
}

void util_lane_drain(struct nipc_lane_reader *reader, struct util_lane_tally *tally)
{
        struct nipc_lane_record record;

        do {
                while (nipc_lane_reader_next(reader, &record) == 0)
                        if (!util_lane_count(tally, &record))
                                return;
        } while (nipc_lane_reader_wait(reader, 0) == 0);
}
