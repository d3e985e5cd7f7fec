//! Writes the reports of three made-up runs, to be looked at:
//! `cargo run -p gauntlet-reports --example gallery -- DIRECTORY`.

#[path = "../tests/synthetic/mod.rs"]
mod synthetic;

use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let target = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| "gallery".into()));
    std::fs::create_dir_all(&target)?;
    let crowd = synthetic::Shape {
        clients: 40,
        pause: 4 * synthetic::MS,
        ..Default::default()
    };
    let runs = [
        ("violated", synthetic::defrag_crash()),
        ("holds", synthetic::holds()),
        ("partial", synthetic::partial()),
        ("crowd", synthetic::make(crowd)),
    ];
    for (name, made) in runs {
        let (page, text) = (
            reports::html(&made.run()),
            reports::witness_text(&made.run()),
        );
        println!(
            "{name}: {} records, {} bytes of page",
            made.history.len(),
            page.len()
        );
        std::fs::write(target.join(format!("{name}.html")), page)?;
        std::fs::write(target.join(format!("{name}.txt")), text)?;
    }
    Ok(())
}
