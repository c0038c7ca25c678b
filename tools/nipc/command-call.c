/* SPDX-License-Identifier: MIT */
/*
 * nipc call: asks a service, once or many times on one session, and prints the answer. Nothing is
 * retried here beyond what the library's client does by itself, but lookups whose answers were of
 * different data.
 */
#include "call.h"
#include "codec/codec.h"
#include "endpoints.h"
#include "failure.h"
#include "number.h"
#include "output.h"
#include "profiles.h"

#include <errno.h>
#include <stdio.h>

static const struct call_service *find_service(const char *name)
{
        for (const struct call_service *const *service = call_services; *service; service++)
                if (strcmp((*service)->name, name) == 0)
                        return *service;
        return NULL;
}

void call_add_answer(struct call *call, const void *payload, size_t size)
{
        GByteArray *answer = g_byte_array_sized_new((guint)size);

        g_byte_array_append(answer, payload, (guint)size);
        g_ptr_array_add(call->answers, answer);
}

static void free_answer(void *data)
{
        g_byte_array_unref(data);
}

static int say_failure(const struct call *call, const char *run_dir, int error)
{
        struct nipc_client_failure failure = NIPC_CLIENT_FAILURE_INIT;
        struct failure described;
        g_autofree char *reason = NULL;

        nipc_client_get_failure(call->client, &failure);
        described = failure_from_client(&failure, error);
        described.service = call->endpoint;
        described.run_dir = run_dir;
        reason = failure_describe(&described);
        return command_fail(&command_call, "%s", reason);
}

/* One answer as decode prints it; several as an array of them. */
static int print_json(const struct call_service *service, const struct call *call)
{
        g_autoptr(JsonNode) root = NULL;
        g_autoptr(JsonArray) array = json_array_new();

        for (guint i = 0; i < call->answers->len; i++) {
                const GByteArray *answer = call->answers->pdata[i];
                const struct codec_options options = {.order = CODEC_ORDER_HOST};
                struct codec_fault fault = {0};
                JsonNode *json;

                if (codec_decode(service->response_type, answer->data, answer->len, &options, &json,
                                 &fault))
                        return command_fail(&command_call,
                                            "%s: the answer is malformed, %s at offset %zu: %s",
                                            call->endpoint, fault.cause, fault.offset, fault.rule);
                json_array_add_element(array, json);
        }
        if (json_array_get_length(array) == 1) {
                root = json_array_dup_element(array, 0);
        } else {
                root = json_node_new(JSON_NODE_ARRAY);
                json_node_set_array(root, array);
        }
        output_json(root, FALSE);
        return COMMAND_SUCCESS;
}

static int ask_and_print(const struct call_service *service, struct call *call, const char *run_dir,
                         uint32_t repeat)
{
        int status;

        nipc_client_refresh(call->client);
        if (!nipc_client_is_ready(call->client))
                return say_failure(call, run_dir, 0);
        for (uint32_t i = 0; i < repeat; i++) {
                int r;

                g_ptr_array_set_size(call->answers, 0);
                r = service->ask(call);
                if (r)
                        return say_failure(call, run_dir, r);
        }
        status = call->json && service->response_type ? print_json(service, call)
                                                      : service->print(call);
        return status || !service->check ? status : service->check(call);
}

static int call_service(const struct call_service *service, struct call *call,
                        const struct nipc_client_config *config, uint32_t repeat)
{
        int status;
        int r = nipc_client_new(config, &call->client);

        if (r) {
                const struct failure failure = {
                        .service = config->service,
                        .run_dir = config->run_dir,
                        .error = r,
                };
                g_autofree char *reason = failure_describe(&failure);

                return command_fail(&command_call, "%s", reason);
        }
        call->answers = g_ptr_array_new_with_free_func(free_answer);
        status = ask_and_print(service, call, config->run_dir, repeat);
        g_ptr_array_unref(call->answers);
        nipc_client_free(call->client);
        return status;
}

struct call_arguments {
        gchar *name;
        gchar *hex;
        gchar *profiles;
        gboolean batch;
        gint64 method;
        gint64 timeout_ms;
        gint64 max_request_bytes;
        gint64 max_response_bytes;
        gint64 repeat;
};

static void call_arguments_clear(struct call_arguments *arguments)
{
        g_free(arguments->name);
        g_free(arguments->hex);
        g_free(arguments->profiles);
}

/* What a client holds at most unless told otherwise; an explicit limit may go beyond. */
#define DEFAULT_MAX_RECEIVE_BYTES (64u * 1024u * 1024u)

