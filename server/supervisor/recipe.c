#include "supervisor/recipe.h"

#include "base/error.h"
#include "supervisor/build.h"
#include "supervisor/disk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the compiler ---- */

/* As the shell would find it; yours, NULL if there is none. */
static char *find_program(const char *name)
{
    if (strchr(name, '/')) {
        return access(name, X_OK) == 0 ? strdup(name) : NULL;
    }
    const char *path = getenv("PATH");
    for (const char *folder = path ? path : "/usr/bin:/bin"; folder; folder = strchr(folder, ':')) {
        folder += *folder == ':';
        char *candidate;
        int length = (int)strcspn(folder, ":");
        if (asprintf(&candidate, "%.*s/%s", length, length ? folder : ".", name) < 0) {
            return NULL;
        }
        if (access(candidate, X_OK) == 0) {
            return candidate;
        }
        free(candidate);
    }
    return NULL;
}

/* ---- the headers of the ABI ---- */

static bool has_headers(const char *folder)
{
    char *path = path_join(folder, "casgi/casgi.h");
    bool found = path && access(path, R_OK) == 0;
    free(path);
    return found;
}

/* Beside the program, wherever it was installed to: PREFIX/bin/casgi, PREFIX/include. */
static char *installed_headers(void)
{
    char program[4096];
    ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);
    char *folder = NULL, *include = NULL;
    if (length > 0) {
        program[length] = '\0';
        folder = path_folder(program);
        include = folder ? path_join(folder, "../include") : NULL;
        free(folder);
    }
    return include;
}

/* Yours; NULL: not found, the compiler may know. */
static char *abi_folder(void)
{
    char *include = installed_headers();
    if (include && has_headers(include)) {
        return include;
    }
    free(include);
    return strdup(has_headers(CASGI_BUILD_INCLUDEDIR) ? CASGI_BUILD_INCLUDEDIR : CASGI_INCLUDEDIR);
}

static void add_fixed_flags(struct words *words, const struct build_options *options, const char *abi)
{
    words_add(words, "-g");
    words_add(words, options->debug ? "-Og" : "-O2");
    words_add(words, "-Wall");
    words_add(words, "-fPIC");
    words_add(words, "-fvisibility=hidden");
    words_add(words, "-fno-omit-frame-pointer");
    words_addf(words, "-I%s", abi);
}

int recipe_flags_error(int code, const char *option, const char *text, casgi_error_t *error)
{
    if (code == CASGI_ENOMEM || !text) {
        return error_set(error, code, "%s", error_text(code));
    }
    return error_set(error, code,
                     "%s is not written as for a shell (a quote is not closed, or | & ; < > ( ) { } stand outside of "
                     "quotes), or has a command in it, which is not run: %s",
                     option, text);
}

int recipe_make(const struct build_options *options, struct words *out_compiler, casgi_error_t *error)
{
    const char *variable = options->cxx ? "CXX" : "CC";
    const char *wanted = getenv(variable);
    struct words words = { 0 };
    words_split(&words, wanted && *wanted ? wanted : options->cxx ? "c++" : "cc");
    char *program = words.count ? find_program(words.items[0]) : NULL;
    if (!program) {
        int rc = error_set(error, CASGI_ENOENT,
                           "%s cannot be compiled: there is no compiler \"%s\"; install %s, or name one in $%s",
                           options->source, words.count ? words.items[0] : "", options->cxx ? "g++" : "gcc", variable);
        words_release(&words);
        return rc;
    }
    free(words.items[0]);
    words.items[0] = program;
    char *abi = abi_folder();
    if (abi) {
        add_fixed_flags(&words, options, abi);
    }
    free(abi);
    words_split(&words, options->cflags);
    if (words.failed || !abi) {
        int rc = recipe_flags_error(words.failed ? words.failed : CASGI_ENOMEM, "--cflags", options->cflags, error);
        words_release(&words);
        return rc;
    }
    *out_compiler = words;
    return 0;
}

/* ---- the commands ---- */

static void add_all(struct words *words, const struct words *more)
{
    for (size_t i = 0; i < more->count; i++) {
        words_add(words, more->items[i]);
    }
}

static int finish(struct words *words, struct words *out)
{
    int rc = words->failed;
    if (rc) {
        words_release(words);
        return rc;
    }
    *out = *words;
    return 0;
}

int recipe_command(const struct words *compiler, const struct build_options *options, const char *output,
                   const char *depfile, struct words *out_command)
{
    struct words words = { 0 };
    add_all(&words, compiler);
    if (options->colors) {
        words_add(&words, "-fdiagnostics-color=always");
    }
    words_add(&words, "-MMD");
    words_add(&words, "-MF");
    words_add(&words, depfile);
    words_add(&words, "-shared");
    words_add(&words, "-Wl,-Bsymbolic,--exclude-libs,ALL");
    words_add(&words, "-o");
    words_add(&words, output);
    words_add(&words, options->source);
    words_split(&words, options->libs);
    return finish(&words, out_command);
}

int recipe_scan_command(const struct words *compiler, const struct build_options *options, const char *depfile,
                        struct words *out_command)
{
    struct words words = { 0 };
    add_all(&words, compiler);
    words_add(&words, "-M"); /* gcc's -MM leaves out <missing.h> */
    words_add(&words, "-MG");
    words_add(&words, "-MF");
    words_add(&words, depfile);
    words_add(&words, options->source);
    return finish(&words, out_command);
}

/* ---- the keys ---- */

/* Another compiler under the same name has another size or date. */
static void add_compiler_identity(struct hash *hash, const char *path)
{
    struct stat st;
    if (stat(path, &st) == 0) {
        hash_add(hash, &st.st_size, sizeof(st.st_size));
        hash_add(hash, &st.st_mtim.tv_sec, sizeof(st.st_mtim.tv_sec));
        hash_add(hash, &st.st_ino, sizeof(st.st_ino));
    }
}

int recipe_key(const struct words *compiler, const struct build_options *options, struct hash *out)
{
    static const char *const variables[] = { "CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "LIBRARY_PATH" };
    char *folder = getcwd(/* allocates */ NULL, 0);
    if (!folder) {
        return error_from_errno(errno);
    }
    hash_init(out);
    hash_add_text(out, CASGI_VERSION);
    for (size_t i = 0; i < compiler->count; i++) {
        hash_add_text(out, compiler->items[i]);
    }
    hash_add_text(out, options->libs);
    add_compiler_identity(out, compiler->items[0]);
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
        hash_add_text(out, getenv(variables[i]));
    }
    hash_add_text(out, folder);
    hash_add_text(out, options->source);
    free(folder);
    return hash_add_file(out, options->source);
}

int recipe_result_key(const struct hash *key, const struct path_list *files, struct hash *out)
{
    struct hash hash = *key;
    for (size_t i = 0; i < files->count; i++) {
        hash_add_text(&hash, files->items[i]);
        int rc = hash_add_file(&hash, files->items[i]);
        if (rc) {
            return rc;
        }
    }
    *out = hash;
    return 0;
}
