/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes as text, RFC 4648, 4: the standard alphabet, with padding.
 */
#ifndef SOCKWARDEN_COMMON_BASE64_H
#define SOCKWARDEN_COMMON_BASE64_H

#include <stddef.h>
#include <stdint.h>

/* The characters that length bytes become. */
#define BASE64_LENGTH(length) (((length) + 2) / 3 * 4)

/* Writes BASE64_LENGTH(length) characters, without a NUL. */
void base64_encode(char *text, const uint8_t *bytes, size_t length);

/*
 * Reads length characters; bytes has room for length / 4 * 3. Returns how many bytes there are,
 * or -1 for anything but what base64_encode() writes.
 */
long base64_decode(uint8_t *bytes, const char *text, size_t length);

#endif