static bool read_config(const struct call_arguments *arguments, struct nipc_client_config *config,
                        uint32_t *ret_repeat)
{
        const struct command *self = &command_call;

        if (!number_check_u32(self, "--timeout", arguments->timeout_ms, 0, UINT32_MAX,
                              &config->timeout_ms) ||
            !number_check_u32(self, "--max-request-bytes", arguments->max_request_bytes, 0,
                              UINT32_MAX, &config->max_request_bytes) ||
            !number_check_u32(self, "--max-response-bytes", arguments->max_response_bytes, 0,
                              UINT32_MAX, &config->max_response_bytes) ||
            !number_check_u32(self, "--repeat", arguments->repeat, 1, UINT32_MAX, ret_repeat) ||
            !profiles_parse(self, arguments->profiles, &config->profiles))
                return false;
        if (config->max_response_bytes > DEFAULT_MAX_RECEIVE_BYTES)
                config->max_receive_bytes = config->max_response_bytes;
        return true;
}

static bool read_options(const struct call_service *service, const struct call_arguments *arguments,
                         struct call_options *options)
{
        uint32_t method = 0;

        if (arguments->batch && !service->takes_batch) {
                command_usage(&command_call, "%s takes no --batch", service->name);
                return false;
        }
        if ((arguments->method >= 0 || arguments->hex) && !service->takes_bytes) {
                command_usage(&command_call, "%s takes no --method and no --hex", service->name);
                return false;
        }
        options->has_method = arguments->method >= 0;
        if (options->has_method &&
            !number_check_u32(&command_call, "--method", arguments->method, 0, UINT16_MAX, &method))
                return false;
        options->method = (uint16_t)method;
        options->batch = arguments->batch;
        options->hex = arguments->hex;
        return true;
}

static int prepare_and_call(const struct command_context *context, const char *service_name,
                            struct call *call, const struct call_arguments *arguments)
{
        const struct call_service *service = find_service(service_name);
        struct nipc_client_config config = NIPC_CLIENT_CONFIG_INIT;
        struct call_options options = {0};
        g_autoptr(GError) error = NULL;
        uint32_t repeat;

        if (!service)
                return command_usage(&command_call, "no service '%s' to call", service_name);
        if (service->takes_bytes && !arguments->name)
                return command_usage(&command_call, "name the endpoint with --name");
        call->endpoint = arguments->name ? arguments->name : service->name;
        if (!endpoints_check_name(&command_call, call->endpoint) ||
            !read_config(arguments, &config, &repeat) ||
            !read_options(service, arguments, &options))
                return COMMAND_USAGE;
        call->options = &options;
        call->json = context->json;
        if (!service->prepare(call, &error))
                return command_usage(&command_call, "%s", error->message);
        config.run_dir = context->run_dir;
        config.service = call->endpoint;
        config.auth_token = context->auth_token;
        config.max_batch_items = options.batch ? call->n_keys : 0;
        return call_service(service, call, &config, repeat);
}

static int run(const struct command_context *context, int argc, char **argv)
{
        struct call_arguments arguments = {.method = -1, .repeat = 1};
        const GOptionEntry entries[] = {
                {"name", 'n', 0, G_OPTION_ARG_STRING, &arguments.name,
                 "Name of the endpoint (default: that of the service)", "NAME"},
                {"batch", 0, 0, G_OPTION_ARG_NONE, &arguments.batch,
                 "increment: send all keys as one batch", NULL},
                {"method", 0, 0, G_OPTION_ARG_INT64, &arguments.method, "raw: code of the method",
                 "N"},
                {"hex", 0, 0, G_OPTION_ARG_STRING, &arguments.hex,
                 "raw: the payload, in hexadecimal digits", "BYTES"},
                {"timeout", 0, 0, G_OPTION_ARG_INT64, &arguments.timeout_ms,
                 "Milliseconds to wait for an answer (default: 30000)", "MS"},
                {"profiles", 0, 0, G_OPTION_ARG_STRING, &arguments.profiles,
                 "Profiles to offer, separated by commas (default: all)", "LIST"},
                {"max-request-bytes", 0, 0, G_OPTION_ARG_INT64, &arguments.max_request_bytes,
                 "Request payload to ask for (default: what is needed, up to 1 MiB)", "N"},
                {"max-response-bytes", 0, 0, G_OPTION_ARG_INT64, &arguments.max_response_bytes,
                 "Response payload to ask for (default: 65536)", "N"},
                {"repeat", 0, 0, G_OPTION_ARG_INT64, &arguments.repeat,
                 "Calls to make on one session; the last answer is printed (default: 1)", "N"},
                {NULL},
        };
        int status;

        if (command_parse(&command_call, entries, &argc, &argv, &status)) {
                struct call call = {.request = g_byte_array_new()};

                if (argc < 2) {
                        status = command_usage(&command_call, "name the service to call");
                } else {
                        call.keys = argv + 2;
                        call.n_keys = (guint)argc - 2;
                        status = prepare_and_call(context, argv[1], &call, &arguments);
                }
                g_byte_array_unref(call.request);
        }
        call_arguments_clear(&arguments);
        return status;
}

const struct command command_call = {
        .name = "call",
        .arguments = call_arguments_text,
        .summary = "Ask a service and print its answer",
        .uses_run_dir = true,
        .run = run,
};
