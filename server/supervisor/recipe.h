/* supervisor/recipe.h: how a source file is compiled, and the names its results have in the cache. */
#pragma once

#include "casgi/base.h"
#include "supervisor/depfile.h"
#include "supervisor/hash.h"
#include "supervisor/words.h"

struct build_options;

/* The compiler and the flags before the output's: what a result depends on besides files. CASGI_ENOENT: there is no
 * such compiler; CASGI_EINVAL: flags that cannot be read, with the sentence in *error. */
int recipe_make(const struct build_options *options, struct words *out_compiler, casgi_error_t *error)
    __attribute__((warn_unused_result));

/* The sentence of flags (`text`, NULL: none) that words_split did not take, for `code`, which it returns. */
int recipe_flags_error(int code, const char *option, const char *text, casgi_error_t *error);

/* The whole command: compiles and links `output`, writes the headers to `depfile`. */
int recipe_command(const struct words *compiler, const struct build_options *options, const char *output,
                   const char *depfile, struct words *out_command) __attribute__((warn_unused_result));

/* Only the list of headers, for a source that does not compile; one that is missing by its name in the source. */
int recipe_scan_command(const struct words *compiler, const struct build_options *options, const char *depfile,
                        struct words *out_command) __attribute__((warn_unused_result));

/* Names the compilation of this source text: compiler, flags, folder, contents of the source. */
int recipe_key(const struct words *compiler, const struct build_options *options, struct hash *out)
    __attribute__((warn_unused_result));

/* Names the result: the above, and what the headers hold. */
int recipe_result_key(const struct hash *key, const struct path_list *files, struct hash *out)
    __attribute__((warn_unused_result));
