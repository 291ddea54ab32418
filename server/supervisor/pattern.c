#include "supervisor/pattern.h"

#include "casgi/base.h"
#include "config/config.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Sources and what is made of them. */
static const char *const default_include[] = { "*.so", "*.c",   "*.h",   "*.cc",  "*.cpp",
                                               "*.hh", "*.hpp", "*.inc", "*.cxx", "*.hxx" };
/* Hidden files (private copies among them), and what editors write beside the file they save. */
static const char *const default_exclude[] = { ".*", "*~", "~*", "#*#", "*.sw?", "*.tmp", "*.bak", "4913" };

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* The part of `path` that has as many slashes as `pattern`. */
static const char *comparable(const char *pattern, const char *path)
{
    size_t slashes = 0;
    for (const char *c = pattern; *c; c++) {
        slashes += *c == '/';
    }
    for (const char *c = path + strlen(path); c > path; c--) {
        if (c[-1] == '/' && slashes-- == 0) {
            return c;
        }
    }
    return path;
}

static bool is_below(const char *folder, const char *path)
{
    size_t length = strlen(folder);
    return strncmp(folder, path, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

bool pattern_match(const char *pattern, const char *path)
{
    if (pattern[0] == '/') {
        return is_below(pattern, path) || fnmatch(pattern, path, FNM_PATHNAME) == 0;
    }
    return fnmatch(pattern, comparable(pattern, path), FNM_PATHNAME) == 0;
}

static bool any_match(char *const *patterns, size_t count, const char *path)
{
    for (size_t i = 0; i < count; i++) {
        if (pattern_match(patterns[i], path)) {
            return true;
        }
    }
    return false;
}

static bool given(const struct config_list *list, const char *pattern)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i], pattern) == 0) {
            return true;
        }
    }
    return false;
}

/* A folder becomes its absolute path, by which all below it is meant. */
static char *copy_pattern(const char *pattern)
{
    struct stat st;
    if (stat(pattern, &st) == 0 && S_ISDIR(st.st_mode)) {
        return realpath(pattern, /* allocates */ NULL);
    }
    return strdup(pattern);
}

static int fill(char ***out_items, size_t *out_count, const char *const *defaults, size_t default_count,
                const struct config_list *own, const struct config_list *opposite)
{
    size_t count = 0;
    char **items = calloc(default_count + own->count + 1, sizeof(*items));
    *out_items = items;
    *out_count = 0;
    if (!items) {
        return CASGI_ENOMEM;
    }
    for (size_t i = 0; i < default_count + own->count; i++) {
        bool is_default = i < default_count;
        const char *pattern = is_default ? defaults[i] : own->items[i - default_count];
        if (is_default && given(opposite, pattern)) {
            continue;
        }
        items[count] = copy_pattern(pattern);
        if (!items[count]) {
            return CASGI_ENOMEM;
        }
        *out_count = ++count;
    }
    return 0;
}

int pattern_set_init(struct pattern_set *set, const struct config_list *include, const struct config_list *exclude)
{
    *set = (struct pattern_set){ 0 };
    int rc = fill(&set->include, &set->include_count, default_include, LENGTH(default_include), include, exclude);
    if (!rc) {
        rc = fill(&set->exclude, &set->exclude_count, default_exclude, LENGTH(default_exclude), exclude, include);
    }
    if (rc) {
        pattern_set_release(set);
    }
    return rc;
}

static void free_items(char **items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(items[i]);
    }
    free(items);
}

void pattern_set_release(struct pattern_set *set)
{
    free_items(set->include, set->include_count);
    free_items(set->exclude, set->exclude_count);
    *set = (struct pattern_set){ 0 };
}

bool pattern_set_wants(const struct pattern_set *set, const char *path)
{
    return any_match(set->include, set->include_count, path) && !any_match(set->exclude, set->exclude_count, path);
}

bool pattern_set_enters(const struct pattern_set *set, const char *path)
{
    const char *slash = strrchr(path, '/');
    return !(slash && slash[1] == '.') && !any_match(set->exclude, set->exclude_count, path);
}
