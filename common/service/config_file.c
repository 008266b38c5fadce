/* Limits: the file may change between this check and its use; the user of the file then reports
 * its own error. */
#include "service/config_file.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

bool config_readable(const char *path, struct err *err)
{
	return access(path, R_OK) == 0 ||
	       err_set(err, ERR_INPUT, "expected a file that can be read: %s", strerror(errno));
}
