#include "support.h"

#include <stdlib.h>
#include <string.h>

extern char **environ;

int parse(struct config *out, casgi_error_t *error, const char *const *words)
{
    static const char *argv[64];
    int argc = 0;
    argv[argc++] = "casgi";
    for (; words[argc - 1]; argc++) {
        argv[argc] = words[argc - 1];
    }
    argv[argc] = NULL;
    return config_parse(out, argc, (char **)argv, error);
}

int clear_environment(void **state)
{
    (void)state;
    for (char **variable = environ; *variable;) {
        if (strncmp(*variable, "CASGI_", 6) == 0) {
            char name[128] = { 0 };
            size_t len = strcspn(*variable, "=");
            memcpy(name, *variable, len < sizeof(name) ? len : sizeof(name) - 1);
            (void)unsetenv(name);
            variable = environ;
        } else {
            variable++;
        }
    }
    return 0;
}
