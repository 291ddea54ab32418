/* config/parser.h: what the parts of the parsing share: arguments.c the words of the command line, config.c the rest.
 */
#pragma once

#include "config/options.h"

struct parser {
    struct config config;
    uint64_t given; /* set of the options given so far */
    bool command_given;
    int words; /* index of "--" in argv; 0: none */
    char **argv;
    int argc;
    casgi_error_t *error;
};

/* What a message begins with: an option or a variable. */
#define PARSER_WHERE_SIZE 96

static inline uint64_t option_bit(const struct option *option)
{
    return UINT64_C(1) << (option - options);
}

/* All words up to "--", --help or --version. */
int parser_take_arguments(struct parser *parser) __attribute__((warn_unused_result));

int parser_set_app(struct parser *parser, const char *word) __attribute__((warn_unused_result));

/* Fills the error. */
int parser_out_of_memory(struct parser *parser);
