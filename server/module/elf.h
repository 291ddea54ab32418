/* module/elf.h: reads a shared object's file before anything is loaded: constructors run inside dlopen, and a truncated
 * file kills the process there. Nothing of the file is executed or mapped; every offset in it is checked. */
#pragma once

#include "casgi/base.h"

#include <stdbool.h>
#include <stddef.h>

struct elf_names {
    char **items; /* owned */
    size_t count;
};

struct elf_info {
    struct elf_names needed;  /* the libraries it links (DT_NEEDED) */
    struct elf_names exports; /* global symbols that others see, without casgi_module_N */
    struct elf_names imports; /* undefined symbols, weak ones left out */
    bool symbolic;            /* linked with -Bsymbolic: its own names bind to itself */
};

/* Fills *out_info from the file at `path`, called `shown` in messages (NULL: path). 0, or a code with the sentence in
 * *out_error: no such file, a directory, not readable, not ELF, wrong class, wrong machine, not a shared object,
 * truncated, no casgi_module_1, another major. [any] */
int elf_read(const char *path, const char *shown, struct elf_info *out_info, casgi_error_t *out_error)
    __attribute__((warn_unused_result));

/* Frees what elf_read filled; a zeroed struct is fine. */
void elf_info_release(struct elf_info *info);
