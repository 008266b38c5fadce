# What is released: the archive of the sources, the Debian package, the list of its parts. DIST=folder.
DIST ?= build/dist

.PHONY: dist
dist: deps ## archive of the sources and Debian package, with checksums: build/dist (DIST=folder)
	@deploy/local/deps package
	@deploy/dist/source $(DIST)
	@deploy/dist/package $(DIST)
	@cd $(DIST) && sha256sum funnel* >SHA256SUMS
	@cd $(DIST) && ls -1 funnel* SHA256SUMS
