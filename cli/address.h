/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses that people type, in the one spelling that the worker uses.
 */
#ifndef SOCKWARDEN_CLI_ADDRESS_H
#define SOCKWARDEN_CLI_ADDRESS_H

#include "common/address_text.h"

#include <stdbool.h>

#define ADDRESS_BYTES (ADDRESS_TEXT_BYTES_MAX + 1)

/*
 * Writes text, an address without a prefix length, as the worker does: as RFC 5952 says, and IPv4 in
 * IPv6 form (RFC 4291 2.5.5.2) as IPv4. False if it is no address.
 */
bool address_normalise(const char *text, char out[static ADDRESS_BYTES]);

#endif
