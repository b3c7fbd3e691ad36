/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses as text, as RFC 5952 recommends: lower-case hex without leading zeros, the longest
 * run of two or more zero groups (the first of equals) as "::", and IPv4-mapped addresses with
 * their last 32 bits in dots. Written by hand because inet_ntop() costs as much as all the
 * rest of a connection's JSON.
 */
#ifndef SOCKWARDEN_COMMON_ADDRESS_TEXT_H
#define SOCKWARDEN_COMMON_ADDRESS_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "xxxx:" seven times and "xxxx"; there is no NUL. */
#define ADDRESS_TEXT_BYTES_MAX 39

/*
 * Writes the address (4 bytes, or 16 for ipv6, in network order) to out; returns its length. Bytes
 * behind that may be overwritten.
 */
size_t address_text(char out[static ADDRESS_TEXT_BYTES_MAX], bool ipv6, const uint8_t *ip);

#endif
