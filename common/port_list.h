/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ports as they are written on a command line: decimal numbers with commas between them, or "none".
 */
#ifndef SOCKWARDEN_COMMON_PORT_LIST_H
#define SOCKWARDEN_COMMON_PORT_LIST_H

#include <stddef.h>
#include <stdint.h>

/*
 * Writes the ports (1..65535, in host byte order) of text into zeroed ports, which has room for max; 0 ends
 * a shorter list. Returns how many, or -EINVAL.
 */
int port_list_parse(const char *text, uint16_t *ports, size_t max);

#endif
