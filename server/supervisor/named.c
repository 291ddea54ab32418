#include "supervisor/named.h"

#include <string.h>
#include <unistd.h>

/* Where the path ends: before ":app", if there is that. */
static size_t path_size(const char *text)
{
    const char *colon = strrchr(text, ':');
    return colon && colon[1] && !strchr(colon, '/') ? (size_t)(colon - text) : strlen(text);
}

int named_modules(char *const *words, size_t count, struct path_list *out)
{
    int rc = 0;
    for (size_t i = 0; i < count && !rc; i++) {
        const char *equals = strchr(words[i], '=');
        const char *path = equals && access(words[i], F_OK) ? equals + 1 : words[i];
        size_t size = path_size(path);
        if (size > strlen(".so") && memcmp(path + size - strlen(".so"), ".so", strlen(".so")) == 0) {
            rc = path_list_add(out, path, size);
        }
    }
    return rc;
}
