//! `docs/configuration.md`, printed from the table of settings.

use std::fmt::Write;

use super::Settings;
use super::table::SETTINGS;

const INTRODUCTION: &str = "\
# Configuration

Dictum runs without any configuration. Settings come from, later ones winning:

1. the defaults below;
2. a TOML file, named by `--config FILE` or the environment variable `DICTUM_CONFIG`;
3. environment variables, `DICTUM_` and the setting's name in capitals with `_` for `.`: `DICTUM_LOG_LEVEL=debug`;
4. the command line: the flags named below, and `--set KEY=VALUE` for any setting.

A setting that does not exist, or a value it cannot have, stops the program with a message that names the place. `dictum config`
prints the settings in force. This page is printed by `dictum config --markdown`; edit `crates/cli/src/config/table.rs` instead.
";

const EXAMPLE: &str = "\
## Example

```toml
[server]
listen = \"0.0.0.0:8080\"
data = \"/var/lib/dictum\"

[model]
packages = [\"/srv/dictum/models\"]
default = \"en-US_Telephony\"

[model.names]                       # British names, served by the US English package
en-GB_BroadbandModel = \"en-us-ptm\"
en-GB_Telephony = \"en-us-ptm\"

[log]
format = \"json\"
```
";

/// The whole page.
pub fn markdown() -> String {
    let mut page = INTRODUCTION.to_owned();
    let mut section = "";
    for setting in SETTINGS {
        let (this, _) = setting.key.split_once('.').unwrap_or((setting.key, ""));
        if this != section {
            section = this;
            let _ = write!(page, "\n## `[{section}]`\n\n| setting | value | default | flag |\n|---|---|---|---|\n");
            for setting in SETTINGS.iter().filter(|setting| setting.key.split('.').next() == Some(section)) {
                let default =
                    if setting.default.is_empty() { "none".to_owned() } else { format!("`{}`", setting.default) };
                let flag = setting.flag.map(|flag| format!("`{flag}`")).unwrap_or_default();
                let _ = writeln!(page, "| `{}` | {} | {default} | {flag} |", setting.key, setting.kind);
            }
            page.push('\n');
            for setting in SETTINGS.iter().filter(|setting| setting.key.split('.').next() == Some(section)) {
                let _ = writeln!(page, "- `{}` (`{}`): {}", setting.key, setting.variable(), setting.meaning);
            }
        }
    }
    page.push('\n');
    page.push_str(EXAMPLE);
    page
}

/// The settings in force, as a TOML file that would bring them about.
pub fn in_force(settings: &Settings) -> String {
    let mut text = String::new();
    let mut section = "";
    for setting in SETTINGS {
        let (this, name) = setting.key.split_once('.').unwrap_or(("", setting.key));
        if this != section {
            if !section.is_empty() {
                text.push('\n');
            }
            section = this;
            let _ = writeln!(text, "[{section}]");
        }
        let _ = writeln!(text, "{name} = {}", (setting.show)(settings));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Sources, load};

    #[test]
    fn the_page_in_docs_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
        let page = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            page == markdown(),
            "write it anew: cargo run -p dictum-cli -- config --markdown > docs/configuration.md"
        );
    }

    #[test]
    fn the_example_and_what_is_printed_can_be_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("dictum.toml");
        let example = EXAMPLE.split("```").nth(1).unwrap().trim_start_matches("toml");
        std::fs::write(&path, example).unwrap();
        let settings = load(&Sources { file: Some(&path), ..Sources::default() }).unwrap().settings;
        assert_eq!(settings.log_format, "json");
        assert_eq!(settings.model_names.len(), 2);

        std::fs::write(&path, in_force(&settings)).unwrap();
        let again = load(&Sources { file: Some(&path), ..Sources::default() }).unwrap().settings;
        assert_eq!(again, settings);
    }
}
