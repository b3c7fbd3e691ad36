/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any text as a configuration file. What is accepted must be within the documented ranges and give
 * the same a second time; what is refused must be refused with its place. The general parser
 * behind json_scan_check() must never refuse what that let through. Built with PLANTED_BUG one
 * value gets out of its range in one corner.
 */
#include "common/config/config.h"
#include "tests/fuzz/invariant.h"

#include <errno.h>
#include <string.h>

static int apply(struct config *config, const char *text, size_t length, char *error)
{
	int result;

	config_default(config);
	result = config_apply(config, "F", text, length, error, CONFIG_ERROR_BYTES);
#ifdef PLANTED_BUG
	if (result == 0 && config->publish_queue == 1 && !config->tcp_enabled)
		config->publish_queue = 0;
#endif
	return result;
}

static void check_error(const char *error)
{
	unsigned line;
	unsigned column;

	INVARIANT(memchr(error, '\0', CONFIG_ERROR_BYTES) != NULL);
	INVARIANT(sscanf(error, "F:%u:%u:", &line, &column) == 2);
	INVARIANT(line >= 1 && column >= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char error[CONFIG_ERROR_BYTES];
	struct config config;
	struct config again;
	/* A block of exactly that length, so that the sanitizer sees a read beyond it. */
	char *text = malloc(size ? size : 1);
	int result;

	if (!text)
		return 0;
	memcpy(text, data, size);
	result = apply(&config, text, size, error);
	INVARIANT(result == 0 || result == -EINVAL);
	if (result < 0)
		check_error(error);
	INVARIANT(config.publish_interval_s >= 1 && config.publish_interval_s <= 3600);
	INVARIANT(config.publish_closed_delay_ms >= 50 && config.publish_closed_delay_ms <= 60000);
	INVARIANT(config.publish_queue >= 1 && config.publish_queue <= 8192);
	INVARIANT(config.state_max_connections >= 64 && config.state_max_connections <= 4194304);
	INVARIANT(config.log_level >= LOG_LEVEL_ERROR && config.log_level <= LOG_LEVEL_DEBUG);
	INVARIANT(apply(&again, text, size, error) == result);
	INVARIANT(memcmp(&config, &again, sizeof(config)) == 0);
	free(text);
	return 0;
}
