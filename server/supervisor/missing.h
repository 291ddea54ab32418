/* supervisor/missing.h: where a header that is not there would be found if it were. */
#pragma once

#include "supervisor/depfile.h"
#include "supervisor/words.h"

/* `files` is what `cc -M -MG` lists: a header that the compiler does not find is named there as the source names it.
 * Each such name is replaced by the paths where it is looked for: beside each file that is there, and in the folders
 * that the command names (-I and its like). CASGI_ENOMEM: *files is as it was. */
int missing_places(const struct words *compiler, struct path_list *files) __attribute__((warn_unused_result));
