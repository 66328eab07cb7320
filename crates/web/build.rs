//! Files under `assets/` are compiled in; a changed, added or removed one must rebuild this crate.

fn main() {
    println!("cargo:rerun-if-changed=assets");
}
