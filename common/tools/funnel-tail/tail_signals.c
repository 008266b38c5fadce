/* Rejected: the signal thread of service.c, which ends the process with _exit() at the second
 * signal and would leave the terminal in raw mode. */
#include "tail_signals.h"

#include <signal.h>
#include <stddef.h>

#include "service/stop.h"

static void (*rescue_function)(void);
static volatile sig_atomic_t resized, suspended, continued;

static void set_handler(int number, void (*handler)(int), int flags)
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = flags};

	sigemptyset(&action.sa_mask);
	sigaction(number, &action, NULL);
}

/* The signal is blocked while its handler runs; it ends the process when the handler returns. */
static void end_by(int number)
{
	if (rescue_function)
		rescue_function();
	set_handler(number, SIG_DFL, 0);
	raise(number);
}

static void on_stop(int number)
{
	if (stop_request() > 0)
		end_by(number);
}

static void on_note(int number)
{
	if (number == SIGWINCH)
		resized = 1;
	else if (number == SIGTSTP)
		suspended = 1;
	else
		continued = 1;
}

void tail_signals_init(void (*rescue)(void))
{
	static const int stops[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
	static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};

	rescue_function = rescue;
	set_handler(SIGPIPE, SIG_IGN, 0);
	for (size_t i = 0; i < sizeof(stops) / sizeof(*stops); i++)
		set_handler(stops[i], on_stop, 0);
	for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++)
		set_handler(faults[i], end_by, 0);
}

void tail_signals_watch(void)
{
	set_handler(SIGWINCH, on_note, 0);
	set_handler(SIGTSTP, on_note, 0);
	set_handler(SIGCONT, on_note, 0);
}

static bool take(volatile sig_atomic_t *note)
{
	bool found = *note != 0;

	*note = 0;
	return found;
}

bool tail_signals_resized(void)
{
	return take(&resized);
}

bool tail_signals_suspended(void)
{
	return take(&suspended);
}

bool tail_signals_continued(void)
{
	return take(&continued);
}

/* TSTP does not stop a process that no shell could continue; STOP would stop it. */
void tail_signals_suspend(void)
{
	set_handler(SIGTSTP, SIG_DFL, 0);
	raise(SIGTSTP);
	set_handler(SIGTSTP, on_note, 0);
}
