#include "supervisor/spawn.h"

#include "base/error.h"

#include <signal.h>
#include <spawn.h>
#include <unistd.h>

static int set_files(posix_spawn_file_actions_t *actions, const struct spawn_options *options)
{
    int rc = 0;
    if (options->output >= 0) {
        rc = posix_spawn_file_actions_adddup2(actions, options->output, STDERR_FILENO);
        rc = rc ? rc : posix_spawn_file_actions_adddup2(actions, options->output, STDOUT_FILENO);
    }
    if (!rc && options->control >= 0) {
        rc = posix_spawn_file_actions_adddup2(actions, options->control, SPAWN_CONTROL_FD);
    }
    return rc;
}

static int set_attributes(posix_spawnattr_t *attributes, const struct spawn_options *options)
{
    sigset_t none, all;
    short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    sigemptyset(&none);
    sigfillset(&all);
    if (options->group) {
        flags |= POSIX_SPAWN_SETPGROUP;
    }
    int rc = posix_spawnattr_setsigmask(attributes, &none);
    rc = rc ? rc : posix_spawnattr_setsigdefault(attributes, &all);
    rc = rc ? rc : posix_spawnattr_setpgroup(attributes, 0);
    return rc ? rc : posix_spawnattr_setflags(attributes, flags);
}

int spawn_program(const struct spawn_options *options, pid_t *out_pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    char *const *environment = options->environment ? options->environment : environ;
    int rc = posix_spawn_file_actions_init(&actions);
    if (rc) {
        return error_from_errno(rc);
    }
    rc = posix_spawnattr_init(&attributes);
    if (!rc) {
        rc = set_files(&actions, options);
        rc = rc ? rc : set_attributes(&attributes, options);
        if (!rc && options->file) {
            rc = posix_spawn(out_pid, options->file, &actions, &attributes, options->argv, environment);
        } else if (!rc) {
            rc = posix_spawnp(out_pid, options->argv[0], &actions, &attributes, options->argv, environment);
        }
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return rc ? error_from_errno(rc) : 0;
}
