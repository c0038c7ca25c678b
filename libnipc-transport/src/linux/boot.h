/* SPDX-License-Identifier: MIT */
#pragma once

/* Which boot of which machine this is, as far as files can tell of it. */

#include <stdbool.h>

#define NIPC__BOOT_ID_LENGTH 36u

/* Whether text begins with a boot id: "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx". */
bool nipc__boot_id_is_valid(const char *text);

/* That of this boot. Returns 0, -ENOTSUP, or what opening /proc said. */
int nipc__boot_id_get(char id[NIPC__BOOT_ID_LENGTH + 1]);

/* Whether other machines may have what lies behind this descriptor, too. */
bool nipc__boot_is_shared(int fd);
