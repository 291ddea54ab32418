#include "common/keep.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

void kit_keep_library(void (*function)(void))
{
    Dl_info info;
    void *address;
    memcpy(&address, &function, sizeof(address)); /* ISO C has no cast for that */
    if (dladdr(address, &info) && info.dli_fname) {
        (void)dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
    }
}
