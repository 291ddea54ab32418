/* supervisor/pattern.h: which files of a watched tree matter: --reload-include and --reload-exclude, by uvicorn's
 * rules.
 *
 * A pattern is compared from the right, as pathlib's match: "*.c" looks at the name, "src/[ab].c" at the name and its
 * folder; one that begins with "/" at the whole path. A pattern that is an existing folder stands for everything below
 * it. What is given is added to the defaults; a default that is given on the other side is dropped. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct config_list;

struct pattern_set {
    char **include;
    size_t include_count;
    char **exclude;
    size_t exclude_count;
};

/* Copies what it needs. CASGI_ENOMEM. */
int pattern_set_init(struct pattern_set *set, const struct config_list *include, const struct config_list *exclude)
    __attribute__((warn_unused_result));
void pattern_set_release(struct pattern_set *set);

/* Whether a changed file matters: included and not excluded. `path` is absolute. */
bool pattern_set_wants(const struct pattern_set *set, const char *path);

/* Whether a folder is looked into: neither hidden nor excluded. */
bool pattern_set_enters(const struct pattern_set *set, const char *path);

/* One pattern against one absolute path. */
bool pattern_match(const char *pattern, const char *path);
