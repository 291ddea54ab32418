#include "module/check.h"

#include "base/error.h"
#include "module/elf.h"
#include "module/loader.h"
#include "module/resolve.h"
#include "runtime/loop.h"

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_NOT_LOADED 4
#define EXIT_REPORTED 77 /* of the child: a constructor that calls exit(0) is not taken for success */
#define LOADING_SECONDS 30
#define NAMES_SHOWN 5

/* What is looked at, and the words that its application gets. */
struct subject {
    const char *path;
    const char *app; /* NULL: none was chosen */
    int argc;
    char **argv;
    volatile int *step; /* of the child, shared with the parent */
};

enum { LOADING, MAKING, ENDING };

static const struct {
    const char *text;
    const char *where;
} steps[] = {
    [LOADING] = { "it is loaded", "one of its constructors" },
    [MAKING] = { "its application is made", "create" },
    [ENDING] = { "its application is ended", "destroy" },
};

static int complain(const char *message)
{
    (void)fprintf(stderr, "casgi: %s\n", message);
    return EXIT_NOT_LOADED;
}

/* ---- the report ---- */

static void print_flags(uint32_t flags)
{
    static const struct {
        uint32_t flag;
        const char *text;
    } names[] = {
        { CASGI_APP_HTTP, "http" },
        { CASGI_APP_WEBSOCKET, "websocket" },
        { CASGI_APP_LIFESPAN, "lifespan" },
        { CASGI_APP_BLOCKING, "blocking" },
        { CASGI_APP_CANCEL_ON_DISCONNECT, "cancel-on-disconnect" },
    };
    const char *separator = "";
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (flags & names[i].flag) {
            (void)printf("%s%s", separator, names[i].text);
            separator = " ";
        }
    }
}

static void print_apps(const casgi_module_t *record)
{
    for (size_t i = 0; record->apps[i]; i++) {
        const casgi_app_record_t *app = record->apps[i];
        (void)printf("application: %s (", app->name);
        print_flags(app->flags);
        (void)printf(")%s%s\n", app->summary ? " - " : "", app->summary ? app->summary : "");
    }
}

static void print_interfaces(const casgi_module_t *record)
{
    (void)printf("needs interfaces:");
    for (size_t i = 0; record->interfaces && record->interfaces[i]; i++) {
        (void)printf(" %s", record->interfaces[i]);
    }
    (void)printf("%s\n", record->interfaces && record->interfaces[0] ? "" : " none");
}

static void print_libraries(const struct elf_info *info)
{
    (void)printf("needs libraries:");
    for (size_t i = 0; i < info->needed.count; i++) {
        (void)printf(" %s", info->needed.items[i]);
    }
    (void)printf("%s\n", info->needed.count ? "" : " none");
}

static void print_some(const struct elf_names *names)
{
    for (size_t i = 0; i < names->count && i < NAMES_SHOWN; i++) {
        (void)printf("%s%s", i ? ", " : "", names->items[i]);
    }
    if (names->count > NAMES_SHOWN) {
        (void)printf(", ...");
    }
}

/* Names that the process has already: without -Bsymbolic the module's own uses of them bind to those. */
static void warn_of_clashes(const struct elf_info *info, const char *const *clashes)
{
    for (size_t i = 0; i < info->exports.count; i++) {
        if (clashes[i]) {
            (void)printf("warning: %s is also defined by %s%s\n", info->exports.items[i], clashes[i],
                         info->symbolic ? " (harmless: linked with -Bsymbolic)"
                                        : "; the module would use that one: link it with -Wl,-Bsymbolic");
        }
    }
}

static void warn_of_exports(const struct elf_info *info)
{
    if (info->exports.count) {
        (void)printf("warning: exports %zu other symbol%s (", info->exports.count, info->exports.count == 1 ? "" : "s");
        print_some(&info->exports);
        (void)printf("): compile it with -fvisibility=hidden and link with -Wl,--exclude-libs,ALL\n");
    }
}

static void report(const struct module *module, const struct elf_info *info, const char *const *clashes)
{
    const casgi_module_t *record = module_record(module);
    (void)printf("%s: a module that this casgi loads\n", module_shown(module));
    (void)printf("name: %s\nversion: %s\nABI: %d.%u\n", record->name, record->version, CASGI_ABI_MAJOR,
                 record->abi_minor);
    print_apps(record);
    print_interfaces(record);
    print_libraries(info);
    warn_of_exports(info);
    warn_of_clashes(info, clashes);
}

/* ---- the child ---- */

