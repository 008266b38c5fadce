# The DAG of deploy/airflow with the real Apache Airflow. Not a part of `make test`: it installs 130 packages from PyPI.
.PHONY: test-airflow
test-airflow: deps all ## run the Airflow DAG with the real Airflow against a private stack
	@E2E_SCENARIOS=tests/airflow SCENARIO_TIMEOUT=2400 FLAVOUR=$(FLAVOUR) tests/e2e/run
