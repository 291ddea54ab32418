#include "supervisor/build.h"

#include "base/buf.h"
#include "base/error.h"
#include "supervisor/artifact.h"
#include "supervisor/cache.h"
#include "supervisor/disk.h"
#include "supervisor/missing.h"
#include "supervisor/recipe.h"
#include "supervisor/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { OUTPUT_MAX = 65536, LIST_MAX = 1024 * 1024, KEPT_RESULTS = 100 };

struct build {
    struct build_options options;
    bool shown; /* the compiler writes to our stderr itself */
    struct words compiler;
    char *cache;
    char *list;        /* in the cache: the headers of this source text */
    char *output_path; /* where the compiler writes */
    char *depfile;
    struct hash key;
    struct timespec began;
    pid_t pid;
    int pipe; /* the compiler's output; -1 */
    struct buf output;
    bool done;
    struct artifact *artifact;
    struct path_list files;
};

/* ---- names in the cache ---- */

/* "app" of "src/app.c". */
static char *stem(const char *source)
{
    const char *name = path_name(source);
    const char *dot = strrchr(name, '.');
    return dot && dot != name ? strndup(name, (size_t)(dot - name)) : strdup(name);
}

/* Yours; NULL: out of memory. */
static char *result_path(const struct build *build, const struct hash *hash)
{
    char text[HASH_TEXT_SIZE];
    char *path = NULL, *name = stem(build->options.source);
    hash_text(hash, text);
    if (name && asprintf(&path, "%s/%s-%s.so", build->cache, name, text) < 0) {
        path = NULL;
    }
    free(name);
    return path;
}

static int make_names(struct build *build)
{
    static unsigned serial;
    char text[HASH_TEXT_SIZE];
    hash_text(&build->key, text);
    serial++;
    if (asprintf(&build->list, "%s/%s.deps", build->cache, text) < 0) {
        build->list = NULL;
    }
    if (asprintf(&build->output_path, "%s/%s-%ld-%u.so", build->cache, text, (long)getpid(), serial) < 0) {
        build->output_path = NULL;
    }
    if (asprintf(&build->depfile, "%s/%s-%ld-%u.deps", build->cache, text, (long)getpid(), serial) < 0) {
        build->depfile = NULL;
    }
    return build->list && build->output_path && build->depfile ? 0 : CASGI_ENOMEM;
}

/* ---- what is kept already ---- */

/* The list file holds paths, each ended by a NUL. */
static int read_list(const char *path, struct path_list *out)
{
    char *text;
    size_t size;
    int rc = disk_read(path, LIST_MAX, &text, &size);
    if (rc) {
        return rc;
    }
    for (size_t at = 0; at < size && !rc; at += strlen(text + at) + 1) {
        rc = path_list_add(out, text + at, strlen(text + at));
    }
    free(text);
    return rc;
}

static void write_list(const char *path, const struct path_list *files)
{
    struct buf text;
    int rc = 0;
    buf_init(&text, LIST_MAX);
    for (size_t i = 0; i < files->count && !rc; i++) {
        rc = buf_append(&text, files->items[i], strlen(files->items[i]) + 1);
    }
    if (!rc) {
        (void)disk_replace(path, buf_bytes(&text), buf_len(&text));
    }
    buf_release(&text);
}

static void take_kept(struct build *build)
{
    struct path_list files = { 0 };
    struct hash hash;
    char *path = NULL;
    if (!read_list(build->list, &files) && !recipe_result_key(&build->key, &files, &hash)) {
        path = result_path(build, &hash);
    }
    if (path && artifact_hold(path, false, &build->artifact) == 0) {
        build->files = files;
        build->done = true;
        (void)utimensat(AT_FDCWD, path, /* now */ NULL, 0);
    } else {
        path_list_release(&files);
    }
    free(path);
}

/* ---- the compiler ---- */

