/* SPDX-License-Identifier: MIT */
/* Numbers and bytes, see number.h. */
#include "number.h"

gboolean number_parse_u64(const char *text, uint64_t max, uint64_t *ret_value)
{
        gboolean hex = g_str_has_prefix(text, "0x") || g_str_has_prefix(text, "0X");
        guint64 value;

        if (!g_ascii_string_to_unsigned(hex ? text + 2 : text, hex ? 16 : 10, 0, max, &value, NULL))
                return FALSE;
        *ret_value = value;
        return TRUE;
}

gboolean number_parse_age(const char *text, uint64_t *ret_seconds)
{
        static const char units[] = "smhd";
        static const guint64 seconds[] = {1, 60, 3600, 86400};
        const size_t length = strlen(text);
        const char *unit = length ? strchr(units, text[length - 1]) : NULL;
        const guint64 scale = unit ? seconds[unit - units] : 1;
        g_autofree char *digits = g_strndup(text, unit ? length - 1 : length);
        guint64 value;

        if (!g_ascii_string_to_unsigned(digits, 10, 0, UINT64_MAX / scale, &value, NULL))
                return FALSE;
        *ret_seconds = value * scale;
        return TRUE;
}

gboolean number_check_u32(const struct command *command, const char *option, gint64 value,
                          uint32_t min, uint32_t max, uint32_t *ret_value)
{
        if (value < min || value > max) {
                command_usage(command, "%s needs a number from %u to %u, not %" G_GINT64_FORMAT,
                              option, min, max, value);
                return FALSE;
        }
        *ret_value = (uint32_t)value;
        return TRUE;
}

GByteArray *hex_parse(const char *text)
{
        g_autoptr(GByteArray) bytes = g_byte_array_new();

        for (; text[0]; text += 2) {
                int high = g_ascii_xdigit_value(text[0]);
                int low = g_ascii_xdigit_value(text[1]);
                guint8 byte = (guint8)(high * 16 + low);

                if (high < 0 || low < 0)
                        return NULL;
                g_byte_array_append(bytes, &byte, 1);
        }
        return g_steal_pointer(&bytes);
}

char *hex_format(const void *bytes, size_t size)
{
        static const char digits[] = "0123456789abcdef";
        const guint8 *p = bytes;
        char *text = g_malloc(2 * size + 1);

        for (size_t i = 0; i < size; i++) {
                text[2 * i] = digits[p[i] >> 4];
                text[2 * i + 1] = digits[p[i] & 15];
        }
        text[2 * size] = '\0';
        return text;
}
