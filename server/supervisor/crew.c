#include "supervisor/crew.h"

#include "base/error.h"
#include "base/log.h"
#include "net/control.h"
#include "net/listen.h"
#include "supervisor/artifact.h"
#include "supervisor/clock.h"
#include "supervisor/spawn.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void crew_init(struct crew *crew, char *const *argv, char *const *environment, const struct listen_set *sockets,
               uint64_t patience)
{
    *crew = (struct crew){ .argv = argv, .environment = environment, .sockets = sockets, .patience = patience };
    list_init(&crew->members);
}

static void set_state(struct member *member, enum member_state state)
{
    member->state = state;
    member->since = clock_now();
}

/* ---- starting ---- */

/* Our environment and the number of the control channel; yours, as is the text in *out_variable. */
static char **make_environment(char *const *environment, char **out_variable)
{
    size_t count = 0;
    while (environment[count]) {
        count++;
    }
    char **copy = calloc(count + 2, sizeof(*copy));
    if (!copy || asprintf(out_variable, "%s=%d", CONTROL_VARIABLE, SPAWN_CONTROL_FD) < 0) {
        free(copy);
        return NULL;
    }
    memcpy(copy, environment, count * sizeof(*copy));
    copy[count] = *out_variable;
    return copy;
}

/* This program: by its path, which debuggers and valgrind want; where another was installed over it since, by the file
 * that still runs. Borrowed until the next call. */
static const char *this_program(void)
{
    static char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
    path[length > 0 ? length : 0] = '\0';
    return access(path, X_OK) == 0 ? path : "/proc/self/exe"; /* "PATH (deleted)" is not there */
}

static int spawn_worker(const struct crew *crew, int control, pid_t *out_pid)
{
    char *variable;
    char **environment = make_environment(crew->environment, &variable);
    if (!environment) {
        return CASGI_ENOMEM;
    }
    const struct spawn_options options = {
        .argv = crew->argv, .file = this_program(), .environment = environment, .control = control, .output = -1
    };
    int rc = spawn_program(&options, out_pid);
    free(environment);
    free(variable);
    return rc;
}

/* What it is to be, and the sockets: the first message. */
static int send_orders(const struct crew *crew, const struct member *member, const char *text)
{
    struct control_message message = { .type = member->placeholder ? CONTROL_PLACEHOLDER : CONTROL_START,
                                       .value = member->generation,
                                       .text = casgi_str(text) };
    for (size_t i = 0; i < crew->sockets->count && i < CONTROL_FD_MAX; i++) {
        message.fds[message.fd_count++] = crew->sockets->items[i]->fd;
    }
    return control_send(member->control, &message);
}

static int start_process(const struct crew *crew, struct member *member, const char *text)
{
    int fds[2];
    int rc = control_pair(fds);
    if (rc) {
        return rc;
    }
    member->control = fds[0];
    rc = send_orders(crew, member, text);
    if (!rc) {
        rc = spawn_worker(crew, fds[1], &member->pid);
    }
    close(fds[1]);
    if (rc) {
        close(fds[0]);
    }
    return rc;
}

int crew_start(struct crew *crew, struct artifact *artifact, const char *text, unsigned generation, struct member **out,
               casgi_error_t *error)
{
    struct member *member = calloc(1, sizeof(*member));
    if (!member) {
        return error_set(error, CASGI_ENOMEM, "out of memory");
    }
    member->generation = generation;
    member->placeholder = !artifact;
    int rc = start_process(crew, member, artifact ? artifact->path : text);
    if (rc) {
        free(member);
        return error_set(error, rc, "no worker could be started: %s", error_text(rc));
    }
    member->artifact = artifact ? artifact_ref(artifact) : NULL;
    set_state(member, MEMBER_STARTING);
    list_append(&crew->members, &member->node);
    *out = member;
    return 0;
}

/* ---- ending ---- */

static void leave(struct crew *crew, struct member *member)
{
    set_state(member, MEMBER_LEAVING);
    member->kill_at = crew->patience ? member->since + crew->patience : 0;
}

/* Gives each its end of a channel; 0, or nobody got one. */
static int connect_members(struct member *from, struct member *to)
{
    int fds[2];
    int rc = control_pair(fds);
    if (rc) {
        return rc;
    }
    const struct control_message adopt = { .type = CONTROL_ADOPT, .fds = { fds[0] }, .fd_count = 1 };
    const struct control_message drain = { .type = CONTROL_DRAIN, .fds = { fds[1] }, .fd_count = 1 };
    rc = control_send(to->control, &adopt);
    if (!rc) {
        rc = control_send(from->control, &drain);
    }
    close(fds[0]);
    close(fds[1]);
    return rc;
}

void crew_drain(struct crew *crew, struct member *member, struct member *successor)
{
    leave(crew, member);
    if (successor && connect_members(member, successor) == 0) {
        return;
    }
    if (control_send_text(member->control, CONTROL_DRAIN, 0, /* no text */ NULL)) {
        (void)kill(member->pid, SIGTERM);
    }
}

void crew_stop(struct crew *crew, struct member *member)
{
    if (member->state == MEMBER_LEAVING) {
        return;
    }
    leave(crew, member);
    if (control_send_text(member->control, CONTROL_STOP, 0, /* no text */ NULL)) {
        (void)kill(member->pid, SIGTERM);
    }
}

void crew_kill(struct member *member)
{
    (void)kill(member->pid, SIGKILL);
    member->kill_at = 0;
}

struct member *crew_find(const struct crew *crew, pid_t pid)
{
    for (struct list *node = crew->members.next; node != &crew->members; node = node->next) {
        struct member *member = LIST_ENTRY(node, struct member, node);
        if (member->pid == pid) {
            return member;
        }
    }
    return NULL;
}

void crew_remove(struct member *member)
{
    list_remove(&member->node);
    if (member->control >= 0) {
        close(member->control);
    }
    artifact_unref(member->artifact);
    free(member);
}

uint64_t crew_enforce(struct crew *crew, uint64_t now)
{
    uint64_t next = 0;
    for (struct list *node = crew->members.next; node != &crew->members; node = node->next) {
        struct member *member = LIST_ENTRY(node, struct member, node);
        if (member->kill_at && member->kill_at <= now) {
            log_print(CASGI_LOG_WARNING, "Worker [%d] did not end in time and is killed", (int)member->pid);
            crew_kill(member);
        } else if (member->kill_at && (!next || member->kill_at < next)) {
            next = member->kill_at;
        }
    }
    return next;
}
