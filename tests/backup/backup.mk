# Backups, restores, second sets, replicas and versions (tests/backup/??_*.sh). `make test` runs a short part of it
# (tests/e2e/41_backup.sh).
.PHONY: test-backup
test-backup: all e2e-tools ## what is lost and restored, second sets, replicas and versions under load; S='20 30' for some
	@FLAVOUR=$(FLAVOUR) tests/backup/run $(S)
