/* config/config.h: everything the command line, the environment and --help know, in one struct. The one option table,
 * in options.c, makes parsing, help, CASGI_* names and "did you mean". */
#pragma once

#include "casgi/base.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum config_command { COMMAND_RUN, COMMAND_CHECK, COMMAND_VERSION, COMMAND_HELP };
enum config_lifespan { CONFIG_LIFESPAN_AUTO, CONFIG_LIFESPAN_ON, CONFIG_LIFESPAN_OFF };
enum config_colors { CONFIG_COLORS_AUTO = -1, CONFIG_COLORS_OFF = 0, CONFIG_COLORS_ON = 1 };

struct config_list {
    char **items;
    size_t count;
};

/* Durations are microseconds, sizes bytes; 0 disables. Texts and lists are owned by the config. */
struct config {
    enum config_command command;
    char *app;       /* the first argument: file, or name of a ready-made app; may carry ":name". Or $CASGI_APP */
    int app_argc;    /* what follows "--", app_argv[0] being the app */
    char **app_argv; /* NULL-terminated; the words themselves are borrowed from main's argv */

    char *host;    /* 127.0.0.1 */
    uint16_t port; /* 8000 */
    char *uds;     /* NULL */
    int fd;        /* -1 */
    struct config_list
        bind;    /* "host:port", "[v6]:port", "unix:path", "fd://N"; if any, host/port/uds/fd are not used */
    int backlog; /* 2048 */

    bool reload;
    struct config_list reload_dir;
    struct config_list reload_include;
    struct config_list reload_exclude;
    uint64_t reload_delay; /* 10 ms */
    char *cflags;          /* for `casgi app.c`; NULL */
    char *libs;            /* NULL */

    enum config_lifespan lifespan;
    int log_level; /* enum casgi_log_level */
    bool access_log;
    bool log_json;
    enum config_colors colors;
    struct config_list access_log_exclude; /* paths */
    bool access_log_query;

    char *root_path;           /* ""; without a "/" at its end */
    struct config_list header; /* "Name: value", checked */
    bool server_header;
    bool date_header;
    char *env_file; /* NULL */

    uint64_t limit_concurrency;         /* 0 */
    uint64_t limit_max_requests;        /* 0 */
    uint64_t limit_head_size;           /* 65536 */
    uint64_t limit_header_count;        /* 100 */
    uint64_t limit_body_size;           /* 0 */
    uint64_t limit_body_rate;           /* 240 bytes a second */
    uint64_t timeout_head;              /* 20 s */
    uint64_t timeout_keep_alive;        /* 75 s */
    uint64_t timeout_write;             /* 60 s */
    uint64_t timeout_graceful_shutdown; /* 25 s; 3 s with reload */
    uint64_t timeout_cleanup;           /* 5 s */
    uint64_t stack_size;                /* 256 KiB */

    uint64_t slow_callback_duration; /* milliseconds; 0; 100 with reload */
    char *trace;                     /* NULL */
    uint64_t trace_limit;            /* 64 MiB */
};

/* Fills *out from the arguments, then, for options not given there, the environment (CASGI_*), then defaults.
 * --env-file is read first and set into the environment (what is set already wins). --help and --version end the
 * parsing. 0; CASGI_EINVAL with the sentence in *error (usage: exit 2), CASGI_ENOMEM: *out is untouched. Before other
 * threads. */
int config_parse(struct config *out, int argc, char **argv, casgi_error_t *error) __attribute__((warn_unused_result));

/* Frees what it owns; it may be zeroed or half filled. */
void config_release(struct config *config);

/* The two halves of one of `header`, without the blanks around them; borrowed from `text`. */
void config_split_header(const char *text, casgi_str_t *out_name, casgi_str_t *out_value);

/* "check" for "chek": the subcommand that `word` is probably a slip for; NULL. For the message about an app that does
 * not exist. */
const char *config_nearest_command(const char *word);

/* The first of these NAME=VALUE texts, from `entry` on, whose name is probably a slip for an option's variable, such as
 * CASGI_PROT, and the option's name in *out_option (static); NULL: there is none. */
char *const *config_find_slip(char *const *entry, const char **out_option);

/* Prints --help (to stdout) in groups, with defaults and environment names. */
void config_print_help(void);
