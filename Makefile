# SPDX-License-Identifier: Apache-2.0
# make [MODE=rel|dbg|asan|tsan|cov|fuzz]   builds into build/<mode>
MODE ?= rel
B := build/$(MODE)
ifeq ($(MODE),fuzz)
export CC := clang
endif

.PHONY: all demo test bench lint deps clean
all: $(B)/build.ninja
	@test -z "$$(find src tests -name meson.build -newer $(B)/build.ninja | head -1)" || \
		touch meson.build
	@ninja -C $(B) --quiet
	@test ! -e $(B)/src/cli/brig || ln -sfn src/cli/brig $(B)/brig

$(B)/build.ninja:
	@meson setup -Dmode=$(MODE) $(B) >/dev/null 2>&1 || { cat $(B)/meson-logs/meson-log.txt; exit 1; }

demo: deps all
	@tests/demo/run

test: all
	@tests/run

bench: all
	@bench/run

lint:
	@tools/lint

deps:
	@tools/deps

clean:
	rm -rf build
