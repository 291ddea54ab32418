#include "config/help.h"

#include "config/options.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TEXT_COLUMN = 40, ENTRY_SIZE = 512 };

struct style {
    FILE *out;
    const char *bold;
    const char *dim;
    const char *plain;
};

static const char usage[] =
    "casgi " CASGI_VERSION ": serves asynchronous web applications written in C\n"
    "\n"
    "  casgi [run] APP [OPTIONS] [-- WORDS]   serves APP, which gets the words\n"
    "  casgi check APP                        says what a built APP is, or exactly what is wrong with it\n"
    "  casgi --stack-of PID[:THREAD]          prints where a running process is, function by function\n"
    "  casgi version                          prints the version, as --version\n"
    "  casgi help                             prints this, as --help\n"
    "\n"
    "APP is a file: app.so, or app.c, app.cc, app.cpp, which are compiled first; app.so:admin is one of\n"
    "several applications in it. Anything without a / or such an ending is a ready-made application,\n"
    "inspect, mount or one of yours, looked for in $CASGI_APP_PATH and where casgi is installed.\n";

static const char ending[] =
    "In brackets: the default, and the environment variable that is used where the option is not given\n"
    "(switches: 1 or 0; lists between blanks, CASGI_HEADER between newlines). $CASGI_APP can name APP.\n"
    "What ends in ... may be given several times. SECONDS are 0.5, 5, 500ms, 5s, 2m or 1h; a SIZE is\n"
    "4096, 64k, 8m or 1g; 0 switches a limit or a timeout off.\n"
    "\n"
    "Exit codes: 2 usage; 3 start-up failed (an address, or the application's own startup); 4 APP could\n"
    "not be loaded.\n";

/* Writes words, wrapped, from TEXT_COLUMN on; the cursor stands at `column`. What is between brackets at the end stays
 * together, dim. */
static void write_wrapped(const struct style *style, size_t column, const char *text)
{
    const char *brackets = strrchr(text, '[');
    while (*text) {
        bool dim = text == brackets;
        size_t len = dim ? strlen(text) : strcspn(text, " ");
        bool fits = column + 1 + len <= HELP_WIDTH && column > TEXT_COLUMN;
        if (!fits) {
            (void)fprintf(style->out, "%s%*s", column > TEXT_COLUMN ? "\n" : "",
                          (int)(column > TEXT_COLUMN ? TEXT_COLUMN : TEXT_COLUMN - column), "");
            column = TEXT_COLUMN;
        }
        (void)fprintf(style->out, "%s%s%.*s%s", fits ? " " : "", dim ? style->dim : "", (int)len, text,
                      dim ? style->plain : "");
        column += len + (fits ? 1 : 0);
        text += len;
        text += strspn(text, " ");
    }
    (void)fputc('\n', style->out);
}

static void write_option(const struct style *style, const struct option *option)
{
    char name[128], variable[OPTION_ENV_SIZE], text[ENTRY_SIZE];
    const char *shown = option->shown ? option->shown : option->fallback;
    bool negatable = option->kind == OPTION_FLAG;
    option_env_name(option, variable);
    (void)snprintf(name, sizeof(name), "--%s%s%s%s%s%s", option->name, negatable ? ", --no-" : "",
                   negatable ? option->name : "", option->metavar ? " " : "", option->metavar ? option->metavar : "",
                   option->kind == OPTION_LIST ? "..." : "");
    (void)snprintf(text, sizeof(text), "%s [%s%s%s]", option->help, shown ? shown : "", shown ? "; " : "", variable);
    (void)fprintf(style->out, "  %s%s%s", style->bold, name, style->plain);
    size_t column = strlen(name) + 2;
    if (column + 2 > TEXT_COLUMN) {
        (void)fputc('\n', style->out);
        column = 0;
    }
    write_wrapped(style, column, text);
}

static void write_group(const struct style *style, enum option_group group)
{
    (void)fprintf(style->out, "\n%s%s%s\n", style->bold, option_group_titles[group], style->plain);
    for (size_t i = 0; i < option_count; i++) {
        if (options[i].group == group) {
            write_option(style, &options[i]);
        }
    }
}

void help_write(FILE *out, bool bold)
{
    struct style style = { out, bold ? "\x1b[1m" : "", bold ? "\x1b[2m" : "", bold ? "\x1b[0m" : "" };
    (void)fputs(usage, out);
    for (int group = 0; group < OPTION_GROUPS; group++) {
        write_group(&style, (enum option_group)group);
    }
    (void)fprintf(out, "\n%s", ending);
}

void config_print_help(void)
{
    const char *no_color = getenv("NO_COLOR");
    help_write(stdout, isatty(STDOUT_FILENO) && !(no_color && *no_color));
    (void)fflush(stdout);
}
