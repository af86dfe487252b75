/* linux/kvp: finding a value in a pool, whole or damaged. */
#include "linux/kvp.h"

#include <string.h>

static void
add_record(GByteArray *pool, const char *key, const char *value)
{
    char record[HVS_KVP_RECORD_SIZE] = { 0 };

    memcpy(record, key, MIN(strlen(key), HVS_KVP_KEY_SIZE));
    memcpy(record + HVS_KVP_KEY_SIZE, value, MIN(strlen(value), HVS_KVP_VALUE_SIZE));
    g_byte_array_append(pool, (const guint8 *)record, sizeof record);
}

static void
assert_value(const GByteArray *pool, const char *key, const char *expected)
{
    g_autofree char *value = hvs_kvp_find((const char *)pool->data, pool->len, key);

    g_assert_cmpstr(value, ==, expected);
}

static void
test_find(void)
{
    g_autoptr(GByteArray) pool = g_byte_array_new();

    assert_value(pool, "HostName", NULL);
    add_record(pool, "HostName", "HV01");
    add_record(pool, "VirtualMachineName", "Büro 7");
    add_record(pool, "VirtualMachineName", "second");
    add_record(pool, "Empty", "");
    assert_value(pool, "HostName", "HV01");
    assert_value(pool, "VirtualMachineName", "Büro 7");
    assert_value(pool, "Empty", "");
    assert_value(pool, "Host", NULL);
    assert_value(pool, "HostNames", NULL);
    assert_value(pool, "hostname", NULL);
}

static void
test_cut_short(void)
{
    g_autoptr(GByteArray) pool = g_byte_array_new();

    add_record(pool, "First", "1");
    add_record(pool, "HostName", "HV01");
    g_byte_array_set_size(pool, pool->len - 1);
    assert_value(pool, "First", "1");
    assert_value(pool, "HostName", NULL);
    g_byte_array_set_size(pool, HVS_KVP_KEY_SIZE);
    assert_value(pool, "First", NULL);
}

/* Fields that fill their space have no zero behind them. */
static void
test_full_fields(void)
{
    g_autoptr(GByteArray) pool = g_byte_array_new();
    g_autofree char *key = g_strnfill(HVS_KVP_KEY_SIZE, 'k');
    g_autofree char *longer = g_strnfill(HVS_KVP_KEY_SIZE + 1, 'k');
    g_autofree char *value = g_strnfill(HVS_KVP_VALUE_SIZE, 'v');

    add_record(pool, key, value);
    assert_value(pool, key, value);
    assert_value(pool, longer, NULL);
}

static void
test_not_utf8(void)
{
    g_autoptr(GByteArray) pool = g_byte_array_new();

    add_record(pool, "HostName", "HV\xff");
    assert_value(pool, "HostName", NULL);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/kvp/find", test_find);
    g_test_add_func("/kvp/cut-short", test_cut_short);
    g_test_add_func("/kvp/full-fields", test_full_fields);
    g_test_add_func("/kvp/not-utf8", test_not_utf8);
    return g_test_run();
}
