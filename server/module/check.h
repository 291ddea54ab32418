/* module/check.h: `casgi check app.so`. */
#pragma once

/* Loads what `spec` names in a child process and prints on stdout what it is (name, version, applications, interfaces,
 * ABI minor, the libraries it needs, warnings); then makes the application that would be served with these words, and
 * ends it. On stderr exactly what is wrong, also if it crashes. Nothing is served and no lifespan runs. Returns the
 * exit code: 0, or 4. */
int check_run(const char *spec, int argc, char **argv);
