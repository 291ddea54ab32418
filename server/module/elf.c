#include "module/elf.h"

#include "base/error.h"
#include "module/elf_object.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- symbols: their number is only to be had from the hash tables ---- */

static int count_by_gnu_hash(struct elf_object *object, uint64_t offset, uint64_t room, size_t *out_count)
{
    uint32_t head[4]; /* buckets, first hashed symbol, words of bloom filter, shift */
    int rc = elf_object_read(object, offset, head, sizeof(head));
    uint64_t buckets_at = sizeof(head) + (uint64_t)head[2] * 8;
    if (rc || buckets_at + (uint64_t)head[0] * 4 > room) {
        return rc ? rc : elf_object_damaged(object, "its symbol hash table is too long");
    }
    uint32_t *table = NULL;
    rc = elf_object_piece(object, offset + buckets_at, (room - buckets_at) & ~UINT64_C(3), &table);
    if (rc) {
        return rc;
    }
    uint64_t words = (room - buckets_at) / 4, last = 0;
    for (uint32_t i = 0; i < head[0]; i++) {
        last = table[i] > last ? table[i] : last;
    }
    *out_count = head[1];
    if (last >= head[1]) {
        uint64_t at = head[0] + (last - head[1]);
        while (at < words && (table[at] & 1) == 0) {
            at++;
        }
        *out_count = (size_t)(at - head[0] + head[1] + 1);
        rc = at < words ? 0 : elf_object_damaged(object, "its symbol hash table has no end");
    }
    free(table);
    return rc;
}

static int count_symbols(struct elf_object *object, size_t *out_count)
{
    uint64_t address, offset, room;
    uint32_t head[2];
    int rc;
    if (elf_object_dynamic(object, DT_GNU_HASH, &address)) {
        rc = elf_object_locate(object, address, &offset, &room);
        return rc ? rc : count_by_gnu_hash(object, offset, room, out_count);
    }
    if (!elf_object_dynamic(object, DT_HASH, &address)) {
        return elf_object_damaged(object, "it has no table of dynamic symbols");
    }
    rc = elf_object_locate(object, address, &offset, &room);
    if (rc == 0) {
        rc = elf_object_read(object, offset, head, sizeof(head));
        *out_count = head[1];
    }
    return rc;
}

static int read_symbols(struct elf_object *object)
{
    uint64_t address, offset, room;
    size_t count = 0;
    if (!elf_object_dynamic(object, DT_SYMTAB, &address)) {
        return elf_object_damaged(object, "it has no dynamic symbols");
    }
    int rc = elf_object_locate(object, address, &offset, &room);
    rc = rc ? rc : count_symbols(object, &count);
    if (rc) {
        return rc;
    }
    if (count > room / sizeof(Elf64_Sym)) {
        return elf_object_truncated(object);
    }
    object->symbol_count = count;
    return elf_object_piece(object, offset, count * sizeof(Elf64_Sym), &object->symbols);
}

/* ---- what is told ---- */

static int add_name(struct elf_object *object, struct elf_names *names, const char *name)
{
    if ((names->count & (names->count - 1)) == 0) {
        size_t capacity = names->count ? names->count * 2 : 1;
        char **items = realloc(names->items, capacity * sizeof(*items));
        if (!items) {
            return elf_object_out_of_memory(object);
        }
        names->items = items;
    }
    names->items[names->count] = strdup(name);
    if (!names->items[names->count]) {
        return elf_object_out_of_memory(object);
    }
    names->count++;
    return 0;
}

static int collect_dynamic(struct elf_object *object, struct elf_info *info)
{
    uint64_t value;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < object->dynamic_count && object->dynamic[i].d_tag != DT_NULL; i++) {
        if (object->dynamic[i].d_tag == DT_NEEDED) {
            rc = add_name(object, &info->needed, elf_object_text(object, object->dynamic[i].d_un.d_val));
        }
    }
    info->symbolic = elf_object_dynamic(object, DT_SYMBOLIC, &value) ||
                     (elf_object_dynamic(object, DT_FLAGS, &value) && (value & DF_SYMBOLIC));
    return rc;
}

static bool visible(const Elf64_Sym *symbol)
{
    unsigned visibility = ELF64_ST_VISIBILITY(symbol->st_other), bind = ELF64_ST_BIND(symbol->st_info);
    return symbol->st_shndx != SHN_UNDEF && bind != STB_LOCAL &&
           (visibility == STV_DEFAULT || visibility == STV_PROTECTED);
}

/* Worth telling of: what the author exports. C++ templates are weak and meant to be shared; sanitizers add their own.
 */
static bool exported(const Elf64_Sym *symbol, const char *name)
{
    return visible(symbol) && ELF64_ST_BIND(symbol->st_info) == STB_GLOBAL && strncmp(name, "__odr_asan", 10) != 0;
}

/* The major of a symbol casgi_module_N; 0: it is not one. */
static unsigned module_major(const char *name)
{
    unsigned major = 0;
    char rest;
    if (strncmp(name, "casgi_module_", 13) != 0) {
        return 0;
    }
    return sscanf(name, "casgi_module_%5u%c", &major, &rest) == 1 ? major : 0;
}

static int check_major(struct elf_object *object, bool ours, unsigned other)
{
    if (ours) {
        return 0;
    }
    if (other) {
        return error_set(object->error, CASGI_EABI,
                         "%s is built for ABI major %u; this casgi (" CASGI_VERSION
                         ") loads major %d: build it with this "
                         "one's headers",
                         object->shown, other, CASGI_ABI_MAJOR);
    }
    return error_set(object->error, CASGI_EABI,
                     "%s is not a casgi module: it exports no casgi_module_%d (a module ends with CASGI_APP(...) or "
                     "CASGI_MODULE(...))",
                     object->shown, CASGI_ABI_MAJOR);
}

static int collect_symbols(struct elf_object *object, struct elf_info *info)
{
    bool ours = false;
    unsigned other = 0;
    int rc = 0;
    for (size_t i = 1; rc == 0 && i < object->symbol_count; i++) {
        const Elf64_Sym *symbol = &object->symbols[i];
        const char *name = elf_object_text(object, symbol->st_name);
        unsigned major = module_major(name);
        if (symbol->st_shndx == SHN_UNDEF) {
            rc = ELF64_ST_BIND(symbol->st_info) == STB_GLOBAL ? add_name(object, &info->imports, name) : 0;
        } else if (visible(symbol) && major) {
            ours = ours || major == CASGI_ABI_MAJOR;
            other = major;
        } else if (exported(symbol, name)) {
            rc = add_name(object, &info->exports, name);
        }
    }
    return rc ? rc : check_major(object, ours, other);
}

void elf_info_release(struct elf_info *info)
{
    struct elf_names *all[] = { &info->needed, &info->exports, &info->imports };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        for (size_t k = 0; k < all[i]->count; k++) {
            free(all[i]->items[k]);
        }
        free(all[i]->items);
    }
    *info = (struct elf_info){ 0 };
}

int elf_read(const char *path, const char *shown, struct elf_info *out_info, casgi_error_t *out_error)
{
    struct elf_object object = { .fd = -1, .shown = shown ? shown : path, .error = out_error };
    struct elf_info info = { 0 };
    int rc = elf_object_open(&object, path);
    rc = rc ? rc : read_symbols(&object);
    rc = rc ? rc : collect_dynamic(&object, &info);
    rc = rc ? rc : collect_symbols(&object, &info);
    elf_object_close(&object);
    if (rc) {
        elf_info_release(&info);
        return rc;
    }
    *out_info = info;
    return 0;
}
