/* Captures as text what a test writes to a descriptor (1 or 2). Each test is a process of its own,
 * so nothing else writes to it. */
#ifndef FUNNEL_CAPTURE_H
#define FUNNEL_CAPTURE_H

#include <stdio.h>
#include <unistd.h>

struct capture {
	FILE *file;
	int fd, saved;
};

static inline void capture_begin(struct capture *capture, int fd)
{
	fflush(NULL);
	capture->file = tmpfile();
	capture->fd = fd;
	capture->saved = dup(fd);
	dup2(fileno(capture->file), fd);
}

/* out is terminated, and cut after cap - 1 bytes. */
static inline void capture_end(struct capture *capture, char *out, size_t cap)
{
	size_t len;

	fflush(NULL);
	dup2(capture->saved, capture->fd);
	close(capture->saved);
	rewind(capture->file);
	len = fread(out, 1, cap - 1, capture->file);
	out[len] = '\0';
	fclose(capture->file);
}

#endif
