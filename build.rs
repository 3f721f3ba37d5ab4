//! Has the crate built again when a migration is added: `embed_migrations!` cannot say what
//! it reads.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
