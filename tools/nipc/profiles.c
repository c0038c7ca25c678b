/* SPDX-License-Identifier: MIT */
/* Profiles by name, see profiles.h. */
#include "profiles.h"

#include "number.h"

#include <nipc/session.h>

static const struct {
        const char *name;
        uint32_t bit;
} profile_names[] = {
        {"baseline", NIPC_PROFILE_BASELINE},
        {"shm-hybrid", NIPC_PROFILE_SHM_HYBRID},
        {"shm-busywait", NIPC_PROFILE_SHM_BUSYWAIT},
        {"ring", NIPC_PROFILE_RING},
};

uint32_t profiles_get_built_in(void)
{
        return nipc_profile_get_available();
}

static gboolean profile_lookup(const char *name, uint32_t *ret_bits)
{
        uint64_t bits;

        for (size_t i = 0; i < G_N_ELEMENTS(profile_names); i++) {
                if (g_ascii_strcasecmp(name, profile_names[i].name) == 0) {
                        *ret_bits = profile_names[i].bit;
                        return TRUE;
                }
        }
        if (g_ascii_strcasecmp(name, "all") == 0) {
                *ret_bits = profiles_get_built_in();
                return TRUE;
        }
        if (!g_str_has_prefix(name, "0x") || !number_parse_u64(name, UINT32_MAX, &bits))
                return FALSE;
        *ret_bits = (uint32_t)bits;
        return TRUE;
}

gboolean profiles_parse(const struct command *command, const char *list, uint32_t *ret_profiles)
{
        g_auto(GStrv) names = g_strsplit(list ? list : "all", ",", -1);
        uint32_t profiles = 0;

        for (char **name = names; *name; name++) {
                uint32_t bits;

                if (!profile_lookup(g_strstrip(*name), &bits) || bits == 0) {
                        command_usage(command,
                                      "--profiles: '%s' is no profile; known are baseline, "
                                      "shm-hybrid, shm-busywait, ring, all, and bits as 0xN",
                                      *name);
                        return FALSE;
                }
                profiles |= bits;
        }
        if (!profiles) {
                command_usage(command, "--profiles names nothing");
                return FALSE;
        }
        *ret_profiles = profiles;
        return TRUE;
}

char *profiles_format(uint32_t profiles)
{
        GString *text = g_string_new(NULL);

        for (size_t i = 0; i < G_N_ELEMENTS(profile_names); i++) {
                if (profiles & profile_names[i].bit)
                        g_string_append_printf(text, "%s%s", text->len ? "," : "",
                                               profile_names[i].name);
                profiles &= ~profile_names[i].bit;
        }
        if (profiles)
                g_string_append_printf(text, "%s0x%x", text->len ? "," : "", profiles);
        if (!text->len)
                g_string_append(text, "none");
        return g_string_free(text, FALSE);
}
