/* SPDX-License-Identifier: MIT */
/* Failures in words, see failure.h. */
#include "failure.h"

#include "run-dir.h"

#include <errno.h>
#include <glib.h>
#include <nipc/endpoint.h>
#include <string.h>

#define TOO_MANY_FILES "close some files here or raise the limit, see ulimit -n"

static const char *remedy_for_status(uint32_t status, const char *step)
{
        bool handshake = g_strcmp0(step, "handshake") == 0;

        switch (status) {
        case NIPC_TRANSPORT_STATUS_AUTH_FAILED:
                return "give the provider's token with --auth-token";
        case NIPC_TRANSPORT_STATUS_INCOMPATIBLE:
                return "it answers in a version we do not speak, or refuses ours";
        case NIPC_TRANSPORT_STATUS_UNSUPPORTED:
                return handshake ? "offer a profile that the provider has with --profiles"
                                 : "the provider serves another method, check the service name";
        case NIPC_TRANSPORT_STATUS_LIMIT_EXCEEDED:
                return handshake ? "lower --max-request-bytes here, or raise --max-request-bytes "
                                   "or --max-sessions of the provider"
                                 : "raise --max-request-bytes here, or --max-response-bytes of the "
                                   "provider";
        case NIPC_TRANSPORT_STATUS_BAD_ENVELOPE:
                return "the provider could not decode the request";
        case NIPC_TRANSPORT_STATUS_INTERNAL_ERROR:
                return "the provider could not answer, see its own messages";
        default:
                return NULL;
        }
}

static const char *remedy_for_error(int error)
{
        switch (error) {
        case -EMFILE:
        case -ENFILE:
                return TOO_MANY_FILES;
        case -ENOTDIR:
                return "name a directory with --run-dir";
        case -ENOENT:
        case -ENOTCONN:
                return "start a provider, or name its run directory with --run-dir";
        case -ETIMEDOUT:
                return "the provider is too slow or stuck; allow more with --timeout";
        case -ECONNRESET:
                return "the provider went away, try again";
        case -EMSGSIZE:
                return "raise --max-request-bytes and --max-response-bytes on both sides";
        case -EACCES:
                return "the endpoint belongs to another user, or the token differs";
        case -EPROTONOSUPPORT:
                return "offer a profile that the provider has with --profiles";
        case -EBADMSG:
                return "the provider does not keep to NetIPC v1";
        case -ENAMETOOLONG:
                return "use a shorter --run-dir";
        case -EINVAL:
                return "service names are made of letters, digits, '.', '_' and '-'";
        default:
                return NULL;
        }
}

bool failure_is_changed_data(const struct nipc_fault *fault)
{
        return fault->rule && strstr(fault->rule, "of one generation");
}

char *failure_name_status(uint32_t status)
{
        const char *name = nipc_transport_status_name((uint16_t)status);

        return strcmp(name, "UNKNOWN") == 0 ? g_strdup_printf("status %u", status) : g_strdup(name);
}

static void append_status(GString *text, uint32_t status)
{
        g_autofree char *name = failure_name_status(status);

        /* INCOMPATIBLE may be what we made of an answer that was something else. */
        g_string_append_printf(text, ", %s%s",
                               status == NIPC_TRANSPORT_STATUS_INCOMPATIBLE ? ""
                                                                            : "the provider said ",
                               name);
}

char *failure_describe(const struct failure *failure)
{
        g_autoptr(GString) text = g_string_new(failure->service);
        const char *remedy;
        bool out_of_files = failure->os_error == EMFILE || failure->os_error == ENFILE;

        if (failure->step)
                g_string_append_printf(text, ": %s", failure->step);
        g_string_append_printf(text, ": %s", g_strerror(-failure->error));
        if (failure->os_error && failure->os_error != -failure->error)
                g_string_append_printf(text, " (%s)", g_strerror(failure->os_error));
        if (failure->transport_status)
                append_status(text, failure->transport_status);
        else if (failure->fault.rule)
                g_string_append_printf(text, ", %s at offset %zu",
                                       nipc_proto_error_name(failure->fault.error),
                                       failure->fault.offset);
        if (failure->fault.rule &&
            failure->transport_status != NIPC_TRANSPORT_STATUS_LIMIT_EXCEEDED) /* see its remedy */
                g_string_append_printf(text, ": %s", failure->fault.rule);
        if (failure->run_dir)
                g_string_append_printf(text, " [in %s]", failure->run_dir);
        remedy = out_of_files ? TOO_MANY_FILES
                              : remedy_for_status(failure->transport_status, failure->step);
        if (!remedy && failure_is_changed_data(&failure->fault))
                remedy = "the provider loads other data all the time; try again, or ask for less";
        if (!remedy)
                remedy = remedy_for_error(failure->error);
        if (remedy)
                g_string_append_printf(text, "; %s", remedy);
        return g_string_free(g_steal_pointer(&text), FALSE);
}

