//! Compiles the one kernel that all drivers share, whatever they are written in.

fn main() {
    println!("cargo::rerun-if-changed=peers/kernel.c");
    cc::Build::new().file("peers/kernel.c").opt_level(3).compile("taskbench_kernel");
}
