/* linux/xrdp-ini with any text, and linux/kvp with any pool: neither may read beyond its bytes. */
#include "linux/kvp.h"
#include "linux/xrdp-ini.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
read_ini(const char *text, size_t size)
{
    g_auto(hvs_xrdp_ini) ini = { 0 };

    hvs_xrdp_ini_parse(text, size, &ini);
    hvs_xrdp_ini_has_tcp(&ini, 3389);
    hvs_xrdp_ini_has_unix(&ini, "/run/xrdp.sock");
    /* What is a HvSocket address is one. */
    if (hvs_xrdp_ini_has_vsock(&ini, 3389) && hvs_xrdp_ini_is_vsock_wrong(&ini))
        abort();
}

static void
read_pool(const char *pool, size_t size)
{
    g_autofree char *value = hvs_kvp_find(pool, size, "HostName");

    if (value != NULL && (size < HVS_KVP_RECORD_SIZE || !g_utf8_validate(value, -1, NULL)))
        abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *exact = malloc(size); /* of exactly that size, so that a byte too far is seen */

    if (size == 0 || exact == NULL) {
        free(exact);
        return 0;
    }
    memcpy(exact, data, size);
    read_ini(exact, size);
    read_pool(exact, size);
    free(exact);
    return 0;
}
