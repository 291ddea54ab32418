/* config/options.h: the option table. Everything else here is made from it. */
#pragma once

#include "config/config.h"

enum option_group {
    GROUP_LISTENING,
    GROUP_RELOAD,
    GROUP_APPLICATION,
    GROUP_LOGS,
    GROUP_HTTP,
    GROUP_LIMITS,
    GROUP_TIMEOUTS,
    GROUP_DIAGNOSTICS,
    OPTION_GROUPS,
};

enum option_kind {
    OPTION_FLAG,     /* --x and --no-x, no value */
    OPTION_CLEAR,    /* --x, which makes its member false */
    OPTION_TEXT,     /* char * */
    OPTION_LIST,     /* struct config_list; may be given several times */
    OPTION_NUMBER,   /* whole */
    OPTION_SIZE,     /* bytes; k, m, g */
    OPTION_DURATION, /* seconds, fractions too; us, ms, s, m, h. Kept in microseconds */
    OPTION_CHOICE,   /* one of `choices`, kept as its place among them */
};

struct option {
    const char *name;    /* without dashes */
    const char *metavar; /* NULL: takes no value */
    enum option_kind kind;
    enum option_group group;
    size_t offset;        /* of the member of struct config */
    size_t size;          /* of the member */
    const char *fallback; /* the default, as it could be given; NULL: none */
    const char *shown;    /* the default in the help, where the fallback does not say it; NULL */
    const char *choices;  /* "a, b, c" */
    uint64_t least;       /* of a number, size or duration, in the member's unit; what is below is refused, but for a */
    uint64_t most;        /*   0 where zero_disables */
    bool zero_disables;
    /* Checks a value further. 0, or a code with the end of a sentence that begins "--name: ". NULL: nothing more. */
    int (*check)(const char *text, casgi_error_t *error);
    const char *help; /* whole sentences; the default is added */
};

#define OPTIONS_MAX 64 /* no more options than this, so that a set of them is one word */

extern const struct option options[];
extern const size_t option_count;
extern const char *const option_group_titles[OPTION_GROUPS];

/* The option called so, as a whole ("no-" is not looked at); NULL. */
const struct option *option_find(casgi_str_t name);

/* The option of which `name` is probably a slip; NULL. *out_negated: it is a slip for "no-NAME". */
const struct option *option_nearest(const char *name, bool *out_negated);

/* "CASGI_TIMEOUT_HEAD" */
#define OPTION_ENV_SIZE 64
void option_env_name(const struct option *option, char out[static OPTION_ENV_SIZE]);
