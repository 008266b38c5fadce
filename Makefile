# `make` builds everything; `make help` lists the targets.
FLAVOUR ?= release
B       := build/$(FLAVOUR)
GEN     := build/gen

SERVICES := producer bronze-sink funnel-aggregator pg-loader
TOOLS    := topics redrive schemas funnel-tail
# no: without the program lake, which needs DuckDB and librdkafka 2.3 or newer (Debian 12 has 2.0).
LAKE     ?= $(if $(filter system,$(LIBRDKAFKA)),no,yes)

CC       ?= cc
AR       ?= ar
Q        := $(if $(V),,@)# V=1 shows whole commands
say       = @$(if $(V),:,printf '  %-5s %s\n')
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings -Wcast-qual \
            -Wformat=2 -Wvla -Wundef -Wconversion -Wimplicit-fallthrough -Werror

# With these flags a memory fault ends the program before an attacker can use it. Sanitizers check more and are built
# without them. Without optimisation there is no _FORTIFY_SOURCE; a packager may set another level.
has_flag = $(shell $(CC) -Werror $(1) -x c -c -o /dev/null /dev/null 2>/dev/null && echo $(1))
fortify  = $(if $(filter -O0,$(CFLAGS))$(findstring _FORTIFY_SOURCE,$(CPPFLAGS) $(CFLAGS)),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
HARDEN    = $(fortify) -fstack-protector-strong $(stack_clash) -fPIE
HARDEN_LD = -pie -Wl,-z,relro,-z,now
HARDENED := release system fault
ifneq ($(filter $(FLAVOUR),$(HARDENED)),)
stack_clash := $(call has_flag,-fstack-clash-protection)
LINK_$(FLAVOUR) = $(HARDEN_LD)
endif

OPT_release  = -O2 -g $(HARDEN)
OPT_asan    := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
OPT_fault    = $(OPT_release) -DFAULT_POINTS
OPT_system   = $(OPT_release)
OPT_tsan    := -O1 -g -fsanitize=thread -Wl,-u,thrd_create
OPT_coverage := -O0 -g --coverage -fprofile-update=atomic
# Without its leak check: gcc 12 does not follow pointers that are kept through another pointer. LeakSanitizer finds
# leaks.
OPT_analyze := -O2 -g -fanalyzer -Wno-analyzer-malloc-leak
# CFLAGS, CPPFLAGS and LDFLAGS belong to the user. They come after ours, so they override them.
OUR_CFLAGS := -std=c11 -D_POSIX_C_SOURCE=200809L -D_DEFAULT_SOURCE $(OPT_$(FLAVOUR)) $(WARNINGS) -MMD -MP -fno-common
COMPILE  = $(CC) $(OUR_CFLAGS) $(CPPFLAGS) $(CFLAGS)
LINK     = $(CC) $(OUR_CFLAGS) $(CFLAGS) $(LINK_$(FLAVOUR)) $(LDFLAGS)
# common/rooms lists the rooms of common/; each uses only those above it. Pure rooms are compiled without the headers
# of client libraries.
ROOMS      := $(shell awk '!/^\#/ { print $$1 }' common/rooms)
PURE_ROOMS := $(shell awk '$$2 == "pure" { print $$1 }' common/rooms)
INCLUDES   := -Icommon -I/usr/include/postgresql
INCLUDES_tests := -Itests $(SERVICES:%=-I%) -Ibronze-sink/lake $(TOOLS:%=-Icommon/tools/%)# tests use every room
LIBS     := -ljansson -lavro -lpq -lcurl -lmicrohttpd -larchive -lz -lmd -lpthread -lm

# The pinned librdkafka, built once into build/librdkafka. LIBRDKAFKA=system uses that of the distribution;
# FLAVOUR=system builds the release with it in another tree.
LIBRDKAFKA ?= $(if $(filter system,$(FLAVOUR)),system,pinned)
export LIBRDKAFKA
RDKAFKA := build/librdkafka
RDKAFKA_CC = $(CC)
ifeq ($(LIBRDKAFKA),system)
LIBS     := -lrdkafka $(LIBS)
else ifeq ($(LIBRDKAFKA),pinned)
INCLUDES += -isystem $(RDKAFKA)/include
LIBS     := $(RDKAFKA)/lib/librdkafka.a $(LIBS) -lsasl2 -lssl -lcrypto -lzstd -llz4 -lz -ldl
RDKAFKA_A := $(RDKAFKA)/lib/librdkafka.a
else
$(error invalid value "$(LIBRDKAFKA)" for LIBRDKAFKA: expected pinned or system)
endif
# DuckDB, for the program lake alone. It is C++; its runtime library is part of every Debian.
DUCKDB   := build/duckdb
DUCKDB_H := $(DUCKDB)/include/duckdb.h
DUCKDB_LIBS = -Wl,--gc-sections -Wl,--start-group $(wildcard $(DUCKDB)/lib/*.a) -Wl,--end-group -l:libstdc++.so.6 -ldl -lm -lpthread
# The version is a separate object that every program links, so a new commit links the programs again and compiles
# nothing else. Both files are written before make checks any other, and only if their text has changed.
VERSION_C  := $(GEN)/version.c
VERSION_O  := $(B)/obj/gen/version.o
LIBS       := $(VERSION_O) $(LIBS)
FLAGS_USED := $(B)/flags.used# the compiler and flags of the objects in this tree
$(shell COMMIT='$(COMMIT)' common/tools/embed-version $(VERSION_C) 2>/dev/null)
$(shell { mkdir -p $(B); set -- '$(subst ','\'',$(COMPILE))'; \
  [ "$$(cat $(FLAGS_USED))" = "$$1" ] || echo "$$1" >$(FLAGS_USED); } 2>/dev/null)
# Says for which librdkafka the objects of this tree were compiled. Objects that include its header depend on this file.
RDKAFKA_USED := $(B)/librdkafka.used

common_o  := $(patsubst %.c,$(B)/obj/%.o,$(foreach room,$(ROOMS),$(wildcard common/$(room)/*.c))) $(B)/obj/gen/schema_texts.o
# The thread sanitizer does not know C11 threads, which librdkafka uses.
common_o  += $(if $(filter tsan,$(FLAVOUR)),$(B)/obj/tests/tsan/threads.o)
service_o  = $(patsubst %.c,$(B)/obj/%.o,$(wildcard $(1)/*.c))
fold_o    := $(filter-out %/main.o,$(foreach s,$(SERVICES),$(call service_o,$(s)))) $(B)/obj/common/tools/redrive/redrive_rules.o
fold_o    += $(addprefix $(B)/obj/common/tools/funnel-tail/tail_,$(addsuffix .o,config filter flow keys last line model page panel record screen stages text write))
# The parts of the program lake that do not use DuckDB.
lake_plain := $(addprefix $(B)/obj/bronze-sink/lake/lake_,$(addsuffix .o,bucket file folder listing scratch storage tables url)) \
              $(addprefix $(B)/obj/bronze-sink/lake/s3_,$(addsuffix .o,answer client sign xml))
fold_o    += $(lake_plain)
unit      := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/*_test.c))
bench     := $(patsubst tests/bench/%.c,%,$(wildcard tests/bench/*.c))

.PHONY: all bins tools lake unit-tests bench-bins install uninstall check-layers readme check-readme dictionary clean help FORCE
.DELETE_ON_ERROR:
.SECONDARY:
all: bins tools $(if $(filter yes,$(LAKE)),lake)
bins: $(SERVICES:%=$(B)/bin/%)
tools: $(TOOLS:%=$(B)/bin/%)
lake: $(B)/bin/lake
unit-tests: $(unit:%=$(B)/test/%)
bench-bins: $(bench:%=$(B)/bench/%)

$(B)/lib/libcommon.a: $(common_o) | $(VERSION_O)
$(B)/lib/libfold.a: $(fold_o)
$(B)/lib/%.a:
	@mkdir -p $(@D)
	@rm -f $@
	$(say) AR $@
	$(Q)$(AR) rcs $@ $^

define PURE_RULE
$(B)/obj/common/$(1)/%.o: common/$(1)/%.c $(FLAGS_USED)
	@mkdir -p $$(@D)
	$(say) CC $$<
	$(Q)$$(COMPILE) -Icommon -c $$< -o $$@
endef
$(foreach room,$(PURE_ROOMS),$(eval $(call PURE_RULE,$(room))))
$(B)/obj/gen/%.o: $(GEN)/%.c $(FLAGS_USED)
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(COMPILE) -Wno-overlength-strings -Icommon -c $< -o $@
$(B)/obj/%.o: %.c $(RDKAFKA_USED) $(FLAGS_USED)
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(COMPILE) $(INCLUDES) $(INCLUDES_$(firstword $(subst /, ,$<))) -c $< -o $@

$(GEN)/schema_texts.c: common/tools/embed-schemas $(wildcard schemas/*)
	@mkdir -p $(@D)
	common/tools/embed-schemas schemas >$@

$(RDKAFKA_USED): $(RDKAFKA_A) FORCE
	@mkdir -p $(@D)
	@[ "$$(cat $@ 2>/dev/null)" = $(LIBRDKAFKA) ] && [ ! $(or $(RDKAFKA_A),$@) -nt $@ ] || echo $(LIBRDKAFKA) >$@
$(RDKAFKA)/lib/librdkafka.a: deploy/librdkafka/build deploy/librdkafka/sources.sha256
	@CC='$(RDKAFKA_CC)' CPPFLAGS='$(CPPFLAGS)' CFLAGS='$(CFLAGS)' LDFLAGS='$(LDFLAGS)' deploy/librdkafka/build $(RDKAFKA)

$(patsubst %,$(B)/bin/%,$(SERVICES) $(TOOLS)): $(VERSION_C)
define PROGRAM_RULE
$(B)/bin/$(notdir $(1)): $(call service_o,$(1)) $(B)/lib/libcommon.a
	@mkdir -p $$(@D)
	$(say) LINK $$@
	$(Q)$$(LINK) $$(filter %.o %.a,$$^) $$(LIBS) -o $$@
endef
$(foreach p,$(SERVICES) $(TOOLS:%=common/tools/%),$(eval $(call PROGRAM_RULE,$(p))))

# The program lake and its objects; nothing else sees DuckDB's header.
lake_o := $(call service_o,bronze-sink/lake)
$(lake_o): INCLUDES += -isystem $(DUCKDB)/include
$(filter-out $(lake_plain),$(lake_o)): | $(DUCKDB_H)
$(DUCKDB_H): deploy/duckdb/build
	@deploy/duckdb/build $(DUCKDB)
$(B)/bin/lake: $(lake_o) $(B)/lib/libcommon.a $(VERSION_C) $(DUCKDB_H)
	@mkdir -p $(@D)
	$(say) LINK $@
	$(Q)$(LINK) $(filter %.o %.a,$^) $(LIBS) $(DUCKDB_LIBS) -o $@

$(B)/test/%: $(B)/obj/tests/unit/%.o $(B)/lib/libfold.a $(B)/lib/libcommon.a
	@mkdir -p $(@D)
	$(say) LINK $@
	$(Q)$(LINK) $^ $(LIBS) -lcriterion -o $@
$(B)/bench/%: $(B)/obj/tests/bench/%.o $(B)/lib/libfold.a $(B)/lib/libcommon.a
	@mkdir -p $(@D)
	$(say) LINK $@
	$(Q)$(LINK) $^ $(LIBS) -o $@

check-layers: all ## check that rooms use only those before them, and that pure ones have no effects
	@common/tools/check-layers $(B)
readme: all ## write the settings tables of the READMEs
	@common/tools/readme-settings $(B)/bin
check-readme: all ## fail if the settings tables of the READMEs are out of date
	@common/tools/readme-settings $(B)/bin --check
dictionary: ## write sql/DICTIONARY.md from the comments in the database (a private PostgreSQL)
	@tests/sql/reporting_test --write-dictionary
PREFIX ?= /usr/local
install: all ## copy programs, SQL and schemas below PREFIX=/usr/local (DESTDIR=folder for a package)
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' PROGRAM_PREFIX='$(PROGRAM_PREFIX)' deploy/install $(B) $(SERVICES) $(TOOLS) $(if $(filter yes,$(LAKE)),lake)
uninstall: ## remove the files of make install
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' deploy/install --uninstall
clean: ## delete the build
	rm -rf build
help: ## show this list
	@printf '%-18s %s\n' make 'build everything'
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)/\1\t\2/p' $(filter-out %.d,$(MAKEFILE_LIST)) | sed 's/\$$\$$/$$/g' | \
	  while IFS=$$(printf '\t') read -r target text; do printf 'make %-13s %s\n' "$$target" "$$text"; done

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)
-include deploy/local/stack.mk
-include deploy/metabase/metabase.mk
-include deploy/dist/dist.mk
-include deploy/sbom/sbom.mk
-include tests/tests.mk
