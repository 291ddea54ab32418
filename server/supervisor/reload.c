#include "supervisor/reload.h"

#include "base/error.h"
#include "base/log.h"
#include "config/config.h"
#include "net/control.h"
#include "supervisor/artifact.h"
#include "supervisor/build.h"
#include "supervisor/cache.h"
#include "supervisor/clock.h"
#include "supervisor/disk.h"
#include "supervisor/named.h"
#include "supervisor/report.h"
#include "supervisor/watch.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MILLISECOND UINT64_C(1000)
#define SECOND UINT64_C(1000000)

static const uint64_t writing_max = 5 * SECOND; /* so long a file that stays open for writing holds a reload up */
static const uint64_t retry_first = 100 * MILLISECOND;
static const uint64_t retry_most = 5 * SECOND;
static const uint64_t quick_death = 10 * SECOND;  /* who served longer did not die in quick succession */
static const uint64_t give_up_after = 1 * SECOND; /* what an overtaken startup may take to end */

void reload_init(struct reload *reload, const struct reload_options *options, struct crew *crew, struct watch *watch)
{
    *reload = (struct reload){ .options = *options, .crew = crew, .watch = watch };
}

void reload_release(struct reload *reload)
{
    build_free(reload->build);
    artifact_unref(reload->slot.good);
    reload->build = NULL;
    reload->slot.good = NULL;
}

static const char *shown_name(const struct reload *reload)
{
    return path_name(reload->options.path);
}

static bool serves(const struct slot *slot)
{
    return slot->current && !slot->current->placeholder;
}

/* ---- giving up what a newer save overtakes ---- */

static void abandon_startup(struct reload *reload)
{
    struct member *next = reload->slot.next;
    if (next) {
        reload->slot.next = NULL;
        crew_stop(reload->crew, next);
        next->kill_at = next->since + give_up_after;
    }
}

static void abandon(struct reload *reload)
{
    build_free(reload->build);
    reload->build = NULL;
    abandon_startup(reload);
}

/* ---- what is done about a failure ---- */

/* Answers for want of a worker; a running placeholder gets the new text. */
static void show_placeholder(struct reload *reload, const char *text)
{
    struct slot *slot = &reload->slot;
    casgi_error_t error;
    if (slot->current && !control_send_text(slot->current->control, CONTROL_PLACEHOLDER, 0, text)) {
        return;
    }
    if (crew_start(reload->crew, /* no module */ NULL, text, ++reload->generation, &slot->next, &error)) {
        log_print(CASGI_LOG_ERROR, "%s", error.message);
    }
}

/* A worker that died is tried again, whatever the reason of this failure. */
static void plan_retry(struct slot *slot)
{
    uint64_t pause = retry_first;
    for (unsigned i = 1; i < slot->deaths && pause < retry_most; i++) {
        pause *= 2;
    }
    slot->deaths++;
    slot->retry_at = clock_now() + (slot->deaths == 1 ? 0 : pause < retry_most ? pause : retry_most);
}

/* A newer save is about to be acted upon: what failed is of no interest. */
static bool is_overtaken(const struct reload *reload)
{
    return reload->due != 0;
}

/* `text` was shown already. */
static void failed(struct reload *reload, const char *text)
{
    struct slot *slot = &reload->slot;
    slot->next = NULL;
    if (is_overtaken(reload)) {
        return;
    }
    reload->saved_at = 0;
    if (serves(slot)) {
        log_print(CASGI_LOG_ERROR, "%s was not reloaded; the worker [%d] goes on serving", shown_name(reload),
                  (int)slot->current->pid);
        return;
    }
    log_print(CASGI_LOG_ERROR, "%s cannot be served; requests are answered with 503 until it is saved again",
              shown_name(reload));
    show_placeholder(reload, text);
    if (slot->good) {
        plan_retry(slot);
    }
}

static void failed_with(struct reload *reload, const char *message)
{
    if (!is_overtaken(reload)) {
        log_print(CASGI_LOG_ERROR, "%s", message);
    }
    failed(reload, message);
}

/* ---- starting the new worker ---- */

static void start_worker(struct reload *reload, struct artifact *artifact)
{
    casgi_error_t error;
    if (crew_start(reload->crew, artifact, /* no text */ NULL, ++reload->generation, &reload->slot.next, &error)) {
        failed_with(reload, error.message);
    }
}

/* A module is loaded from a private copy, since the author's file changes while it is mapped. */
static void copy_module(struct reload *reload)
{
    struct artifact *artifact;
    casgi_error_t error;
    char *cache = NULL;
    (void)cache_open(&cache, &error);
    int rc = artifact_copy(reload->options.path, reload->generation + 1, cache, &artifact, &error);
    free(cache);
    if (rc == CASGI_EAGAIN) { /* it is being saved again */
        reload->due = clock_now() + reload->options.config->reload_delay;
    } else if (rc) {
        failed_with(reload, error.message);
    } else {
        start_worker(reload, artifact);
        artifact_unref(artifact);
    }
}

