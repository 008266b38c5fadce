/* Runs a fuzz target over committed inputs. Needs no libFuzzer, so any compiler can build it. The
 * arguments are files or folders of files. Prints the number of inputs. If a check fails, the
 * process aborts. */
#include <dirent.h>
#include <sys/stat.h>

#include "fuzz.h"
#include "fuzz/fuzz.h"

/* The memory has exactly the size of the input, so a sanitizer sees each read past its end. */
static bool run_file(const char *path)
{
	struct stat info;
	FILE *file = fopen(path, "rb");
	uint8_t *bytes = NULL;
	bool ok = false;

	if (file && fstat(fileno(file), &info) == 0) {
		size_t size = (size_t)info.st_size;

		bytes = malloc(size ? size : 1);
		ok = bytes && fread(bytes, 1, size, file) == size;
		if (ok)
			LLVMFuzzerTestOneInput(bytes, size);
	}
	if (!ok)
		fprintf(stderr, "cannot read %s\n", path);
	free(bytes);
	if (file)
		fclose(file);
	return ok;
}

static bool run_folder(const char *path, int *count)
{
	DIR *folder = opendir(path);
	const struct dirent *entry;
	char name[4096];
	bool ok = folder != NULL;

	while (ok && (entry = readdir(folder))) {
		if (entry->d_name[0] == '.')
			continue;
		ok = snprintf(name, sizeof(name), "%s/%s", path, entry->d_name) <
		             (int)sizeof(name) &&
		     run_file(name);
		*count += ok;
	}
	if (folder)
		closedir(folder);
	return ok;
}

int main(int argc, char **argv)
{
	struct stat info;
	int count = 0;
	bool ok = true;

	for (int i = 1; i < argc && ok; i++) {
		ok = stat(argv[i], &info) == 0;
		if (ok && S_ISDIR(info.st_mode)) {
			ok = run_folder(argv[i], &count);
		} else if (ok) {
			ok = run_file(argv[i]);
			count += ok;
		}
	}
	printf("%d inputs\n", count);
	return ok && count > 0 ? 0 : 1;
}
