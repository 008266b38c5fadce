/* Plain ANSI (ECMA-48) sequences, which every terminal since the VT100 knows, and xterm's alternate
 * screen. Rejected: ncurses, which is one more dependency for one screen that is drawn completely
 * each time.
 *
 * A picture is one write, so it does not flicker. ISIG stays on, so Ctrl-C and Ctrl-Z send their
 * signals. */
#include "tail_terminal.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/number.h"
#include "service/stop.h"
#include "tail_signals.h"

#define ENTER "\033[?1049h\033[?25l\033[?7l\033[2J"
#define LEAVE "\033[0m\033[?7h\033[?25h\033[?1049l"

static struct termios before;
static bool has_before;     /* stdin is a terminal, and `before` is its state */
static bool is_open;        /* the alternate screen is shown */
static struct buffer frame; /* of the picture; freed at the end of the process */

static bool is_dumb(void)
{
	const char *term = getenv("TERM");

	return !term || !*term || strcmp(term, "dumb") == 0;
}

bool tail_terminal_is_usable(void)
{
	return isatty(STDOUT_FILENO) && !is_dumb();
}

bool tail_terminal_has_colour(void)
{
	const char *no_color = getenv("NO_COLOR");

	return tail_terminal_is_usable() && !(no_color && *no_color);
}

bool tail_terminal_is_utf8(void)
{
	static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
	const char *value = NULL;

	for (int i = 0; i < 3 && !(value && *value); i++)
		value = getenv(names[i]);
	value = value ? strchr(value, '.') : NULL;
	return value &&
	       (strncasecmp(value, ".utf-8", 6) == 0 || strncasecmp(value, ".utf8", 5) == 0);
}

static int size_setting(const char *name, int otherwise)
{
	const char *text = getenv(name);
	int64_t value;

	return text && number_parse(text, &value) && value > 0 && value < 10000 ? (int)value
	                                                                        : otherwise;
}

void tail_terminal_size(int *width, int *height)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
		*width = size.ws_col;
		*height = size.ws_row;
		return;
	}
	*width = size_setting("COLUMNS", 80);
	*height = size_setting("LINES", 24);
}

/* False: the terminal is gone, or a stop was requested while it was paused (Ctrl-S). */
static bool write_all(const char *at, size_t len)
{
	while (len > 0) {
		ssize_t written = write(STDOUT_FILENO, at, len);

		if (written < 0 && (errno != EINTR || service_stopping()))
			return false;
		if (written > 0) {
			at += written;
			len -= (size_t)written;
		}
	}
	return true;
}

void tail_terminal_open(void)
{
	struct termios raw;

	tail_signals_watch();
	/* A process that was stopped from elsewhere opens it again: the terminal is still raw. */
	if (!is_open)
		has_before = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &before) == 0;
	if (has_before) {
		raw = before;
		raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		raw.c_cc[VMIN] = 0;
		raw.c_cc[VTIME] = 0;
		tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	}
	is_open = true;
	(void)write_all(ENTER, sizeof(ENTER) - 1);
}

void tail_terminal_close(void)
{
	if (!is_open)
		return;
	is_open = false;
	if (has_before)
		tcsetattr(STDIN_FILENO, TCSANOW, &before);
	(void)write_all(LEAVE, sizeof(LEAVE) - 1); /* may wait for a terminal that was paused */
}

/* Erases a line before it writes the line. After a full line the cursor stays on the last
 * character, and an erasure there would remove it. */
bool tail_terminal_draw(struct span lines, int height)
{
	const char *at = lines.at, *end = lines.at + lines.len;

	frame.len = 0;
	buffer_append(&frame, "\033[H", 3);
	for (int row = 1; row <= height; row++) {
		const char *line_end = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;

		buffer_append(&frame, "\033[2K", 4);
		if (line_end) {
			buffer_append(&frame, at, (size_t)(line_end - at));
			at = line_end + 1;
		}
		if (row < height)
			buffer_append(&frame, "\r\n", 2);
	}
	return write_all(frame.at, frame.len);
}

/* The next byte of the keyboard; 0: none; TAIL_KEY_GONE: the terminal is gone. */
static int next_byte(int timeout_ms)
{
	struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
	unsigned char byte;

	if (poll(&in, 1, timeout_ms) != 1)
		return 0;
	if (!(in.revents & POLLIN))
		return TAIL_KEY_GONE;
	return read(STDIN_FILENO, &byte, 1) == 1 ? byte : TAIL_KEY_GONE;
}

/* After ESC come [ or O, parameters, and a final byte of @ or more. ESC alone is the key Escape. */
static int read_sequence(void)
{
	int byte = next_byte(20);

	if (byte != '[' && byte != 'O')
		return TAIL_KEY_OTHER;
	do
		byte = next_byte(20);
	while (byte > 0 && byte < '@');
	switch (byte) {
	case 'C': return TAIL_KEY_RIGHT;
	case 'D': return TAIL_KEY_LEFT;
	case 'H': return TAIL_KEY_HOME;
	case 'F': return TAIL_KEY_END;
	default: return TAIL_KEY_OTHER;
	}
}

int tail_terminal_key(void)
{
	int byte = has_before ? next_byte(0) : 0;

	return byte == '\033' ? read_sequence() : byte;
}
