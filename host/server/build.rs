//! Rebuilds the binary when the packages it carries change.

fn main() {
    for folder in ["plugins", "web"] {
        println!("cargo::rerun-if-changed=../../stage/{folder}");
    }
}
