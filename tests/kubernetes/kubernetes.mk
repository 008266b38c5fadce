# The manifests of deploy/kubernetes, without a cluster.
.PHONY: test-kubernetes
test-kubernetes: deps all ## the manifests of Kubernetes: schemas, rules, settings, topics, rights (no cluster)
	@BIN_DIR=$(B)/bin tests/kubernetes/run
	@BIN_DIR=$(B)/bin tests/kubernetes/rights_test
