# SPDX-License-Identifier: Apache-2.0
# Warnings and code generation, the same for every program of ours.
add_compile_options(-Wall -Wextra -Wshadow -Wconversion -Wformat=2 -Wvla -Wstrict-prototypes
	-Wmissing-prototypes -Wcast-qual -Wswitch-enum)
if(SOCKWARDEN_WERROR)
	add_compile_options(-Werror)
endif()

# Names of the source tree do not belong in a binary.
add_compile_options(-ffile-prefix-map=${CMAKE_SOURCE_DIR}/=)

if(SOCKWARDEN_HARDENING AND NOT SOCKWARDEN_ASAN AND NOT SOCKWARDEN_FUZZ)
	add_compile_options(-fstack-protector-strong -fstack-clash-protection)
	if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
		add_compile_options(-fcf-protection=full)
	endif()
	if(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
		# Level 3 needs gcc 12 or clang 15 with a recent glibc; older ones fall back to 2.
		add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
	endif()
	add_link_options(-pie -Wl,-z,relro,-z,now,-z,noexecstack)
endif()
if(SOCKWARDEN_ASAN)
	add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all
		-fno-omit-frame-pointer)
	add_link_options(-fsanitize=address,undefined)
	add_compile_definitions(SOCKWARDEN_ASAN)
endif()
if(SOCKWARDEN_FUZZ)
	if(NOT CMAKE_C_COMPILER_ID STREQUAL "Clang")
		message(FATAL_ERROR "SOCKWARDEN_FUZZ needs clang: cmake --preset fuzz")
	endif()
	add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all)
	add_link_options(-fsanitize=address,undefined)
endif()
if(SOCKWARDEN_COVERAGE)
	add_compile_options(--coverage -O0)
	add_link_options(--coverage)
endif()
