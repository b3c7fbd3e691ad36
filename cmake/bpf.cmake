# SPDX-License-Identifier: Apache-2.0
# bpf_object(NAME SOURCE DEFINITIONS...) compiles SOURCE for the BPF machine and makes
# <build>/generated/NAME.skel.h of it; targets that include it depend on bpf_NAME.
find_program(BPF_CLANG clang REQUIRED)
find_program(BPFTOOL bpftool PATHS /usr/sbin /sbin REQUIRED)
find_program(LLVM_STRIP NAMES llvm-strip llvm-strip-14 REQUIRED)

if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64")
	set(BPF_ARCH x86)
elseif(CMAKE_SYSTEM_PROCESSOR STREQUAL "aarch64")
	set(BPF_ARCH arm64)
else()
	message(FATAL_ERROR "no BPF register names are known for ${CMAKE_SYSTEM_PROCESSOR}")
endif()

function(bpf_object name source)
	set(object ${CMAKE_CURRENT_BINARY_DIR}/${name}.bpf.o)
	set(skeleton ${CMAKE_BINARY_DIR}/generated/${name}.skel.h)
	file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/generated)
	file(GLOB headers ${CMAKE_SOURCE_DIR}/bpf/*.h)
	add_custom_command(OUTPUT ${object}
		COMMAND ${BPF_CLANG} -target bpf -mcpu=v3 -O2 -g -std=gnu17 -Wall -Wextra -Wshadow
			-Werror -D__TARGET_ARCH_${BPF_ARCH} ${ARGN} -I${CMAKE_SOURCE_DIR}
			-I/usr/include/${CMAKE_LIBRARY_ARCHITECTURE} -Wno-unused-parameter
			-Wno-unused-function -ffile-prefix-map=${CMAKE_SOURCE_DIR}/= -fdebug-compilation-dir=.
			-c ${CMAKE_CURRENT_SOURCE_DIR}/${source} -o ${object}
		COMMAND ${LLVM_STRIP} -g ${object}
		DEPENDS ${source} ${headers} ${CMAKE_SOURCE_DIR}/proto/record.h
		VERBATIM)
	add_custom_command(OUTPUT ${skeleton}
		COMMAND ${BPFTOOL} gen skeleton ${object} name ${name} > ${skeleton}
		DEPENDS ${object}
		VERBATIM)
	add_custom_target(bpf_${name} ALL DEPENDS ${skeleton})
endfunction()
