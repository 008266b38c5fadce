/* Which paths the setting INPUT names, and what names say about files.
 *
 * INPUT is one path, or several with commas between them, or with blanks if it has no comma. A
 * value that is itself a path is that path. A path may be a file, a folder, a pattern such as
 * `parts/2019-*.csv.gz`, a file in an archive (`archive.zip/2019-Oct.csv`), `-` or a URL. */
#ifndef FUNNEL_INPUT_PATHS_H
#define FUNNEL_INPUT_PATHS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum input_path {
	INPUT_PATH_NAMED,     /* by INPUT itself: a file or a stream */
	INPUT_PATH_OF_FOLDER, /* found in a folder, with a name of a data file */
};
/* Calls visit for every file and stream, in no order. *ignored: number of other files in folders.
 * ERR_INPUT: a path does not exist, a pattern matches nothing, or a folder has no data file. */
typedef bool input_visit(void *context, const char *path, enum input_path kind, struct err *err);
MUST_USE bool input_paths_each(const char *input, input_visit *visit, void *context,
                               size_t *ignored, struct err *err);

/* Whether the name ends like that of a data file: .csv .tsv .txt .json .jsonl .ndjson, with or
 * without .gz .zst .xz .bz2 .lz4 .zip; or .zip, .tar, .tgz, .tar.gz and so on. */
bool input_name_is_data(const char *name);
/* Whether other files often have such a name too (.txt, .json), so the content has to show it. */
bool input_name_is_common(const char *name);

/* Reads the month that a file name says: 2019-Oct, 2019-10 or 2019_10, anywhere in it. The last
 * such text decides. */
bool input_month_of(const char *name, int *year, int *month);

#endif