int reload_watch_files(struct watch *watch, const struct config *config, const struct path_list *files)
{
    struct path_list all = { 0 };
    int rc = 0;
    for (size_t i = 0; i < files->count && !rc; i++) {
        rc = path_list_add(&all, files->items[i], strlen(files->items[i]));
    }
    rc = rc ? rc : named_modules(config->app_argv + 1, (size_t)config->app_argc - 1, &all);
    rc = rc ? rc : watch_set_files(watch, &all);
    path_list_release(&all);
    return rc;
}

/* Watches what the module was made from; what cannot be watched stays as it was. */
static void watch_dependencies(struct reload *reload)
{
    const struct path_list *files = build_dependencies(reload->build);
    if (files->count) {
        (void)reload_watch_files(reload->watch, reload->options.config, files);
    }
}

static void built(struct reload *reload)
{
    struct build *build = reload->build;
    struct artifact *artifact = build_artifact(build);
    const char *output = build_output(build);
    watch_dependencies(reload);
    report_compiler(output);
    if (artifact) {
        start_worker(reload, artifact);
    } else {
        char *text = report_plain(output);
        log_print(CASGI_LOG_ERROR, "%s does not compile", reload->options.path);
        failed(reload, text ? text : "It does not compile.");
        free(text);
    }
    reload->build = NULL;
    build_free(build);
}

static void build_source(struct reload *reload)
{
    const struct config *config = reload->options.config;
    const struct build_options options = { .source = reload->options.path,
                                           .cxx = reload->options.cxx,
                                           .cflags = config->cflags,
                                           .libs = config->libs,
                                           .debug = true,
                                           .colors = log_colors(LOG_STDERR) };
    casgi_error_t error;
    if (build_start(&options, &reload->build, &error)) {
        failed_with(reload, error.message);
    } else if (build_done(reload->build)) {
        built(reload);
    }
}

static void begin(struct reload *reload)
{
    abandon(reload);
    reload->due = 0;
    reload->slot.retry_at = 0;
    if (reload->options.source) {
        build_source(reload);
    } else {
        copy_module(reload);
    }
}

void reload_first(struct reload *reload)
{
    reload->saved_at = clock_now();
    begin(reload);
}

void reload_compiler_exited(struct reload *reload, int wait_status)
{
    build_exited(reload->build, wait_status);
    built(reload);
}

/* ---- saves ---- */

/* As its author would write it: what lies below the current directory is named from there. */
static const char *from_here(const char *path)
{
    char *here = getcwd(NULL, 0);
    size_t size = here ? strlen(here) : 0;
    bool below = size > 1 && strncmp(path, here, size) == 0 && path[size] == '/';
    free(here);
    return below ? path + size + 1 : path;
}

void reload_saved(struct reload *reload, const char *path)
{
    uint64_t now = clock_now();
    if (reload->ending) {
        return;
    }
    if (!reload->due) {
        log_print(CASGI_LOG_INFO, "%s: reloading", path ? from_here(path) : "SIGHUP");
    }
    reload->saved_at = now;
    reload->writing = 0;
    reload->due = now + (path ? reload->options.config->reload_delay : 1);
}

void reload_writing(struct reload *reload)
{
    reload->writing = reload->writing ? reload->writing : clock_now();
}

/* ---- what workers say ---- */

/* The new worker serves from here on, the old one hands over to it. */
static void switch_to(struct reload *reload, struct member *member)
{
    struct slot *slot = &reload->slot;
    struct member *old = slot->current;
    member->state = MEMBER_SERVING;
    member->since = clock_now();
    slot->current = member;
    slot->next = NULL;
    slot->retire_at = 0;
    if (member->artifact) {
        artifact_unref(slot->good);
        slot->good = artifact_ref(member->artifact);
        slot->retry_at = 0;
    }
    slot->previous = old;
    if (old) {
        crew_drain(reload->crew, old, member);
    }
}

static void report_reloaded(struct reload *reload)
{
    const struct member *member = reload->slot.current; /* NULL: it died before it had taken everything over */
    reload->slot.previous = NULL;
    if (member && !member->placeholder && reload->saved_at && !reload->due) {
        log_print(CASGI_LOG_INFO, "Reloaded in %.0f ms: %s is served by the worker [%d]",
                  (double)(clock_now() - reload->saved_at) / 1000, shown_name(reload), (int)member->pid);
        reload->saved_at = 0;
    }
}

static void on_ready(struct reload *reload, struct member *member)
{
    bool first = !reload->slot.current && !reload->slot.good;
    if (member != reload->slot.next) {
        return;
    }
    switch_to(reload, member);
    if (!reload->slot.previous && !member->placeholder) {
        if (first && !reload->due) {
            reload->saved_at = 0;
        } else {
            report_reloaded(reload);
        }
    }
}

