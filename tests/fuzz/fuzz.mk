# Fuzz targets: tests/fuzz/<name>_fuzz.c, each with a corpus in tests/fuzz/corpus/<name>; tests/fuzz/run drives them.
# With any compiler, a target runs over its corpus. With clang, libFuzzer searches for new inputs.
fuzz := $(patsubst tests/fuzz/%_fuzz.c,%,$(wildcard tests/fuzz/*_fuzz.c))
FUZZ_DRIVER = $(B)/obj/tests/fuzz/driver.o
# Fewer warnings than with gcc: clang has other ones, and finds them in librdkafka's macros too.
FUZZ_BUILD = FLAVOUR=fuzz CC=clang RDKAFKA_CC=cc WARNINGS='-Wall -Wextra -Werror' FUZZ_DRIVER=-fsanitize=fuzzer \
             OPT_fuzz='-O1 -g -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all -fno-omit-frame-pointer'

.PHONY: fuzz fuzz-short fuzz-corpus fuzz-bins fuzz-deps
fuzz: fuzz-deps ## search for inputs that break a parser, decoder or fold (FUZZ_SECONDS=60 of CPU time each, TARGET=json for one)
	@$(MAKE) --no-print-directory $(FUZZ_BUILD) fuzz-bins
	@FUZZ_SECONDS=$(or $(FUZZ_SECONDS),60) tests/fuzz/run search $(TARGET)
fuzz-short: ## the same with 5 seconds of CPU time each, as CI does
	@$(MAKE) --no-print-directory FUZZ_SECONDS=5 fuzz
fuzz-corpus: fuzz-bins ## run every committed fuzz input once, without clang; part of make test
	@FLAVOUR=$(FLAVOUR) tests/fuzz/run corpus $(TARGET)
fuzz-bins: $(fuzz:%=$(B)/fuzz/%)
fuzz-deps:
	@deploy/local/deps clang

$(B)/fuzz/%: $(B)/obj/tests/fuzz/%_fuzz.o $(B)/obj/tests/fuzz/driver.o $(B)/lib/libfold.a $(B)/lib/libcommon.a
	@mkdir -p $(@D)
	$(say) LINK $@
	$(Q)$(LINK) $< $(FUZZ_DRIVER) $(filter %.a,$^) $(LIBS) -o $@