struct failure failure_from_client(const struct nipc_client_failure *failure, int error)
{
        struct failure result = {
                .error = error ? error : failure->error,
                .os_error = failure->os_error,
                .step = failure->step,
                .transport_status = failure->transport_status,
                .fault = failure->fault,
        };

        return result;
}

static const char *stage_name(uint32_t stage)
{
        static const char *const names[] = {
                [NIPC_FAILURE_CONFIG] = "configuration",
                [NIPC_FAILURE_CONNECT] = "connect",
                [NIPC_FAILURE_PEER] = "credentials",
                [NIPC_FAILURE_HANDSHAKE] = "handshake",
                [NIPC_FAILURE_SEND] = "send",
                [NIPC_FAILURE_RECEIVE] = "receive",
        };

        return stage < G_N_ELEMENTS(names) ? names[stage] : NULL;
}

struct failure failure_from_session(const struct nipc_failure *failure, int error)
{
        struct failure result = {
                .error = error ? error : failure->error,
                .os_error = failure->os_error,
                .step = stage_name(failure->stage),
                .transport_status = failure->transport_status,
                .fault = failure->fault,
        };

        return result;
}

char *failure_describe_local(int error)
{
        bool out_of_files = error == -EMFILE || error == -ENFILE;

        return g_strdup_printf("%s%s", g_strerror(-error), out_of_files ? "; " TOO_MANY_FILES : "");
}

char *failure_describe_endpoint(int error, const char *run_dir, const char *service)
{
        const char *remedy = NULL;

        switch (error) {
        case -ENOENT:
                remedy = "name another run directory with --run-dir";
                break;
        case -EACCES:
        case -EPERM:
        case -EROFS:
                remedy = "ask as the owner of the run directory, or name another with --run-dir";
                break;
        case -ENOTDIR:
        case -ENAMETOOLONG:
        case -EMFILE:
        case -ENFILE:
                remedy = remedy_for_error(error);
                break;
        default:
                break;
        }
        return g_strdup_printf("%s%s%s: %s%s%s", service ? service : "", service ? " in " : "",
                               run_dir, g_strerror(-error), remedy ? "; " : "",
                               remedy ? remedy : "");
}

/* Is there something that no server can be behind? */
static bool is_no_endpoint(const char *run_dir, const char *service)
{
        char path[NIPC_ENDPOINT_PATH_MAX];

        return nipc_endpoint_format_path(run_dir, service, path, sizeof(path)) == 0 &&
               run_dir_is_obstructed(path);
}

char *failure_describe_server(int error, const char *run_dir, const char *service)
{
        const char *remedy = "";

        switch (error) {
        case -EADDRINUSE:
                remedy = is_no_endpoint(run_dir, service)
                                 ? "; something that is no endpoint is in its place: remove it, or "
                                   "choose another name with --name"
                                 : "; the name has a live owner: stop it, or choose another with "
                                   "--name";
                break;
        case -ENOTDIR:
                remedy = "; name a directory with --run-dir";
                break;
        case -EMFILE:
        case -ENFILE:
                remedy = "; " TOO_MANY_FILES;
                break;
        case -ENOENT:
                remedy = "; create the run directory, or name another with --run-dir";
                break;
        case -EACCES:
        case -EROFS:
                remedy = "; name a run directory of yours with --run-dir";
                break;
        case -EINVAL:
                remedy = "; check --profiles, limits and inherited descriptors; service names are "
                         "made of letters, "
                         "digits, '.', '_' and '-'";
                break;
        case -EPROTONOSUPPORT:
                remedy =
                        "; offer a profile that this build has with --profiles: baseline always is";
                break;
        case -ENAMETOOLONG:
                remedy = "; use a shorter --run-dir or --name";
                break;
        default:
                break;
        }
        return g_strdup_printf("%s in %s: %s%s", service, run_dir, g_strerror(-error), remedy);
}
