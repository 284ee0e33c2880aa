//! Embedding: makes Cargo notice new migrations and a newly built console.

fn main() {
    // rust-embed wants the folder, and Cargo would rebuild each time over a path that is missing.
    // Without the console's build it stays empty, and the page says how to build it.
    if let Err(error) = std::fs::create_dir_all("console/dist") {
        println!("cargo::warning=cannot create alerting/console/dist: {error}");
    }
    println!("cargo::rerun-if-changed=migrations");
    println!("cargo::rerun-if-changed=console/dist");
}
