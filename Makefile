# `make` builds everything; `make help` lists the targets.
FLAVOUR ?= release
B       := build/$(FLAVOUR)
GEN     := build/gen

SERVICES := producer bronze-sink funnel-aggregator pg-loader
TOOLS    := topics redrive schemas

CC       ?= cc
Q        := $(if $(V),,@)# V=1 shows whole commands
say       = @$(if $(V),:,printf '  %-5s %s\n')
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings -Wcast-qual \
            -Wformat=2 -Wvla -Wundef -Wconversion -Wimplicit-fallthrough -Werror
OPT_release := -O2 -g
OPT_asan    := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
OPT_fault   := -O2 -g -DFAULT_POINTS
OPT_system  := $(OPT_release)
OPT_tsan    := -O1 -g -fsanitize=thread -Wl,-u,thrd_create
OPT_coverage := -O0 -g --coverage -fprofile-update=atomic
# Not its leak check: gcc 12 loses sight of pointers that are kept through another pointer. LeakSanitizer looks for leaks.
OPT_analyze := -O2 -g -fanalyzer -Wno-analyzer-malloc-leak
CFLAGS   := -std=c11 -D_POSIX_C_SOURCE=200809L -D_DEFAULT_SOURCE $(OPT_$(FLAVOUR)) $(WARNINGS) -MMD -MP -fno-common
INCLUDE_core    := -Icommon/core
INCLUDE_runtime := $(INCLUDE_core) -Icommon/runtime -I/usr/include/postgresql
LIBS     := -ljansson -lavro -lpq -lcurl -lmicrohttpd -lz -lmd -lpthread -lm

# The pinned librdkafka, built once into build/librdkafka; LIBRDKAFKA=system takes the distribution's. FLAVOUR=system is the
# release built with that, in a tree of its own.
LIBRDKAFKA ?= $(if $(filter system,$(FLAVOUR)),system,pinned)
export LIBRDKAFKA
RDKAFKA := build/librdkafka
ifeq ($(LIBRDKAFKA),system)
LIBS     := -lrdkafka $(LIBS)
else ifeq ($(LIBRDKAFKA),pinned)
INCLUDE_runtime += -isystem $(RDKAFKA)/include
LIBS     := $(RDKAFKA)/lib/librdkafka.a $(LIBS) -lsasl2 -lssl -lcrypto -lzstd -llz4 -lz -ldl
RDKAFKA_A := $(RDKAFKA)/lib/librdkafka.a
else
$(error invalid value "$(LIBRDKAFKA)" for LIBRDKAFKA: expected pinned or system)
endif
# Records which of the two the objects of this tree were compiled for: objects that include its header depend on this file.
RDKAFKA_USED := $(B)/librdkafka.used

