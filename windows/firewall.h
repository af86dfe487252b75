/* Keeps the port of Remote Desktop off the network, with Windows' own firewall, which lets
 * connections of the machine to itself, as hvsession's, through whatever its rules say.
 *
 * Windows Vista and later: two rules of ours block the port. The firewall of XP and Server 2003 has
 * no rules that block: a port is open by an exception only, so its exceptions are turned off. Both
 * are recorded in the log of windows/system.h, as FirewallPort (REG_DWORD, the port) and, on XP,
 * FirewallExceptions (REG_DWORD, which ones), and undone exactly.
 *
 * Source: Microsoft's documentation of INetFwPolicy2 and INetFwMgr ("Windows Firewall").
 */
#ifndef HVS_WINDOWS_FIREWALL_H
#define HVS_WINDOWS_FIREWALL_H

#include <windows.h>

#include <stdbool.h>
#include <stdint.h>

struct hvs_firewall {
    bool on;     /* it filters on the network that is used now */
    bool closed; /* by it the port cannot be reached, or could not if it were on */
};

/* COM is initialised by these functions themselves. Errors are of the system or an HRESULT; both
 * are for hvs_wide_add_error(). ERROR_SERVICE_NOT_ACTIVE: there is no firewall, or it does not run.
 */
DWORD hvs_firewall_look(uint16_t port, struct hvs_firewall *firewall);
/* Closes the port; recorded before. Over a port that was closed before by hvsession: opens that one
 * again, if it is another. Errors of hvs_undo_put(), too. */
DWORD hvs_firewall_close(uint16_t port);
/* As before the first hvs_firewall_close(). ERROR_FILE_NOT_FOUND: nothing is recorded. */
DWORD hvs_firewall_restore(void);

#endif
