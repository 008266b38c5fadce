# What is released: the archive of the sources, and the Debian package. DIST=folder.
DIST ?= build/dist

.PHONY: dist test-dist
dist: deps ## archive of the sources, Debian package, list of components and checksums: build/dist (DIST=folder)
	@deploy/local/deps package
	@deploy/dist/source $(DIST)
	@deploy/dist/package $(DIST)
	@deploy/sbom/sbom >$(DIST)/funnel-$$(cat VERSION).cdx.json
	@cd $(DIST) && sha256sum funnel* >SHA256SUMS
	@cd $(DIST) && ls -1 funnel* SHA256SUMS
test-dist: all ## the Debian package in a clean Debian 12 with systemd: install, run, upgrade, remove, purge (root)
	@deploy/local/deps package box
	@tests/dist/run