core_o    := $(patsubst %.c,$(B)/obj/%.o,$(wildcard common/core/*.c)) $(B)/obj/gen/schema_texts.o
runtime_o := $(patsubst %.c,$(B)/obj/%.o,$(wildcard common/runtime/*.c))
# The thread sanitizer does not know the C11 threads that librdkafka uses.
runtime_o += $(if $(filter tsan,$(FLAVOUR)),$(B)/obj/tests/tsan/threads.o)
service_o  = $(patsubst %.c,$(B)/obj/%.o,$(wildcard $(1)/*.c))
fold_o    := $(filter-out %/main.o,$(foreach s,$(SERVICES),$(call service_o,$(s))))
unit      := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/*_test.c))
bench     := $(patsubst tests/bench/%.c,%,$(wildcard tests/bench/*.c))

.PHONY: all bins tools unit-tests bench-bins check-layers readme check-readme clean help FORCE
.DELETE_ON_ERROR:
.SECONDARY:
all: bins tools
bins: $(SERVICES:%=$(B)/bin/%)
tools: $(TOOLS:%=$(B)/bin/%)
unit-tests: $(unit:%=$(B)/test/%)
bench-bins: $(bench:%=$(B)/bench/%)

$(B)/lib/libcore.a: $(core_o)
$(B)/lib/libruntime.a: $(runtime_o)
$(B)/lib/libfold.a: $(fold_o)
$(B)/lib/%.a:
	@mkdir -p $(@D)
	@rm -f $@
	$(say) AR $@
	$(Q)ar rcs $@ $^

$(B)/obj/common/core/%.o: common/core/%.c
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(CC) $(CFLAGS) $(INCLUDE_core) -c $< -o $@
$(B)/obj/gen/%.o: $(GEN)/%.c
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(CC) $(CFLAGS) -Wno-overlength-strings $(INCLUDE_core) -c $< -o $@
$(B)/obj/%.o: %.c $(RDKAFKA_USED)
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(CC) $(CFLAGS) $(INCLUDE_runtime) -I$(firstword $(subst /, ,$<)) $(if $(filter tests/%,$<),$(SERVICES:%=-I%)) -c $< -o $@

$(GEN)/schema_texts.c: common/tools/embed-schemas $(wildcard schemas/*)
	@mkdir -p $(@D)
	common/tools/embed-schemas schemas >$@

$(RDKAFKA_USED): $(RDKAFKA_A) FORCE
	@mkdir -p $(@D)
	@[ "$$(cat $@ 2>/dev/null)" = $(LIBRDKAFKA) ] && [ ! $(or $(RDKAFKA_A),$@) -nt $@ ] || echo $(LIBRDKAFKA) >$@
$(RDKAFKA)/lib/librdkafka.a: deploy/librdkafka/build deploy/librdkafka/sources.sha256
	@deploy/librdkafka/build $(RDKAFKA)

define SERVICE_RULE
$(B)/bin/$(1): $(call service_o,$(1)) $(B)/lib/libruntime.a $(B)/lib/libcore.a
	@mkdir -p $$(@D)
	$(say) LINK $$@
	$(Q)$$(CC) $$(CFLAGS) $$^ $$(LIBS) -o $$@
endef
$(foreach s,$(SERVICES),$(eval $(call SERVICE_RULE,$(s))))

$(B)/bin/redrive: $(B)/obj/common/tools/redrive_read.o $(B)/obj/common/tools/redrive_plan.o
$(B)/bin/%: $(B)/obj/common/tools/%.o $(B)/lib/libruntime.a $(B)/lib/libcore.a
	@mkdir -p $(@D)
	$(say) LINK $@
	$(Q)$(CC) $(CFLAGS) $(filter %.o,$^) $(filter %.a,$^) $(LIBS) -o $@
$(B)/test/%: $(B)/obj/tests/unit/%.o $(B)/lib/libfold.a $(B)/lib/libruntime.a $(B)/lib/libcore.a
	@mkdir -p $(@D)
	$(say) LINK $@
	$(Q)$(CC) $(CFLAGS) $^ $(LIBS) -lcriterion -o $@
$(B)/bench/%: $(B)/obj/tests/bench/%.o $(B)/lib/libfold.a $(B)/lib/libruntime.a $(B)/lib/libcore.a
	@mkdir -p $(@D)
	$(say) LINK $@
	$(Q)$(CC) $(CFLAGS) $^ $(LIBS) -o $@

check-layers: all ## core <- runtime <- service, and core is pure
	@common/tools/check-layers $(B)
readme: all ## renew the README's settings tables
	@common/tools/readme-settings $(B)/bin README.md
check-readme: all ## fail if they are out of date
	@common/tools/readme-settings $(B)/bin README.md --check
clean: ## delete what was built
	rm -rf build
help: ## this list
	@printf '%-18s %s\n' make 'build everything'
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)/\1\t\2/p' $(filter-out %.d,$(MAKEFILE_LIST)) | sed 's/\$$\$$/$$/g' | \
	  while IFS=$$(printf '\t') read -r target text; do printf 'make %-13s %s\n' "$$target" "$$text"; done

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)
-include deploy/local/stack.mk
-include deploy/metabase/metabase.mk
-include tests/tests.mk
