/* What the tests of config share. */
#pragma once

#include "config/config.h"

/* config_parse over words that end with NULL; "casgi" is put in front. */
int parse(struct config *out, casgi_error_t *error, const char *const *words);

/* Takes every CASGI_ variable out of the environment. A cmocka setup. */
int clear_environment(void **state);

/* The words as they are; parsing must succeed. *out is to be released. */
#define PARSE(out, ...) assert_int_equal(parse((out), NULL, (const char *const[]){ __VA_ARGS__, NULL }), 0)

/* Parsing must fail as a usage error with just this sentence. */
#define assert_refused(sentence, ...)                                                                         \
    do {                                                                                                      \
        struct config config_ = { .port = 77 };                                                               \
        casgi_error_t error_ = { 0 };                                                                         \
        assert_int_equal(parse(&config_, &error_, (const char *const[]){ __VA_ARGS__, NULL }), CASGI_EINVAL); \
        assert_int_equal(error_.code, CASGI_EINVAL);                                                          \
        assert_string_equal(error_.message, (sentence));                                                      \
        assert_int_equal(config_.port, 77); /* untouched */                                                   \
    } while (0)
