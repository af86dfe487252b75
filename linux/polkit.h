/* May the caller of a D-Bus method do that? Asked of polkit, without blocking.
 *
 * Where there is no polkit, or it does not answer, root may and nobody else. polkit lets a service
 * that is not root ask about others only if the action's owner annotation names its user: see
 * packaging/polkit/io.github.hvsession1.policy.
 * Source: polkit's reference manual, org.freedesktop.PolicyKit1.Authority.
 */
#ifndef HVS_LINUX_POLKIT_H
#define HVS_LINUX_POLKIT_H

#include <gio/gio.h>

/* Callers that may wait for an answer at the same time; a person may take minutes to type a
 * password. More are refused, other than root. */
#define HVS_POLKIT_PENDING_MAX 32

typedef struct hvs_polkit hvs_polkit;

hvs_polkit *hvs_polkit_new(void);
/* Answers every caller that waits still with an error. */
void hvs_polkit_free(hvs_polkit *polkit);

/* Calls allowed with the invocation, which it has to answer, or else answers it with an error that
 * says what to do. Takes the invocation over. Later, from the main loop. A caller who allows it is
 * asked for a password, see G_DBUS_MESSAGE_FLAGS_ALLOW_INTERACTIVE_AUTHORIZATION. */
void hvs_polkit_check(hvs_polkit *polkit, GDBusMethodInvocation *invocation, const char *action,
                      void (*allowed)(GDBusMethodInvocation *invocation, gpointer user_data),
                      gpointer user_data);

#endif
