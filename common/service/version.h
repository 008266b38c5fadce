/* The version of the programs, from the file VERSION and from git (common/tools/embed-version). */
#ifndef FUNNEL_VERSION_H
#define FUNNEL_VERSION_H

extern const char program_version[]; /* "0.1.0" */
extern const char program_commit[];  /* "26a9332e6" or "26a9332e6-dirty"; "": not built from git */

/* For --version: "producer 0.1.0 (26a9332e6), librdkafka 2.15.1" and a line end. */
void version_print(const char *program);

#endif
