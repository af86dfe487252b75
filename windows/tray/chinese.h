/* Chinese for the sentences of common/ and of the service, which documents have in English.
 *
 * ISO C11, no OS header, like common/.
 */
#ifndef HVS_WINDOWS_TRAY_CHINESE_H
#define HVS_WINDOWS_TRAY_CHINESE_H

#include "common/text.h"

/* Adds what the sentence is in Chinese (simplified), facts in it as they are. false: it is not
 * known, and nothing is added. */
bool hvs_chinese_add(struct hvs_text *out, const char *english);

#endif
