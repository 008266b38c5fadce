# Checks with tools that `make test` does not need. Each target installs its tool (deploy/local/deps).
.PHONY: tsan valgrind analyze tidy tidy-files coverage valgrind-bins shellcheck check-workflows format check-format

# Programs are many times slower here, so there are few scenarios, few events and long deadlines.
TSAN_SCENARIOS     := 20 31 50
VALGRIND_SCENARIOS := 10 20 50

tsan: deps ## scenarios, and threads under stress, with the thread sanitizer
	@$(MAKE) --no-print-directory FLAVOUR=tsan all e2e-tools build/tsan/test/tsan-stress
	@FLAVOUR=tsan tests/tsan/run $(TSAN_SCENARIOS)
$(B)/test/tsan-stress: $(B)/obj/tests/tsan/stress.o $(B)/lib/libcommon.a
	@mkdir -p $(@D)
	$(say) LINK $@
	$(Q)$(LINK) $^ $(LIBS) -o $@

valgrind: deps ## scenarios with each of our programs under valgrind memcheck
	@deploy/local/deps valgrind
	@$(MAKE) --no-print-directory FLAVOUR=release all e2e-tools valgrind-bins
	@FLAVOUR=valgrind E2E_EVENTS=2000 E2E_LONG=600 SCENARIO_TIMEOUT=1800 tests/e2e/run $(VALGRIND_SCENARIOS)
# Links named like our programs; each runs the release program under valgrind (tests/valgrind).
valgrind-bins: $(patsubst %,build/valgrind/bin/%,$(SERVICES) $(TOOLS))
build/valgrind/bin/%: tests/valgrind
	@mkdir -p $(@D)
	@ln -sf $(abspath $<) $@
	@ln -sfn ../release/test build/valgrind/test

# Not the unit tests: with Criterion's macros some of them take half an hour each. clang-tidy reads
# them.
analyze: deps ## gcc's static analyser over the programs and tools
	@$(MAKE) --no-print-directory -k FLAVOUR=analyze all bench-bins e2e-tools
	@echo "analyze: ok"

tidy: deps ## clang-tidy over every C file; .clang-tidy lists its checks
	@deploy/local/deps clang
	@$(MAKE) --no-print-directory -k FLAVOUR=tidy tidy-files
	@echo "tidy: ok"
all_h := $(wildcard common/*/*.h common/tools/*/*.h tests/*/*.h $(SERVICES:%=%/*.h) bronze-sink/lake/*.h)
all_c := $(wildcard common/*/*.c common/tools/*/*.c $(SERVICES:%=%/*.c) bronze-sink/lake/*.c tests/*/*.c)
tidy-files: $(all_c:%=$(B)/%.ok)
$(B)/%.c.ok: %.c .clang-tidy $(all_h) $(RDKAFKA_USED)
	@mkdir -p $(@D)
	$(say) TIDY $<
	$(Q)clang-tidy --quiet $< -- $(filter-out -M% -Werror,$(OUR_CFLAGS)) -DFAULT_POINTS $(INCLUDES) \
	  $(INCLUDES_$(firstword $(subst /, ,$<))) 2>/dev/null
	@touch $@

coverage: deps ## lines and branches that unit tests and scenarios reach; S='20 30' for some scenarios
	@deploy/local/deps coverage
	@tests/coverage $(S)

shellcheck: deps ## shellcheck over every shell script; exceptions are in .shellcheckrc and at their lines
	@deploy/local/deps lint
	@git ls-files -co --exclude-standard | xargs grep -lE '^#!.*[/ ](ba)?sh$$|^# shellcheck shell=' | \
	  xargs shellcheck
	@echo "shellcheck: ok"

check-workflows: ## actionlint over the workflows of .github; builds it with go if it is missing
	@tests/workflows

# One version of clang-format: each version formats differently.
format: deps ## format all C sources as .clang-format says
	@deploy/local/deps format
	@clang-format-14 --style=file -i $(all_c) $(all_h)
check-format: deps ## fail if a C source is not formatted as .clang-format says
	@deploy/local/deps format
	@clang-format-14 --style=file --dry-run --Werror $(all_c) $(all_h)
	@echo "check-format: ok"