static int run_compiler(struct build *build, const struct words *command)
{
    int fds[2] = { -1, -1 };
    if (!build->shown && pipe2(fds, O_CLOEXEC)) {
        return error_from_errno(errno);
    }
    if (fds[0] >= 0) {
        (void)fcntl(fds[0], F_SETFL, O_NONBLOCK);
    }
    const struct spawn_options options = {
        .argv = command->items, .control = -1, .output = build->shown ? STDERR_FILENO : fds[1], .group = !build->shown
    };
    int rc = spawn_program(&options, &build->pid);
    if (fds[1] >= 0) {
        close(fds[1]);
    }
    build->pipe = fds[0];
    return rc;
}

static int compile(struct build *build, casgi_error_t *error)
{
    struct words command;
    int rc = recipe_command(&build->compiler, &build->options, build->output_path, build->depfile, &command);
    if (rc) {
        return recipe_flags_error(rc, "--libs", build->options.libs, error);
    }
    (void)clock_gettime(CLOCK_REALTIME_COARSE, &build->began);
    rc = run_compiler(build, &command);
    if (rc) {
        (void)error_set(error, rc, "the compiler %s cannot be started: %s", command.items[0], error_text(rc));
    }
    words_release(&command);
    return rc;
}

static int prepare(struct build *build, casgi_error_t *error)
{
    int rc = recipe_make(&build->options, &build->compiler, error);
    if (!rc) {
        rc = cache_open(&build->cache, error);
    }
    if (rc) {
        return rc;
    }
    rc = recipe_key(&build->compiler, &build->options, &build->key);
    if (rc == CASGI_ENOENT) {
        return error_set(error, rc, "%s: there is no such file", build->options.source);
    }
    if (rc) {
        return error_set(error, rc, "%s cannot be read: %s", build->options.source, error_text(rc));
    }
    rc = make_names(build);
    return rc ? error_set(error, rc, "out of memory") : 0;
}

static int start(const struct build_options *options, bool shown, struct build **out, casgi_error_t *error)
{
    struct build *build = calloc(1, sizeof(*build));
    if (!build) {
        return error_set(error, CASGI_ENOMEM, "out of memory");
    }
    build->options = *options;
    build->shown = shown;
    build->pipe = -1;
    buf_init(&build->output, OUTPUT_MAX);
    int rc = prepare(build, error);
    if (!rc) {
        take_kept(build);
        rc = build->done ? 0 : compile(build, error);
    }
    if (rc) {
        build_free(build);
        return rc;
    }
    *out = build;
    return 0;
}

int build_start(const struct build_options *options, struct build **out, casgi_error_t *error)
{
    return start(options, false, out, error);
}

/* ---- its result ---- */

/* Files are dated with the coarse clock: one of the same tick may have been saved before or after. */
static bool is_older(const char *path, const struct timespec *when)
{
    struct stat st;
    return stat(path, &st) == 0 && (st.st_mtim.tv_sec < when->tv_sec ||
                                    (st.st_mtim.tv_sec == when->tv_sec && st.st_mtim.tv_nsec < when->tv_nsec));
}

/* A file that was saved while the compiler ran may be in the result or not. */
static bool changed_meanwhile(const struct build *build)
{
    struct hash key;
    if (recipe_key(&build->compiler, &build->options, &key) || key.state != build->key.state) {
        return true;
    }
    for (size_t i = 0; i < build->files.count; i++) {
        const char *path = build->files.items[i];
        if (strcmp(path, build->options.source) != 0 && !is_older(path, &build->began)) {
            return true;
        }
    }
    return false;
}

/* Gives the result its name by content. */
static int keep_result(struct build *build)
{
    struct hash hash;
    int rc = recipe_result_key(&build->key, &build->files, &hash);
    char *path = rc ? NULL : result_path(build, &hash);
    if (!path) {
        return rc ? rc : CASGI_ENOMEM;
    }
    if (rename(build->output_path, path)) {
        rc = error_from_errno(errno);
    } else {
        write_list(build->list, &build->files);
        rc = artifact_hold(path, false, &build->artifact);
        cache_prune(build->cache, KEPT_RESULTS);
    }
    free(path);
    return rc;
}