static void on_failed(struct reload *reload, struct member *member, const struct control_message *message)
{
    bool placeholder = member->placeholder;
    if (member != reload->slot.next) {
        return;
    }
    crew_stop(reload->crew, member);
    if (placeholder) {
        log_print(CASGI_LOG_ERROR, "%s", message->text.ptr);
        reload->slot.next = NULL;
    } else {
        failed_with(reload, message->text.ptr);
    }
}

/* It has served so many requests, and another is to take its place. */
static void on_retire(struct reload *reload, const struct member *member, const struct control_message *message)
{
    if (member == reload->slot.current) {
        log_print(CASGI_LOG_INFO, "%s", message->text.ptr);
        reload->slot.retire_at = clock_now();
    }
}

void reload_message(struct reload *reload, struct member *member, const struct control_message *message)
{
    if (reload->ending) {
        return;
    }
    switch (message->type) {
    case CONTROL_READY:
        on_ready(reload, member);
        break;
    case CONTROL_FAILED:
        on_failed(reload, member, message);
        break;
    case CONTROL_HANDED_OVER:
        if (member == reload->slot.previous) {
            report_reloaded(reload);
        }
        break;
    case CONTROL_RETIRE:
        on_retire(reload, member, message);
        break;
    default:
        break;
    }
}

/* ---- deaths ---- */

static void died_starting(struct reload *reload, const struct member *member, int wait_status)
{
    char text[256];
    report_death(text, sizeof(text), member->pid, "while it started", wait_status);
    if (member->placeholder) {
        log_print(CASGI_LOG_ERROR, "%s", text);
        reload->slot.next = NULL;
    } else {
        failed_with(reload, text);
    }
}

static void died_serving(struct reload *reload, const struct member *member, int wait_status)
{
    struct slot *slot = &reload->slot;
    char text[256];
    report_death(text, sizeof(text), member->pid, "while it served", wait_status);
    log_print(CASGI_LOG_ERROR, "%s", text);
    slot->current = NULL;
    slot->retire_at = 0;
    if (clock_now() - member->since > quick_death) {
        slot->deaths = 0;
    }
    if (slot->good) {
        plan_retry(slot);
    } else if (member->placeholder && !slot->next && !reload->build) { /* what follows a failure is another */
        show_placeholder(reload, "It cannot be served until it is saved again.");
    }
}

void reload_worker_exited(struct reload *reload, struct member *member, int wait_status)
{
    struct slot *slot = &reload->slot;
    if (reload->ending) {
        return;
    }
    if (member == slot->next) {
        died_starting(reload, member, wait_status);
    } else if (member == slot->current) {
        died_serving(reload, member, wait_status);
    } else if (member == slot->previous) {
        report_reloaded(reload);
    }
    if (WIFSIGNALED(wait_status) && member->state == MEMBER_LEAVING && member->kill_at) {
        char text[256];
        report_death(text, sizeof(text), member->pid, "while it ended", wait_status);
        log_print(CASGI_LOG_ERROR, "%s", text);
    }
}

/* ---- time ---- */

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return !a || (b && b < a) ? b : a;
}

/* Nothing has changed for the delay, and nothing is being written. */
static bool is_settled(const struct reload *reload, uint64_t now)
{
    return reload->due && reload->due <= now && (!reload->writing || now - reload->writing > writing_max);
}

static void respawn(struct reload *reload)
{
    struct slot *slot = &reload->slot;
    if (slot->next && slot->next->placeholder) {
        slot->retry_at = clock_now() + retry_first; /* it is not there yet */
        return;
    }
    slot->retry_at = 0;
    if (!serves(slot) && !slot->next && !reload->build && slot->good) {
        start_worker(reload, slot->good);
    }
}

/* It says so once: if its successor fails, or another worker is on its way, that is tried again. */
static void replace_retiring(struct reload *reload, uint64_t now)
{
    struct slot *slot = &reload->slot;
    slot->retire_at = now + retry_most;
    if (!slot->next && !reload->build && !reload->due && slot->good) {
        start_worker(reload, slot->good);
    }
}

uint64_t reload_tick(struct reload *reload, uint64_t now)
{
    if (reload->ending) {
        return 0;
    }
    if (is_settled(reload, now)) {
        begin(reload);
    }
    if (reload->slot.retry_at && reload->slot.retry_at <= now) {
        respawn(reload);
    }
    if (reload->slot.retire_at && reload->slot.retire_at <= now) {
        replace_retiring(reload, now);
    }
    uint64_t next = sooner(sooner(reload->due, reload->slot.retry_at), reload->slot.retire_at);
    if (reload->due && reload->writing && next <= now) {
        next = now + 10 * MILLISECOND;
    }
    return next;
}

void reload_end(struct reload *reload)
{
    reload->ending = true;
    build_free(reload->build);
    reload->build = NULL;
}
