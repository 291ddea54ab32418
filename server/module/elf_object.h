/* module/elf_object.h: an ELF file's header, segments and dynamic section, read piece by piece with every offset
 * checked against the file's size. For elf.c, which reads the symbols. */
#pragma once

#include "casgi/base.h"

#include <elf.h>

/* An open file and what has been learnt of it. Positions and sizes are of the file, checked against `size`. */
struct elf_object {
    int fd;
    uint64_t size;
    const char *shown;
    casgi_error_t *error;
    Elf64_Ehdr header;
    Elf64_Phdr *segments;
    Elf64_Dyn *dynamic;
    size_t dynamic_count;
    Elf64_Sym *symbols;
    size_t symbol_count;
    char *texts; /* the dynamic string table, NUL-terminated */
    uint64_t texts_size;
};

/* Opens the file and reads its header, segments, dynamic section and string table. 0 or a code with the sentence in
 * object->error; elf_object_close in either case. */
int elf_object_open(struct elf_object *object, const char *path) __attribute__((warn_unused_result));
void elf_object_close(struct elf_object *object);

/* `size` bytes at `offset` into `data`. */
int elf_object_read(struct elf_object *object, uint64_t offset, void *data, size_t size)
    __attribute__((warn_unused_result));

/* The same in memory of their own with a NUL after them; *(void **)out_data is yours: free. */
int elf_object_piece(struct elf_object *object, uint64_t offset, uint64_t size, void *out_data)
    __attribute__((warn_unused_result));

/* Where in the file the address lies, and how much of the file follows it in its segment. */
int elf_object_locate(struct elf_object *object, uint64_t address, uint64_t *out_offset, uint64_t *out_size)
    __attribute__((warn_unused_result));

/* The value of the first dynamic entry with this tag; false if there is none. */
bool elf_object_dynamic(const struct elf_object *object, int64_t tag, uint64_t *out_value);

/* A text of the dynamic string table; "" for an offset outside of it. Borrowed until elf_object_close. */
const char *elf_object_text(const struct elf_object *object, uint64_t offset);

/* Sets the sentence for a failure and returns its code. */
int elf_object_truncated(struct elf_object *object);
int elf_object_damaged(struct elf_object *object, const char *what);
int elf_object_out_of_memory(struct elf_object *object);
