# Dictum. On a machine with Rust and apt nothing else has to be installed by hand.

.PHONY: help demo test bench fuzz docs clean

help:
	@echo "make demo    build Dictum, start it, transcribe a spoken sample, show how to go on"
	@echo "make test    format, lints, all tests, the fuzz targets briefly"
	@echo "make bench   accuracy, speed and memory, beside pocketsphinx when that is installed"
	@echo "make fuzz    the fuzz targets for a minute each (TIME=N for longer)"
	@echo "make docs    the API documentation, and docs/configuration.md from the table of settings"

demo:
	@scripts/demo

test:
	@scripts/test

bench:
	@bash -c '. scripts/lib.sh; need_build; need_model; need_packages python3=python3'
	@scripts/bench

fuzz:
	@scripts/fuzz $(or $(TIME),60)

docs:
	cargo run --quiet --package dictum-cli -- config --markdown > docs/configuration.md
	cargo doc --workspace --no-deps

clean:
	cargo clean
	rm -rf fuzz/target
