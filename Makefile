# The commands of this repository. `make` alone lists them.
harness = cargo run -q -p qemu-harness --

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 16
demo: ## boot one diskless node in a virtual machine and show how it does it
	@.ci/in-debian sh -c '.ci/deps && $(harness) demo'
test: ## everything: lints, unit and integration tests, the virtual machines of tests/smoke.list
	@tests/run
vm: ## boot scenarios: make vm S="first-boot wrong-luks-key", S=all, or folders; RELEASE=trixie: on Debian 13
	@.ci/deps && $(harness) run $(if $(RELEASE),--release $(RELEASE)) $(S)
bench: ## measure diskless beside its peers, in one run: a table, and target/bench.json; P="luks paths" for parts
	@.ci/deps && $(harness) bench $(P)
fuzz: ## random bytes for the parsers: make fuzz T="gpt dns" SECONDS=60
	@.ci/deps && fuzz/run -max_total_time=$(or $(SECONDS),60) $(T)
dist: ## the static agent and its server, as target/dist/diskless and target/dist/disklessd
	@.ci/deps && cargo build --release -p diskless && cargo build --profile server -p disklessd
	@install -D -t target/dist target/x86_64-unknown-linux-gnu/release/diskless target/x86_64-unknown-linux-gnu/server/disklessd
	@file target/dist/diskless target/dist/disklessd
packages: ## .deb and .rpm of the agent and of its server, in target/dist, and looks into them; W=diskless.rpm for one
	@.ci/deps && packages/build $(W)
initramfs: ## for a site's image, as root: make initramfs ROOT=/path/to/its/root [KVER=...] [OUT=target/initramfs.img]
	@.ci/deps && cargo build --release -p diskless
	@dracut-module/build target/x86_64-unknown-linux-gnu/release/diskless "$(ROOT)" "$(KVER)" "$(OUT)"
lint: ## format, clippy, licences
	@cargo fmt --all --check && cargo fmt --manifest-path fuzz/Cargo.toml --check && cargo clippy --workspace --all-targets -- -D warnings
	@if command -v cargo-deny > /dev/null; then cargo deny check licenses bans sources; else echo "NOT CHECKED: licences (no cargo-deny)"; fi
clean-cache: ## remove what virtual machines need from ~/.cache/diskless
	@$(harness) clean

.PHONY: help demo test vm bench fuzz dist packages initramfs lint clean-cache
