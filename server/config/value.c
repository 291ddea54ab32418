#include "config/value.h"

#include "base/error.h"
#include "base/nearest.h"
#include "config/check.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct unit {
    const char *suffix;
    uint64_t factor;
};

static const struct unit number_units[] = { { "", 1 }, { NULL, 0 } };
static const struct unit size_units[] = {
    { "", 1 },           { "b", 1 },         { "k", 1U << 10 },   { "kb", 1U << 10 },
    { "kib", 1U << 10 }, { "m", 1U << 20 },  { "mb", 1U << 20 },  { "mib", 1U << 20 },
    { "g", 1U << 30 },   { "gb", 1U << 30 }, { "gib", 1U << 30 }, { NULL, 0 },
};
static const struct unit duration_units[] = {
    { "", 1000000 },   { "us", 1 },          { "ms", 1000 },        { "s", 1000000 },
    { "m", 60000000 }, { "h", 3600000000U }, { "d", 86400000000U }, { NULL, 0 },
};

static void *member(struct config *config, const struct option *option)
{
    return (char *)config + option->offset;
}

static const struct unit *unit_find(const struct unit *units, const char *suffix)
{
    while (units->suffix && strcasecmp(units->suffix, suffix) != 0) {
        units++;
    }
    return units->suffix ? units : NULL;
}

enum parsed { PARSED, NOT_A_NUMBER, TOO_LARGE };

/* The digits at *text, which moves behind them. */
static enum parsed parse_digits(const char **text, uint64_t *out)
{
    uint64_t value = 0;
    bool large = false;
    const char *from = *text;
    for (; **text >= '0' && **text <= '9'; (*text)++) {
        uint64_t digit = (uint64_t)(**text - '0');
        large = large || __builtin_mul_overflow(value, 10U, &value) || __builtin_add_overflow(value, digit, &value);
    }
    *out = value;
    return *text == from ? NOT_A_NUMBER : large ? TOO_LARGE : PARSED;
}

/* Digits and a unit; of a duration a fraction may stand between them. */
static enum parsed parse_quantity(const char *text, const struct unit *units, bool fractions, uint64_t *out)
{
    uint64_t whole, fraction = 0, scale = 1;
    enum parsed parsed = parse_digits(&text, &whole);
    if (parsed == NOT_A_NUMBER) {
        return NOT_A_NUMBER;
    }
    if (fractions && *text == '.') {
        const char *digits = ++text;
        if (parse_digits(&text, &fraction) != PARSED || text - digits > 9) {
            return NOT_A_NUMBER;
        }
        for (; digits < text; digits++) {
            scale *= 10;
        }
    }
    const struct unit *unit = unit_find(units, text);
    if (!unit) {
        return NOT_A_NUMBER;
    }
    if (parsed == TOO_LARGE || __builtin_mul_overflow(whole, unit->factor, &whole) ||
        __builtin_add_overflow(whole, fraction * unit->factor / scale, &whole)) {
        return TOO_LARGE;
    }
    *out = whole;
    return PARSED;
}

/* A number into a member of whatever width. */
static void put_number(void *to, size_t size, int64_t value)
{
    if (size == sizeof(bool)) {
        *(bool *)to = value != 0;
    } else if (size == sizeof(uint16_t)) {
        *(uint16_t *)to = (uint16_t)value;
    } else if (size == sizeof(int32_t)) {
        *(int32_t *)to = (int32_t)value;
    } else {
        *(int64_t *)to = value;
    }
}

struct quantity {
    const struct unit *units;
    const char *expected;
    const char *unit; /* the range is told in, and what it is in the member's unit */
    uint64_t divisor;
};

static const struct quantity *quantity_of(enum option_kind kind)
{
    static const struct quantity number = { number_units, "a whole number", "", 1 };
    static const struct quantity size = { size_units, "a size; write bytes, or 64k, 8m, 1g", " bytes", 1 };
    static const struct quantity duration = { duration_units, "a duration; write seconds, or 500ms, 5s, 2m, 1h", " s",
                                              1000000 };
    return kind == OPTION_SIZE ? &size : kind == OPTION_DURATION ? &duration : &number;
}

static int set_quantity(struct config *config, const struct option *option, const char *text, casgi_error_t *error)
{
    const struct quantity *quantity = quantity_of(option->kind);
    char shown[CHECK_QUOTED_SIZE];
    uint64_t value = 0;
    enum parsed parsed = parse_quantity(text, quantity->units, option->kind == OPTION_DURATION, &value);
    if (parsed == NOT_A_NUMBER) {
        return error_set(error, CASGI_EINVAL, "%s is not %s", check_quoted(shown, text), quantity->expected);
    }
    if (parsed == TOO_LARGE || value > option->most) {
        return error_set(error, CASGI_EINVAL, "%s is too large; at most %" PRIu64 "%s", check_quoted(shown, text),
                         option->most / quantity->divisor, quantity->unit);
    }
    if (value < option->least && !(value == 0 && option->zero_disables)) {
        return error_set(error, CASGI_EINVAL, "%s is too small; at least %" PRIu64 "%s%s", check_quoted(shown, text),
                         option->least / quantity->divisor, quantity->unit,
                         option->zero_disables ? ", or 0 to switch it off" : "");
    }
    put_number(member(config, option), option->size, (int64_t)value);
    return 0;
}

