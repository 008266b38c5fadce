# What we ship, with versions and licences, and what is known about it. deploy/README.md, section "What is shipped".
.PHONY: sbom audit test-sbom
sbom: ## list of all components with versions and licences (CycloneDX): build/sbom.cdx.json
	@mkdir -p build
	@deploy/sbom/sbom >build/sbom.cdx.json.new
	@mv build/sbom.cdx.json.new build/sbom.cdx.json
	@echo build/sbom.cdx.json
audit: all sbom ## known vulnerabilities of these, and of the shared libraries that the programs use here
	@deploy/sbom/sbom --of package $(B)/bin >$(B)/sbom-package.cdx.json
	@deploy/sbom/audit build/sbom.cdx.json $(B)/sbom-package.cdx.json
test-sbom: all ## the list is complete and valid, and the audit finds what recorded answers have (PyPI)
	@tests/sbom/run $(B)
	@tests/sbom/validate $(B)
