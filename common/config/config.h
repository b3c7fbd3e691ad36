/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker's configuration: one JSON file in which comments are allowed, then the drop-ins
 * conf.d/NAME.json beside it in the byte order of their names. A later value replaces an earlier
 * one, a list as a whole; of the excludes, a later file replaces those of an address that it names.
 * Keys are objects in objects: "publish.interval_s" is {"publish": {"interval_s": 30}}. One table
 * (keys.h) holds every key with its type, range and default. Nothing is guessed: an unknown or
 * doubled key, a wrong type or a value out of range is an error that names file, line and column,
 * and then the configuration is not used at all.
 */
#ifndef SOCKWARDEN_COMMON_CONFIG_CONFIG_H
#define SOCKWARDEN_COMMON_CONFIG_CONFIG_H

#include "common/config/exclude_text.h"
#include "common/log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_FILE_DEFAULT "/etc/sockwarden/sockwarden.json"
/* A larger file, or more drop-ins, is an error. */
#define CONFIG_FILE_BYTES_MAX 262144
#define CONFIG_DROP_INS_MAX 256
/* Room for "FILE:LINE:COL: message". */
#define CONFIG_ERROR_BYTES 512

/* Items of one list; more are an error. */
#define CONFIG_PORTS_MAX 64
#define CONFIG_DNS_TYPES_MAX 32
#define CONFIG_EXCLUDES_MAX 1024
#define CONFIG_REPLACE_MAX 16
/* Bytes of one text, its NUL included. */
#define CONFIG_PATTERN_BYTES 256
#define CONFIG_REPL_BYTES 128

struct config_ports {
	uint32_t count;
	uint16_t port[CONFIG_PORTS_MAX]; /* 1..65535, none twice, in the file's order */
};

struct config_dns_types {
	uint32_t count;
	uint16_t code[CONFIG_DNS_TYPES_MAX]; /* RFC 1035, 3.2.2 and IANA's registry */
};

/* What stands for an address follows one another. */
struct config_excludes {
	uint32_t count;
	struct exclude_item item[CONFIG_EXCLUDES_MAX];
};

struct config_replace {
	uint32_t count;
	struct {
		char pattern[CONFIG_PATTERN_BYTES];
		char repl[CONFIG_REPL_BYTES];
	} rule[CONFIG_REPLACE_MAX];
};

/* Ranges and defaults are those of the table in keys.c. A value without pointers. */
struct config {
	uint32_t publish_interval_s;	  /* active connections, meta data */
	uint32_t publish_closed_delay_ms; /* at most from a close to its message */
	uint32_t publish_queue;		  /* messages that wait per subscriber */
	uint32_t state_max_connections;	  /* tracked at the same time */
	uint32_t state_max_closed_buffered;
	uint32_t state_client_expiry_s;
	uint32_t state_max_clients;
	bool state_rollup;
	bool tcp_enabled;
	bool udp_enabled;
	bool ipv6_enabled;
	uint32_t udp_timeout_s;
	uint32_t udp_stream_timeout_s;
	struct config_excludes exclude_source;
	struct config_excludes exclude_destination;
	bool dns_enabled;
	bool dns_domains;
	bool dns_local;
	struct config_ports dns_ports;
	struct config_dns_types dns_types;
	uint32_t dns_timeout_s;
	uint32_t dns_max_stats;
	uint32_t dns_max_in_flight;
	uint32_t dns_max_names;
	uint32_t dns_max_names_per_ip;
	bool nat_enabled;
	uint32_t nat_max_entries;
	bool http_enabled;
	bool http_quantize;
	uint32_t http_max_request_fragment; /* bytes */
	uint32_t http_max_tracked;
	uint32_t http_max_stats;
	struct config_replace http_replace;
	struct config_ports http_ports_excluded;
	bool kafka_enabled;
	uint32_t kafka_max_stats;
	bool tls_enabled;
	bool tls_handshakes;
	uint32_t loss_window_s; /* 0: all that was ever lost counts */
	uint32_t loss_bpf_ppm;	/* budgets, of a million */
	uint32_t loss_ring_ppm;
	uint32_t loss_batch_ppm;
	uint32_t loss_packets_ppm;
	uint32_t loss_table_ppm;
	uint32_t loss_publish_ppm;
	enum log_level log_level; /* "error", "warning", "info" or "debug" */
};

/* Sets every value to its default. */
void config_default(struct config *config);

/*
 * Sets *config from the defaults, the file at path and the drop-ins beside it. Where the file is
 * missing and must_exist is false, the drop-ins alone count. Returns 0; or -errno with a text for
 * people in error, and *config is left alone: -EINVAL for content that is wrong, other values for
 * files that cannot be read.
 */
int config_load(struct config *config, const char *path, bool must_exist, char *error,
		size_t error_bytes);

/*
 * Applies the length bytes at text, which may be anything, to *config. name stands for the file
 * in the error's text. Returns 0, or -EINVAL or -ENOMEM with *config partly changed.
 */
int config_apply(struct config *config, const char *name, const char *text, size_t length,
		 char *error, size_t error_bytes);

#endif
