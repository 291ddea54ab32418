/* config/help.h: what --help prints. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#define HELP_WIDTH 100

/* The whole of --help, made from the option table; at most HELP_WIDTH columns. bold: headings and options stand out on
 * a terminal. */
void help_write(FILE *out, bool bold);
