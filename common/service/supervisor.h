/* Reports the state of the service to systemd, for units of Type=notify (sd_notify(3)). Does
 * nothing if the environment has no NOTIFY_SOCKET. */
#ifndef FUNNEL_SUPERVISOR_H
#define FUNNEL_SUPERVISOR_H

/* reason NULL: the service is ready. Otherwise the status that `systemctl status` shows: one or
 * more lines. A report that cannot be sent is lost: the service must not depend on it. */
void supervisor_report(const char *reason);

#endif
