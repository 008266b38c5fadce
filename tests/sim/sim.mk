# The simulation: the real task loop, intake and folds against a simulated Kafka, in virtual time.
# A build of its own: with fault points, and with small blocks so that short inputs reach them.
SIM_DEFINES = -DFAULT_POINTS -DTASK_BLOCK_RECORDS=16 -DCATCH_UP_RECORDS=4 -DTRIM_RECORDS_MIN=2 -DTRIM_INTERVAL_US=1000000 -DFIRST_PART=4 \
              -DSEND_EVERY_OUTPUTS=8 -DSEPARATE_RECORDS=24
SIM_BUILD = FLAVOUR=sim OPT_sim='-O2 -g $(SIM_DEFINES) $(SIM_OPT)'
SIM_COVERAGE = FLAVOUR=simcov OPT_simcov='-O0 -g --coverage $(SIM_DEFINES)'
SIM_WRAP  = clock_gettime usleep poll pthread_create pthread_clockjoin_np pthread_detach task_loop_open \
            task_loop_partition_count task_loop_start task_flush task_free task_start task_resume event_parse_json
sim_o     = $(patsubst %.c,$(B)/obj/%.o,$(wildcard tests/sim/*.c))

.PHONY: sim sim-bin sim-historic sim-coverage
sim: deps ## the task loop in a deterministic simulation for SIM_SECONDS=600; SEED=n for one schedule
	@$(MAKE) --no-print-directory $(SIM_BUILD) sim-bin
	@SIM_SECONDS=$(or $(SIM_SECONDS),600) SEED=$(SEED) WORLD=$(WORLD) tests/sim/run
sim-historic: deps ## the simulation notices each error of the past (1 minute)
	@$(MAKE) --no-print-directory $(SIM_BUILD) sim-bin
	@tests/sim/historic
sim-coverage: deps ## the lines of the task loop that the simulation does not reach in SIM_SCHEDULES=8000
	@$(MAKE) --no-print-directory $(SIM_COVERAGE) sim-bin
	@tests/sim/coverage --schedules $(or $(SIM_SCHEDULES),8000)
sim-bin: $(B)/sim/sim
$(B)/sim/sim: $(sim_o) $(B)/lib/libfold.a $(B)/lib/libcommon.a
	@mkdir -p $(@D)
	$(say) LINK $@
	$(Q)$(LINK) $(SIM_WRAP:%=-Wl,--wrap=%) $(filter %.o %.a,$^) $(filter-out %librdkafka.a,$(LIBS)) -o $@
