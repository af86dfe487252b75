/* What the fake Windows Firewall and the tests agree upon: its state is in the registry, so that
 * every program of the machine sees the same, and a test can compare it.
 *
 *     HKLM\SOFTWARE\hvs-fake-firewall
 *         Kind        REG_DWORD  2001 XP's, 2006 Vista's, 0 not running
 *         Off         REG_DWORD  1: it does not filter
 *         Service0, Service1     XP: the exception for Remote Desktop (domain, standard profile)
 *         Port0, Port1           XP: the exception for the port; not there: none
 *         Rules\NAME             Vista: Protocol, Direction, Profiles, Action, Enabled, LocalPorts
 */
#ifndef HVS_TESTS_WINE_FAKE_FIREWALL_H
#define HVS_TESTS_WINE_FAKE_FIREWALL_H

#define FAKE_FIREWALL       L"SOFTWARE\\hvs-fake-firewall"
#define FAKE_FIREWALL_RULES FAKE_FIREWALL L"\\Rules"
#define FAKE_FIREWALL_XP    2001u
#define FAKE_FIREWALL_VISTA 2006u
/* The port that XP's exceptions are for. */
#define FAKE_FIREWALL_PORT 3389

#endif
