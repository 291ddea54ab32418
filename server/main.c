/* main.c: what was typed, and who does it: `casgi app.so` is served by this process (worker/), with --reload by a child
 * of it (supervisor/); `casgi check app.so` looks at a module (module/). */

#include "base/error.h"
#include "base/log.h"
#include "config/config.h"
#include "module/check.h"
#include "module/resolve.h"
#include "net/control.h"
#include "net/listen.h"
#include "runtime/stack_of.h"
#include "supervisor/artifact.h"
#include "supervisor/build.h"
#include "supervisor/supervisor.h"
#include "worker/worker.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_USAGE = 2 };

/* How this process was started: its workers are started alike. */
struct origin {
    char **argv;
    char **environment; /* before --env-file added to it */
    int control;        /* -1: nobody's child */
};

/* The variables as they are now; setting one later does not change the copy. NULL: out of memory. */
static char **copy_environment(void)
{
    size_t count = 0;
    while (environ[count]) {
        count++;
    }
    char **copy = calloc(count + 1, sizeof(*copy));
    if (copy) {
        memcpy(copy, environ, count * sizeof(*copy));
    }
    return copy;
}

static int complain(int exit_code, const casgi_error_t *error)
{
    log_print(CASGI_LOG_ERROR, "%s", error->message);
    return exit_code;
}

/* ---- one process ---- */

/* `casgi app.c`: the module is made first. */
static int compile(const struct config *config, const struct resolved *resolved, struct artifact **out,
                   casgi_error_t *error)
{
    const struct build_options options = {
        .source = resolved->path, .cxx = resolved->kind == RESOLVE_CXX, .cflags = config->cflags, .libs = config->libs
    };
    return build_wait(&options, out, error);
}

static int serve(const struct config *config, const struct resolved *resolved)
{
    struct listen_set sockets = { 0 };
    struct artifact *artifact = NULL;
    const struct listen_options listen = listen_options_of(config);
    casgi_error_t error;
    if (listen_open(&sockets, &listen, &error)) {
        return complain(WORKER_EXIT_START, &error);
    }
    int exit_code;
    if (resolved->kind != RESOLVE_MODULE && compile(config, resolved, &artifact, &error)) {
        exit_code = complain(WORKER_EXIT_LOAD, &error);
    } else {
        const struct worker_options options = { .config = config,
                                                .path = artifact ? artifact->path : resolved->path,
                                                .shown = resolved->path,
                                                .app_name = resolved->app,
                                                .sockets = &sockets,
                                                .control = -1 };
        exit_code = worker_run(&options);
    }
    artifact_unref(artifact);
    listen_unlink(&sockets);
    listen_close(&sockets);
    return exit_code;
}

/* ---- a supervisor and its worker ---- */

static int serve_supervised(const struct config *config, const struct resolved *resolved, int control)
{
    struct listen_set sockets = { 0 };
    struct worker_options options = {
        .config = config, .shown = resolved->path, .app_name = resolved->app, .sockets = &sockets, .control = control
    };
    int exit_code = worker_run_supervised(&options);
    listen_close(&sockets);
    return exit_code;
}

static int supervise(const struct config *config, const struct resolved *resolved, const struct origin *origin)
{
    const struct supervisor_options options = { .config = config,
                                                .path = resolved->path,
                                                .source = resolved->kind != RESOLVE_MODULE,
                                                .cxx = resolved->kind == RESOLVE_CXX,
                                                .argv = origin->argv,
                                                .environment = origin->environment };
    return supervisor_run(&options);
}

/* ---- commands ---- */

/* A variable that nobody reads is no error, as others may read it. */
static void warn_of_slips(void)
{
    const char *option;
    for (char *const *at = environ; (at = config_find_slip(at, &option)) != NULL; at++) {
        log_print(CASGI_LOG_WARNING, "The environment variable %.*s is none of casgi's; did you mean that of --%s?",
                  (int)strcspn(*at, "="), *at, option);
    }
}

static int run(const struct config *config, const struct origin *origin)
{
    struct resolved resolved;
    casgi_error_t error;
    int exit_code;
    if (origin->control < 0) {
        warn_of_slips();
    }
    if (resolve_app(config->app, &resolved, &error)) {
        const char *command = config_nearest_command(config->app);
        complain(WORKER_EXIT_LOAD, &error);
        if (command) {
            log_print(CASGI_LOG_ERROR, "Did you mean \"casgi %s\"?", command);
        }
        return WORKER_EXIT_LOAD;
    }
    if (origin->control >= 0) {
        exit_code = serve_supervised(config, &resolved, origin->control);
    } else if (config->reload) {
        exit_code = supervise(config, &resolved, origin);
    } else {
        exit_code = serve(config, &resolved);
    }
    resolved_release(&resolved);
    return exit_code;
}

static int dispatch(const struct config *config, const struct origin *origin)
{
    switch (config->command) {
    case COMMAND_RUN:
        return run(config, origin);
    case COMMAND_CHECK:
        return check_run(config->app, config->app_argc, config->app_argv);
    case COMMAND_VERSION:
        printf("casgi " CASGI_VERSION "\n");
        return fflush(stdout) ? 1 : 0;
    case COMMAND_HELP:
        config_print_help();
        return ferror(stdout) ? 1 : 0;
    }
    return EXIT_USAGE;
}

static void set_up_log(const struct config *config)
{
    const struct log_options options = { .level = config->log_level,
                                         .format = config->log_json ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT,
                                         .colors = config->colors };
    log_setup(&options);
}

/* What follows --stack-of or its "="; "": nothing does; NULL: it was not given. */
static const char *stack_of_argument(int argc, char **argv)
{
    size_t length = strlen(STACK_OF_OPTION);
    if (argc < 2 || strncmp(argv[1], STACK_OF_OPTION, length) != 0) {
        return NULL;
    }
    const char *rest = argv[1] + length;
    return *rest == '=' ? rest + 1 : *rest ? NULL : argc == 3 ? argv[2] : "";
}

int main(int argc, char **argv)
{
    const struct log_options plain = { .level = CASGI_LOG_INFO, .colors = -1 };
    struct origin origin = { .argv = argv, .control = control_from_environment() };
    struct config config = { 0 };
    casgi_error_t error;
    log_setup(&plain);
    (void)signal(SIGCHLD, SIG_DFL); /* ignored by who started us, no child's end would be known */
    const char *of = stack_of_argument(argc, argv);
    if (of) { /* not an option of the table: nothing is served */
        return stack_of_run(of);
    }
    origin.environment = copy_environment();
    if (!origin.environment || config_parse(&config, argc, argv, &error)) {
        fprintf(stderr, "casgi: %s\n", origin.environment ? error.message : "out of memory");
        free(origin.environment);
        return EXIT_USAGE;
    }
    set_up_log(&config);
    int exit_code = dispatch(&config, &origin);
    log_finish();
    config_release(&config);
    free(origin.environment);
    return exit_code;
}
