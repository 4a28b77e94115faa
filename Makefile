# `make demo` and `make test` need only make and a Python of 3.11 to 3.13 (choose one with PYTHON=...).
# They work in a temporary virtual environment made from the lock files and leave nothing behind.

.PHONY: help demo test soak lint docs lock
.DEFAULT_GOAL := help

help:
	@echo "make demo   install into a temporary environment and run the H2 example there"
	@echo "make test   install into a temporary environment and run every check and test there"
	@echo "make soak   run jobs under random faults for MINUTES=10, in .venv"
	@echo "make .venv  make a virtual environment to develop in"
	@echo "make lint   run the checks that need no test, in .venv"
	@echo "make docs   build the documentation into site/, in .venv"
	@echo "make lock   pin the dependencies again (UPGRADE=1: to their newest releases)"

demo:
	@scripts/demo

test:
	@scripts/test

.venv: requirements/dev.lock
	rm -rf .venv
	scripts/make-venv .venv && scripts/install .venv requirements/dev.lock --editable || { rm -rf .venv; exit 1; }
	@touch .venv

lint: .venv
	@scripts/check .venv lint format types imports spelling

soak: .venv
	@.venv/bin/python tests/soak/soak.py --minutes $(or $(MINUTES),10) $(if $(SEED),--seed $(SEED))

docs: .venv
	@scripts/docs .venv site

lock:
	scripts/lock
