/* base/poison.h: tells AddressSanitizer which bytes of our own pools nobody may touch; nothing without it. */
#pragma once

#include <stddef.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define BASE_WITH_ASAN 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define BASE_WITH_ASAN 1
#endif

#ifdef BASE_WITH_ASAN
#include <sanitizer/asan_interface.h>

static inline void memory_poison(const void *data, size_t size)
{
    __asan_poison_memory_region(data, size);
}

static inline void memory_unpoison(const void *data, size_t size)
{
    __asan_unpoison_memory_region(data, size);
}
#else
static inline void memory_poison(const void *data, size_t size)
{
    (void)data;
    (void)size;
}

static inline void memory_unpoison(const void *data, size_t size)
{
    (void)data;
    (void)size;
}
#endif
