# Fuzz targets: tests/fuzz/<name>_fuzz.c, each with a corpus in tests/fuzz/corpus/<name>. With any
# compiler a target runs over its corpus; with clang's libFuzzer it searches for new inputs.
fuzz := $(patsubst tests/fuzz/%_fuzz.c,%,$(wildcard tests/fuzz/*_fuzz.c))
FUZZ_DRIVER = $(B)/obj/tests/fuzz/driver.o
# clang has other warnings than gcc, also in librdkafka's macros. The build with gcc checks warnings.
FUZZ_BUILD = FLAVOUR=fuzz CC=clang RDKAFKA_CC=cc WARNINGS='-Wall -Wextra -Werror' \
             FUZZ_DRIVER=-fsanitize=fuzzer \
             OPT_fuzz='-O1 -g -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all \
                       -fno-omit-frame-pointer'

.PHONY: fuzz fuzz-short fuzz-corpus fuzz-bins fuzz-deps
fuzz: fuzz-deps ## search for inputs that break a parser, decoder or fold (FUZZ_SECONDS=60 each, TARGET=json)
	@$(MAKE) --no-print-directory $(FUZZ_BUILD) fuzz-bins
	@FUZZ_SECONDS=$(or $(FUZZ_SECONDS),60) tests/fuzz/run search $(TARGET)
fuzz-short: ## fuzzing for 5 seconds each, as CI does
	@$(MAKE) --no-print-directory FUZZ_SECONDS=5 fuzz
fuzz-corpus: fuzz-bins ## every committed fuzz input once, without clang; make test runs it too
	@FLAVOUR=$(FLAVOUR) tests/fuzz/run corpus $(TARGET)
fuzz-bins: $(fuzz:%=$(B)/fuzz/%)
fuzz-deps:
	@deploy/local/deps clang

$(B)/fuzz/%: $(B)/obj/tests/fuzz/%_fuzz.o $(B)/obj/tests/fuzz/driver.o $(B)/lib/libfold.a $(B)/lib/libcommon.a
	@mkdir -p $(@D)
	$(say) LINK $@
	$(Q)$(LINK) $< $(FUZZ_DRIVER) $(filter %.a,$^) $(LIBS) -o $@
