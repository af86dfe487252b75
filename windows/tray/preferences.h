/* What the user has chosen, in HKCU\Software\hvsession:
 *
 *     Notifications     REG_DWORD   0: no balloons; default 1
 *     StartWithWindows  REG_DWORD   0: not started with Windows, whatever the installer has set up
 *     Language          REG_SZ      "en" or "zh-CN"; default: the user's
 */
#ifndef HVS_WINDOWS_TRAY_PREFERENCES_H
#define HVS_WINDOWS_TRAY_PREFERENCES_H

#include <windows.h>

#include <stdbool.h>

bool hvs_preferences_get(const WCHAR *name, bool otherwise);
/* What cannot be stored is lost. */
void hvs_preferences_set(const WCHAR *name, bool value);
/* "" if there is none, or it is too long. */
void hvs_preferences_get_string(const WCHAR *name, WCHAR *value, DWORD size);

/* Is this program started when the user logs on? By an entry of the user's, or one of the
 * installer's for all, which the user may refuse. */
bool hvs_preferences_starts_with_windows(void);
/* The installer's entry is left alone. */
void hvs_preferences_set_start_with_windows(bool value);

#endif
