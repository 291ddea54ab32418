/* runtime/part.h: parts of the server that are loaded on first use: shared objects beside its ready-made apps. */
#pragma once

#include "casgi/base.h"

/* [any], may block. The symbol `symbol` of parts/NAME.so, which then stays loaded. It is looked for beside the program
 * (../lib/casgi/parts of an installed one, parts of a built one), then where casgi was installed. CASGI_ENOTSUP: there
 * is no such part; CASGI_EABI: it is not ours, or a library it needs is missing; the reason goes to *out_error. */
int part_load(const char *name, const char *symbol, const void **out_symbol, casgi_error_t *out_error)
    __attribute__((warn_unused_result));
