/* Finds the user data blocks of an MCS Connect Initial and an MCS Connect Response. Private to the
 * negotiation (x224.h).
 *
 * Reads only, never past the PDU, and trusts no length that it has not checked against the element
 * around it. Offsets count from the beginning of the PDU, the TPKT header included.
 * Sources: [MS-RDPBCGR] 2.2.1.3 and 2.2.1.4, T.125 section 7, T.124 section 8.7, X.690, X.691.
 */
#ifndef HVS_COMMON_MCS_H
#define HVS_COMMON_MCS_H

#include "x224.h"

/* A piece of the PDU. length 0: there is none. */
struct hvs_mcs_span {
    size_t offset;
    size_t length;
};

/* Both: offset is where the MCS PDU begins, behind the X.224 header; length is that of the whole
 * PDU. *blocks is where the client's or the server's user data blocks lie, one behind another.
 * HVS_NEGOTIATION_OK, HVS_MCS_MALFORMED or HVS_GCC_MALFORMED. */
enum hvs_negotiation_error hvs_mcs_read_connect_initial(const uint8_t *pdu, size_t length,
                                                        size_t offset, struct hvs_mcs_span *blocks);
enum hvs_negotiation_error hvs_mcs_read_connect_response(const uint8_t *pdu, size_t length,
                                                         size_t offset,
                                                         struct hvs_mcs_span *blocks);

/* The block of that type, its 4-byte header included; length 0 if there is none. Blocks of other
 * types are skipped. HVS_GCC_MALFORMED: a length does not fit, or the type comes twice, so that two
 * readers could disagree about which one counts. */
enum hvs_negotiation_error hvs_mcs_find_block(const uint8_t *pdu, struct hvs_mcs_span blocks,
                                              uint16_t type, struct hvs_mcs_span *block);

#endif
