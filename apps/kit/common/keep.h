/* common/keep.h: a module may be unloaded while its libraries cannot: those that bring OpenSSL or Kerberos leave behind
 * what only they can free, and functions that run when the process ends. */
#pragma once

/* [any] Keeps the shared library that `function` is in loaded until the process ends. Cheap to repeat. */
void kit_keep_library(void (*function)(void));
