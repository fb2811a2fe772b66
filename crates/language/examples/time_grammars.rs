//! How long compiling grammars takes, and what becomes of them: `cargo run --release --example time_grammars [FILE]`.
//!
//! Without a file, lists of made-up names of one to four words are compiled in both forms; with one, that grammar (XML if it
//! begins with `<`).

use std::time::Instant;

use dictum_language::{Grammar, GrammarError};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if let Some(file) = std::env::args().nth(1) {
        let bytes = std::fs::read(&file)?;
        let xml = bytes.trim_ascii_start().starts_with(b"<");
        return Ok(time(&file, &bytes, if xml { Grammar::parse_xml } else { Grammar::parse_abnf })?);
    }
    for count in [1_000, 10_000, 100_000] {
        let names = names(count);
        let abnf = format!("#ABNF 1.0; language en-US; root $names; $names = {};", names.join(" | "));
        time(&format!("{count} alternatives, ABNF"), abnf.as_bytes(), Grammar::parse_abnf)?;
        let items: String = names.iter().map(|name| format!("<item>{name}</item>")).collect();
        let xml =
            format!("<grammar version=\"1.0\" root=\"r\"><rule id=\"r\"><one-of>{items}</one-of></rule></grammar>");
        time(&format!("{count} alternatives, XML"), xml.as_bytes(), Grammar::parse_xml)?;
    }
    Ok(())
}

fn time(what: &str, bytes: &[u8], parse: fn(&[u8]) -> Result<Grammar, GrammarError>) -> Result<(), GrammarError> {
    let clock = Instant::now();
    let grammar = parse(bytes)?;
    let compiled = clock.elapsed();
    let snapshot = grammar.to_bytes();
    let clock = Instant::now();
    Grammar::from_bytes(&snapshot)?;
    println!(
        "{what}: compiled in {compiled:.1?}; {} words, {} states, {} arcs; snapshot of {} bytes, read in {:.1?}",
        grammar.words().count(),
        grammar.state_count(),
        grammar.arc_count(),
        snapshot.len(),
        clock.elapsed()
    );
    Ok(())
}

/// Names of one to four words out of some thousands.
fn names(count: u64) -> Vec<String> {
    let name = |i: u64| {
        let words = (0..=i % 4).map(|k| format!("word{}", (i * 2_654_435_761 + k * 40_503) % (count / 4 + 100)));
        words.collect::<Vec<_>>().join(" ")
    };
    (0..count).map(name).collect()
}
