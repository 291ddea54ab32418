/* module/resolve.h: what the first argument of `casgi` means. */
#pragma once

#include "casgi/base.h"

enum resolve_kind {
    RESOLVE_MODULE, /* a shared object */
    RESOLVE_C,      /* a source file to be compiled */
    RESOLVE_CXX,
};

struct resolved {
    enum resolve_kind kind;
    char *path; /* owned; as given, relative to the current directory; whether it exists is module_open's to say */
    char *app;  /* owned; what followed ':'; NULL: nothing */
};

/* `spec` with a '/', or ending in .so, .c, .cc, .cpp, .cxx (then perhaps ":app"), is a file relative to the current
 * directory. Anything else is a ready-made application, NAME or NAME:app, searched as NAME.so in $CASGI_APP_PATH
 * (colon-separated), then, from where the program lies, in ../lib/casgi and in apps/ (the build tree), then in the
 * PREFIX/lib/casgi it was built for. 0, or CASGI_ENOENT with a sentence that lists those found and, if one is near,
 * asks whether it was meant; CASGI_EINVAL for a file with a ':' and no name behind it; CASGI_ENOMEM. [any] */
int resolve_app(const char *spec, struct resolved *out_resolved, casgi_error_t *out_error)
    __attribute__((warn_unused_result));

void resolved_release(struct resolved *resolved);
