/* module/check.h: `casgi check app.so`. */
#pragma once

/* Loads what `spec` names in a child process and prints on stdout what it is (name, version, applications, interfaces,
 * ABI minor, the libraries it needs, warnings), or on stderr exactly what is wrong, also if it crashes while loading,
 * or has no application of the name that `spec` chooses. Nothing is served and no application is made. Returns the exit
 * code: 0, or 4. */
int check_run(const char *spec);
