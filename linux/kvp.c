#include "kvp.h"

#include <string.h>

char *
hvs_kvp_find(const char *pool, gsize length, const char *key)
{
    for (; length >= HVS_KVP_RECORD_SIZE;
         pool += HVS_KVP_RECORD_SIZE, length -= HVS_KVP_RECORD_SIZE) {
        const char *value = pool + HVS_KVP_KEY_SIZE;
        gsize value_length;

        if (strnlen(pool, HVS_KVP_KEY_SIZE) != strlen(key) || memcmp(pool, key, strlen(key)) != 0)
            continue;
        value_length = strnlen(value, HVS_KVP_VALUE_SIZE);
        return g_utf8_validate(value, (gssize)value_length, NULL) ? g_strndup(value, value_length)
                                                                  : NULL;
    }
    return NULL;
}
