/* SPDX-License-Identifier: MIT */
/* Calls of the services for trying and testing, and of raw bytes. */
#include "call.h"
#include "number.h"
#include "output.h"

#include <nipc/increment.h>
#include <nipc/string-reverse.h>
#include <nipc/wire.h>
#include <stdio.h>

static gboolean need_keys(const struct call *call, const char *what, GError **error)
{
        if (call->n_keys > 0)
                return TRUE;
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED, "name %s", what);
        return FALSE;
}

static gboolean increment_prepare(struct call *call, GError **error)
{
        if (!need_keys(call, "the numbers to increment", error))
                return FALSE;
        for (guint i = 0; i < call->n_keys; i++) {
                uint64_t value;

                if (!number_parse_u64(call->keys[i], UINT64_MAX, &value)) {
                        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                                    "increment needs numbers from 0 to 2^64-1, not '%s'",
                                    call->keys[i]);
                        return FALSE;
                }
                g_byte_array_append(call->request, (const guint8 *)&value, sizeof(value));
        }
        return TRUE;
}

static uint64_t request_number(const struct call *call, guint index)
{
        uint64_t value;

        memcpy(&value, call->request->data + index * sizeof(value), sizeof(value));
        return value;
}

static void add_number(struct call *call, uint64_t value)
{
        uint8_t payload[NIPC_INCREMENT_SIZE];

        nipc_increment_encode(value, payload);
        call_add_answer(call, payload, sizeof(payload));
}

static int increment_ask_batch(struct call *call)
{
        g_autofree uint64_t *values = g_new(uint64_t, call->n_keys);
        int r;

        for (guint i = 0; i < call->n_keys; i++)
                values[i] = request_number(call, i);
        r = nipc_client_increment_batch(call->client, values, call->n_keys, 0, values);
        for (guint i = 0; !r && i < call->n_keys; i++)
                add_number(call, values[i]);
        return r;
}

static int increment_ask(struct call *call)
{
        if (call->options->batch)
                return increment_ask_batch(call);
        for (guint i = 0; i < call->n_keys; i++) {
                uint64_t value;
                int r = nipc_client_increment(call->client, request_number(call, i), 0, &value);

                if (r)
                        return r;
                add_number(call, value);
        }
        return 0;
}

static int increment_print(const struct call *call)
{
        for (guint i = 0; i < call->answers->len; i++) {
                const GByteArray *answer = call->answers->pdata[i];
                uint64_t value;

                if (nipc_increment_decode(answer->data, answer->len, &value, NULL))
                        return command_fail(&command_call, "an answer is too short");
                printf("%" G_GUINT64_FORMAT "\n", value);
        }
        return COMMAND_SUCCESS;
}

static gboolean string_reverse_prepare(struct call *call, GError **error)
{
        return need_keys(call, "the strings to reverse", error);
}

static int string_reverse_ask(struct call *call)
{
        for (guint i = 0; i < call->n_keys; i++) {
                struct nipc_string_reverse_view view;
                g_autoptr(GByteArray) payload = g_byte_array_new();
                size_t size;
                int r = nipc_client_string_reverse(call->client, call->keys[i],
                                                   strlen(call->keys[i]), 0, &view);

                if (r)
                        return r;
                g_byte_array_set_size(payload, NIPC_STRING_REVERSE_HEADER_SIZE + 1 + view.str_len);
                nipc_string_reverse_encode(view.str, view.str_len, payload->data, payload->len,
                                           &size);
                call_add_answer(call, payload->data, size);
        }
        return 0;
}

static int string_reverse_print(const struct call *call)
{
        for (guint i = 0; i < call->answers->len; i++) {
                const GByteArray *answer = call->answers->pdata[i];
                struct nipc_string_reverse_view view;
                g_autofree char *text = NULL;

                if (nipc_string_reverse_decode(answer->data, answer->len, &view, NULL))
                        return command_fail(&command_call, "an answer is malformed");
                text = output_escape(view.str, view.str_len);
                puts(text);
        }
        return COMMAND_SUCCESS;
}

static gboolean raw_prepare(struct call *call, GError **error)
{
        if (call->n_keys > 0 || !call->options->has_method || !call->options->hex) {
                g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED,
                            "raw needs --method N --hex BYTES --name NAME, and nothing else");
                return FALSE;
        }
        g_byte_array_unref(call->request);
        call->request = hex_parse(call->options->hex);
        if (call->request)
                return TRUE;
        call->request = g_byte_array_new();
        g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                    "--hex needs pairs of hexadecimal digits, not '%s'", call->options->hex);
        return FALSE;
}

static int raw_ask(struct call *call)
{
        struct nipc_response response;
        int r = nipc_client_call(call->client, call->options->method, call->request->data,
                                 call->request->len, 0, &response, NULL);

        if (!r)
                call_add_answer(call, response.payload, response.payload_size);
        return r;
}

static int raw_print(const struct call *call)
{
        const GByteArray *answer = call->answers->pdata[0];
        g_autofree char *hex = hex_format(answer->data, answer->len);
        g_autoptr(JsonBuilder) builder = NULL;

        if (!call->json) {
                puts(hex);
                return COMMAND_SUCCESS;
        }
        builder = json_builder_new();
        json_builder_begin_object(builder);
        output_add_number(builder, "method", call->options->method);
        output_add_number(builder, "payload_size", answer->len);
        output_add_string(builder, "payload", hex);
        json_builder_end_object(builder);
        output_json_builder(builder, FALSE);
        return COMMAND_SUCCESS;
}

const struct call_service call_increment = {
        .name = "increment",
        .response_type = "increment",
        .takes_batch = true,
        .prepare = increment_prepare,
        .ask = increment_ask,
        .print = increment_print,
};

const struct call_service call_string_reverse = {
        .name = "string-reverse",
        .response_type = "string_reverse",
        .prepare = string_reverse_prepare,
        .ask = string_reverse_ask,
        .print = string_reverse_print,
};

const struct call_service call_raw = {
        .name = "raw",
        .takes_bytes = true,
        .prepare = raw_prepare,
        .ask = raw_ask,
        .print = raw_print,
};