static void take_result(struct build *build)
{
    if (depfile_read(build->depfile, &build->files) || changed_meanwhile(build) || keep_result(build)) {
        (void)artifact_hold(build->output_path, true, &build->artifact);
    }
}

/* Which headers are to be watched, for a source that did not compile: also those it lacks. */
static void scan_headers(struct build *build)
{
    struct words command;
    pid_t pid;
    if (recipe_scan_command(&build->compiler, &build->options, build->depfile, &command)) {
        return;
    }
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    const struct spawn_options options = { .argv = command.items, .control = -1, .output = nowhere };
    if (nowhere >= 0 && spawn_program(&options, &pid) == 0) {
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
        }
        if (depfile_read(build->depfile, &build->files) == 0 && missing_places(&build->compiler, &build->files) != 0) {
            path_list_release(&build->files); /* those of the last build stay watched */
        }
    }
    if (nowhere >= 0) {
        close(nowhere);
    }
    words_release(&command);
}

bool build_done(const struct build *build)
{
    return build->done;
}

pid_t build_pid(const struct build *build)
{
    return build->pid;
}

int build_fd(const struct build *build)
{
    return build->pipe;
}

void build_read(struct build *build)
{
    char piece[4096];
    ssize_t n = 0;
    while (build->pipe >= 0 && (n = read(build->pipe, piece, sizeof(piece))) > 0) {
        size_t room = OUTPUT_MAX - 1 - buf_len(&build->output);
        size_t size = (size_t)n < room ? (size_t)n : room;
        char *to = size ? buf_reserve(&build->output, size) : NULL;
        if (to) {
            memcpy(to, piece, size);
            buf_commit(&build->output, size);
        }
    }
    if (build->pipe >= 0 && (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))) {
        close(build->pipe);
        build->pipe = -1;
    }
}

void build_exited(struct build *build, int wait_status)
{
    build->pid = 0;
    build_read(build);
    if (build->pipe >= 0) {
        close(build->pipe);
        build->pipe = -1;
    }
    if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0) {
        take_result(build);
    } else {
        scan_headers(build);
    }
    build->done = true;
}

struct artifact *build_artifact(const struct build *build)
{
    return build->artifact;
}

const char *build_output(const struct build *build)
{
    struct build *self = (struct build *)(uintptr_t)build;
    char *end = buf_reserve(&self->output, 1);
    if (!end) {
        return "";
    }
    *end = '\0';
    return buf_bytes(&self->output);
}

const struct path_list *build_dependencies(const struct build *build)
{
    return &build->files;
}

void build_free(struct build *build)
{
    if (!build) {
        return;
    }
    if (build->pid > 0) { /* TERM: the compiler removes its temporary files */
        (void)kill(build->shown ? build->pid : -build->pid, SIGTERM);
    }
    if (build->pipe >= 0) {
        close(build->pipe);
    }
    if (build->depfile) {
        unlink(build->depfile);
    }
    if (build->output_path && !(build->artifact && build->artifact->is_copy)) {
        unlink(build->output_path);
    }
    artifact_unref(build->artifact);
    path_list_release(&build->files);
    words_release(&build->compiler);
    buf_release(&build->output);
    free(build->cache);
    free(build->list);
    free(build->output_path);
    free(build->depfile);
    free(build);
}

int build_wait(const struct build_options *options, struct artifact **out, casgi_error_t *error)
{
    struct build *build;
    int rc = start(options, true, &build, error);
    if (rc) {
        return rc;
    }
    while (!build_done(build)) {
        int status;
        if (waitpid(build->pid, &status, 0) == build->pid) {
            build_exited(build, status);
        } else if (errno != EINTR) {
            break;
        }
    }
    if (build->artifact) {
        *out = artifact_ref(build->artifact);
    } else {
        rc = error_set(error, CASGI_EFAILED, "%s does not compile", options->source);
    }
    build_free(build);
    return rc;
}
