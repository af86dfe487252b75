/* The pools of Hyper-V's data exchange (KVP), as hv_kvp_daemon keeps them in /var/lib/hyperv.
 *
 * A pool is a file of records without header: key, 512 bytes, and value, 2048 bytes, both UTF-8
 * and ended by a zero (Linux tools/hv/hv_kvp_daemon.c, include/uapi/linux/hyperv.h). */
#ifndef HVS_LINUX_KVP_H
#define HVS_LINUX_KVP_H

#include <glib.h>

#define HVS_KVP_KEY_SIZE    512u
#define HVS_KVP_VALUE_SIZE  2048u
#define HVS_KVP_RECORD_SIZE (HVS_KVP_KEY_SIZE + HVS_KVP_VALUE_SIZE)

/* What the host tells the guest about itself and the virtual machine. */
#define HVS_KVP_POOL_OF_HOST "lib/hyperv/.kvp_pool_3" /* under /var */

/* The value of the first record with that key; NULL: none. pool: length bytes; a record cut short
 * at its end does not count. Invalid UTF-8 gives NULL. Free with g_free(). */
char *hvs_kvp_find(const char *pool, gsize length, const char *key);

#endif