/* For each exported name the object that defines it in this process already; NULL: none. Asked before loading. */
static const char **find_clashes(const struct elf_info *info)
{
    const char **clashes = calloc(info->exports.count + 1, sizeof(*clashes));
    for (size_t i = 0; clashes && i < info->exports.count; i++) {
        Dl_info where;
        void *address = dlsym(RTLD_DEFAULT, info->exports.items[i]);
        if (address && dladdr(address, &where) && where.dli_fname) {
            clashes[i] = where.dli_fname;
        }
    }
    return clashes;
}

/* The one that would be served; of several none may be chosen yet. */
static int make_app(struct module *module, const struct subject *subject)
{
    casgi_error_t error = { 0 };
    casgi_app_t *app;
    uint32_t flags;
    if (!module_find_app(module, subject->app, &error)) {
        return 0;
    }
    return module_create(module, subject->app, subject->argc, subject->argv, &app, &flags, &error)
               ? complain(error.message)
               : 0;
}

/* What is known so far is printed before anything of the application's runs: it may crash. */
static int report_and_make(struct module *module, const struct subject *subject, const struct elf_info *info,
                           const char *const *clashes)
{
    const struct loop_options options = { 0 };
    struct loop *loop;
    report(module, info, clashes);
    if (fflush(stdout)) {
        return complain("the report cannot be written");
    }
    if (loop_new(&options, &loop)) {
        return complain("no loop can be made to make the application in");
    }
    *subject->step = MAKING;
    return make_app(module, subject); /* the loop ends with the child */
}

static int load_and_report(const struct subject *subject)
{
    casgi_error_t error = { 0 };
    struct elf_info info = { 0 };
    struct module *module = NULL;
    const char **clashes = NULL;
    int code = EXIT_NOT_LOADED;
    if (elf_read(subject->path, NULL, &info, &error)) {
        return complain(error.message);
    }
    clashes = find_clashes(&info);
    if (!clashes) {
        (void)complain("out of memory");
    } else if (module_open(subject->path, NULL, &module, &error) ||
               (subject->app && !module_find_app(module, subject->app, &error))) {
        (void)complain(error.message);
    } else {
        code = report_and_make(module, subject, &info, clashes);
    }
    free(clashes);
    elf_info_release(&info);
    *subject->step = module ? ENDING : LOADING;
    module_close_all();
    return code;
}

static int tell_end(const struct subject *subject, int status)
{
    const char *path = subject->path;
    const char *step = steps[*subject->step].text, *where = steps[*subject->step].where;
    if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_REPORTED) {
        return 0;
    }
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) {
        (void)fprintf(stderr, "casgi: after %d s %s has not come further: %s does not return\n", LOADING_SECONDS, path,
                      where);
    } else if (WIFSIGNALED(status)) {
        (void)fprintf(stderr, "casgi: %s crashes while %s, in %s: SIG%s\n", path, step, where,
                      sigabbrev_np(WTERMSIG(status)));
    } else if (WEXITSTATUS(status) != EXIT_NOT_LOADED) {
        (void)fprintf(stderr, "casgi: %s ends the process while %s, with exit code %d\n", path, step,
                      WEXITSTATUS(status));
    }
    return EXIT_NOT_LOADED;
}

static int await(pid_t child, const struct subject *subject)
{
    int status = 0;
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR) {
            return complain(strerror(errno));
        }
    }
    return tell_end(subject, status);
}

static int check_in_child(const struct subject *subject)
{
    (void)fflush(NULL);
    pid_t child = fork();
    if (child < 0) {
        return complain(strerror(errno));
    }
    if (child == 0) {
        (void)alarm(LOADING_SECONDS);
        int code = load_and_report(subject);
        _exit(code ? code : EXIT_REPORTED);
    }
    return await(child, subject);
}

static int check_module(struct subject *subject)
{
    void *shared =
        mmap(NULL /* address */, sizeof(*subject->step), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        return complain(strerror(errno));
    }
    subject->step = shared;
    int code = check_in_child(subject);
    (void)munmap(shared, sizeof(*subject->step));
    return code;
}

int check_run(const char *spec, int argc, char **argv)
{
    casgi_error_t error = { 0 };
    struct resolved resolved;
    if (resolve_app(spec, &resolved, &error)) {
        return complain(error.message);
    }
    int code;
    if (resolved.kind == RESOLVE_MODULE) {
        struct subject subject = { .path = resolved.path, .app = resolved.app, .argc = argc, .argv = argv };
        code = check_module(&subject);
    } else {
        (void)error_set(&error, CASGI_EINVAL,
                        "%s is a source file; check takes a built module: build it to a .so first", resolved.path);
        code = complain(error.message);
    }
    resolved_release(&resolved);
    return code;
}