static int set_flag(struct config *config, const struct option *option, const char *text, casgi_error_t *error)
{
    static const char *const words[2][4] = { { "0", "no", "false", "off" }, { "1", "yes", "true", "on" } };
    char shown[CHECK_QUOTED_SIZE];
    for (size_t i = 0; i < 8; i++) {
        if (strcasecmp(text, words[i / 4][i % 4]) == 0) {
            bool on = (i / 4 == 1) != (option->kind == OPTION_CLEAR);
            put_number(member(config, option), option->size, on);
            return 0;
        }
    }
    if (strcmp(text, "auto") == 0 && option->size == sizeof(enum config_colors)) {
        put_number(member(config, option), option->size, CONFIG_COLORS_AUTO);
        return 0;
    }
    return error_set(error, CASGI_EINVAL, "%s is neither yes nor no; write 1 or 0", check_quoted(shown, text));
}

/* The next of the choices "a, b, c"; NULL after the last. */
static const char *next_choice(const char **rest, char out[static 16])
{
    size_t len = strcspn(*rest, ",");
    if (!len || len >= 16) {
        return NULL;
    }
    memcpy(out, *rest, len);
    out[len] = '\0';
    *rest += len;
    *rest += strspn(*rest, ", ");
    return out;
}

static int refuse_choice(const struct option *option, const char *text, casgi_error_t *error)
{
    char shown[CHECK_QUOTED_SIZE], choice[16];
    const char *rest = option->choices;
    while (next_choice(&rest, choice)) {
        if (word_is_near(text, choice)) {
            return error_set(error, CASGI_EINVAL, "%s is not one of %s; did you mean %s?", check_quoted(shown, text),
                             option->choices, choice);
        }
    }
    return error_set(error, CASGI_EINVAL, "%s is not one of %s", check_quoted(shown, text), option->choices);
}

static int set_choice(struct config *config, const struct option *option, const char *text, casgi_error_t *error)
{
    char choice[16];
    const char *rest = option->choices;
    for (int64_t place = 0; next_choice(&rest, choice); place++) {
        if (strcasecmp(text, choice) == 0) {
            put_number(member(config, option), option->size, place);
            return 0;
        }
    }
    return refuse_choice(option, text, error);
}

static char *copy_text(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = malloc(size);
    if (copy) {
        memcpy(copy, text, size);
    }
    return copy;
}

static int set_text(struct config *config, const struct option *option, const char *text, casgi_error_t *error)
{
    char **to = member(config, option);
    char *copy = copy_text(text);
    if (!copy) {
        return error_set(error, CASGI_ENOMEM, "%s", error_text(CASGI_ENOMEM));
    }
    free(*to);
    *to = copy;
    return 0;
}

static int add_to_list(struct config *config, const struct option *option, const char *text, casgi_error_t *error)
{
    struct config_list *list = member(config, option);
    char *copy = copy_text(text);
    char **items = copy ? realloc(list->items, (list->count + 1) * sizeof(char *)) : NULL;
    if (!items) {
        free(copy);
        return error_set(error, CASGI_ENOMEM, "%s", error_text(CASGI_ENOMEM));
    }
    items[list->count++] = copy;
    list->items = items;
    return 0;
}

static int set_by_kind(struct config *config, const struct option *option, const char *text, casgi_error_t *error)
{
    int rc = option->check ? option->check(text, error) : 0;
    if (rc) {
        return rc;
    }
    switch (option->kind) {
    case OPTION_FLAG:
    case OPTION_CLEAR:
        return set_flag(config, option, text, error);
    case OPTION_TEXT:
        return set_text(config, option, text, error);
    case OPTION_LIST:
        return add_to_list(config, option, text, error);
    case OPTION_CHOICE:
        return set_choice(config, option, text, error);
    default:
        return set_quantity(config, option, text, error);
    }
}

int value_set(struct config *config, const struct option *option, const char *text, const char *where,
              casgi_error_t *error)
{
    casgi_error_t reason;
    int rc = set_by_kind(config, option, text, &reason);
    return rc ? error_set(error, rc, "%s: %s", where, reason.message) : 0;
}

void value_release(struct config *config, const struct option *option)
{
    if (option->kind == OPTION_TEXT) {
        char **text = member(config, option);
        free(*text);
        *text = NULL;
    } else if (option->kind == OPTION_LIST) {
        struct config_list *list = member(config, option);
        for (size_t i = 0; i < list->count; i++) {
            free(list->items[i]);
        }
        free(list->items);
        *list = (struct config_list){ NULL, 0 };
    }
}
