/* supervisor/named.h: the modules that an application's words name, as in `casgi mount -- /a=a.so /b=b.so:admin`: it
 * will load them, so with --reload they are watched like its own file. */
#pragma once

#include "supervisor/depfile.h"

/* Appends the path of each word that names a .so file: the word itself, or what follows its first "=", without the
 * ":app" behind it. Whether the file is there does not matter. CASGI_ENOMEM. */
int named_modules(char *const *words, size_t count, struct path_list *out);
