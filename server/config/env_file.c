#include "config/env_file.h"

#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *skip_blanks(char *text)
{
    return text + strspn(text, " \t");
}

static size_t name_len(const char *text)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_";
    static const char more[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
    return strspn(text, letters) ? strspn(text, more) : 0;
}

/* What a backslash and `c` stand for between double quotes; 0: the two as they are. */
static char unescape(char c)
{
    switch (c) {
    case 'n':
        return '\n';
    case 't':
        return '\t';
    case 'r':
        return '\r';
    case '"':
    case '\\':
    case '$':
        return c;
    default:
        return '\0';
    }
}

/* Unquotes in place from behind the opening quote. Returns what follows the closing one; NULL: there is none. */
static char *unquote(char *text, char quote)
{
    char *to = text;
    for (; *text && *text != quote; text++) {
        char escaped = quote == '"' && *text == '\\' ? unescape(text[1]) : '\0';
        *to++ = escaped ? escaped : *text;
        text += escaped != '\0';
    }
    char *rest = *text ? text + 1 : NULL;
    *to = '\0';
    return rest;
}

/* Ends a value without quotes before a comment and the blanks at its end. */
static void end_plain_value(char *value)
{
    char *end = value;
    for (char *c = value; *c && !(*c == '#' && (c == value || c[-1] == ' ' || c[-1] == '\t')); c++) {
        if (*c != ' ' && *c != '\t') {
            end = c + 1;
        }
    }
    *end = '\0';
}

static int refuse(const char *wrong, const char **out_wrong)
{
    *out_wrong = wrong;
    return CASGI_EINVAL;
}

static int parse_value(char *text, char **out_value, const char **out_wrong)
{
    if (*text != '"' && *text != '\'') {
        end_plain_value(text);
        *out_value = text;
        return 0;
    }
    char *rest = unquote(text + 1, *text);
    if (!rest) {
        return refuse("the quote is not closed", out_wrong);
    }
    char *after = skip_blanks(rest);
    if (*after && !(*after == '#' && after > rest)) {
        return refuse("there is something after the closing quote", out_wrong);
    }
    *out_value = text + 1;
    return 0;
}

int env_line_parse(char *line, char **out_name, char **out_value, const char **out_wrong)
{
    char *name = skip_blanks(line);
    if (!*name || *name == '#') {
        *out_name = NULL;
        return 0;
    }
    if (strncmp(name, "export", 6) == 0 && (name[6] == ' ' || name[6] == '\t')) {
        name = skip_blanks(name + 6);
    }
    size_t len = name_len(name);
    char *equals = skip_blanks(name + len);
    if (*equals != '=') {
        return refuse(len ? "NAME=VALUE is expected: there is no \"=\" after the name"
                          : "NAME=VALUE is expected: a name is of letters, digits and _",
                      out_wrong);
    }
    if (!len) {
        return refuse("there is no name before the \"=\"", out_wrong);
    }
    name[len] = '\0';
    int rc = parse_value(skip_blanks(equals + 1), out_value, out_wrong);
    if (!rc) {
        *out_name = name;
    }
    return rc;
}

/* One line as getline read it: into the environment. */
static int load_line(char *line, size_t len, const char **out_wrong)
{
    char *name = NULL, *value = NULL;
    if (memchr(line, '\0', len)) {
        return refuse("there is a NUL byte", out_wrong);
    }
    line[strcspn(line, "\r\n")] = '\0';
    int rc = env_line_parse(line, &name, &value, out_wrong);
    if (!rc && name && setenv(name, value, 0)) {
        *out_wrong = error_text(CASGI_ENOMEM);
        rc = CASGI_ENOMEM;
    }
    return rc;
}

static int load_lines(FILE *file, const char *path, casgi_error_t *error)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t len;
    int rc = 0;
    errno = 0;
    for (unsigned int number = 1; !rc && (len = getline(&line, &capacity, file)) >= 0; number++) {
        const char *wrong = NULL;
        rc = load_line(line, (size_t)len, &wrong);
        if (rc) {
            (void)error_set(error, rc, "%s:%u: %s", path, number, wrong);
        }
        errno = 0;
    }
    if (!rc && errno) {
        rc = error_set(error, error_from_errno(errno), "%s: cannot be read: %s", path, strerror(errno));
    }
    free(line);
    return rc;
}

int env_file_load(const char *path, casgi_error_t *error)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        return error_set(error, error_from_errno(errno), "%s: cannot be opened: %s", path, strerror(errno));
    }
    int rc = load_lines(file, path, error);
    (void)fclose(file);
    return rc;
}
